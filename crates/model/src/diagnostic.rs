//! What is wrong with an input, where, and what to do about it.

use crate::object::ObjectRef;
use crate::source::Location;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Something worth knowing.
    Note,
    /// Read, but probably not what was meant.
    Warning,
    /// Not read.
    Error,
}

/// A span with a text of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// The span.
    pub location: Location,
    /// What to say at it; may be empty.
    pub label: String,
}

/// One thing that is wrong with an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A stable name in kebab case, such as `unknown-field`.
    pub code: &'static str,
    /// One sentence: what is wrong.
    pub message: String,
    /// The object concerned, as far as it could be told.
    pub object: Option<ObjectRef>,
    /// Where; `None` for an object that has no source.
    pub primary: Option<Annotation>,
    /// Other places that explain it.
    pub related: Vec<Annotation>,
    /// What to do, if there is something to say.
    pub help: Option<String>,
    /// What was probably meant by the word at the primary place.
    pub replacement: Option<String>,
    /// What was left out of the snapshot because of it, in words
    /// (`this policy was left out`); `None` when nothing was.
    pub left_out: Option<String>,
}

/// Diagnostics, of which so many are kept and the rest is counted: a file with millions
/// of mistakes must not take more memory for them than for itself.
#[derive(Debug, Default)]
pub(crate) struct Bounded {
    kept: Vec<Diagnostic>,
    more: usize,
    more_errors: bool,
    more_left_out: bool,
}

impl Bounded {
    const MOST: usize = 2_000;

    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        if self.kept.len() < Self::MOST {
            self.kept.push(diagnostic);
            return;
        }
        self.more += 1;
        self.more_errors |= diagnostic.severity == Severity::Error;
        self.more_left_out |= diagnostic.left_out.is_some();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub(crate) fn append(&mut self, other: Self) {
        self.extend(other.kept);
        self.more += other.more;
        self.more_errors |= other.more_errors;
        self.more_left_out |= other.more_left_out;
    }

    /// Those that were kept, and one for all the others.
    pub(crate) fn into_vec(mut self) -> Vec<Diagnostic> {
        if self.more > 0 {
            self.kept.push(Diagnostic {
                severity: if self.more_errors {
                    Severity::Error
                } else {
                    Severity::Warning
                },
                code: "more-problems",
                message: format!("there are {} more problems in the input", self.more),
                object: None,
                primary: None,
                related: Vec::new(),
                help: None,
                replacement: None,
                left_out: self
                    .more_left_out
                    .then(|| "what they are about was left out".to_owned()),
            });
        }
        self.kept
    }
}

impl Extend<Diagnostic> for Bounded {
    fn extend<T: IntoIterator<Item = Diagnostic>>(&mut self, diagnostics: T) {
        for diagnostic in diagnostics {
            self.push(diagnostic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warning(left_out: bool) -> Diagnostic {
        Diagnostic {
            severity: Severity::Warning,
            code: "test",
            message: String::new(),
            object: None,
            primary: None,
            related: Vec::new(),
            help: None,
            replacement: None,
            left_out: left_out.then(String::new),
        }
    }

    #[test]
    fn what_is_too_many_is_counted_and_stays_a_problem() {
        let mut all = Bounded::default();
        all.extend(std::iter::repeat_n(warning(false), Bounded::MOST));
        assert_eq!(all.kept.len(), Bounded::MOST);
        let mut others = Bounded::default();
        others.extend([warning(false), warning(true)]);
        all.append(others);
        let all = all.into_vec();
        assert_eq!(all.len(), Bounded::MOST + 1);
        let last = all.last().unwrap();
        assert_eq!(last.message, "there are 2 more problems in the input");
        assert!(last.left_out.is_some());
    }
}
