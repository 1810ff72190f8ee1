//! Ways out of which the input does not say whether pods have them: the family that no
//! address in the input shows, and the IPv4 addresses behind a translator of the network.
//!
//! Nobody asks about them for no reason. A policy that names a block of such addresses is
//! the reason: whoever wrote it has them, or thinks so.

use std::net::IpAddr;

use ipnet::IpNet;
use ringfence_engine::reach::OutsideRegion;
use ringfence_engine::{Peer, RuleRef};
use ringfence_model::address::{
    IpFamily, IpRangeSet, TRANSLATION_PREFIXES, behind_translation, public_internet, to_number,
    translated,
};
use ringfence_model::policy::{Action, Direction, PolicyBody, TieredPeer, TieredRule};
use ringfence_model::tri::Tri;

use super::internet::is_the_internet;
use super::{Context, Group};

/// What is at the end of such a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum End {
    /// A cloud metadata endpoint.
    Metadata(IpAddr),
    /// Public addresses of a family, and whether they are so many that it is the internet.
    Internet(IpFamily, bool),
}

/// A way out that a rule allows and that pods may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Unseen {
    /// The rule.
    pub(crate) rule: RuleRef,
    /// What is at its end.
    pub(crate) end: End,
    /// The address that stands for that end, if it takes a translator; with it the family
    /// is IPv6.
    pub(crate) through: Option<IpAddr>,
    /// Whether it is not known that the pods have IPv6, or IPv4, at all.
    pub(crate) family_is_unseen: bool,
}

impl Unseen {
    /// Whether it leads to a cloud metadata endpoint.
    pub(crate) fn is_metadata(&self) -> bool {
        matches!(self.end, End::Metadata(_))
    }
}

/// For each group, such ways; none that is anything new beside what is open anyway.
pub(super) fn of(context: &Context<'_>) -> Vec<Vec<Unseen>> {
    let named = IpFamily::ALL.map(|family| is_named(context, family));
    let [v4, v6] = named;
    let is_named = |family: &IpFamily| match family {
        IpFamily::V4 => v4,
        IpFamily::V6 => v6,
    };
    let groups = context.groups().iter().enumerate();
    groups
        .map(|(index, group)| match group.host_network {
            true => Vec::new(),
            false => of_group(context, index, group, is_named),
        })
        .collect()
}

/// Whether some egress rule names a block of a family: most clusters have none of IPv6.
fn is_named(context: &Context<'_>, family: IpFamily) -> bool {
    let of_namespaces = context.written_rules().iter().flat_map(|rule| &rule.blocks);
    let mut of_namespaces = of_namespaces.map(|block| block.block.family());
    let cluster_wide = context.snapshot.policies.iter();
    let mut cluster_wide = cluster_wide.flat_map(|policy| match &policy.body {
        PolicyBody::Tiered(body) => body.egress.iter().flat_map(networks).collect(),
        PolicyBody::Network(_) => Vec::new(),
    });
    of_namespaces.any(|named| named == family)
        || cluster_wide.any(|block| IpFamily::of(block.addr()) == family)
}

fn of_group(
    context: &Context<'_>,
    index: usize,
    group: &Group,
    is_named: impl Fn(&IpFamily) -> bool,
) -> Vec<Unseen> {
    let pod = context.snapshot.pod(group.first);
    let mut seen = context.snapshot.families_of(pod);
    let has_v6_alone = seen == [IpFamily::V6];
    let mut unseen = context.snapshot.unseen_families(pod);
    seen.retain(&is_named);
    unseen.retain(&is_named);
    let exposures = context.exposures().get(index);
    let metadata_is_open = exposures.is_some_and(|e| e.iter().any(|e| !e.open.allow.is_empty()));
    let internet = context.internet().get(index);
    let (is_open, is_wide) = internet.map_or((false, false), |i| (i.is_open(), i.is_wide()));
    let mut found = Vec::new();
    for family in &unseen {
        if !metadata_is_open {
            found.extend(metadata(context, group, *family));
        }
        let region = internet_of(context, group, *family);
        found.extend(region.filter(|way| match way.end {
            End::Internet(_, wide) => !is_open || wide && !is_wide,
            End::Metadata(_) => false,
        }));
    }
    if seen.contains(&IpFamily::V6) || unseen.contains(&IpFamily::V6) {
        let family_is_unseen = unseen.contains(&IpFamily::V6);
        let ways = translations(context, group, has_v6_alone).into_iter();
        let new = ways.filter(|way| match way.end {
            End::Metadata(_) => !metadata_is_open,
            End::Internet(_, wide) => !is_open || wide && !is_wide,
        });
        found.extend(new.map(|way| Unseen {
            family_is_unseen,
            ..way
        }));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Metadata endpoints of a family that is not known to be there.
fn metadata(context: &Context<'_>, group: &Group, family: IpFamily) -> Vec<Unseen> {
    let endpoints = context.metadata_endpoints();
    let addresses = endpoints.map(|endpoint| endpoint.address);
    addresses
        .filter(|address| IpFamily::of(*address) == family)
        .filter_map(|address| {
            let rule = named_by(context, group, address, |_| true)?;
            Some(Unseen {
                rule,
                end: End::Metadata(address),
                through: None,
                family_is_unseen: true,
            })
        })
        .collect()
}

/// The public addresses of a family that is not known to be there.
fn internet_of(
    context: &Context<'_>,
    group: &Group,
    family: IpFamily,
) -> impl Iterator<Item = Unseen> {
    let regions = open_regions(context, group, &public_internet(family).to_nets(), family);
    let all = regions.iter().flat_map(|region| &region.addresses);
    let is_wide = is_the_internet(&IpRangeSet::from_nets(family, all));
    regions.into_iter().filter_map(move |region| {
        let address = region.addresses.first()?.addr();
        let rule = named_by(context, group, address, |_| true)?;
        Some(Unseen {
            rule,
            end: End::Internet(family, is_wide),
            through: None,
            family_is_unseen: true,
        })
    })
}

/// What may be behind a translator, for a group that has IPv6 or may have it. Of a rule for
/// more than translated addresses only pods that have no other way to IPv4 make one ask.
fn translations(context: &Context<'_>, group: &Group, has_v6_alone: bool) -> Vec<Unseen> {
    let nets = translated().to_nets();
    let prefixes: Vec<IpNet> = TRANSLATION_PREFIXES
        .iter()
        .filter_map(|net| net.parse().ok())
        .collect();
    let is_reason = |block: &IpNet| {
        let mut prefixes = prefixes.iter();
        has_v6_alone || prefixes.any(|prefix| prefix.contains(block))
    };
    let mut found = Vec::new();
    for region in open_regions(context, group, &nets, IpFamily::V6) {
        let addresses = IpRangeSet::from_nets(IpFamily::V6, &region.addresses);
        let behind = behind_translation(&addresses);
        let mut add = |end: End, wanted: IpAddr| {
            let Some(through) = standing_for(&region.addresses, wanted) else {
                return;
            };
            if let Some(rule) = named_by(context, group, through, is_reason) {
                found.push(Unseen {
                    rule,
                    end,
                    through: Some(through),
                    family_is_unseen: false,
                });
            }
        };
        for endpoint in context.metadata_endpoints() {
            if behind.contains(endpoint.address) {
                add(End::Metadata(endpoint.address), endpoint.address);
            }
        }
        let public = behind.intersection(public_internet(IpFamily::V4));
        if let Some((first, _)) = public.ranges().first() {
            let known = IpAddr::from([8, 8, 8, 8]);
            let shown = match public.contains(known) {
                true => known,
                false => ringfence_model::address::from_number(IpFamily::V4, *first),
            };
            add(End::Internet(IpFamily::V4, is_the_internet(&public)), shown);
        }
    }
    found
}

/// The first address of some blocks whose last bits are an IPv4 address.
fn standing_for(nets: &[IpNet], wanted: IpAddr) -> Option<IpAddr> {
    const ALL: u128 = 1 << 32;
    let wanted = to_number(wanted);
    nets.iter().find_map(|net| {
        let start = to_number(net.network());
        let first = start - start % ALL + wanted;
        let candidates = [Some(first), first.checked_add(ALL)].into_iter().flatten();
        let mut candidates =
            candidates.map(|number| ringfence_model::address::from_number(IpFamily::V6, number));
        candidates.find(|address| net.contains(address))
    })
}

fn open_regions(
    context: &Context<'_>,
    group: &Group,
    nets: &[IpNet],
    family: IpFamily,
) -> Vec<OutsideRegion> {
    let engine = context.engine;
    let mut regions = engine.outside(group.first, Direction::Egress, family, nets);
    regions.retain(|region| !region.open.allow.is_empty() || !region.open.maybe.is_empty());
    regions
}

/// A rule that lets a group open something to an address, and names a block for it that is
/// a reason to think that there is a way.
fn named_by(
    context: &Context<'_>,
    group: &Group,
    address: IpAddr,
    is_reason: impl Fn(&IpNet) -> bool,
) -> Option<RuleRef> {
    let (to, family) = (Peer::Address(address), IpFamily::of(address));
    let open = context.engine.ports(Peer::Pod(group.first), to, family);
    let port = context
        .telling_port(&open.allow, to)
        .or_else(|| context.telling_port(&open.maybe, to))?;
    let rules = context
        .engine
        .matching_rules(group.first, Direction::Egress, to, family, port);
    let mut accepting = rules
        .iter()
        .filter(|m| m.action == Action::Accept && m.matches != Tri::No);
    let found = accepting.find(|matching| {
        let blocks = blocks(context, matching.rule);
        blocks
            .iter()
            .any(|block| block.contains(&address) && is_reason(block))
    })?;
    Some(found.rule)
}

/// The blocks that a rule names.
fn blocks(context: &Context<'_>, rule: RuleRef) -> Vec<IpNet> {
    if let Some(written) = context.written_rule(rule) {
        return written.blocks.iter().map(|b| b.block.cidr).collect();
    }
    let PolicyBody::Tiered(body) = &context.snapshot.policy(rule.policy).body else {
        return Vec::new();
    };
    let written = body.rules(rule.direction).get(rule.rule);
    written.into_iter().flat_map(networks).collect()
}

/// The blocks that a rule of a cluster-wide policy names.
fn networks(rule: &TieredRule) -> impl Iterator<Item = IpNet> {
    let blocks = rule.peers.iter().flat_map(|peer| match peer {
        TieredPeer::Networks(blocks) => blocks.as_slice(),
        _ => &[],
    });
    blocks.filter_map(|block| block.parse().ok())
}
