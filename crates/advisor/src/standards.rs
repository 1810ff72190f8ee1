//! What benchmarks and standards ask of the network of a cluster, and what manifests say
//! about it.
//!
//! Each standard is data: its controls, and for each the rules whose findings fail it.
//! That a packet is really dropped is nothing that a manifest shows: a control that needs
//! such a proof never passes here.

mod assess;
mod cis;
mod facts;
mod nist;
mod nsa;
mod pci;

pub use assess::{Accepted, ControlResult, Objection, Open, StandardResult, Status, assess};
pub use facts::Fact;

use crate::rule::Code;

/// A standard, as far as it is about the network.
#[derive(Debug)]
pub struct Standard {
    /// The name that it is chosen by.
    pub id: &'static str,
    /// Its title.
    pub title: &'static str,
    /// The edition that the numbers are from.
    pub edition: &'static str,
    /// Its controls, in order.
    pub controls: &'static [Control],
}

/// One thing that a standard asks for. The words are ours.
#[derive(Debug)]
pub struct Control {
    /// Its number in the standard.
    pub number: &'static str,
    /// What is asked, in a few words.
    pub title: &'static str,
    /// What it is taken to mean here.
    pub meaning: &'static str,
    /// The rules whose findings fail it.
    pub rules: &'static [Code],
    /// What fails it besides.
    pub facts: &'static [Fact],
    /// What only the live cluster, or somebody, can show, and how; `None` where manifests
    /// are all that is asked for.
    pub live: Option<Live>,
}

/// What manifests cannot show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live {
    /// What is not known.
    pub what: &'static str,
    /// How to find out.
    pub how: &'static str,
}

/// Every standard, in the order in which they are shown.
pub const ALL: [&Standard; 4] = [&cis::CIS, &nsa::NSA, &pci::PCI, &nist::NIST_800_190];

/// That policies are stored does not mean that packets are dropped.
const ENFORCED: Live = Live {
    what: "whether packets are really dropped",
    how: "deny everything in a namespace made for it, and try to connect from there",
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules;

    #[test]
    fn every_control_names_what_fails_it_and_every_rule_that_it_names_exists() {
        for standard in ALL {
            for control in standard.controls {
                let name = format!("{} {}", standard.id, control.number);
                assert!(
                    !control.rules.is_empty() || !control.facts.is_empty(),
                    "{name}"
                );
                for code in control.rules {
                    assert!(rules::find(*code).is_some(), "{name}: {code}");
                }
                assert!(control.rules.is_sorted(), "{name}: rules by code");
                assert!(!control.meaning.ends_with('.'), "{name}");
            }
        }
    }

    /// What is closed and should not be, what contradicts itself, what is found as open by
    /// another rule, and suppressions: no standard asks for them.
    const IN_NO_CONTROL: [u16; 12] = [206, 301, 302, 303, 504, 505, 506, 507, 509, 603, 606, 702];

    #[test]
    fn every_rule_is_in_a_control_or_known_to_be_in_none() {
        for rule in rules::ALL {
            let mut controls = ALL.iter().flat_map(|standard| standard.controls);
            let is_in_one = controls.any(|control| control.rules.contains(&rule.code));
            let is_known = IN_NO_CONTROL.map(Code).contains(&rule.code);
            assert!(is_in_one != is_known, "{}", rule.code);
        }
    }

    #[test]
    fn numbers_and_names_are_given_once() {
        for (position, standard) in ALL.iter().enumerate() {
            assert!(ALL.iter().skip(position + 1).all(|s| s.id != standard.id));
            let mut numbers: Vec<&str> = standard.controls.iter().map(|c| c.number).collect();
            let before = numbers.len();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), before, "{}", standard.id);
        }
    }

    #[test]
    fn what_needs_enforcement_needs_a_live_proof() {
        for control in ALL.iter().flat_map(|standard| standard.controls) {
            if control.rules.contains(&Code(101)) {
                assert!(control.live.is_some(), "{}", control.number);
            }
        }
    }
}
