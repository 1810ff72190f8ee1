use std::collections::BTreeMap;

use ringfence_engine::{Packet, Peer, Verdict};
use ringfence_model::address::IpFamily;
use ringfence_model::diagnostic::Severity;
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::metadata;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::NamespaceId;
use ringfence_model::source::KeyPath;
use ringfence_model::tri::Tri;

use crate::context::{Context, Group, Role};
use crate::finding::{Edit, Finding, Fix, Place, Safety};
use crate::proposal;
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// Pods whose egress no policy isolates.
pub(super) static RULE: Rule = Rule {
    code: Code(201),
    name: "egress-not-isolated",
    severity: Severity::Error,
    summary: "pods whose egress no policy isolates: the namespace has no default deny",
    page: include_str!("../../../../docs/findings/RF201.md"),
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings) {
    let mut open: BTreeMap<NamespaceId, Vec<&Group>> = BTreeMap::new();
    for group in context.groups() {
        let is_open = !group.host_network && group.egress_isolated != Tri::Yes;
        if is_open && context.cluster_wide_deny(group).is_none() {
            open.entry(group.namespace).or_default().push(group);
        }
    }
    for (namespace, groups) in open {
        let mut finding = finding(context, namespace, &groups);
        if context.role(namespace).is_protected() {
            // What runs there runs the cluster. To add a default deny would be wrong, and
            // so would be to say nothing.
            finding.fix = None;
            finding.help = None;
            let name = &context.snapshot.namespace(namespace).name;
            findings.push_suppressed(
                finding,
                "a default deny there breaks the cluster",
                format!("`{name}` is {}", context.role(namespace).describe()),
            );
        } else {
            if matches!(
                context.role(namespace),
                Role::Monitoring | Role::Logging | Role::IngressController
            ) {
                // They work by connecting to others: to close them needs a list of whom, and
                // a default deny alone would be RF206.
                finding.severity = Severity::Warning;
                finding.fix = None;
                finding.help = Some(format!(
                    "it is {}: allow what its workloads connect to, name servers and the API \
                     server among it, and add the default deny last",
                    context.role(namespace).describe()
                ));
            }
            findings.push(finding);
        }
    }
}

fn finding(context: &Context<'_>, namespace: NamespaceId, groups: &[&Group]) -> Finding {
    let name = &context.snapshot.namespace(namespace).name;
    let affected = context.workloads(groups.iter().flat_map(|g| g.pods.iter().copied()));
    let of_namespace = context.groups_in(namespace);
    let is_all = of_namespace.filter(|g| !g.host_network).count() == groups.len();
    let is_certain = groups.iter().any(|group| group.egress_isolated == Tri::No);
    let message = match (is_all, is_certain) {
        (true, true) => format!("no policy isolates the egress of namespace `{name}`"),
        (false, true) => format!(
            "no policy isolates the egress of {}",
            context.list(&affected)
        ),
        (_, false) => format!(
            "it is not known whether a policy isolates the egress of {}",
            context.list(&affected)
        ),
    };
    let primary = affected.iter().find_map(|id| {
        let workload = context.snapshot.workload(*id);
        let path = KeyPath::root().key("metadata").key("name");
        let label = "its pods may connect to anything";
        Some(Place::value(workload.origin.as_ref()?, path, label))
    });
    let declared = context.snapshot.namespace(namespace).origin.as_ref();
    let namespace_place = declared.map(|origin| {
        let path = KeyPath::root().key("metadata").key("name");
        Place::value(
            origin,
            path,
            "this namespace has no default deny for egress",
        )
    });
    let mut written = affected.iter();
    let beside = written.find_map(|id| context.snapshot.workload(*id).origin.as_ref());
    let witness = groups.iter().find_map(|group| {
        let family = IpFamily::of(metadata::COMMON);
        let families = context
            .snapshot
            .families_of(context.snapshot.pod(group.first));
        families.contains(&family).then(|| {
            context.witness(Packet {
                source: Peer::Pod(group.first),
                destination: Peer::Address(metadata::COMMON),
                family,
                protocol: Protocol::Tcp,
                port: 80,
                through_service: None,
            })
        })
    });
    Finding {
        rule: &RULE,
        severity: RULE.severity,
        message,
        consequence: Some(match witness.map(|witness| witness.verdict) {
            Some(Verdict::Denied) => {
                "a cluster-wide policy denies some of it; whatever that passes on is open"
                    .to_owned()
            }
            _ => "they reach the internet, cloud metadata and every namespace that lets them in"
                .to_owned(),
        }),
        help: Some(format!(
            "add a default deny with `policyTypes: [Ingress, Egress]`, then allow what is \
             needed, DNS first: `ringfence baseline {name}` writes the set"
        )),
        object: context.namespace_ref(namespace),
        related: match &namespace_place {
            Some(_) => primary.clone().into_iter().collect(),
            None => Vec::new(),
        },
        primary: namespace_place.or(primary),
        witness,
        affected,
        fix: declared.or(beside).map(|origin| {
            let deny = proposal::deny_egress(context, namespace);
            let dns = proposal::allow_dns(context, namespace, [LabelSelector::default()]);
            let manifests = std::iter::once(deny).chain(dns);
            Fix {
                title: format!(
                    "add a default deny for egress to namespace `{name}`, and allow DNS"
                ),
                safety: Safety::Unsafe,
                edits: manifests
                    .map(|manifest| Edit::AddObject {
                        beside: origin.clone(),
                        manifest,
                    })
                    .collect(),
            }
        }),
    }
}
