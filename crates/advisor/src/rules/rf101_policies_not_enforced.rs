use ringfence_model::diagnostic::Severity;

use crate::context::{CniPart, Context, Enforcement};
use crate::finding::{Finding, NotVerified};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// The network plugin does not enforce policies.
pub(super) static RULE: Rule = Rule {
    code: Code(101),
    name: "policies-not-enforced",
    severity: Severity::Error,
    summary: "the network plugin does not enforce NetworkPolicy, or is not told to",
    page: include_str!("../../../../docs/findings/RF101.md"),
    check,
};

/// What no manifest can tell, packets do.
const VERIFY: &str = "prove it on the live cluster: put a deny-all into a test namespace and see a \
     connection between two of its pods fail";

fn check(context: &Context<'_>, findings: &mut Findings) {
    if context.groups().is_empty() && context.snapshot.policies.is_empty() {
        return;
    }
    let cni = &context.cni;
    match cni.enforcement() {
        None => findings.not_verified(question(
            "the input has no network plugin".to_owned(),
            format!(
                "{VERIFY}, or give its manifests too (`kubectl get daemonsets -A -o yaml`; K3s \
                 has its own inside and nothing to show)"
            ),
        )),
        Some(Enforcement::DoesNot) => {
            for part in cni.deciding() {
                findings.push(finding(context, part));
            }
        }
        Some(Enforcement::Enforces | Enforcement::Unclear) => {
            for part in cni.deciding() {
                findings.not_verified(question(part.in_words(), VERIFY.to_owned()));
            }
        }
    }
}

fn question(why: String, how: String) -> NotVerified {
    NotVerified {
        code: RULE.code,
        what: "whether this cluster enforces policies".to_owned(),
        why,
        how,
    }
}

fn finding(context: &Context<'_>, part: &CniPart) -> Finding {
    let has_policies = !context.snapshot.policies.is_empty();
    let plugin = part.plugin.to_string();
    Finding {
        rule: &RULE,
        // Where nobody has written a policy yet, nobody is deceived yet.
        severity: match has_policies {
            true => RULE.severity,
            false => Severity::Warning,
        },
        message: format!(
            "{plugin} does not enforce policies, and nothing else in the input does: {}",
            part.evidence
        ),
        consequence: Some(
            "policies are stored and filter nothing: every other finding and every verdict \
             describes what would be if they were enforced"
                .to_owned(),
        ),
        help: Some(part.plugin.how_to_enforce().to_owned()),
        object: part.object.clone(),
        primary: part.place.clone(),
        related: Vec::new(),
        witness: None,
        affected: Vec::new(),
        fix: None,
    }
}
