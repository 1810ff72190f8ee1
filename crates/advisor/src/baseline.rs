//! What should stand there: the policies that a namespace needs, proposed as values.
//!
//! One file per policy or pattern. Which name servers and which API server a cluster has
//! comes from the [`Context`]; what is in place already, and what the proposal comes to,
//! is asked of the engine. Writing the policies out as text is done elsewhere.

mod default_deny;
mod deny_metadata;
mod internet;
mod kube_api;
mod missing;
mod name_servers;
mod namespaces;
mod proof;
mod proposed;
mod request;
mod same_namespace;
mod stand_ins;
mod workload_flow;

pub use proposed::{MANAGED_BY, ProposedPolicy};
pub use request::{
    BaselineError, Destination, DnsChoice, Flow, KubeApi, ParseDnsChoiceError, ParsePresetError,
    PortRange, Preset, Request,
};
pub use stand_ins::stand_ins;

use std::collections::{BTreeMap, BTreeSet};

use ringfence_model::policy::Direction;

use crate::context::Context;
use missing::InPlace;
use namespaces::Target;
use proposed::Names;

/// Policies to apply, and what to know about them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proposal {
    /// The policies, by namespace and in the order of a set.
    pub policies: Vec<ProposedPolicy>,
    /// What was left out, what was assumed, and what the policies do not close; a
    /// sentence each, without a full stop.
    pub notes: Vec<String>,
    /// Whether something that was asked for cannot be written.
    pub is_partial: bool,
    /// Policies of the input that verdicts do not count, and that may open what these
    /// close; a sentence each, without a full stop.
    pub not_counted: Vec<String>,
}

/// A policy of a set, before it is written for a namespace.
#[derive(Clone, Debug)]
enum Piece {
    Deny(Vec<Direction>),
    NameServers(name_servers::NameServers),
    KubeApi(kube_api::ApiServers),
    Internet(internet::PublicInternet),
    SameNamespace,
    AllButMetadata,
}

/// The policies that were asked for.
///
/// # Errors
/// If the input does not say what a policy needs, or nothing could be written that does
/// what was asked for.
pub fn propose(context: &Context<'_>, request: &Request) -> Result<Proposal, BaselineError> {
    let mut proposal = Proposal::default();
    if let Some(flow) = &request.flow {
        proposal.policies = workload_flow::policies(context, flow, request.force)?;
    } else if request.preset == Preset::DenyMetadata && request.cluster_policy {
        proposal
            .policies
            .push(deny_metadata::cluster_wide(context, request)?);
    } else {
        let targets = namespaces::choose(context, request, &mut proposal.notes)?;
        proposal.not_counted = not_counted(context, &targets);
        let pieces = pieces(context, request, &mut proposal.notes)?;
        if request.preset == Preset::DenyMetadata {
            deny_metadata::must_deny(context)?;
            deny_metadata::must_not_open(context, &targets)?;
        }
        let has_dns = pieces.iter().any(|p| matches!(p, Piece::NameServers(_)));
        proposal.is_partial = request.preset.needs_name_servers() && !has_dns;
        let notes = &mut proposal.notes;
        if pieces.iter().any(|piece| matches!(piece, Piece::Deny(directions) if directions.contains(&Direction::Ingress))) {
            namespaces::note_name_servers(context, &targets, notes);
        }
        proposal.policies = for_namespaces(context, request, &targets, &pieces, notes);
        if request.preset.closes() {
            let policies = &proposal.policies;
            proof::add_notes(context, &targets, &pieces, policies, &mut proposal.notes);
        }
    }
    if request.patch {
        let is_new = |proposed: &ProposedPolicy| !missing::has_equal(context.snapshot, proposed);
        proposal.policies.retain(is_new);
    }
    Names::of(context).settle(request.patch, &mut proposal);
    for proposed in &mut proposal.policies {
        let annotations = request.annotations.clone();
        proposed.policy.annotations.extend(annotations);
    }
    Ok(proposal)
}

/// A default deny for the egress of a namespace.
pub(crate) fn deny_egress(namespace: &str) -> ProposedPolicy {
    default_deny::policy(namespace, &[Direction::Egress])
}

/// What lets the pods of a namespace ask the name servers of this cluster; `None` where no
/// policy can.
pub(crate) fn allow_dns(context: &Context<'_>, namespace: &str) -> Option<ProposedPolicy> {
    let found = name_servers::NameServers::find(context, None, &mut Vec::new());
    (!found.is_out_of_reach()).then(|| found.policy(namespace))
}

/// What is not known of namespaces, because some policies do not count.
fn not_counted(context: &Context<'_>, targets: &[Target]) -> Vec<String> {
    let policies = targets
        .iter()
        .flat_map(|target| context.not_counted.in_namespace(&target.name));
    let policies: BTreeSet<_> = policies.collect();
    policies
        .into_iter()
        .map(|policy| format!("{}: what it opens or closes is not known", policy.says()))
        .collect()
}

/// The pieces of a set, in order.
fn pieces(
    context: &Context<'_>,
    request: &Request,
    notes: &mut Vec<String>,
) -> Result<Vec<Piece>, BaselineError> {
    let both = || Piece::Deny(vec![Direction::Ingress, Direction::Egress]);
    let mut pieces = match request.preset {
        Preset::Production | Preset::InternalOnly | Preset::DenyAll => vec![both()],
        Preset::DefaultDenyAllEgress => vec![Piece::Deny(vec![Direction::Egress])],
        Preset::DenyMetadata => vec![Piece::AllButMetadata],
        _ => Vec::new(),
    };
    if request.preset.needs_name_servers() {
        let found = name_servers::NameServers::find(context, request.dns, notes);
        match (found.is_out_of_reach(), request.preset) {
            (false, _) => pieces.push(Piece::NameServers(found)),
            (true, Preset::AllowDns) => return Err(BaselineError::NameServersOnNodes),
            (true, _) => notes.push(format!(
                "allow-dns was left out, so that these pods cannot resolve names: {}",
                BaselineError::NameServersOnNodes
            )),
        }
    }
    let is_set = matches!(request.preset, Preset::Production | Preset::InternalOnly);
    let kube_api = match (&request.kube_api, request.preset) {
        (Some(said), preset) if is_set || preset == Preset::AllowKubeApi => Some(said),
        (None, Preset::AllowKubeApi) => Some(&KubeApi::FromInput),
        _ => None,
    };
    if let Some(said) = kube_api {
        let found = kube_api::ApiServers::find(context, said, notes)?;
        match (found.out_of_blocks(context), request.preset) {
            (None, _) => pieces.push(Piece::KubeApi(found)),
            (Some(why), Preset::AllowKubeApi) => return Err(why),
            (Some(why), _) => notes.push(format!("allow-kube-api was left out: {why}")),
        }
    }
    if request.internet && is_set || request.preset == Preset::AllowInternetHttps {
        let found = internet::PublicInternet::of(context, &request.service_cidrs)?;
        pieces.push(Piece::Internet(found));
    }
    if request.intra_namespace && is_set || request.preset == Preset::InternalOnly {
        pieces.push(Piece::SameNamespace);
    }
    Ok(pieces)
}

/// The pieces for each namespace; of those that are in place already none.
fn for_namespaces(
    context: &Context<'_>,
    request: &Request,
    targets: &[Target],
    pieces: &[Piece],
    notes: &mut Vec<String>,
) -> Vec<ProposedPolicy> {
    let written = |target: &Target, piece: &Piece| match piece {
        Piece::Deny(directions) => default_deny::policy(&target.name, directions),
        Piece::NameServers(found) => found.policy(&target.name),
        Piece::KubeApi(found) => found.policy(&target.name, request),
        Piece::Internet(found) => found.policy(&target.name, request),
        Piece::SameNamespace => same_namespace::policy(&target.name),
        Piece::AllButMetadata => deny_metadata::namespaced(context, &target.name),
    };
    if !request.patch {
        let of_target = |target| pieces.iter().map(move |piece| written(target, piece));
        return targets.iter().flat_map(of_target).collect();
    }
    let in_place = InPlace::with_default_deny(context, targets);
    let mut policies = Vec::new();
    for target in targets {
        for piece in pieces {
            let Some(piece) = in_place.missing(target, piece, request) else {
                continue;
            };
            let policy = written(target, &piece);
            let is_dns = matches!(piece, Piece::NameServers(_));
            match is_dns
                .then(|| in_place.why_useless(target, &policy))
                .flatten()
            {
                Some(why) => notes.push(why),
                None => policies.push(policy),
            }
        }
    }
    policies
}

/// The pods with some labels, for a sentence.
fn who(labels: &BTreeMap<String, String>) -> String {
    let shown: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    match shown.is_empty() {
        true => "Pods".to_owned(),
        false => format!("Pods labelled {}", shown.join(", ")),
    }
}
