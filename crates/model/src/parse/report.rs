//! Collecting diagnostics about one document.

use std::sync::Arc;

use super::node::{Extent, Node};
use super::sources::SourceFile;
use crate::diagnostic::{Annotation, Diagnostic, Severity};
use crate::object::ObjectRef;

/// Where diagnostics about a document go.
pub(crate) struct Reporter<'f> {
    /// The file; `None` for an object that was not read from a text.
    file: Option<&'f SourceFile>,
    /// The object being read.
    object: Option<ObjectRef>,
    diagnostics: Vec<Diagnostic>,
    /// The last one that was too many to be kept.
    surplus: Option<Diagnostic>,
    surplus_count: usize,
    errors: usize,
}

/// So many problems of one object are listed; a broken generator must not bury
/// everything else.
const MOST: usize = 100;

impl<'f> Reporter<'f> {
    pub(crate) fn new(file: Option<&'f SourceFile>) -> Self {
        Self {
            file,
            object: None,
            diagnostics: Vec::new(),
            surplus: None,
            surplus_count: 0,
            errors: 0,
        }
    }

    /// From here on, diagnostics are about this object.
    pub(crate) fn about(&mut self, object: Option<ObjectRef>) {
        self.object = object;
    }

    /// The object that diagnostics are about has no namespace, whatever it says.
    pub(crate) fn has_no_namespace(&mut self) {
        if let Some(object) = &mut self.object {
            object.namespace = None;
        }
    }

    /// The file name without its directories.
    pub(crate) fn file_name(&self) -> &'f str {
        let name = self.file.map_or("", |file| file.name());
        name.rsplit(['/', '\\']).next().unwrap_or(name)
    }

    /// How many errors there were so far.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// How many diagnostics there were so far.
    pub(crate) fn count(&self) -> usize {
        self.diagnostics.len()
    }

    fn annotation(&self, extent: Extent) -> Option<Annotation> {
        self.file.map(|file| Annotation {
            location: file.location(extent),
            label: String::new(),
        })
    }

    /// Adds a diagnostic; what it returns can be completed.
    pub(crate) fn report(
        &mut self,
        severity: Severity,
        code: &'static str,
        extent: Extent,
        message: impl Into<String>,
    ) -> Reported<'_, 'f> {
        self.errors += usize::from(severity == Severity::Error);
        let diagnostic = Diagnostic {
            severity,
            code,
            message: message.into(),
            object: self.object.clone(),
            primary: self.annotation(extent),
            related: Vec::new(),
            help: None,
            replacement: None,
            left_out: None,
        };
        let file = self.file;
        let diagnostic = if self.diagnostics.len() < MOST {
            push(&mut self.diagnostics, diagnostic)
        } else {
            self.surplus_count += 1;
            self.surplus.insert(diagnostic)
        };
        Reported { file, diagnostic }
    }

    pub(crate) fn error(
        &mut self,
        code: &'static str,
        extent: Extent,
        message: impl Into<String>,
    ) -> Reported<'_, 'f> {
        self.report(Severity::Error, code, extent, message)
    }

    pub(crate) fn warning(
        &mut self,
        code: &'static str,
        extent: Extent,
        message: impl Into<String>,
    ) -> Reported<'_, 'f> {
        self.report(Severity::Warning, code, extent, message)
    }

    /// Says of the errors from number `since` on what was left out because of them.
    pub(crate) fn left_out(&mut self, since: usize, what: &str) {
        let diagnostics = self.diagnostics.iter_mut().skip(since);
        for diagnostic in diagnostics.chain(&mut self.surplus) {
            if diagnostic.severity == Severity::Error && diagnostic.left_out.is_none() {
                diagnostic.left_out = Some(what.to_owned());
            }
        }
    }

    /// The diagnostics in the order of the text.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        if let Some(last) = &mut self.surplus
            && self.surplus_count > 1
        {
            last.message = format!("{}; and {} more", last.message, self.surplus_count - 1);
        }
        self.diagnostics.extend(self.surplus.take());
        self.diagnostics.sort_by_key(|diagnostic| {
            let primary = diagnostic.primary.as_ref();
            primary.map(|annotation| annotation.location.span.start)
        });
        self.diagnostics
    }
}

fn push(diagnostics: &mut Vec<Diagnostic>, diagnostic: Diagnostic) -> &mut Diagnostic {
    let at = diagnostics.len();
    diagnostics.push(diagnostic);
    #[expect(clippy::indexing_slicing, reason = "it was pushed one line above")]
    &mut diagnostics[at]
}

/// A diagnostic that was added and can be completed.
pub(crate) struct Reported<'r, 'f> {
    file: Option<&'f SourceFile>,
    diagnostic: &'r mut Diagnostic,
}

impl Reported<'_, '_> {
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        self.diagnostic.help = Some(help.into());
        self
    }

    /// Help, if there is any.
    pub(crate) fn maybe_help(self, help: Option<impl Into<String>>) -> Self {
        match help {
            Some(help) => self.help(help),
            None => self,
        }
    }

    /// What was probably meant by the word at the primary place, if that can be told.
    pub(crate) fn instead(self, right: Option<&str>) -> Self {
        self.diagnostic.replacement = right.map(str::to_owned);
        self
    }

    /// The text shown at the primary place.
    pub(crate) fn label(self, label: impl Into<String>) -> Self {
        if let Some(primary) = &mut self.diagnostic.primary {
            primary.label = label.into();
        }
        self
    }

    /// Another place that explains it.
    pub(crate) fn related(self, extent: Extent, label: impl Into<String>) -> Self {
        if let Some(file) = self.file {
            self.diagnostic.related.push(Annotation {
                location: file.location(extent),
                label: label.into(),
            });
        }
        self
    }

    pub(crate) fn left_out(self, what: impl Into<String>) -> Self {
        self.diagnostic.left_out = Some(what.into());
        self
    }
}

/// The name of the object that `root` seems to be. Only `apiVersion`, `kind`,
/// `metadata.namespace` and `metadata.name` are looked at.
pub(crate) fn object_ref(root: &Node<'_>, api_version: &str, kind: &str) -> ObjectRef {
    let text = |key: &str| {
        root.at(&["metadata", key])
            .map(Node::written)
            .filter(|text| !text.is_empty())
            .map(Arc::from)
    };
    ObjectRef {
        api_version: api_version.into(),
        kind: kind.into(),
        namespace: text("namespace"),
        name: text("name")
            .or_else(|| text("generateName"))
            .unwrap_or_else(|| Arc::from("(no name)")),
    }
}
