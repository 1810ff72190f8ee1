//! What the reader of the input found wrong with policies, as findings.
//!
//! To the other verbs a policy that cannot be read is bad input. To `check` it is what
//! it is asked to look for.

use ringfence_model::diagnostic::{Diagnostic, Severity};

use crate::finding::{At, Finding, Place};
use crate::rule::{Code, Rule};

/// Something is misspelt, or of the wrong version, or there twice.
pub(crate) const MISSPELT: Code = Code(604);
/// The API server would not take it.
pub(crate) const REJECTED: Code = Code(605);

/// What a name that is not right is called by the reader.
const NAMES: [&str; 9] = [
    "duplicate-key",
    "duplicate-object",
    "ignored-field",
    "misspelt-field",
    "unknown-field",
    "unknown-kind",
    "unknown-value",
    "unsupported-policy",
    "wrong-api-version",
];

/// The code of the rule that a problem of the input is a finding of; `None` for what only
/// keeps the input from being read.
#[must_use]
pub fn code_of(diagnostic: &Diagnostic) -> Option<Code> {
    let is_policy = diagnostic
        .object
        .as_ref()
        .is_some_and(|object| object.kind.to_ascii_lowercase().contains("networkpolicy"));
    if NAMES.contains(&diagnostic.code) && (is_policy || diagnostic.severity != Severity::Error) {
        Some(MISSPELT)
    } else if is_policy && diagnostic.object.is_some() && diagnostic.code != "limit-exceeded" {
        Some(REJECTED)
    } else {
        None
    }
}

/// The findings of a rule that are problems of the input.
pub(crate) fn findings(diagnostics: &[Diagnostic], rule: &'static Rule) -> Vec<Finding> {
    let of_rule = diagnostics.iter().filter(|d| code_of(d) == Some(rule.code));
    of_rule
        .map(|diagnostic| finding(diagnostic, rule))
        .collect()
}

fn finding(diagnostic: &Diagnostic, rule: &'static Rule) -> Finding {
    let place = |annotation: &ringfence_model::diagnostic::Annotation| Place {
        at: At::Location(annotation.location.clone()),
        label: annotation.label.clone(),
    };
    Finding {
        rule,
        // What was left out is not in force, whatever it was called.
        severity: diagnostic.severity,
        message: diagnostic.message.clone(),
        consequence: diagnostic
            .left_out
            .as_ref()
            .map(|left_out| format!("{left_out}: the other findings do not count it")),
        help: diagnostic.help.clone(),
        object: diagnostic.object.clone().unwrap_or_default(),
        primary: diagnostic.primary.as_ref().map(place),
        related: diagnostic.related.iter().map(place).collect(),
        witness: None,
        affected: Vec::new(),
        fix: None,
    }
}
