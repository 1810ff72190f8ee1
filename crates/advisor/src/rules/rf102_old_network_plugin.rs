use ringfence_model::diagnostic::Severity;

use crate::context::{CniPart, Context, Version};
use crate::finding::{Finding, NotVerified};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// The network plugin is of a version that has known faults in egress enforcement.
pub(super) static RULE: Rule = Rule {
    code: Code(102),
    name: "old-network-plugin",
    severity: Severity::Error,
    summary: "a version of the network plugin with known faults in egress enforcement",
    page: include_str!("../../../../docs/findings/RF102.md"),
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings) {
    for part in &context.cni.parts {
        let Some(first) = part.plugin.first_sound() else {
            continue;
        };
        match part.version {
            Some(version) if version < first => findings.push(finding(part, version, first)),
            Some(_) => {}
            None => findings.not_verified(NotVerified {
                code: RULE.code,
                what: format!("whether {} is {first} or later", part.plugin),
                why: format!("the image of {} is {}", part.object, part.image),
                how: "name the version in the image's tag, or ask the running agent".to_owned(),
            }),
        }
    }
}

fn finding(part: &CniPart, version: Version, first: Version) -> Finding {
    let plugin = part.plugin;
    Finding {
        rule: &RULE,
        severity: RULE.severity,
        message: format!("{plugin} {version} has known faults in enforcing egress policies"),
        consequence: Some("an egress policy may be in place and not hold".to_owned()),
        help: Some(format!("upgrade to {plugin} {first} or later")),
        object: part.object.clone(),
        primary: part.place.clone(),
        related: Vec::new(),
        witness: None,
        affected: Vec::new(),
        fix: None,
    }
}
