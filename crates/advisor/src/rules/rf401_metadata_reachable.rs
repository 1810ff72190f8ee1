use std::collections::BTreeMap;

use ringfence_engine::{RuleRef, Verdict};
use ringfence_model::address::IpFamily;
use ringfence_model::diagnostic::Severity;
use ringfence_model::metadata;
use ringfence_model::policy::{Action, Direction};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::NamespaceId;
use ringfence_model::source::KeyPath;
use ringfence_model::tri::Tri;

use crate::context::{Context, Exposure, Group};
use crate::finding::{Finding, Place};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// A pod can reach a cloud metadata endpoint.
pub(super) static RULE: Rule = Rule {
    code: Code(401),
    name: "metadata-reachable",
    severity: Severity::Error,
    summary: "a pod can reach a cloud metadata endpoint, and the credentials behind it",
    page: include_str!("../../../../docs/findings/RF401.md"),
    check,
};

/// What lets the packets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Cause {
    /// No policy isolates the pods of this namespace.
    NotIsolated(NamespaceId),
    /// This rule, for pods of this namespace.
    Rule(RuleRef, NamespaceId),
}

/// One group of pods and one address that it reaches.
type Case<'a> = (&'a Group, &'a Exposure);

fn check(context: &Context<'_>, findings: &mut Findings) {
    let mut by_cause: BTreeMap<Cause, Vec<Case<'_>>> = BTreeMap::new();
    for (group, exposures) in context.groups().iter().zip(context.exposures()) {
        // They bypass every policy: RF103 says so, and what they reach.
        if group.host_network {
            continue;
        }
        for exposure in exposures {
            for cause in causes(context, group, exposure) {
                by_cause.entry(cause).or_default().push((group, exposure));
            }
        }
    }
    for (cause, cases) in by_cause {
        findings.extend(finding(context, cause, &cases));
    }
}

/// The rules that allow the packet, or that nothing isolates the pod.
fn causes(context: &Context<'_>, group: &Group, exposure: &Exposure) -> Vec<Cause> {
    let packet = exposure.packet(group);
    let rules = context.engine.matching_rules(
        group.first,
        Direction::Egress,
        packet.destination,
        packet.family,
        (packet.protocol, packet.port),
    );
    let allowing: Vec<Cause> = rules
        .iter()
        .filter(|matching| matching.action == Action::Accept)
        .map(|matching| Cause::Rule(matching.rule, group.namespace))
        .collect();
    if allowing.is_empty() {
        vec![Cause::NotIsolated(group.namespace)]
    } else {
        allowing
    }
}

fn finding(context: &Context<'_>, cause: Cause, cases: &[Case<'_>]) -> Option<Finding> {
    // The case that shows most: served and open before open, open before perhaps.
    let (group, exposure) = cases.iter().min_by_key(|(group, exposure)| {
        (
            exposure.served_and_open().is_none(),
            exposure.open.allow.is_empty(),
            exposure.address != metadata::COMMON,
            group.first,
        )
    })?;
    let witness = context.witness(exposure.packet(group));
    let affected = context.workloads(cases.iter().flat_map(|(g, _)| g.pods.iter().copied()));
    let mut addresses: Vec<_> = cases.iter().map(|(_, exposure)| exposure.address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let others = match addresses.len() - 1 {
        0 => String::new(),
        1 => " and one more metadata address".to_owned(),
        more => format!(" and {more} more metadata addresses"),
    };
    let address = exposure.address;
    let port = witness.packet.port;
    let provider = metadata::endpoints_at(address).next()?.provider;
    let who = context.list(&affected);
    let reach = if affected.len() == 1 {
        "reaches"
    } else {
        "reach"
    };
    let at = match (address, witness.packet.protocol) {
        (std::net::IpAddr::V6(address), Protocol::Tcp) => format!("[{address}]:{port}"),
        (address, Protocol::Tcp) => format!("{address}:{port}"),
        (address, protocol) => format!("{address}, port {port}/{protocol}"),
    };
    let message = match witness.verdict {
        Verdict::Allowed => format!("{who} {reach} cloud metadata at {at}{others}"),
        Verdict::Denied | Verdict::Unknown => {
            format!("it is not known whether {who} {reach} cloud metadata at {at}{others}")
        }
    };
    let is_served = cases.iter().any(|(_, e)| e.served_and_open().is_some());
    let (severity, consequence) = if witness.verdict != Verdict::Allowed {
        (
            Severity::Warning,
            "the verdict depends on something that the input does not say".to_owned(),
        )
    } else if is_served {
        (
            RULE.severity,
            format!(
                "one forged request is enough to read the credentials of the node ({provider} \
                 serves them there to whoever asks)"
            ),
        )
    } else {
        (
            Severity::Warning,
            "no provider is known to serve credentials on the ports that are open, but \
             nothing but that stands in between"
                .to_owned(),
        )
    };
    let (object, primary, help) = match cause {
        Cause::NotIsolated(namespace) => {
            let origin = affected
                .iter()
                .find_map(|id| context.snapshot.workload(*id).origin.as_ref());
            let path = KeyPath::root().key("metadata").key("name");
            (
                context.namespace_ref(namespace),
                origin.map(|origin| {
                    Place::value(
                        origin,
                        path,
                        "no policy stands between its pods and metadata",
                    )
                }),
                "isolate the egress of these pods: see RF201".to_owned(),
            )
        }
        Cause::Rule(rule, _) => {
            let policy = context.snapshot.policy(rule.policy);
            let path = KeyPath::root()
                .key("spec")
                .key(rule.direction.rules_key())
                .index(rule.rule);
            let except = match IpFamily::of(address) {
                IpFamily::V4 => "169.254.0.0/16",
                IpFamily::V6 => "fc00::/7 and fe80::/10",
            };
            (
                context.policy_ref(rule.policy),
                policy.origin.as_ref().map(|origin| {
                    Place::value(origin, path, format!("this rule covers {address}"))
                }),
                format!("take {except} out of the rule's `ipBlock` with `except`"),
            )
        }
    };
    let undecided = cases
        .iter()
        .any(|(group, _)| group.egress_isolated == Tri::Unknown);
    Some(Finding {
        rule: &RULE,
        severity,
        message,
        consequence: Some(consequence),
        help: Some(if undecided {
            format!(
                "{help}; whether a policy selects these pods depends on labels that the input does not have"
            )
        } else {
            help
        }),
        object,
        primary,
        related: Vec::new(),
        witness: Some(witness),
        affected,
        fix: None,
    })
}
