//! The sentences that all formats of `explain` share.

use std::borrow::Cow;

use ringfence_engine::explain::{DecidedBy, Effect, Reason, Side, Suggester, Suggestion};
use ringfence_engine::sets::PortSet;
use ringfence_engine::{Packet, Peer, Profile, Verdict};
use ringfence_model::metadata;
use ringfence_model::parse::{Part, Sources};
use ringfence_model::policy::{Direction, Tier};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::Snapshot;
use ringfence_model::source::Location;
use rustc_hash::FxHashMap;

use crate::output::Names;
use crate::output::address_names::AddressNames;
use crate::output::reach::port_words;
use crate::output::visible;
use crate::packets::{Outcome, Party};

/// Names parties for one snapshot.
pub(crate) struct Speaker<'a> {
    pub(crate) names: Names<'a>,
    addresses: AddressNames,
}

impl<'a> Speaker<'a> {
    /// For this snapshot.
    pub(crate) fn new(snapshot: &'a Snapshot) -> Self {
        Self {
            names: Names::new(snapshot),
            addresses: AddressNames::new(snapshot),
        }
    }

    /// A party in words.
    pub(crate) fn party(&self, party: &Party) -> String {
        match party {
            Party::Workload(id) => self.names.workload(*id),
            Party::Addresses(nets) => {
                let places = self.addresses.places(nets);
                let words: Vec<String> = places.iter().map(ToString::to_string).collect();
                words.join(", ")
            }
        }
    }

    /// `443/TCP`, or several.
    pub(crate) fn ports(ports: &PortSet) -> String {
        let single = Protocol::WITH_PORTS.into_iter().find_map(|protocol| {
            let is_only = PortSet::range(protocol, 1, u16::MAX);
            match ports.ranges(protocol).as_slice() {
                [(start, end)] if start == end && ports.is_subset(&is_only) => {
                    Some(format!("{start}/{protocol}"))
                }
                _ => None,
            }
        });
        single.unwrap_or_else(|| port_words(ports).join(", "))
    }

    /// `from → to`, with the ports.
    pub(crate) fn connection(&self, outcome: &Outcome) -> String {
        let to = match &outcome.via {
            Some(via) => format!(
                "svc:{} port {}/{}",
                self.names.service(via.service),
                via.port,
                via.protocol
            ),
            None => format!(
                "{} {}",
                self.party(&outcome.to),
                Self::ports(&outcome.ports)
            ),
        };
        format!("{} → {to}", self.party(&outcome.from))
    }
}

/// What a verdict is called in a sentence.
pub(crate) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allowed => "allowed",
        Verdict::Denied => "denied",
        Verdict::Unknown => "not known",
    }
}

/// Why a side is as it is, without its policies.
pub(crate) fn decided_by(side: &Side) -> Cow<'static, str> {
    if let (DecidedBy::NotAPod, Some(node)) = (side.decided_by, &side.node) {
        let node = visible::line(node);
        return format!("it is node {node}, where no policy for pods applies").into();
    }
    Cow::Borrowed(decided(side))
}

fn decided(side: &Side) -> &'static str {
    let end = |egress, ingress| match side.direction {
        Direction::Egress => egress,
        Direction::Ingress => ingress,
    };
    match side.decided_by {
        DecidedBy::Tier(Tier::Admin) => "a rule of the Admin tier decides",
        DecidedBy::Tier(Tier::Baseline) => "a rule of the Baseline tier decides",
        DecidedBy::Tier(Tier::NetworkPolicy) => match side.verdict {
            Verdict::Allowed => "a rule allows it",
            Verdict::Denied => end(
                "its egress is isolated, and no rule allows this",
                "its ingress is isolated, and no rule allows this",
            ),
            Verdict::Unknown => undetermined(side),
        },
        DecidedBy::DefaultAllow => end(
            "no policy selects it for egress, and Kubernetes allows by default",
            "no policy selects it for ingress, and Kubernetes allows by default",
        ),
        DecidedBy::NotAPod => "it is outside the cluster, where no policy applies",
        DecidedBy::HostNetwork => {
            "it is host-networked: policies do not apply to it, whatever they say"
        }
        DecidedBy::SamePod => "a pod always reaches itself",
        DecidedBy::OwnNode => "traffic between a pod and its own node is allowed",
        DecidedBy::Undetermined => undetermined(side),
    }
}

/// Why several verdicts are possible.
fn undetermined(side: &Side) -> &'static str {
    let mut reasons = side.reasons.iter();
    let may_match = reasons.any(|reason| reason.effect == Effect::MayMatch);
    match (side.may_be_own_node, may_match) {
        (false, true) => "it depends on something that the input does not say",
        (true, false) => {
            "a pod and its own node always reach each other, and whether the other end is its own node is not in the input"
        }
        (true, true) => {
            "it depends on things that the input does not say, one of them whether the other end is its own node: a pod and its own node always reach each other"
        }
        // Everything is known, and still either may be.
        (false, false) => {
            "policies of equal priority disagree, and an implementation may take either first"
        }
    }
}

/// The name of what decided, for structured output.
pub(crate) fn decided_by_name(decided_by: DecidedBy) -> &'static str {
    match decided_by {
        DecidedBy::Tier(_) => "Tier",
        DecidedBy::DefaultAllow => "DefaultAllow",
        DecidedBy::NotAPod => "NotAPod",
        DecidedBy::HostNetwork => "HostNetwork",
        DecidedBy::SamePod => "SamePod",
        DecidedBy::OwnNode => "OwnNode",
        DecidedBy::Undetermined => "Undetermined",
    }
}

/// The name of an effect, for structured output.
pub(crate) fn effect_name(effect: Effect) -> &'static str {
    match effect {
        Effect::Allows => "Allows",
        Effect::Denies => "Denies",
        Effect::Passes => "Passes",
        Effect::Isolates => "Isolates",
        Effect::NoMatch => "NoMatch",
        Effect::MayMatch => "MayMatch",
    }
}

/// `NetworkPolicy shop/db`. Which rule is meant is said by the reason's own text.
pub(crate) fn reason_title(snapshot: &Snapshot, reason: &Reason) -> String {
    visible::line(&snapshot.policy(reason.policy).display_name()).into_owned()
}

/// Ports of an outcome that a suggestion lists one by one; of more, it is about one.
const MOST_PORTS: usize = 8;

/// What is missing for denied outcomes to be allowed.
pub(crate) struct Missing<'a> {
    suggester: Suggester<'a>,
    /// Outcomes between the same ends: what is suggested for them belongs together.
    between: FxHashMap<(&'a Party, &'a Party), Vec<&'a Outcome>>,
}

impl<'a> Missing<'a> {
    /// For these outcomes of one question.
    pub(crate) fn new(
        snapshot: &'a Snapshot,
        profile: &Profile,
        outcomes: impl IntoIterator<Item = &'a Outcome>,
    ) -> Self {
        let mut between: FxHashMap<_, Vec<&'a Outcome>> = FxHashMap::default();
        for outcome in outcomes {
            if outcome.verdict == Verdict::Denied {
                let ends = (&outcome.from, &outcome.to);
                between.entry(ends).or_default().push(outcome);
            }
        }
        Self {
            suggester: Suggester::new(snapshot, profile),
            between,
        }
    }

    /// Of one of the outcomes; nothing where that is no help: for metadata endpoints, and
    /// for all the ports that nobody asked for.
    pub(crate) fn of(&mut self, outcome: &Outcome) -> Vec<Suggestion> {
        let packets = packets(outcome);
        if packets.is_empty() {
            return Vec::new();
        }
        let others = self.between.get(&(&outcome.from, &outcome.to));
        let others = others.into_iter().flatten().flat_map(|o| self::packets(o));
        let all: Vec<Packet> = packets.iter().copied().chain(others).collect();
        let suggestions = self.suggester.suggest(&all);
        let mut own: Vec<Suggestion> = Vec::new();
        for suggestion in suggestions.into_iter().take(packets.len()).flatten() {
            if !own.contains(&suggestion) {
                own.push(suggestion);
            }
        }
        own
    }
}

/// The packets that a suggestion for an outcome is about.
fn packets(outcome: &Outcome) -> Vec<Packet> {
    let packet = outcome.packet;
    let to_metadata = match packet.destination {
        Peer::Address(address) => metadata::gives_secrets(address),
        Peer::Pod(_) => false,
    };
    let is_what_is_left =
        outcome.ports.has_icmp() && packet.protocol != Protocol::Icmp && outcome.has_siblings;
    if to_metadata || is_what_is_left || outcome.verdict != Verdict::Denied {
        return Vec::new();
    }
    let ports: Vec<(Protocol, u16)> = Protocol::WITH_PORTS
        .into_iter()
        .flat_map(|protocol| {
            let ranges = outcome.ports.ranges(protocol).into_iter();
            ranges
                .flat_map(|(start, end)| start..=end)
                .take(MOST_PORTS + 1)
                .map(move |port| (protocol, port))
        })
        .collect();
    if outcome.ports.has_icmp() || ports.len() > MOST_PORTS {
        return vec![packet];
    }
    ports
        .into_iter()
        .map(|(protocol, port)| Packet {
            protocol,
            port,
            ..packet
        })
        .collect()
}

/// Where a reason is written down.
pub(crate) fn location(
    snapshot: &Snapshot,
    sources: &Sources,
    reason: &Reason,
) -> Option<Location> {
    let origin = snapshot.policy(reason.policy).origin.as_ref()?;
    sources.locate(origin, &reason.path, Part::Value)
}
