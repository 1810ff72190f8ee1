//! What is not known of pods because of policies that are not counted.

use std::collections::{BTreeMap, BTreeSet};

use ringfence_model::snapshot::NamespaceId;

use super::{NotCountedPolicy, Why};
use crate::context::Context;
use crate::finding::NotVerified;
use crate::posture::{self, Openness};
use crate::rule::Code;

/// The policies that may select pods of the input, ascending.
pub(crate) fn concerning_pods(context: &Context<'_>) -> Vec<NotCountedPolicy> {
    if context.not_counted.is_empty() {
        return Vec::new();
    }
    let groups = context.groups().iter().filter(|group| !group.host_network);
    let namespaces: BTreeSet<_> = groups.map(|group| group.namespace).collect();
    let policies = namespaces
        .into_iter()
        .flat_map(|id| context.not_counted.about(context.snapshot, id));
    let policies: BTreeSet<&NotCountedPolicy> = policies.collect();
    policies.into_iter().cloned().collect()
}

/// What rules would find that is open.
const ASKED: [(Code, &str); 2] = [(Code(401), "cloud metadata"), (Code(501), "the internet")];

/// What it is not known of pods whether they reach it, by the policies that may let them.
/// Of what is open anyway rules tell.
pub(crate) fn questions(context: &Context<'_>) -> Vec<NotVerified> {
    let mut questions = Vec::new();
    if context.not_counted.is_empty() {
        return questions;
    }
    let mut by_policies: BTreeMap<(usize, Vec<&NotCountedPolicy>), Vec<NamespaceId>> =
        BTreeMap::new();
    for (index, group) in context.groups().iter().enumerate() {
        let outside = posture::outside(context, index, group);
        for (asked, known) in outside.into_iter().enumerate() {
            let is_open = matches!(known.without_doubt, Openness::Open | Openness::Partly);
            if known.doubted == Openness::Unknown && known.is_doubted && !is_open {
                let policies = context.not_counted.about(context.snapshot, group.namespace);
                let namespaces = by_policies.entry((asked, policies.collect())).or_default();
                if namespaces.last() != Some(&group.namespace) {
                    namespaces.push(group.namespace);
                }
            }
        }
    }
    for ((asked, policies), namespaces) in by_policies {
        let Some((code, what)) = ASKED.get(asked) else {
            continue;
        };
        if !context.options.wants(*code) {
            continue;
        }
        let names: Vec<&str> = namespaces
            .iter()
            .map(|id| &*context.snapshot.namespace(*id).name)
            .collect();
        let says: Vec<String> = policies.iter().map(|policy| policy.says()).collect();
        questions.push(NotVerified {
            code: *code,
            what: format!("whether pods of {} reach {what}", listed(&names)),
            why: format!("{}, and may decide it", says.join(", ")),
            how: how(policies.iter().map(|policy| policy.why)),
        });
    }
    questions
}

/// How to find out what such policies do.
pub(crate) fn how(whys: impl Iterator<Item = Why>) -> String {
    let whys: BTreeSet<Why> = whys.collect();
    let how: Vec<&str> = whys
        .into_iter()
        .map(|why| match why {
            Why::NotRead => "correct it: `ringfence check` shows where",
            Why::NotEvaluated => {
                "look at what it selects and allows, or try the connection from a pod"
            }
        })
        .collect();
    how.join("; ")
}

/// Namespaces for a sentence.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    let kind = match names.len() {
        1 => "namespace",
        _ => "namespaces",
    };
    match names.len().saturating_sub(SHOWN) {
        0 => format!("{kind} {}", shown.join(", ")),
        more => format!("{kind} {} and {more} more", shown.join(", ")),
    }
}
