//! `Explanation` as a value.

use ringfence_engine::explain::{Side, explain};
use ringfence_engine::{Packet, Peer, Profile, Verdict};
use ringfence_model::address::IpFamily;
use ringfence_model::parse::Sources;
use ringfence_model::snapshot::Snapshot;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::Report;
use super::alike::alike;
use super::words::{Missing, decided_by, decided_by_name, effect_name, location};
use ringfence_engine::explain::DecidedBy;

use crate::output::Names;
use crate::output::contract::{
    ApiVersion, EndOut, LocationOut, ObjectOut, PortsOut, ProblemOut, ProfileOut, VerdictOut,
    problems,
};
use crate::packets::{Outcome, Party};

/// Why a connection is allowed or denied.
///
/// Connections that policies cannot tell apart (of replicas, of pods with the same
/// labels) are one outcome: see its `alike`.
///
/// `verdict`, `egress` and `ingress` summarise: the verdict is the common one of all
/// outcomes; when they differ, with `mixed` set, it is `Unknown` if one of them is and
/// `Mixed` if all are known. The sides are those of the first outcome that is not allowed,
/// or of the first.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Explanation")]
pub(crate) struct ExplanationOut<'a> {
    pub(crate) api_version: ApiVersion,
    pub(crate) kind: ExplanationKind,
    pub(crate) profile: ProfileOut,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) problems: Vec<ProblemOut>,
    /// The source as it was typed.
    pub(crate) from: String,
    /// The destination as it was typed.
    pub(crate) to: String,
    pub(crate) verdict: SummaryOut,
    /// The outcomes differ: see each of them.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub(crate) mixed: bool,
    pub(crate) egress: SideOut,
    pub(crate) ingress: SideOut,
    #[schemars(with = "Vec<OutcomeOut>")]
    pub(crate) outcomes: OutcomesOut<'a>,
    /// What else is worth knowing.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) notes: Vec<String>,
}

/// `kind`; always `Explanation`.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub(crate) enum ExplanationKind {
    #[default]
    Explanation,
}

/// The verdicts of all outcomes in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) enum SummaryOut {
    /// Certainly, each of them.
    Allowed,
    /// Certainly not, any of them.
    Denied,
    /// Some are and some are not, all certainly.
    Mixed,
    /// Of some, or of all, it depends on something that the input does not say.
    Unknown,
}

impl SummaryOut {
    fn of(outcomes: &[Outcome]) -> Self {
        let has = |wanted| outcomes.iter().any(|outcome| outcome.verdict == wanted);
        match (
            has(Verdict::Allowed),
            has(Verdict::Denied),
            has(Verdict::Unknown),
        ) {
            (true, false, false) => Self::Allowed,
            (false, true, false) => Self::Denied,
            (true, true, false) => Self::Mixed,
            _ => Self::Unknown,
        }
    }
}

/// Packets that share a verdict.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OutcomeOut {
    pub(crate) from: EndOut,
    pub(crate) to: EndOut,
    /// The service in between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<ServiceOut>,
    pub(crate) verdict: VerdictOut,
    /// The ports that share the verdict.
    pub(crate) ports: PortsOut,
    /// Whether ICMP shares it.
    pub(crate) icmp: bool,
    /// `IPv4`, `IPv6`.
    pub(crate) families: Vec<String>,
    /// How many pairs of pods (or of a pod and addresses) share it ...
    pub(crate) pairs: usize,
    /// ... of how many between these ends.
    pub(crate) of_pairs: usize,
    /// The packet that the sides explain.
    pub(crate) packet: PacketOut,
    pub(crate) egress: SideOut,
    pub(crate) ingress: SideOut,
    /// For a denial: the smallest rules that would allow it. Outcomes that one policy can
    /// allow together have one and the same `manifest`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) missing: Vec<MissingOut>,
    /// Policies of the input that could not be read and could change the verdict, which
    /// is `Unknown` therefore; `egress` and `ingress` are what the others say.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) not_counted: Vec<String>,
    /// Other connections with the same explanation, names aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) alike: Option<AlikeOut>,
}

/// Connections that are explained by another.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AlikeOut {
    /// How many there are beside the one that is explained.
    pub(crate) count: usize,
    pub(crate) connections: Vec<EndsOut>,
}

/// The ends of a connection.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EndsOut {
    pub(crate) from: EndOut,
    pub(crate) to: EndOut,
}

/// The outcomes, each explained when it is written: who stops reading stops the work.
#[derive(Debug)]
pub(crate) struct OutcomesOut<'a>(&'a Report<'a>);

impl Serialize for OutcomesOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let report = self.0;
        let groups = alike(report.snapshot, &report.answer.outcomes);
        let mut missing = Missing::new(
            report.snapshot,
            report.profile,
            groups.iter().map(|group| group.first),
        );
        serializer.collect_seq(groups.iter().map(|group| {
            let cluster = (report.snapshot, report.sources);
            let others = group.rest();
            OutcomeOut {
                alike: (!others.is_empty()).then(|| AlikeOut {
                    count: others.len(),
                    connections: others
                        .iter()
                        .map(|other| EndsOut {
                            from: party(report.snapshot, &other.from),
                            to: party(report.snapshot, &other.to),
                        })
                        .collect(),
                }),
                ..outcome_out(cluster, report.profile, group.first, &mut missing)
            }
        }))
    }
}

/// A service that a connection goes through.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServiceOut {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Its own addresses, as far as they are known.
    pub(crate) addresses: Vec<String>,
    pub(crate) port: u16,
    /// The port on the endpoint: what policies see.
    pub(crate) target_port: u16,
}

/// One packet.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PacketOut {
    /// A pod, as `namespace/name`, or an address.
    pub(crate) source: String,
    pub(crate) destination: String,
    pub(crate) family: String,
    pub(crate) protocol: String,
    /// 0 for ICMP.
    pub(crate) port: u16,
}

/// The source's egress, or the destination's ingress.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SideOut {
    pub(crate) verdict: VerdictOut,
    /// `Admin`, `NetworkPolicy` or `Baseline`: the tier that decided; absent when none
    /// did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tier: Option<String>,
    /// `Tier`, `DefaultAllow`, `NotAPod`, `HostNetwork`, `SamePod`, `OwnNode` or
    /// `Undetermined`.
    pub(crate) decided_by: String,
    /// The same in a sentence.
    pub(crate) text: String,
    /// In the order of evaluation.
    pub(crate) reasons: Vec<ReasonOut>,
}

/// What a policy, or a rule of it, does to the packet.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReasonOut {
    pub(crate) policy: PolicyOut,
    /// The index of the rule, from 0; absent for the policy as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<usize>,
    /// `Allows`, `Denies`, `Passes`, `Isolates`, `NoMatch` or `MayMatch`.
    pub(crate) effect: String,
    /// Whether the verdict rests on it.
    pub(crate) decisive: bool,
    pub(crate) location: Option<LocationOut>,
    pub(crate) text: String,
}

/// A policy by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub(crate) struct PolicyOut {
    pub(crate) kind: String,
    /// Absent for cluster-wide policies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
}

/// What is missing for one side.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MissingOut {
    /// `egress` or `ingress`.
    pub(crate) direction: String,
    pub(crate) text: String,
    /// A policy that would allow it, ready to apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) manifest: Option<String>,
}

/// The whole report as one value.
pub(crate) fn document<'a>(report: &'a Report<'a>) -> ExplanationOut<'a> {
    let outcomes = &report.answer.outcomes;
    let common = report.answer.common_verdict();
    let telling = outcomes
        .iter()
        .find(|outcome| outcome.verdict != Verdict::Allowed)
        .or(outcomes.first());
    let sides = telling.map(|outcome| explain(report.snapshot, report.profile, &outcome.packet));
    let side = |side: Option<&Side>| match side {
        Some(side) => side_out(report.snapshot, report.sources, side),
        None => SideOut {
            verdict: VerdictOut::Unknown,
            tier: None,
            decided_by: decided_by_name(DecidedBy::Undetermined).to_owned(),
            text: String::new(),
            reasons: Vec::new(),
        },
    };
    ExplanationOut {
        api_version: ApiVersion::V1Alpha1,
        kind: ExplanationKind::Explanation,
        profile: ProfileOut::from(report.profile),
        problems: problems(report.diagnostics),
        from: report.from.to_owned(),
        to: report.to.to_owned(),
        verdict: SummaryOut::of(outcomes),
        mixed: common.is_none(),
        egress: side(sides.as_ref().map(|s| &s.egress)),
        ingress: side(sides.as_ref().map(|s| &s.ingress)),
        outcomes: OutcomesOut(report),
        notes: report.answer.notes.clone(),
    }
}

/// An outcome as a value, explained.
pub(crate) fn outcome_out(
    (snapshot, sources): (&Snapshot, &Sources),
    profile: &Profile,
    outcome: &Outcome,
    missing: &mut Missing<'_>,
) -> OutcomeOut {
    let explanation = explain(snapshot, profile, &outcome.packet);
    OutcomeOut {
        from: party(snapshot, &outcome.from),
        to: party(snapshot, &outcome.to),
        service: outcome.via.as_ref().map(|via| {
            let service = snapshot.service(via.service);
            ServiceOut {
                namespace: snapshot.namespace(service.namespace).name.to_string(),
                name: service.name.to_string(),
                addresses: service
                    .cluster_ips
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
                port: via.port,
                target_port: via.target_port,
            }
        }),
        verdict: outcome.verdict.into(),
        ports: PortsOut::from(&outcome.ports),
        icmp: outcome.ports.has_icmp(),
        families: outcome.families.iter().map(IpFamily::to_string).collect(),
        pairs: outcome.pairs.0,
        of_pairs: outcome.pairs.1,
        packet: packet_out(snapshot, &outcome.packet),
        egress: side_out(snapshot, sources, &explanation.egress),
        ingress: side_out(snapshot, sources, &explanation.ingress),
        missing: missing
            .of(outcome)
            .into_iter()
            .map(|suggestion| MissingOut {
                direction: suggestion.direction.to_string(),
                text: suggestion.text,
                manifest: suggestion.manifest,
            })
            .collect(),
        not_counted: outcome
            .not_counted
            .iter()
            .map(ToString::to_string)
            .collect(),
        alike: None,
    }
}

fn party(snapshot: &Snapshot, party: &Party) -> EndOut {
    match party {
        Party::Workload(id) => EndOut::Workload(ObjectOut::workload(snapshot, *id)),
        Party::Addresses(nets) => EndOut::Addresses {
            cidrs: nets.iter().map(ToString::to_string).collect(),
        },
    }
}

/// A packet as a value.
pub(crate) fn packet_out(snapshot: &Snapshot, packet: &Packet) -> PacketOut {
    let names = Names::new(snapshot);
    let peer = |peer| match peer {
        Peer::Pod(id) => names.pod(id),
        Peer::Address(address) => address.to_string(),
    };
    PacketOut {
        source: peer(packet.source),
        destination: peer(packet.destination),
        family: packet.family.to_string(),
        protocol: packet.protocol.to_string(),
        port: packet.port,
    }
}

/// One side as a value.
pub(crate) fn side_out(snapshot: &Snapshot, sources: &Sources, side: &Side) -> SideOut {
    SideOut {
        verdict: side.verdict.into(),
        tier: match side.decided_by {
            DecidedBy::Tier(tier) => Some(tier.to_string()),
            _ => None,
        },
        decided_by: decided_by_name(side.decided_by).to_owned(),
        text: decided_by(side).into_owned(),
        reasons: side
            .reasons
            .iter()
            .map(|reason| {
                let policy = snapshot.policy(reason.policy);
                ReasonOut {
                    policy: PolicyOut {
                        kind: policy.family.kind().to_owned(),
                        namespace: policy.namespace.as_deref().map(str::to_owned),
                        name: policy.name.to_string(),
                    },
                    rule: reason.rule,
                    effect: effect_name(reason.effect).to_owned(),
                    decisive: reason.decisive,
                    location: location(snapshot, sources, reason)
                        .as_ref()
                        .map(LocationOut::from),
                    text: reason.text.clone(),
                }
            })
            .collect(),
    }
}
