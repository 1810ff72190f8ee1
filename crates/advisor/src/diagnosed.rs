//! What the reader of the input found wrong with policies, as findings.
//!
//! To the other verbs a policy that cannot be read is bad input. To `check` it is what
//! it is asked to look for.

use ringfence_model::diagnostic::{Diagnostic, Severity};

use crate::finding::{At, Edit, Finding, Fix, Place, Safety};
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

/// The word that was probably meant, where the reader knows one.
fn fix(diagnostic: &Diagnostic) -> Option<Fix> {
    let word = diagnostic.replacement.as_ref()?;
    let location = &diagnostic.primary.as_ref()?.location;
    // Other versions of NetworkPolicy have the same fields; those of other kinds may not.
    let is_old_version = diagnostic.code == "wrong-api-version"
        && diagnostic
            .object
            .as_ref()
            .is_some_and(|object| &*object.kind == "NetworkPolicy");
    Some(Fix {
        title: format!("write `{word}`"),
        safety: match is_old_version || differs_in_case_only(&diagnostic.message, word) {
            true => Safety::Safe,
            false => Safety::Unsafe,
        },
        edits: vec![Edit::Respell {
            location: location.clone(),
            word: word.clone(),
        }],
    })
}

/// Whether a message is about this word in another case: it quotes it, or a way that ends
/// with it.
fn differs_in_case_only(message: &str, word: &str) -> bool {
    let (message, word) = (message.to_ascii_lowercase(), word.to_ascii_lowercase());
    [
        format!("\"{word}\""),
        format!("`{word}`"),
        format!(".{word}`"),
    ]
    .iter()
    .any(|quoted| message.contains(quoted))
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
        fix: fix(diagnostic),
    }
}
