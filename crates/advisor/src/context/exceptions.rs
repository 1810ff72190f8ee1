use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use ringfence_engine::RuleRef;
use ringfence_model::address::IpFamily;
use ringfence_model::source::Origin;
use serde_json::{Value, json};

use super::{Context, WrittenBlock, WrittenRule};
use crate::finding::{Edit, Fix, Place, Safety};

/// Blocks that are longer than this are about few addresses, so that one of them being a
/// metadata endpoint may be what was meant.
const WIDE: u8 = 16;

/// What keeps addresses out of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Exceptions {
    /// The entries that are missing, as they would be written, ascending.
    pub entries: Vec<IpNet>,
    /// Writes them; `None` if the rule is not written anywhere.
    pub fix: Option<Fix>,
}

impl Context<'_> {
    /// What must be excepted from the blocks of a rule so that it does not cover
    /// `addresses` any more. `None` if that is not possible: the rule names no peers, or
    /// means one of the addresses alone, or is no rule of a `NetworkPolicy`.
    #[must_use]
    pub fn exceptions(&self, rule: RuleRef, addresses: &[IpAddr]) -> Option<Exceptions> {
        let written = self.written_rule(rule)?;
        if written.is_for_everybody() {
            return None;
        }
        let policy = self.snapshot.policy(rule.policy);
        let mut entries = Vec::new();
        let mut edits = Vec::new();
        let mut is_wide = true;
        for block in &written.blocks {
            let missing = missing(block, addresses)?;
            if missing.is_empty() {
                continue;
            }
            let cidr = &block.block.cidr;
            is_wide &= cidr.prefix_len() <= WIDE && !LINK_LOCAL.contains(cidr);
            if let Some(origin) = &policy.origin {
                edits.extend(append(origin, written, block, &missing));
            }
            entries.extend(missing);
        }
        entries.sort_unstable();
        entries.dedup();
        let title = match entries.len() {
            1 => "except it from the block".to_owned(),
            _ => "except them from the block".to_owned(),
        };
        let safety = match is_wide {
            true => Safety::Safe,
            false => Safety::Unsafe,
        };
        (!entries.is_empty()).then_some(Exceptions {
            entries,
            fix: (!edits.is_empty()).then_some(Fix {
                title,
                safety,
                edits,
            }),
        })
    }

    /// The place that says which addresses a rule covers: the block that covers this one,
    /// or the whole rule.
    #[must_use]
    pub fn covering_place(
        &self,
        rule: RuleRef,
        address: IpAddr,
        label: impl Into<String>,
    ) -> Option<Place> {
        let origin = self.snapshot.policy(rule.policy).origin.as_ref()?;
        let written = self.written_rule(rule);
        let block = written.and_then(|written| {
            let mut blocks = written.blocks.iter();
            let block = blocks.find(|block| block.addresses.contains(address))?;
            Some(written.block_path(block).key("cidr"))
        });
        let path = block.unwrap_or_else(|| super::rule_path(rule));
        Some(Place::value(origin, path, label))
    }
}

/// Nothing but platform services.
const LINK_LOCAL: IpNet = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16));

/// The entries that a block lacks; `None` if it is one of the addresses and no more.
fn missing(block: &WrittenBlock, addresses: &[IpAddr]) -> Option<Vec<IpNet>> {
    let cidr = block.block.cidr.trunc();
    let covered = addresses.iter().filter(|a| block.addresses.contains(**a));
    let range = LINK_LOCAL;
    // The whole range at once, unless some of it was excepted piece by piece.
    let by_range = cidr.contains(&range)
        && cidr != range
        && !block
            .block
            .except
            .iter()
            .any(|except| range.contains(except));
    let mut missing = Vec::new();
    for address in covered {
        let one = IpNet::from(*address);
        if cidr.prefix_len() == one.prefix_len() {
            return None;
        }
        let entry = match by_range && range.contains(address) {
            true => range,
            false => one,
        };
        if !missing.contains(&entry) {
            missing.push(entry);
        }
    }
    missing.sort_unstable();
    Some(missing)
}

/// What adds entries to the `except` of a block.
pub(crate) fn append(
    origin: &Origin,
    rule: &WrittenRule<'_>,
    block: &WrittenBlock,
    entries: &[IpNet],
) -> Vec<Edit> {
    let path = rule.block_path(block).key("except");
    let texts = entries.iter().map(|entry| json!(entry.to_string()));
    if block.block.except.is_empty() {
        return vec![Edit::Set {
            origin: origin.clone(),
            path,
            value: Value::Array(texts.collect()),
        }];
    }
    let appended = texts.map(|value| Edit::Append {
        origin: origin.clone(),
        path: path.clone(),
        value,
    });
    appended.collect()
}

/// `except` entries for a sentence, each with what is served there.
#[must_use]
pub(crate) fn listed(context: &Context<'_>, entries: &[IpNet]) -> String {
    let texts: Vec<String> = entries
        .iter()
        .map(|entry| {
            let one = entry.prefix_len() == entry.max_prefix_len();
            match one {
                true => format!("{entry} ({})", context.providers_at(entry.addr())),
                false => format!("{entry} (all link-local {} addresses)", family(*entry)),
            }
        })
        .collect();
    match texts.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn family(net: IpNet) -> IpFamily {
    IpFamily::of(net.addr())
}
