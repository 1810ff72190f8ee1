use std::collections::BTreeSet;

use ringfence_model::diagnostic::Severity;
use ringfence_model::k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::labels::{LabelValue, METADATA_NAME, UnknownKeys};
use ringfence_model::policy::{Direction, PolicyBody};
use ringfence_model::selector::{matches, selects_everything};
use ringfence_model::snapshot::{Namespace, NamespaceId, Pod, PolicyId};
use ringfence_model::source::KeyPath;
use ringfence_model::tri::Tri;

use super::rf204_selects_nothing::label_edits;
use crate::context::Context;
use crate::finding::{Finding, Fix, NotVerified, Place, Safety};
use crate::nearest::{Meant, nearest};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// A peer that stands for no pod.
pub(super) static RULE: Rule = Rule {
    code: Code(205),
    name: "peer-matches-nothing",
    severity: Severity::Error,
    summary: "a peer selector matches nothing; a namespaceSelector on a label no namespace has",
    page: include_str!("../../../../docs/findings/RF205.md"),
    check,
};

/// The label that people put on namespaces by hand before there was one on each.
const OLD_NAME: &str = "name";

/// Where a peer is.
struct PeerAt<'a> {
    policy: PolicyId,
    direction: Direction,
    path: KeyPath,
    peer: &'a NetworkPolicyPeer,
}

/// What is wrong with a peer.
enum Fault {
    /// The old label for the name of a namespace; `Yes` where it is certain that this
    /// namespace does not have it.
    OldNameLabel { namespace: String, certain: bool },
    /// No namespace is selected; perhaps another was meant.
    NoNamespace(Option<Vec<Meant>>),
    /// Namespaces are selected and no pod in them; perhaps another was meant.
    NoPod(Option<Vec<Meant>>),
    /// All pods that have the labels are in their nodes' networks.
    OnlyHostNetwork,
    /// What it selects may be outside the input.
    NotKnown,
}

fn check(context: &Context<'_>, findings: &mut Findings) {
    let mut not_known: BTreeSet<PolicyId> = BTreeSet::new();
    for (id, policy) in context.snapshot.policy_ids() {
        let (PolicyBody::Network(spec), Some(own)) = (&policy.body, context.namespace_of(id))
        else {
            continue;
        };
        let egress = spec.egress.iter().flatten().map(|rule| &rule.to);
        let ingress = spec.ingress.iter().flatten().map(|rule| &rule.from);
        let lists = egress
            .enumerate()
            .map(|(index, peers)| (Direction::Egress, index, peers))
            .chain(
                ingress
                    .enumerate()
                    .map(|(index, peers)| (Direction::Ingress, index, peers)),
            );
        for (direction, index, peers) in lists {
            // Rules of a direction that is not covered are RF203's.
            if !context.engine.covers(id, direction) {
                continue;
            }
            for (position, peer) in peers.iter().flatten().enumerate() {
                let Some(fault) = fault(context, own, peer) else {
                    continue;
                };
                let rules = KeyPath::root().key("spec").key(direction.rules_key());
                let path = rules
                    .index(index)
                    .key(direction.peers_key())
                    .index(position);
                let at = PeerAt {
                    policy: id,
                    direction,
                    path,
                    peer,
                };
                match finding(context, &at, fault) {
                    Some(finding) => findings.push(finding),
                    None => {
                        not_known.insert(id);
                    }
                }
            }
        }
    }
    if !not_known.is_empty() {
        findings.not_verified(question(context, &not_known));
    }
}

fn question(context: &Context<'_>, policies: &BTreeSet<PolicyId>) -> NotVerified {
    const SHOWN: usize = 3;
    let names = policies.iter().take(SHOWN).map(|id| {
        let policy = context.snapshot.policy(*id);
        format!(
            "`{}/{}`",
            policy.namespace.as_deref().unwrap_or_default(),
            policy.name
        )
    });
    let names = names.collect::<Vec<_>>().join(", ");
    let more = match policies.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    NotVerified {
        code: RULE.code,
        what: format!("whether every peer of {names}{more} matches a pod"),
        why: "what they select may be in namespaces that the input does not have, or has \
              without pods"
            .to_owned(),
        how: "check the policies together with the workloads that they speak of".to_owned(),
    }
}

/// Whether the input is a whole cluster as far as anybody can tell: it declares the
/// namespace that only the cluster itself makes.
fn is_whole_cluster(context: &Context<'_>) -> bool {
    let system = context.snapshot.find_namespace("kube-system");
    system.is_some_and(|id| context.snapshot.namespace(id).labels.unknown == UnknownKeys::None)
}

/// What is wrong with a peer; `None` for nothing.
fn fault(context: &Context<'_>, own: NamespaceId, peer: &NetworkPolicyPeer) -> Option<Fault> {
    let everything = LabelSelector::default();
    let pods = peer.pod_selector.as_ref();
    // An ingress controller outside the input may be in any namespace.
    let mut maybe_outside = false;
    let namespaces: Vec<NamespaceId> = match &peer.namespace_selector {
        None => {
            pods?;
            vec![own]
        }
        Some(selector) => {
            let mut certain = Vec::new();
            let mut possible = false;
            for (id, namespace) in context.snapshot.namespace_ids() {
                match matches(selector, &namespace.labels) {
                    Tri::Yes => certain.push(id),
                    Tri::Unknown if namespace.identity_known => possible = true,
                    Tri::Unknown => maybe_outside = true,
                    Tri::No => {}
                }
            }
            if certain.is_empty() {
                let possible = possible || maybe_outside;
                return Some(no_namespace(context, selector, possible));
            }
            if possible {
                // A pod of a namespace with unknown labels may be meant.
                return None;
            }
            certain
        }
    };
    let selector = pods.unwrap_or(&everything);
    let is_declared = |id: &NamespaceId| {
        let namespace = context.snapshot.namespace(*id);
        namespace.labels.unknown == UnknownKeys::None
    };
    if selects_everything(selector) {
        let of_all = peer
            .namespace_selector
            .as_ref()
            .is_none_or(selects_everything);
        let only_hosts = |id: &NamespaceId| {
            let mut pods = context.snapshot.pods_in(*id).map(|(_, pod)| pod).peekable();
            let has_unseen = context.has_unseen_pods(*id) || pods.peek().is_none();
            is_declared(id) && !has_unseen && pods.all(|pod| pod.host_network)
        };
        let nobody = !of_all && !maybe_outside && namespaces.iter().all(only_hosts);
        return nobody.then_some(Fault::OnlyHostNetwork);
    }
    let all = || {
        namespaces
            .iter()
            .flat_map(|id| context.snapshot.pods_in(*id))
    };
    let selected = |pod: &Pod| matches(selector, &pod.labels).possible();
    if all().any(|(_, pod)| !pod.host_network && selected(pod)) {
        return None;
    }
    let had_one = |id: &NamespaceId| {
        let name = &context.snapshot.namespace(*id).name;
        context.inventory.has_ended_pod(name, selector)
    };
    if namespaces.iter().any(had_one) {
        return None;
    }
    if all().any(|(_, pod)| pod.host_network && selected(pod)) {
        return Some(Fault::OnlyHostNetwork);
    }
    let in_own_network = all().filter(|(_, pod)| !pod.host_network);
    let meant = nearest(selector, in_own_network.map(|(_, pod)| &pod.labels));
    let has_pods = |id: &NamespaceId| context.groups_in(*id).next().is_some();
    // By name a namespace is one; by other labels there may be more of them elsewhere.
    let is_complete = is_whole_cluster(context)
        || peer.namespace_selector.as_ref().is_none_or(|selector| {
            let labels = selector.match_labels.as_ref();
            labels.is_some_and(|labels| labels.contains_key(METADATA_NAME))
        });
    // A chart has its own workloads and speaks of others in the same namespace. What brings
    // the namespace along is more than a chart.
    let are_declared = is_whole_cluster(context) || namespaces.iter().all(is_declared);
    let has_unseen = namespaces.iter().any(|id| context.has_unseen_pods(*id));
    Some(
        if has_unseen
            || !namespaces.iter().all(has_pods)
            || meant.is_none() && (maybe_outside || !is_complete || !are_declared)
        {
            Fault::NotKnown
        } else {
            Fault::NoPod(meant)
        },
    )
}

/// What to say of a selector that selects no namespace for certain.
fn no_namespace(context: &Context<'_>, selector: &LabelSelector, possible: bool) -> Fault {
    let labels = selector.match_labels.as_ref();
    let old_name = labels.and_then(|labels| labels.get(OLD_NAME));
    let by_name = labels.is_some_and(|labels| labels.contains_key(METADATA_NAME));
    let named = old_name.filter(|_| !by_name).and_then(|name| {
        let id = context.snapshot.find_namespace(name)?;
        Some(context.snapshot.namespace(id))
    });
    if let Some(namespace) = named {
        return Fault::OldNameLabel {
            namespace: namespace.name.to_string(),
            certain: namespace.labels.get(OLD_NAME) == LabelValue::Absent,
        };
    }
    if possible {
        return Fault::NotKnown;
    }
    let real = |namespace: &&Namespace| namespace.identity_known;
    let known = context.snapshot.namespaces.iter().filter(real);
    match nearest(selector, known.map(|namespace| &namespace.labels)) {
        Some(meant) => Fault::NoNamespace(Some(meant)),
        None if is_whole_cluster(context) => Fault::NoNamespace(None),
        None => Fault::NotKnown,
    }
}

/// `None` where it is not known whether anything is wrong.
fn finding(context: &Context<'_>, at: &PeerAt<'_>, fault: Fault) -> Option<Finding> {
    let policy = context.snapshot.policy(at.policy);
    let name = &policy.name;
    let peers = at.direction.peers_key();
    let did_you_mean = |meant: &[Meant]| {
        let pairs: Vec<String> = meant.iter().map(|m| format!("`{}`", m.pair())).collect();
        format!("did you mean {}?", pairs.join(" and "))
    };
    let of_namespace = at.path.key("namespaceSelector");
    let of_pods = at.path.key("podSelector");
    let in_namespaces = match &at.peer.namespace_selector {
        Some(_) => "in the namespaces that it selects",
        None => "of its own namespace",
    };
    let is_host_network = matches!(fault, Fault::OnlyHostNetwork);
    let (message, help, selector, meant, is_certain) = match fault {
        Fault::NotKnown => return None,
        Fault::OldNameLabel { namespace, certain } => {
            let message = match certain {
                true => format!(
                    "a `{peers}` peer of `{name}` selects no namespace: `{namespace}` has no \
                     label `{OLD_NAME}`"
                ),
                false => format!(
                    "it is not known whether namespace `{namespace}` has the label \
                     `{OLD_NAME}: {namespace}` that a `{peers}` peer of `{name}` asks for"
                ),
            };
            let help = format!(
                "nothing puts that label there by itself; every namespace has \
                 `{METADATA_NAME}: {namespace}`"
            );
            let meant = Meant {
                value_of: None,
                key: OLD_NAME.to_owned(),
                meant_key: METADATA_NAME.to_owned(),
                meant_value: namespace,
            };
            (message, help, of_namespace, Some(vec![meant]), certain)
        }
        Fault::NoNamespace(meant) => {
            let help = match &meant {
                Some(meant) => did_you_mean(meant),
                None => {
                    format!("label the namespace, or select it by name: `{METADATA_NAME}: NAME`")
                }
            };
            let message = format!("a `{peers}` peer of `{name}` selects no namespace");
            let certain = meant.is_some();
            (message, help, of_namespace, meant, certain)
        }
        Fault::NoPod(meant) => {
            let help = match &meant {
                Some(meant) => did_you_mean(meant),
                None => "compare it with the labels of the pods; a peer without \
                         `namespaceSelector` looks in the policy's own namespace"
                    .to_owned(),
            };
            let message = format!("a `{peers}` peer of `{name}` selects no pod {in_namespaces}");
            let certain = meant.is_some();
            (message, help, of_pods, meant, certain)
        }
        Fault::OnlyHostNetwork => (
            format!(
                "a `{peers}` peer of `{name}` selects hostNetwork pods only, which selectors \
                 do not see"
            ),
            "such a pod has the address of its node: use an `ipBlock` with the addresses of \
             the nodes"
                .to_owned(),
            match &at.peer.pod_selector {
                Some(_) => of_pods,
                None => of_namespace,
            },
            None,
            false,
        ),
    };
    let is_old_name = meant
        .iter()
        .flatten()
        .any(|m| m.key == OLD_NAME && m.meant_key == METADATA_NAME);
    let fix = meant.as_ref().zip(policy.origin.as_ref());
    Some(Finding {
        rule: &RULE,
        severity: match is_certain {
            true => RULE.severity,
            false => Severity::Warning,
        },
        message,
        consequence: Some(
            match (at.direction, is_certain) {
                (Direction::Egress, true) => {
                    "the connections that it was to allow stay denied: a peer that matches \
                     nothing allows nothing"
                }
                (Direction::Ingress, true) => {
                    "those whom it was to let in stay out: a peer that matches nothing allows \
                     nothing"
                }
                (_, false) => {
                    "a peer that matches nothing allows nothing: if a connection is missing, \
                     this is where to look"
                }
            }
            .to_owned(),
        ),
        help: Some(help),
        object: context.policy_ref(at.policy),
        primary: policy.origin.as_ref().map(|origin| {
            let path = match meant.as_deref() {
                Some([one]) => one.path(&selector),
                _ => selector.clone(),
            };
            let label = match (is_host_network, is_old_name && !is_certain) {
                (true, _) => "only hostNetwork pods are meant",
                (_, true) => "perhaps no namespace has this",
                (_, false) => "nothing has this",
            };
            Place::value(origin, path, label)
        }),
        related: Vec::new(),
        witness: None,
        affected: Vec::new(),
        fix: fix.map(|(meant, origin)| Fix {
            title: match is_old_name {
                true => format!("select the namespace by `{METADATA_NAME}`"),
                false => "use the labels that are there".to_owned(),
            },
            // The name of a namespace is no guess.
            safety: match is_old_name && is_certain {
                true => Safety::Safe,
                false => Safety::Unsafe,
            },
            edits: label_edits(origin, &selector, meant),
        }),
    })
}
