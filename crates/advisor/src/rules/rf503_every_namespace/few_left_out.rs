//! Peers that are nearly every namespace: those that say whom they leave out, and those
//! that list all that there are.

use ringfence_engine::Verdict;
use ringfence_model::diagnostic::Severity;
use ringfence_model::k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::policy::Direction;
use ringfence_model::selector::selects_everything;
use ringfence_model::snapshot::NamespaceId;

use super::{HELP, MAKES_PODS, RULE, crosses, shown_by};
use crate::context::{Context, NearlyEvery, WrittenRule};
use crate::finding::{Finding, NotVerified};
use crate::report::Findings;

/// How many namespaces are named in a sentence.
const NAMED: usize = 3;

pub(super) fn check(context: &Context<'_>, rule: &WrittenRule<'_>, findings: &mut Findings) {
    let home = rule.policy.namespace.as_deref();
    let home = home.and_then(|name| context.snapshot.find_namespace(name));
    let peers = rule.peers.iter().enumerate().filter_map(|(index, peer)| {
        let selector = peer.namespace_selector.as_ref()?;
        Some((index, peer, selector))
    });
    let (all_pods, some_pods): (Vec<_>, Vec<_>) = peers.partition(|(_, peer, _)| !narrows(peer));
    let is_every = |selector: &&LabelSelector| context.is_every_namespace(selector);
    let selectors: Vec<&LabelSelector> = all_pods.iter().map(|(.., s)| *s).collect();
    // Those that leave out none are reported already.
    if !selectors.iter().any(is_every) {
        let only = match all_pods.as_slice() {
            [(index, ..)] => Some(*index),
            _ => None,
        };
        match context.nearly_every_namespace(home, &selectors) {
            Some(few) => findings.extend(finding(context, rule, (only, false), &few)),
            None if context.may_be_nearly_every_namespace(home, &selectors) => {
                findings.not_verified(question(rule));
            }
            None => {}
        }
    }
    for (index, _, selector) in some_pods {
        let few = context.nearly_every_namespace(home, &[selector]);
        // Pods by their labels in namespaces by theirs: somebody chose them.
        let few = few.filter(|few| few.is_open_ended && !is_every(&selector));
        findings.extend(few.and_then(|few| finding(context, rule, (Some(index), true), &few)));
    }
}

/// Whether a peer is not all pods of the namespaces.
fn narrows(peer: &NetworkPolicyPeer) -> bool {
    let selector = peer.pod_selector.as_ref();
    selector.is_some_and(|selector| !selects_everything(selector))
}

fn finding(
    context: &Context<'_>,
    rule: &WrittenRule<'_>,
    (peer, narrowed): (Option<usize>, bool),
    few: &NearlyEvery,
) -> Option<Finding> {
    let witness = shown_by(context, rule);
    let shows = witness.is_some_and(|witness| crosses(context, &witness));
    if !shows && context.has_pods() {
        return None;
    }
    let verb = match rule.id.direction {
        Direction::Egress => "allows connections to",
        Direction::Ingress => "allows connections from",
    };
    let who = match narrowed {
        true => "some pods",
        false => "all pods",
    };
    let which = match (few.left_out.is_empty(), few.is_open_ended) {
        (true, true) => "every namespace of the input, and leaves out one that it does not \
                         have"
            .to_owned(),
        (true, false) => "every namespace of the input".to_owned(),
        (false, _) => format!("every namespace but {}", names(context, &few.left_out)),
    };
    let consequence = match (narrowed, few.is_open_ended) {
        (true, _) => MAKES_PODS,
        (false, true) => {
            "whoever is not named is selected, a namespace that is made tomorrow as well: \
             there is no boundary left but what the others deny themselves"
        }
        (false, false) => {
            "there is no boundary left between this namespace and the others that there are, \
             but what those deny themselves"
        }
    };
    let is_denied = witness.is_some_and(|witness| witness.verdict == Verdict::Denied);
    let severity = match few.is_open_ended && !narrowed && !is_denied {
        true => RULE.severity,
        false => Severity::Note,
    };
    let path = match peer {
        Some(peer) => rule.peer_path(peer).key("namespaceSelector"),
        None => rule.path().key(rule.id.direction.peers_key()),
    };
    let subjects = context.subjects(rule.id.policy);
    Some(Finding {
        rule: &RULE,
        severity,
        message: format!("{} {verb} {who} of {which}", rule.name()),
        consequence: Some(match is_denied {
            true => {
                format!("something else denies these connections now; without that, {consequence}")
            }
            false => consequence.to_owned(),
        }),
        help: Some(match few.is_open_ended {
            true => HELP.to_owned(),
            false => "keep to the namespaces that are needed, and name their pods with \
                      `podSelector`"
                .to_owned(),
        }),
        object: context.policy_ref(rule.id.policy),
        primary: rule.place(path, "few namespaces are left out by this"),
        related: Vec::new(),
        witness,
        affected: context.workloads_like(&subjects),
        fix: None,
    })
}

/// The names of some namespaces, the first of them at least.
fn names(context: &Context<'_>, namespaces: &[NamespaceId]) -> String {
    let name = |id: &NamespaceId| format!("`{}`", context.snapshot.namespace(*id).name);
    let named: Vec<String> = namespaces.iter().take(NAMED).map(name).collect();
    match (named.as_slice(), namespaces.len().saturating_sub(NAMED)) {
        ([one], 0) => one.clone(),
        ([first @ .., last], 0) => format!("{} and {last}", first.join(", ")),
        (all, more) => format!("{} and {more} more", all.join(", ")),
    }
}

fn question(rule: &WrittenRule<'_>) -> NotVerified {
    NotVerified {
        code: RULE.code,
        what: format!("whether {} is for nearly every namespace", rule.name()),
        why: "it is for all but those that it names, and the input has too few namespaces to \
              tell how many that are"
            .to_owned(),
        how: "check it together with the manifests of the other namespaces".to_owned(),
    }
}
