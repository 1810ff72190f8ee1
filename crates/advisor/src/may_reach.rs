//! What pods reach if they have a way out that the input does not show: not a finding, and
//! not its absence.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ringfence_engine::RuleRef;
use ringfence_model::address::IpFamily;
use ringfence_model::metadata::ENDPOINTS;
use ringfence_model::policy::Tier;

use crate::context::{Context, End, Unseen};
use crate::finding::NotVerified;
use crate::rule::Code;

/// What is asked once for all pods and addresses.
type Asked = (Code, RuleRef, IpFamily, bool);

/// A question for each rule that allows such ways.
pub(crate) fn questions(context: &Context<'_>) -> Vec<NotVerified> {
    let mut asked: BTreeMap<Asked, Vec<Unseen>> = BTreeMap::new();
    for way in context.unseen_ways().iter().flatten() {
        let code = code_of(context, way);
        if context.options.wants(code) {
            let key = (code, way.rule, family_of(way), way.through.is_some());
            asked.entry(key).or_default().push(*way);
        }
    }
    asked
        .into_iter()
        .filter_map(|((code, rule, family, _), mut ways)| {
            ways.sort_by_key(place_in_table);
            let first = *ways.first()?;
            let policy = context.snapshot.policy(rule.policy);
            let name = policy.display_name();
            let number = rule.rule + 1;
            let to = destination(&first);
            let (what, why, how) = match first.through {
                Some(address) => (
                    format!("whether {name} lets pods reach {to} through a translator"),
                    format!(
                        "egress rule {number} allows {}",
                        standing_for(&first, address)
                    ),
                    "see whether the network translates IPv6 to IPv4 (NAT64), and what: if it \
                     does, leave the block out, or except what must stay closed"
                        .to_owned(),
                ),
                None => (
                    format!("whether {name} lets pods reach {to}"),
                    format!("egress rule {number} allows it, and {}", taken(family)),
                    "say which families pods have, with `--ip-family` or `--pod-cidr`".to_owned(),
                ),
            };
            Some(NotVerified {
                code,
                what,
                why: match first.through.is_some() && first.family_is_unseen {
                    true => format!("{why}; and {}", taken(family)),
                    false => why,
                },
                how,
            })
        })
        .collect()
}

/// What a step of `--why-open` says of such ways; `None` where there are none.
pub(crate) fn in_words(context: &Context<'_>, ways: &[Unseen]) -> Option<String> {
    let mut says: Vec<String> = ways
        .iter()
        .map(|way| {
            let name = context.snapshot.policy(way.rule.policy).display_name();
            let to = match way.end {
                End::Metadata(_) => "cloud metadata".to_owned(),
                End::Internet(..) => destination(way),
            };
            let through = match way.through {
                Some(_) => "through a translator (NAT64)".to_owned(),
                None => format!("over {}", family_of(way)),
            };
            format!("{name} allows {to} {through}")
        })
        .collect();
    says.sort();
    says.dedup();
    (!says.is_empty()).then(|| says.join(", "))
}

/// The rule that would find it, if pods had the way.
fn code_of(context: &Context<'_>, way: &Unseen) -> Code {
    let is_cluster_wide = context.snapshot.policy(way.rule.policy).tier() != Tier::NetworkPolicy;
    match way.end {
        End::Metadata(IpAddr::V6(_)) => Code(404),
        End::Metadata(IpAddr::V4(_)) => Code(401),
        End::Internet(..) if is_cluster_wide => Code(703),
        End::Internet(..) => Code(501),
    }
}

/// The family that packets on the way have.
fn family_of(way: &Unseen) -> IpFamily {
    match (way.through, way.end) {
        (Some(_), _) => IpFamily::V6,
        (None, End::Metadata(address)) => IpFamily::of(address),
        (None, End::Internet(family, _)) => family,
    }
}

/// The endpoints of most clusters are told first.
fn place_in_table(way: &Unseen) -> usize {
    let End::Metadata(address) = way.end else {
        return 0;
    };
    let mut endpoints = ENDPOINTS.iter();
    endpoints
        .position(|endpoint| endpoint.address == address)
        .unwrap_or(usize::MAX)
}

fn destination(way: &Unseen) -> String {
    match way.end {
        End::Metadata(address) => format!("cloud metadata at {address}"),
        End::Internet(family, true) => format!("the public {family} internet"),
        End::Internet(family, false) => format!("public {family} addresses"),
    }
}

/// What pods are taken to have, in words.
fn taken(unseen: IpFamily) -> String {
    let other = match unseen {
        IpFamily::V4 => IpFamily::V6,
        IpFamily::V6 => IpFamily::V4,
    };
    format!(
        "nothing in the input shows that pods have {unseen}: they are taken to have {other} alone"
    )
}

/// What a translated address is, and who says so.
fn standing_for(way: &Unseen, address: IpAddr) -> String {
    let rfc = match address {
        IpAddr::V6(v6) if v6.segments().get(2) == Some(&1) => "RFC 8215",
        _ => "RFC 6052",
    };
    let what = match way.end {
        End::Metadata(end) => end.to_string(),
        End::Internet(..) => "an address of the IPv4 internet".to_owned(),
    };
    format!("{address}, which is {what} where the network has a translator ({rfc})")
}
