//! Findings that somebody has decided to live with, and said why.

use jiff::civil::Date;
use ringfence_model::object::ObjectRef;

use crate::config::Suppression;
use crate::context::Context;
use crate::finding::Finding;
use crate::rule::CodePrefix;

/// The annotation of an object with the findings to live with on it: codes and a reason
/// (`RF501 talks to the payment provider`), one entry a line or separated by semicolons.
/// On a namespace it holds for everything in it.
pub const ANNOTATION: &str = "ringfence.dev/ignore";

/// One entry of the annotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ignored {
    pub(crate) codes: Vec<CodePrefix>,
    pub(crate) reason: String,
}

/// An entry of the annotation that says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IgnoreError {
    /// It does not begin with a code.
    #[error("`{0}` does not begin with a code such as RF501")]
    NoCode(String),
    /// It has a code and nothing behind it.
    #[error("`{0}` gives no reason: write the code and why, as in `RF501 payment provider`")]
    NoReason(String),
}

/// Reads the annotation's entries.
pub(crate) fn read(annotation: &str) -> Vec<Result<Ignored, IgnoreError>> {
    let entries = annotation.split([';', '\n']).map(str::trim);
    entries
        .filter(|entry| !entry.is_empty())
        .map(read_entry)
        .collect()
}

fn read_entry(entry: &str) -> Result<Ignored, IgnoreError> {
    let mut codes = Vec::new();
    let mut rest = entry;
    // `RF401, RF404: why` and `RF401 RF404 why` are both what people write.
    loop {
        let (word, behind) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let Ok(code) = word.trim_matches([',', ':']).parse::<CodePrefix>() else {
            break;
        };
        // `RF because of the bank` means no rule, rather than all of them.
        if code.is_all() {
            break;
        }
        codes.push(code);
        rest = behind.trim_start();
    }
    if codes.is_empty() {
        return Err(IgnoreError::NoCode(entry.to_owned()));
    }
    let reason = rest.trim_start_matches([':', '-']).trim();
    if reason.is_empty() {
        return Err(IgnoreError::NoReason(entry.to_owned()));
    }
    Ok(Ignored {
        codes,
        reason: reason.to_owned(),
    })
}

/// Why a finding is suppressed, and who says so.
pub(crate) fn reason(
    context: &Context<'_>,
    finding: &Finding,
    suppressions: &[Suppression],
    today: Option<Date>,
) -> Option<(String, String)> {
    by_annotation(context, finding).or_else(|| by_configuration(finding, suppressions, today))
}

/// The annotation of the object, of its namespace, or of every workload concerned.
fn by_annotation(context: &Context<'_>, finding: &Finding) -> Option<(String, String)> {
    let namespace = finding.object.namespace.as_ref().map(|name| ObjectRef {
        api_version: "v1".into(),
        kind: "Namespace".into(),
        namespace: None,
        name: name.clone(),
    });
    let objects = std::iter::once(&finding.object).chain(&namespace);
    for object in objects {
        if let Some(reason) = ignored_on(context, object, finding) {
            return Some((reason, format!("annotation of {object}")));
        }
    }
    let mut found = None;
    for workload in &finding.affected {
        let object = context.workload_ref(*workload);
        let reason = ignored_on(context, &object, finding)?;
        found.get_or_insert((reason, format!("annotation of {object}")));
    }
    found
}

/// Takes the workloads that suppress a finding themselves out of one that stays because of
/// others, and says so: whoever wrote the annotation would look for what it did.
pub(crate) fn leave_out_workloads(context: &Context<'_>, finding: &mut Finding) {
    let affected = std::mem::take(&mut finding.affected);
    let (left_out, rest): (Vec<_>, Vec<_>) = affected.into_iter().partition(|workload| {
        let object = context.workload_ref(*workload);
        ignored_on(context, &object, finding).is_some()
    });
    finding.affected = rest;
    if left_out.is_empty() {
        return;
    }
    let remark = format!(
        "the annotation of {} holds for {} alone: the finding stays because of {}",
        context.list(&left_out),
        if left_out.len() == 1 { "it" } else { "them" },
        context.list(&finding.affected)
    );
    finding.help = Some(match finding.help.take() {
        Some(help) => format!("{help}; {remark}"),
        None => remark,
    });
}

fn ignored_on(context: &Context<'_>, object: &ObjectRef, finding: &Finding) -> Option<String> {
    let own = context.annotation(object, ANNOTATION);
    // People write the annotations of a workload on its pod template as often.
    let of_template = context.template_annotation(object, ANNOTATION);
    let annotations = own.into_iter().chain(of_template);
    let mut entries = annotations.flat_map(read).flatten().filter(|ignored| {
        let mut codes = ignored.codes.iter();
        codes.any(|prefix| prefix.covers(finding.rule.code))
    });
    entries.next().map(|ignored| ignored.reason)
}

fn by_configuration(
    finding: &Finding,
    suppressions: &[Suppression],
    today: Option<Date>,
) -> Option<(String, String)> {
    let object = &finding.object;
    // A finding about a namespace is in it.
    let namespace = match &*object.kind {
        "Namespace" => Some(&*object.name),
        _ => object.namespace.as_deref(),
    };
    let holds = |suppression: &&Suppression| {
        let expired = match (suppression.expires, today) {
            (Some(last), Some(today)) => today > last,
            _ => false,
        };
        !expired && suppression.covers(finding.rule.code, namespace, &object.name)
    };
    let suppression = suppressions.iter().find(holds)?;
    Some((
        suppression.reason.clone(),
        crate::config::FILE_NAME.to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(annotation: &str) -> Vec<String> {
        let entries = read(annotation).into_iter();
        entries
            .map(|entry| match entry {
                Ok(ignored) => {
                    let codes: Vec<String> =
                        ignored.codes.iter().map(ToString::to_string).collect();
                    format!("{} because {}", codes.join("+"), ignored.reason)
                }
                Err(error) => error.to_string(),
            })
            .collect()
    }

    #[test]
    fn entries_are_codes_and_a_reason() {
        assert_eq!(
            shown("RF401 checked; RF201, RF202: not yet\nrf4 - all of it"),
            [
                "RF401 because checked",
                "RF201+RF202 because not yet",
                "RF4 because all of it"
            ]
        );
        assert!(shown(" ;\n ").is_empty());
    }

    #[test]
    fn an_entry_without_code_or_reason_suppresses_nothing() {
        assert!(shown("because I said so")[0].contains("does not begin with a code"));
        assert!(shown("RF401")[0].contains("gives no reason"));
        assert!(shown("RF401,")[0].contains("gives no reason"));
        assert!(shown("RF because I said so")[0].contains("does not begin with a code"));
        assert!(shown("RF999 no such rule")[0].contains("does not begin with a code"));
    }
}
