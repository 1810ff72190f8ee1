use std::collections::BTreeMap;

use ringfence_engine::{Packet, Peer};
use ringfence_model::diagnostic::Severity;
use ringfence_model::labels::LabelValue;
use ringfence_model::snapshot::{NamespaceId, PodKind, WorkloadId};

use crate::context::{Context, Group, NETWORKS, node_agent, pod_spec_path};
use crate::finding::{Finding, NotVerified, Place};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// A pod in the network of its node.
pub(super) static RULE: Rule = Rule {
    code: Code(103),
    name: "host-network",
    severity: Severity::Warning,
    summary: "a hostNetwork pod bypasses every policy",
    page: include_str!("../../../../docs/findings/RF103.md"),
    check,
};

/// What a workload is in a group for: the index of the group.
type Members = Vec<(WorkloadId, usize)>;

fn check(context: &Context<'_>, findings: &mut Findings) {
    let mut expected: BTreeMap<NamespaceId, Members> = BTreeMap::new();
    for (index, group) in context.groups().iter().enumerate() {
        if !group.host_network {
            continue;
        }
        for workload in context.workloads(group.pods.iter().copied()) {
            let containers = context
                .inventory
                .containers(&context.workload_ref(workload));
            let is_expected =
                context.role(group.namespace).is_protected() || node_agent(containers).is_some();
            if is_expected {
                let of_namespace = expected.entry(group.namespace).or_default();
                of_namespace.push((workload, index));
            } else {
                findings.push(finding(context, group, index, &[workload], RULE.severity));
            }
        }
    }
    let elsewhere = context.in_other_networks();
    if !elsewhere.is_empty() {
        findings.not_verified(NotVerified {
            code: RULE.code,
            what: format!(
                "what {} can open and accept in other networks than the cluster's",
                context.list(elsewhere)
            ),
            why: format!(
                "the annotation `{NETWORKS}` adds interfaces, to which no NetworkPolicy applies"
            ),
            how: "look at the NetworkAttachmentDefinitions, and limit these networks where they \
                  are, or with MultiNetworkPolicy, which is not evaluated"
                .to_owned(),
        });
    }
    // What must be there is one note a namespace.
    for mut members in expected.into_values() {
        members.sort_unstable();
        members.dedup_by_key(|(workload, _)| *workload);
        let workloads: Vec<WorkloadId> = members.iter().map(|(workload, _)| *workload).collect();
        let first = members.first().and_then(|(_, index)| {
            let group = context.groups().get(*index)?;
            Some((group, *index))
        });
        if let Some((group, index)) = first {
            findings.push(finding(context, group, index, &workloads, Severity::Note));
        }
    }
}

fn finding(
    context: &Context<'_>,
    group: &Group,
    index: usize,
    workloads: &[WorkloadId],
    severity: Severity,
) -> Finding {
    let who = context.list(workloads);
    let (bypass, they, network, else_reached, their) = match workloads.len() {
        1 => (
            "bypasses",
            "it reaches",
            "the network of its node",
            "whatever else its node reaches",
            "its",
        ),
        _ => (
            "bypass",
            "they reach",
            "the networks of their nodes",
            "whatever else their nodes reach",
            "their",
        ),
    };
    // Host-networked pods differ in nothing that a policy could ask: what one reaches all
    // reach.
    let exposures = context
        .exposures()
        .get(index)
        .map_or(&[][..], Vec::as_slice);
    let telling = exposures.iter().find(|e| e.served_and_open().is_some());
    let internet = context.internet().get(index);
    let mut reached = Vec::new();
    if telling.is_some() {
        reached.push("cloud metadata");
    }
    if internet.is_some_and(crate::context::InternetReach::is_open) {
        reached.push("the internet");
    }
    reached.push(else_reached);
    let places: Vec<Place> = workloads
        .iter()
        .filter_map(|id| place(context, *id))
        .collect();
    let mut places = places.into_iter();
    let bypassed = format!(
        "{they} {}; to the policies of others {their} traffic is that of a node",
        reached.join(", ")
    );
    let mut pods = workloads
        .iter()
        .flat_map(|id| context.snapshot.workload(*id).pod_ids());
    let shown = pods.find(|pod| context.snapshot.pod(*pod).host_network);
    let primary = places.next();
    Finding {
        rule: &RULE,
        severity,
        message: format!("{who} {bypass} every policy, in {network} (hostNetwork)"),
        consequence: Some(match refused_by(context, group) {
            None => bypassed,
            Some(level) => format!(
                "the namespace enforces Pod Security `{level}`, which admits no such pod: the API \
                 server refuses it, unless the namespace is exempt or the pod was there before; \
                 {bypassed}"
            ),
        }),
        help: Some(match severity {
            Severity::Note => {
                "agents of the node need this: keep what runs there few, patched and pinned to a \
                 digest"
                    .to_owned()
            }
            _ => "take `hostNetwork: true` out if a `hostPort` or a Service will do; otherwise \
                  move the workload to a namespace that holds nothing else, and have Pod Security \
                  refuse hostNetwork in all others (RF104)"
                .to_owned(),
        }),
        object: match workloads {
            [one] => context.workload_ref(*one),
            _ => context.namespace_ref(group.namespace),
        },
        primary,
        related: places.take(3).collect(),
        witness: telling.zip(shown).map(|(exposure, pod)| {
            context.witness(Packet {
                source: Peer::Pod(pod),
                ..exposure.packet(group)
            })
        }),
        affected: workloads.to_vec(),
        fix: None,
    }
}

/// The Pod Security level of the namespace of a group, if it admits no hostNetwork pods.
fn refused_by<'a>(context: &'a Context<'_>, group: &Group) -> Option<&'a str> {
    let labels = &context.snapshot.namespace(group.namespace).labels;
    match labels.get("pod-security.kubernetes.io/enforce") {
        LabelValue::Present(level @ ("baseline" | "restricted")) => Some(level),
        _ => None,
    }
}

/// Where `hostNetwork` is written.
pub(crate) fn place(context: &Context<'_>, id: WorkloadId) -> Option<Place> {
    const LABEL: &str = "policies do not apply to pods in the node's network";
    let workload = context.snapshot.workload(id);
    let pod = context.snapshot.pod(workload.pod_ids().next()?);
    let (origin, kind) = match (pod.kind, &workload.origin) {
        // The pods were read themselves, and their workload was not.
        (PodKind::Single, None) => (pod.origin.as_ref()?, "Pod"),
        (_, origin) => (origin.as_ref()?, &*workload.kind),
    };
    Some(Place::key(
        origin,
        pod_spec_path(kind).key("hostNetwork"),
        LABEL,
    ))
}
