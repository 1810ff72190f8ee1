use std::collections::BTreeMap;

use ringfence_model::diagnostic::Severity;
use ringfence_model::object::ObjectRef;
use ringfence_model::source::{KeyPath, Origin};

use crate::context::Context;
use crate::finding::{Finding, Place};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// An object of one namespace is applied to another.
pub(super) static RULE: Rule = Rule {
    code: Code(603),
    name: "namespace-conflict",
    severity: Severity::Error,
    summary: "an object whose namespace is not the one it is being applied to (`-n`)",
    page: include_str!("../../../../docs/findings/RF603.md"),
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings) {
    let Some(applied_to) = context.options.applied_to.as_deref() else {
        return;
    };
    let mut conflicts: BTreeMap<String, Vec<(ObjectRef, Option<&Origin>)>> = BTreeMap::new();
    for (object, origin) in context.objects() {
        if let Some(namespace) = object.namespace.as_deref()
            && namespace != applied_to
        {
            let objects = conflicts.entry(namespace.to_owned()).or_default();
            objects.push((object, origin));
        }
    }
    for (namespace, objects) in conflicts {
        let Some((object, origin)) = objects.first() else {
            continue;
        };
        let others = match objects.len() - 1 {
            0 => String::new(),
            1 => " and one more object".to_owned(),
            more => format!(" and {more} more objects"),
        };
        let path = KeyPath::root().key("metadata").key("namespace");
        findings.push(Finding {
            rule: &RULE,
            severity: RULE.severity,
            message: format!(
                "{object}{others} cannot be applied to namespace `{applied_to}`: the manifest \
                 says `{namespace}`"
            ),
            consequence: Some(format!(
                "`kubectl apply -n {applied_to}` refuses it, and what it was to protect stays \
                 as it is"
            )),
            help: Some(
                "leave `metadata.namespace` out and say `-n` for each namespace, or write one \
                 manifest for each"
                    .to_owned(),
            ),
            object: object.clone(),
            primary: origin.map(|origin| {
                Place::value(
                    origin,
                    path,
                    format!("it is being applied to `{applied_to}`"),
                )
            }),
            related: Vec::new(),
            witness: None,
            affected: Vec::new(),
            fix: None,
        });
    }
}
