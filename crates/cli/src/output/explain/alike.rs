//! Outcomes that have the same explanation: of replicas and bare pods with the same
//! labels, one is explained and the others are named.

use std::collections::BTreeMap;

use ringfence_engine::sets::PortSet;
use ringfence_engine::{Peer, Verdict};
use ringfence_model::address::IpFamily;
use ringfence_model::snapshot::{NamespaceId, Snapshot};
use rustc_hash::FxHashMap;

use super::words::Speaker;
use crate::packets::{Outcome, Party, Via};

/// Explanations that are printed at most: nobody reads more.
pub(super) const MOST_EXPLAINED: usize = 20;
/// Connections that are named beside the one that is explained.
const MOST_NAMED: usize = 5;

/// Outcomes that differ in nothing that policies see.
#[derive(Debug)]
pub(super) struct Alike<'a> {
    /// The one that is explained.
    pub(super) first: &'a Outcome,
    others: Vec<&'a Outcome>,
}

impl<'a> Alike<'a> {
    /// Those that are explained by the first.
    pub(super) fn rest(&self) -> &[&'a Outcome] {
        &self.others
    }

    /// The others in a sentence.
    pub(super) fn others(&self, speaker: &Speaker<'_>) -> Option<String> {
        if self.others.is_empty() {
            return None;
        }
        let mut names: Vec<String> = self
            .others
            .iter()
            .take(MOST_NAMED)
            .map(|outcome| speaker.connection(outcome))
            .collect();
        let more = self.others.len().saturating_sub(MOST_NAMED);
        if more > 0 {
            names.push(format!("and {more} more"));
        }
        Some(format!("the same goes for {}", names.join("; ")))
    }
}

/// What policies see of one end.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Seen<'a> {
    Pod {
        namespace: NamespaceId,
        labels: String,
        host_network: bool,
        node: Option<&'a str>,
    },
    Addresses(&'a Party),
}

/// Everything that an explanation depends on, names aside.
type Key<'a> = (
    Verdict,
    &'a PortSet,
    &'a [IpFamily],
    Option<&'a Via>,
    Seen<'a>,
    Seen<'a>,
);

/// Groups outcomes, in the order of the first of each group.
pub(super) fn alike<'a>(snapshot: &'a Snapshot, outcomes: &'a [Outcome]) -> Vec<Alike<'a>> {
    let mut groups: Vec<Alike<'a>> = Vec::new();
    let mut known: FxHashMap<Key<'a>, usize> = FxHashMap::default();
    let mut seen: BTreeMap<Peer, Seen<'a>> = BTreeMap::new();
    for outcome in outcomes {
        let mut end = |peer: Peer, party: &'a Party| match peer {
            Peer::Address(_) => Seen::Addresses(party),
            Peer::Pod(_) => seen
                .entry(peer)
                .or_insert_with(|| look(snapshot, peer, party))
                .clone(),
        };
        let key = (
            outcome.verdict,
            &outcome.ports,
            outcome.families.as_slice(),
            outcome.via.as_ref(),
            end(outcome.packet.source, &outcome.from),
            end(outcome.packet.destination, &outcome.to),
        );
        let index = *known.entry(key).or_insert(groups.len());
        match groups.get_mut(index) {
            Some(group) => group.others.push(outcome),
            None => groups.push(Alike {
                first: outcome,
                others: Vec::new(),
            }),
        }
    }
    groups
}

fn look<'a>(snapshot: &'a Snapshot, peer: Peer, party: &'a Party) -> Seen<'a> {
    let Peer::Pod(id) = peer else {
        return Seen::Addresses(party);
    };
    let pod = snapshot.pod(id);
    Seen::Pod {
        namespace: pod.namespace,
        labels: format!("{:?} {:?} {:?}", pod.labels, pod.ports, pod.addresses),
        host_network: pod.host_network,
        node: pod.node.as_deref(),
    }
}

/// What is said about explanations that are not printed.
pub(super) fn rest(groups: &[Alike<'_>]) -> Option<String> {
    let more = groups.len().saturating_sub(MOST_EXPLAINED);
    (more > 0).then(|| {
        format!("... and {more} explanations more: ask about fewer ends, or use `-o json`")
    })
}
