use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use ringfence_model::diagnostic::Severity;
use ringfence_model::policy::{Action, Policy, PolicyBody};
use ringfence_model::snapshot::PolicyId;
use ringfence_model::source::KeyPath;

use crate::context::Context;
use crate::finding::{Finding, Place};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// A policy that allows something and does not say why, or no longer should.
pub(super) static RULE: Rule = Rule {
    code: Code(601),
    name: "unjustified-allow",
    severity: Severity::Note,
    summary: "an allow policy without a justification, or with one that has expired",
    page: include_str!("../../../../docs/findings/RF601.md"),
    check,
};

/// A policy, and the keys that it lacks.
type Unjustified<'a> = (PolicyId, &'a Policy, Vec<&'a str>);

fn check(context: &Context<'_>, findings: &mut Findings) {
    let mut by_namespace: BTreeMap<Option<&str>, Vec<Unjustified<'_>>> = BTreeMap::new();
    for (id, policy) in context.snapshot.policy_ids() {
        if !allows(policy) {
            continue;
        }
        let required = context.options.justification.required.iter();
        let missing: Vec<&str> = required
            .filter(|key| value(policy, key).is_none())
            .map(String::as_str)
            .collect();
        if !missing.is_empty() {
            let namespace = policy.namespace.as_deref();
            by_namespace
                .entry(namespace)
                .or_default()
                .push((id, policy, missing));
        }
        findings.extend(expired(context, id, policy));
        findings.extend(unreadable_date(context, id, policy));
    }
    for (namespace, policies) in by_namespace {
        findings.extend(unjustified(context, namespace, &policies));
    }
}

/// Whether it has a rule that lets something through.
fn allows(policy: &Policy) -> bool {
    match &policy.body {
        PolicyBody::Network(spec) => {
            spec.egress.iter().flatten().next().is_some()
                || spec.ingress.iter().flatten().next().is_some()
        }
        PolicyBody::Tiered(policy) => {
            let mut rules = policy.egress.iter().chain(&policy.ingress);
            rules.any(|rule| rule.action == Action::Accept)
        }
    }
}

/// The text of an annotation: `description` is also `kubernetes.io/description`.
fn value<'a>(policy: &'a Policy, key: &str) -> Option<(&'a str, &'a str)> {
    let is_meant = |found: &str| {
        found == key
            || found
                .strip_suffix(key)
                .is_some_and(|prefix| prefix.ends_with('/'))
    };
    let mut annotations = policy.annotations.iter();
    annotations
        .find(|(found, text)| is_meant(found) && !text.trim().is_empty())
        .map(|(found, text)| (found.as_str(), text.as_str()))
}

fn unjustified(
    context: &Context<'_>,
    namespace: Option<&str>,
    policies: &[Unjustified<'_>],
) -> Option<Finding> {
    const SHOWN: usize = 3;
    let (id, policy, missing) = policies.first()?;
    let where_ = match namespace {
        Some(namespace) => format!("namespace `{namespace}`"),
        None => "the cluster".to_owned(),
    };
    let names: Vec<String> = policies
        .iter()
        .take(SHOWN)
        .map(|(_, policy, _)| format!("`{}`", policy.name))
        .collect();
    let names = names.join(", ");
    let message = match policies.len() {
        1 => format!("{names} allows connections and does not say why"),
        number if number <= SHOWN => {
            format!("{number} policies of {where_} allow connections and do not say why: {names}")
        }
        number => format!(
            "{number} policies of {where_} allow connections and do not say why: {names} and {} \
             more",
            number - SHOWN
        ),
    };
    let path = KeyPath::root().key("metadata").key("name");
    let lacks = missing.join("`, `");
    Some(Finding {
        rule: &RULE,
        severity: RULE.severity,
        message,
        consequence: Some(
            "nobody can tell in a year whether the connection is still needed".to_owned(),
        ),
        help: Some(format!("add the annotation `{lacks}` with one sentence")),
        object: context.policy_ref(*id),
        primary: policy
            .origin
            .as_ref()
            .map(|origin| Place::value(origin, path, format!("no annotation `{lacks}`"))),
        related: Vec::new(),
        witness: None,
        affected: Vec::new(),
        fix: None,
    })
}

/// The day of a text: a date, or the date of a time in UTC.
fn day(text: &str) -> Option<Date> {
    let text = text.trim();
    let of_time = || {
        Some(
            text.parse::<Timestamp>()
                .ok()?
                .to_zoned(TimeZone::UTC)
                .date(),
        )
    };
    text.parse().ok().or_else(of_time)
}

/// A date that cannot be read never passes.
fn unreadable_date(context: &Context<'_>, id: PolicyId, policy: &Policy) -> Option<Finding> {
    let keys = context.options.justification.expires.iter();
    let (key, text) = keys
        .filter_map(|key| value(policy, key))
        .find(|(_, text)| day(text).is_none() && !text.trim().eq_ignore_ascii_case("never"))?;
    let path = KeyPath::root().key("metadata").key("annotations").key(key);
    let text = text.trim();
    Some(Finding {
        rule: &RULE,
        severity: Severity::Warning,
        message: format!(
            "the annotation `{key}` of `{}` is no date: `{text}`",
            policy.name
        ),
        consequence: Some("nobody is told when that day has passed".to_owned()),
        help: Some("write it as 2026-11-21".to_owned()),
        object: context.policy_ref(id),
        primary: policy
            .origin
            .as_ref()
            .map(|origin| Place::value(origin, path, "not a date such as 2026-11-21")),
        related: Vec::new(),
        witness: None,
        affected: Vec::new(),
        fix: None,
    })
}

/// The policy was to be looked at again by now.
fn expired(context: &Context<'_>, id: PolicyId, policy: &Policy) -> Option<Finding> {
    let today = context.options.today?;
    let keys = context.options.justification.expires.iter();
    let (key, text, date) = keys
        .filter_map(|key| value(policy, key))
        .filter_map(|(key, text)| Some((key, text, day(text)?)))
        .find(|(_, _, date)| *date < today)?;
    let path = KeyPath::root().key("metadata").key("annotations").key(key);
    let days = (today - date).get_days();
    Some(Finding {
        rule: &RULE,
        severity: Severity::Warning,
        message: format!("`{}` was to be reviewed by {text}", policy.name),
        consequence: Some(format!(
            "it has been allowing connections beyond that for {days} {}",
            if days == 1 { "day" } else { "days" }
        )),
        help: Some("remove the policy, or justify it again with a new date".to_owned()),
        object: context.policy_ref(id),
        primary: policy
            .origin
            .as_ref()
            .map(|origin| Place::value(origin, path, "this day has passed")),
        related: Vec::new(),
        witness: None,
        affected: Vec::new(),
        fix: None,
    })
}
