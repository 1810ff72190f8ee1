use std::collections::BTreeMap;

use ringfence_engine::RuleRef;
use ringfence_engine::sets::PortSet;
use ringfence_model::address::{IpFamily, IpRangeSet, public_internet};
use ringfence_model::policy::Direction;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{PodId, PolicyId};
use ringfence_model::tri::Tri;

use super::Context;

/// A rule for fewer public addresses than one of so many is about somebody, and no part of
/// the internet.
const SMALLEST_PART: u128 = 64;

/// A rule for more than three of four public addresses is all of the internet, and no part
/// of it.
const WHOLE: (u128, u128) = (3, 4);

/// A rule for one of so many public addresses, or more, is about the internet and not about
/// somebody: every IPv4 block of /3 or wider that is public at all. No company and no cloud
/// has as many.
const THE_INTERNET: u128 = 8;

/// Rules that open the internet together, of which none is all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternetInParts {
    /// The rules, ascending, at least two.
    pub rules: Vec<RuleRef>,
    /// The families of which they cover so much that it is the internet.
    pub families: Vec<IpFamily>,
    /// The ports that all of them allow.
    pub ports: PortSet,
    /// The pods that all of them are for, one of each group, ascending. Empty where the
    /// input has no pods beside the policy.
    pub subjects: Vec<PodId>,
}

/// A rule that may be a part.
struct Part {
    rule: RuleRef,
    public: IpRangeSet,
    ports: PortSet,
}

/// The number of addresses, those of IPv6 counted by the 2^64: half of a family never
/// fails by one address.
fn size(set: &IpRangeSet) -> u128 {
    let unit = match set.family() {
        IpFamily::V4 => 1,
        IpFamily::V6 => 1 << 64,
    };
    set.ranges().iter().map(|(a, b)| (b - a) / unit + 1).sum()
}

/// What "the internet" and "wide" mean wherever addresses are judged: an eighth of the
/// public addresses of their family.
pub(crate) fn is_the_internet(addresses: &IpRangeSet) -> bool {
    let public = public_internet(addresses.family());
    size(&addresses.intersection(public)) >= size(public) / THE_INTERNET
}

/// Whether so little of the internet is left out that it is all of it: a quarter at most.
pub(crate) fn is_whole_internet(addresses: &IpRangeSet) -> bool {
    let public = public_internet(addresses.family());
    size(&addresses.intersection(public)) > size(public) * WHOLE.0 / WHOLE.1
}

/// How much of the internet some addresses of each family are, for a sentence: `the public
/// IPv4 internet`, or `43 % of the public IPv4 internet`.
pub(crate) fn share_in_words(addresses: &[IpRangeSet]) -> String {
    let shares = addresses.iter().map(|addresses| {
        let public = public_internet(addresses.family());
        let (of, all) = (size(&addresses.intersection(public)), size(public));
        (
            addresses.family(),
            is_whole_internet(addresses),
            of * 100 / all,
        )
    });
    let shares: Vec<(IpFamily, bool, u128)> = shares.collect();
    let whole: Vec<IpFamily> = shares
        .iter()
        .filter(|(_, is_whole, _)| *is_whole)
        .map(|(family, ..)| *family)
        .collect();
    match whole.as_slice() {
        [one] => format!("the public {one} internet"),
        [_, _, ..] => "the public internet".to_owned(),
        [] => {
            let parts: Vec<String> = shares
                .iter()
                .map(|(family, _, percent)| format!("{percent} % of the public {family} internet"))
                .collect();
            parts.join(" and ")
        }
    }
}

/// DNS alone is another finding.
fn is_dns(ports: &PortSet) -> bool {
    let over = |protocol| PortSet::range(protocol, 53, 53);
    ports.is_subset(&over(Protocol::Udp).union(&over(Protocol::Tcp)))
}

/// What opens the internet in parts, in the order of the rules.
pub(super) fn in_parts(context: &Context<'_>) -> Vec<InternetInParts> {
    let mut found: BTreeMap<Vec<RuleRef>, InternetInParts> = BTreeMap::new();
    for family in IpFamily::ALL {
        let parts = parts(context, family);
        if parts.len() < 2 {
            continue;
        }
        let mut add = |policies: &[PolicyId], subject: Option<PodId>| {
            let own = parts.iter().filter(|p| policies.contains(&p.rule.policy));
            let own: Vec<&Part> = own.collect();
            for (rules, ports) in wide_together(family, &own) {
                let entry = found.entry(rules.clone());
                let whole = entry.or_insert_with(|| InternetInParts {
                    rules,
                    families: Vec::new(),
                    ports,
                    subjects: Vec::new(),
                });
                whole.families.push(family);
                whole.subjects.extend(subject);
            }
        };
        for group in context.groups() {
            let policies = context
                .engine
                .policies_for(group.first, Direction::Egress)
                .filter(|(_, applies)| *applies == Tri::Yes);
            let policies: Vec<PolicyId> = policies.map(|(id, _)| id).collect();
            let families = context
                .snapshot
                .families_of(context.snapshot.pod(group.first));
            if families.contains(&family) {
                add(&policies, Some(group.first));
            }
        }
        let mut policies: Vec<PolicyId> = parts.iter().map(|part| part.rule.policy).collect();
        policies.dedup();
        for policy in policies {
            if !context.has_pods_beside(context.snapshot.policy(policy)) {
                add(&[policy], None);
            }
        }
    }
    let mut found: Vec<InternetInParts> = found.into_values().collect();
    for whole in &mut found {
        whole.families.dedup();
        whole.subjects.sort_unstable();
        whole.subjects.dedup();
    }
    found
}

/// The rules that may be parts, in the order of the policies.
fn parts(context: &Context<'_>, family: IpFamily) -> Vec<Part> {
    let egress = context
        .written_rules()
        .iter()
        .filter(|rule| rule.id.direction == Direction::Egress);
    let all = size(public_internet(family));
    egress
        .filter_map(|rule| {
            let public = rule.addresses(family).intersection(public_internet(family));
            let ports = context.engine.ports_of(rule.id, None).allow;
            let of = size(&public);
            let is_part = of > all / SMALLEST_PART && !is_whole_internet(&public);
            (is_part && !is_dns(&ports)).then_some(Part {
                rule: rule.id,
                public,
                ports,
            })
        })
        .collect()
}

/// Those of some rules that are the internet of a family on ports that they have in common.
fn wide_together(family: IpFamily, parts: &[&Part]) -> BTreeMap<Vec<RuleRef>, PortSet> {
    let mut found = BTreeMap::new();
    for first in parts {
        let mut rules = Vec::new();
        let mut public = IpRangeSet::empty(family);
        let mut ports = first.ports.clone();
        for part in parts {
            let common = ports.intersection(&part.ports);
            if !common.is_empty() && !is_dns(&common) {
                rules.push(part.rule);
                public = public.union(&part.public);
                ports = common;
            }
        }
        if rules.len() > 1 && is_the_internet(&public) {
            found.insert(rules, ports);
        }
    }
    found
}

impl Context<'_> {
    /// Whether a rule opens the internet together with others.
    #[must_use]
    pub fn is_part_of_internet(&self, rule: RuleRef) -> bool {
        let mut wholes = self.internet_in_parts().iter();
        wholes.any(|whole| whole.rules.contains(&rule))
    }
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;

    use super::*;

    fn set(nets: &[&str]) -> IpRangeSet {
        let nets: Vec<IpNet> = nets.iter().map(|net| net.parse().unwrap()).collect();
        IpRangeSet::from_nets(IpFamily::of(nets[0].addr()), &nets)
    }

    #[test]
    fn the_internet_is_every_wide_block_and_no_company() {
        for nets in [
            &["0.0.0.0/0"][..],
            &["0.0.0.0/1"],
            &["128.0.0.0/1"],
            &["192.0.0.0/2"],
            &["0.0.0.0/3"],
            &["96.0.0.0/3"],
            &["192.0.0.0/3"],
            &["16.0.0.0/4", "32.0.0.0/4"],
            &["8.0.0.0/5", "64.0.0.0/2", "128.0.0.0/3"],
            &["::/0"],
            &["2000::/3"],
            &["2400::/6"],
        ] {
            assert!(is_the_internet(&set(nets)), "{nets:?}");
        }
        for nets in [
            &["16.0.0.0/4"][..],
            &["10.0.0.0/7"],
            &["224.0.0.0/3"],
            &["3.0.0.0/8", "52.0.0.0/8", "54.0.0.0/8", "18.0.0.0/8"],
            &["2600::/12"],
            &["fc00::/7"],
        ] {
            assert!(!is_the_internet(&set(nets)), "{nets:?}");
        }
    }

    #[test]
    fn a_part_of_the_internet_is_called_one() {
        let words = |all: &[&[&str]]| {
            let sets: Vec<IpRangeSet> = all.iter().map(|nets| set(nets)).collect();
            share_in_words(&sets)
        };
        assert_eq!(words(&[&["0.0.0.0/0"]]), "the public IPv4 internet");
        assert_eq!(words(&[&["0.0.0.0/0"], &["::/0"]]), "the public internet");
        assert_eq!(
            words(&[&["128.0.0.0/1"]]),
            "43 % of the public IPv4 internet"
        );
        assert_eq!(
            words(&[&["64.0.0.0/2"], &["2000::/4"]]),
            "28 % of the public IPv4 internet and 50 % of the public IPv6 internet"
        );
        assert_eq!(
            words(&[&["64.0.0.0/2"], &["::/0"]]),
            "the public IPv6 internet"
        );
    }
}
