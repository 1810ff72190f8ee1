//! Connections of which the same is to be said, in one line.

use std::collections::BTreeMap;

use ringfence_engine::Verdict;
use ringfence_lab::probe::Observed;
use ringfence_lab::run::{Agreement, Purpose, Row};

/// Connections between the same two, with the same two answers.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) ports: Vec<String>,
    pub(super) predicted: Verdict,
    pub(super) observed: Observed,
    pub(super) rows: Vec<&'a Row>,
}

/// What is the same in all connections of a line.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    /// Those that differ are last, where a reader looks first.
    agreement: Agreement,
    from: &'a str,
    purpose: Purpose,
    to: &'a str,
    predicted: Verdict,
    observed: Observed,
}

/// All rows in as few groups as possible, in a fixed order.
pub(super) fn groups(rows: &[Row]) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<Key<'_>, Group<'_>> = BTreeMap::new();
    for row in rows {
        let (from, to) = (&*row.question.from.group, &*row.question.to.group);
        let key = Key {
            agreement: row.agreement(),
            from,
            purpose: row.question.purpose,
            to,
            predicted: row.predicted,
            observed: row.observation.observed,
        };
        let group = groups.entry(key).or_insert_with(|| Group {
            from,
            to,
            ports: Vec::new(),
            predicted: row.predicted,
            observed: row.observation.observed,
            rows: Vec::new(),
        });
        let port = super::port(row);
        if !group.ports.contains(&port) {
            group.ports.push(port);
        }
        group.rows.push(row);
    }
    groups.into_values().collect()
}
