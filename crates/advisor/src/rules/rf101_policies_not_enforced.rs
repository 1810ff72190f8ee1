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
                findings.not_verified(question(evidence(part), VERIFY.to_owned()));
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

/// What speaks for the plugin, and what could still speak against it.
fn evidence(part: &CniPart) -> String {
    let verb = match part.enforcement {
        Enforcement::Enforces => "is made to enforce them",
        Enforcement::DoesNot => "does not enforce them",
        Enforcement::Unclear => "may enforce them",
    };
    let caveat = match part.caveat {
        "" => String::new(),
        caveat => format!("; {caveat}"),
    };
    let (plugin, object, evidence) = (part.plugin, &part.object, &part.evidence);
    format!("{plugin} {verb} ({object}: {evidence}){caveat}")
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
        help: Some(help(part).to_owned()),
        object: part.object.clone(),
        primary: part.place.clone(),
        related: Vec::new(),
        witness: None,
        affected: Vec::new(),
        fix: None,
    }
}

fn help(part: &CniPart) -> &'static str {
    use crate::context::Plugin;
    match part.plugin {
        Plugin::AwsVpcCni => {
            "switch the network policy agent on: `enableNetworkPolicy: \"true\"` in the add-on's \
             configuration"
        }
        Plugin::AzureCni => {
            "create the cluster with `--network-policy` (Cilium, Calico or Azure), or update it"
        }
        Plugin::GkeNetd => "enable network policy for the cluster, or use Dataplane V2",
        Plugin::Flannel => {
            "add what enforces: Calico in its policy-only mode (Canal), or \
             kube-network-policies (`netpol.enabled` of Flannel's chart)"
        }
        Plugin::Cilium => "take `--enable-policy=never` out",
        Plugin::KubeRouter => "run it with `--run-firewall=true`",
        Plugin::Weave => "run its weave-npc container",
        Plugin::Kindnet => "use a kind release from August 2024 or later",
        _ => "use a network plugin that enforces policies",
    }
}
