//! One document: bytes to tree, tree to objects, `List` kinds flattened.

use std::sync::Arc;

use memchr::memchr;
use rayon::prelude::*;

use super::kinds::{self, Header};
use super::node::{Extent, Mark, Node};
use super::report::{Reporter, object_ref};
use super::sources::SourceFile;
use super::split::{DocumentRange, Syntax};
use super::suggest::one_slip;
use super::tree::{Remark, RemarkKind, SyntaxError, Tree};
use super::{Limits, Object, json, kustomize, list, objects, syntax_help, yaml};
use crate::diagnostic::{Bounded, Severity};
use crate::source::{FileId, KeyPath, Origin};

/// What reading a document gave.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) objects: Vec<Object>,
    pub(crate) diagnostics: Bounded,
    /// How many values were read.
    pub(crate) nodes: usize,
}

impl Outcome {
    pub(crate) fn append(&mut self, mut other: Self) {
        self.objects.append(&mut other.objects);
        self.diagnostics.append(other.diagnostics);
        self.nodes += other.nodes;
    }
}

impl From<Reporter<'_>> for Outcome {
    fn from(reporter: Reporter<'_>) -> Self {
        let mut outcome = Self::default();
        outcome.diagnostics.extend(reporter.finish());
        outcome
    }
}

/// The tree of a document, or why there is none.
pub(crate) fn read_tree<'f>(
    file: &'f SourceFile,
    document: &DocumentRange,
    limits: &Limits,
) -> Result<Tree<'f>, SyntaxError> {
    check_bytes(file, document, limits)?;
    let text = file.document_text(document);
    if document.syntax == Syntax::Json {
        let start = Mark {
            line: document.line,
            column: document.column,
        };
        let json_error = match json::parse(text, start, limits) {
            Ok(tree) => return Ok(tree),
            Err(error) => error,
        };
        // It may still be a YAML flow collection, unless it says that it is not.
        if file.name.ends_with(".json") {
            return Err(json_error);
        }
        return match yaml::parse(text, document.line, limits) {
            Ok(tree) if json_error.code != "limit-exceeded" => Ok(tree),
            _ => Err(
                syntax_help::better_explanation(text, document.line, &json_error)
                    .unwrap_or(json_error),
            ),
        };
    }
    if let Some(tree) = list::parse(text, document.line, limits)? {
        return Ok(tree);
    }
    yaml::parse(text, document.line, limits).map_err(|error| {
        syntax_help::better_explanation(text, document.line, &error).unwrap_or(error)
    })
}

/// Refuses what no parser should see.
fn check_bytes(
    file: &SourceFile,
    document: &DocumentRange,
    limits: &Limits,
) -> Result<(), SyntaxError> {
    let range = &document.bytes;
    let one_character = |offset: usize| {
        let start = file.lines.mark(&file.text, offset);
        let end = Mark {
            column: start.column + 1,
            ..start
        };
        Extent { start, end }
    };
    let fault = file.faults.partition_point(|offset| *offset < range.start);
    if let Some(offset) = file.faults.get(fault)
        && *offset < range.end
    {
        return Err(SyntaxError::new(
            "invalid-encoding",
            format!("these bytes are not {}", file.encoding),
            one_character(*offset),
        ));
    }
    let text = file.document_text(document);
    if let Some(offset) = memchr(0, text.as_bytes()) {
        let mut error = SyntaxError::new(
            "invalid-encoding",
            "this text contains a NUL byte",
            one_character(range.start + offset),
        );
        error.help =
            Some("this is a binary file, or UTF-16 without a byte order mark; save it as UTF-8");
        return Err(error);
    }
    if text.len() > limits.document_bytes {
        return Err(SyntaxError::new(
            "limit-exceeded",
            format!(
                "this document is longer than {} bytes: it is not read",
                limits.document_bytes
            ),
            one_character(range.start),
        ));
    }
    Ok(())
}

/// Reads the objects of a document.
pub(crate) fn read_document(
    file: &SourceFile,
    id: FileId,
    index: usize,
    limits: &Limits,
) -> Outcome {
    let Some(document) = file.documents.get(index) else {
        return Outcome::default();
    };
    let tree = match read_tree(file, &document.range, limits) {
        Ok(tree) => tree,
        Err(error) => {
            let mut reporter = Reporter::new(Some(file));
            reporter
                .error(error.code, error.extent, error.message)
                .maybe_help(error.help)
                .left_out("this document was left out");
            return reporter.into();
        }
    };
    if let Some(outcome) = kustomize::read(file, &tree) {
        return outcome;
    }
    let origin = Origin {
        file: id,
        document: u32::try_from(index).unwrap_or(u32::MAX),
        path: KeyPath::root(),
    };
    let mut outcome = read_objects(Some(file), Some(&origin), &tree, limits.objects);
    outcome.nodes = tree.nodes;
    outcome
}

/// Reads the objects of a tree, up to `most` of them; `file` and `origin` are `None` for
/// a tree that was not read from a text.
pub(crate) fn read_objects(
    file: Option<&SourceFile>,
    origin: Option<&Origin>,
    tree: &Tree<'_>,
    most: usize,
) -> Outcome {
    /// From this many objects on it pays to read them at the same time.
    const MANY: usize = 64;
    /// So many are read at a time, so that no more than that is in memory only to be
    /// found too many.
    const AT_A_TIME: usize = 4096;
    let mut reporter = Reporter::new(file);
    if let Some(remark) = missing_separator(tree) {
        report_several_objects(remark, "`---`", "this document was left out", &mut reporter);
        return reporter.into();
    }
    let mut candidates = Vec::new();
    let root = Candidate {
        node: &tree.root,
        item: None,
    };
    collect(root, &mut reporter, &mut candidates);
    let mut outcome: Outcome = reporter.into();
    let read = |candidate: &Candidate<'_, '_>| {
        let inside = |remark: &&Remark| {
            candidates.len() == 1 || candidate.node.extent.contains(remark.extent)
        };
        let remarks: Vec<&Remark> = tree.remarks.iter().filter(inside).collect();
        read_candidate(file, origin, candidate, &remarks)
    };
    for some in candidates.chunks(AT_A_TIME) {
        if outcome.objects.len() >= most
            && let Some(next) = some.first()
        {
            let mut reporter = Reporter::new(file);
            reporter
                .error("limit-exceeded", next.node.head(), too_many_objects(most))
                .left_out("the rest of this document was left out");
            outcome.append(reporter.into());
            break;
        }
        if some.len() < MANY {
            some.iter().for_each(|one| outcome.append(read(one)));
        } else {
            let outcomes: Vec<Outcome> = some.par_iter().map(read).collect();
            outcomes.into_iter().for_each(|read| outcome.append(read));
        }
    }
    outcome
}

/// What is said of more objects than are read.
pub(crate) fn too_many_objects(most: usize) -> String {
    format!("this input has more than {most} objects: the rest is not read")
}

/// The root of a document is several objects. Whatever is read of them is wrong: all
/// but the last are lost, and what that one leaves out is the others'.
fn missing_separator<'r>(tree: &'r Tree<'_>) -> Option<&'r Remark> {
    let root = tree.root.entry("apiVersion")?.key_extent;
    tree.remarks.iter().find(|remark| {
        matches!(remark.kind, RemarkKind::SeveralObjects { .. }) && remark.extent == root
    })
}

fn report_several_objects(
    remark: &Remark,
    separator: &str,
    left_out: &str,
    reporter: &mut Reporter<'_>,
) {
    let RemarkKind::SeveralObjects { count, first } = remark.kind else {
        return;
    };
    reporter
        .error(
            "duplicate-key",
            remark.extent,
            format!("`apiVersion` and `kind` are here {count} times"),
        )
        .label("another object begins here")
        .related(first, "the first one is here")
        .help(format!("is a {separator} missing between two objects?"))
        .left_out(left_out);
}

/// A node that should be an object. There may be millions.
struct Candidate<'n, 't> {
    node: &'n Node<'t>,
    /// The list that it is an item of, and which one.
    item: Option<(Arc<ListOfObjects>, usize)>,
}

/// What the items of a list have in common.
struct ListOfObjects {
    /// The way to the items from the root of the document.
    path: KeyPath,
    /// What the items of a typed list are if they do not say it themselves.
    implied: Option<Header>,
}

impl Candidate<'_, '_> {
    /// The way to it from the root of the document.
    fn path(&self) -> KeyPath {
        match &self.item {
            Some((list, index)) => list.path.index(*index),
            None => KeyPath::root(),
        }
    }

    fn implied(&self) -> Option<&Header> {
        self.item.as_ref()?.0.implied.as_ref()
    }
}

/// Finds the objects in a document: its root, or the items of a `List`.
fn collect<'n, 't>(
    candidate: Candidate<'n, 't>,
    reporter: &mut Reporter<'_>,
    found: &mut Vec<Candidate<'n, 't>>,
) {
    let node = candidate.node;
    let text = |key| node.get(key).and_then(Node::text);
    let list_kind = text("kind").and_then(|kind| kind.strip_suffix("List"));
    let Some(item_kind) = list_kind else {
        if !hides_objects(node, reporter) {
            found.push(candidate);
        }
        return;
    };
    let Some(items) = node.entry("items") else {
        if hides_objects(node, reporter) {
            return;
        }
        // Anything else ending in `List` is some other kind.
        if item_kind.is_empty() {
            report_missing_items(node, reporter);
        } else {
            found.push(candidate);
        }
        return;
    };
    if !items.value.is_sequence() {
        if !items.value.is_null() {
            reporter
                .error(
                    "wrong-type",
                    items.value.head(),
                    format!("`items`: expected a list, found {}", items.value.describe()),
                )
                .left_out("this list was left out");
        }
        return;
    }
    let implied = (!item_kind.is_empty()).then(|| Header {
        api_version: text("apiVersion").unwrap_or_default().to_owned(),
        kind: item_kind.to_owned(),
    });
    let list = Arc::new(ListOfObjects {
        path: candidate.path().key("items"),
        implied,
    });
    for (index, item) in items.value.items().iter().enumerate() {
        let item = Candidate {
            node: item,
            item: Some((Arc::clone(&list), index)),
        };
        collect(item, reporter, found);
    }
}

/// Says of a `kind: List` that it has nothing in it, or not where it belongs.
fn report_missing_items(list: &Node<'_>, reporter: &mut Reporter<'_>) {
    let misspelt = list
        .entries()
        .iter()
        .find(|entry| one_slip(&entry.key, ["items"]).is_some());
    match misspelt {
        Some(entry) => reporter
            .error(
                "unknown-field",
                entry.key_extent,
                format!("unknown field `{}`", super::node::abbreviated(&entry.key)),
            )
            .help("did you mean `items`?")
            .instead(Some("items"))
            .left_out("this list was left out"),
        None => reporter
            .warning("missing-field", list.head(), "this list has no `items`")
            .help("write `items: []` if it is meant to be empty"),
    };
}

/// Whether something that is no list has a list of objects in it, which would not be
/// read: `kind: list`, or `Items`. Reports it.
fn hides_objects(node: &Node<'_>, reporter: &mut Reporter<'_>) -> bool {
    let is_object =
        |node: &Node<'_>| node.get("apiVersion").is_some() && node.get("kind").is_some();
    let hidden = node.entries().iter().find(|entry| {
        let named_items = entry.key.eq_ignore_ascii_case("items");
        named_items && entry.value.items().iter().any(is_object)
    });
    let Some(hidden) = hidden else {
        return false;
    };
    reporter
        .error(
            "unread-objects",
            hidden.value.head(),
            "these objects are not read: only a kind that ends in `List` has objects, under `items`"
                .to_owned(),
        )
        .help("write `apiVersion: v1`, `kind: List` and `items:`, in exactly this spelling")
        .left_out("this list was left out");
    true
}

fn read_candidate(
    file: Option<&SourceFile>,
    origin: Option<&Origin>,
    candidate: &Candidate<'_, '_>,
    remarks: &[&Remark],
) -> Outcome {
    let mut reporter = Reporter::new(file);
    let origin = origin.map(|origin| Origin {
        path: candidate.path(),
        ..origin.clone()
    });
    let mut objects = Vec::new();
    if let Some(header) = kinds::header(candidate.node, candidate.implied(), &mut reporter) {
        reporter.about(Some(object_ref(
            candidate.node,
            &header.api_version,
            &header.kind,
        )));
        if let Some(class) = kinds::classify(&header, candidate.node, &mut reporter) {
            let is_strict = matches!(class, kinds::Class::Policy(_));
            if class.is_cluster_wide() {
                reporter.has_no_namespace();
            }
            report_remarks(remarks, is_strict, &mut reporter);
            objects = objects::read(candidate.node, &header, class, &mut reporter);
        }
    }
    let mut outcome: Outcome = reporter.into();
    let objects = objects.into_iter();
    outcome.objects.extend(objects.map(|mut typed| {
        typed.set_origin(origin.clone());
        Object {
            origin: origin.clone(),
            typed,
        }
    }));
    outcome
}

/// Says what is odd about an object that is read. In a policy it is an error.
fn report_remarks(remarks: &[&Remark], is_strict: bool, reporter: &mut Reporter<'_>) {
    let severity = if is_strict {
        Severity::Error
    } else {
        Severity::Warning
    };
    let mut remarks = remarks.to_vec();
    remarks.sort_by_key(|remark| remark.extent.start);
    for remark in remarks {
        match &remark.kind {
            RemarkKind::DuplicateKey { key, first } => {
                let key = super::node::abbreviated(key);
                let reported = reporter
                    .report(
                        severity,
                        "duplicate-key",
                        remark.extent,
                        format!("the key `{key}` is here twice"),
                    )
                    .label("again here")
                    .related(*first, "first here");
                if is_strict {
                    reported.help("remove one of them: which one counts depends on who reads it");
                } else {
                    reported
                        .help("the last one counts, as it does for kubectl; remove the other")
                        .left_out("what stands at the first one was left out");
                }
            }
            RemarkKind::MoreDuplicateKeys { count } => {
                let reported = reporter.report(
                    severity,
                    "duplicate-key",
                    remark.extent,
                    format!("{count} more keys are here twice; this is the last of them"),
                );
                if !is_strict {
                    reported.left_out("what stands at the first ones was left out");
                }
            }
            RemarkKind::SeveralObjects { .. } => {
                let left_out = if is_strict {
                    "these objects were left out"
                } else {
                    "all of these objects but the last were left out"
                };
                report_several_objects(remark, "`- `", left_out, reporter);
            }
            RemarkKind::BooleanKey { written, read } => {
                reporter
                    .report(
                        severity,
                        "boolean-key",
                        remark.extent,
                        format!("the key `{written}` is read as the boolean `{read}`"),
                    )
                    .help(format!("quote it: \"{written}\""));
            }
            RemarkKind::UnknownTag { tag } => {
                let tag = super::node::abbreviated(tag);
                reporter
                    .report(
                        severity,
                        "unknown-tag",
                        remark.extent,
                        format!("the tag `{tag}` means nothing to Kubernetes"),
                    )
                    .help("render the manifest first, or quote the value if it is text");
            }
        }
    }
}
