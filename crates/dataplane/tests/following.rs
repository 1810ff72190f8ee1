//! A compiled node that follows changes is what compiling everything makes of them, and
//! no packet sees more of a change than one side of it.
//!
//! `RINGFENCE_CLUSTERS` says how many clusters (default 300), `RINGFENCE_SEED` with which
//! seed to begin (default 0).
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

#[path = "support/canonical.rs"]
mod canonical;
#[path = "support/changing.rs"]
mod changing;
#[path = "support/frame.rs"]
mod frame;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use canonical::{Meaning, canonical};
use changing::{Changing, NOTHING, Size};
use frame::frame;
use ringfence_dataplane::compile::Compiled;
use ringfence_dataplane::interpret::{self, Frame};
use ringfence_dataplane::ruleset::{Hook, Ruleset, key};
use ringfence_engine::Peer;
use ringfence_testkit::generate::random::Questions;

fn number(variable: &str, default: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.map_or(default, |text| text.parse().expect("a number"))
}

/// A ruleset that judges one direction alone.
fn one_way(mut ruleset: Ruleset, ignored: &str) -> Ruleset {
    for (name, set) in &mut ruleset.sets {
        if name.starts_with(ignored) {
            set.elements.clear();
        }
    }
    ruleset
}

/// The sets that a packet asks one after the other, in two steps: whether its addresses
/// are known, and where they lead. What the chain there asks comes last.
const ASKED: [&[&str]; 2] = [
    &[
        "endpoints",
        "ends",
        "bound",
        "interfaces",
        "sources",
        "node_addresses",
    ],
    &[
        "itself", "metadata", "egress", "ingress", "first", "node4", "node6",
    ],
];

/// What a packet meets that asked some of the sets before a part of a change was made, and
/// the others afterwards: it must be judged as before the change, or as after it.
fn check_mixture(held: &Ruleset, now: &Ruleset, ends: [&Ruleset; 2], frames: &[Frame], what: &str) {
    for asked_before in [1, 2] {
        let mut mixed = now.clone();
        mixed.chains = held.chains.clone();
        for (name, set) in &held.sets {
            let mut words = ASKED[..asked_before].iter().copied().flatten();
            if words.any(|word| name.starts_with(word)) {
                mixed.sets.insert(name.clone(), set.clone());
            }
        }
        check_passes(&mixed, ends, frames, what);
    }
}

fn check_passes(mixed: &Ruleset, ends: [&Ruleset; 2], frames: &[Frame], what: &str) {
    for ignored in ["egress", "ingress"] {
        let mixed = one_way(mixed.clone(), ignored);
        let judged = ends.map(|end| one_way(end.clone(), ignored));
        for frame in frames {
            let passes = |ruleset| interpret::pass(ruleset, Hook::Forward, frame).accepted;
            let [before, after] = [passes(&judged[0]), passes(&judged[1])];
            let seen = passes(&mixed);
            let is_in = |ruleset: &Ruleset, set: &str, end: IpAddr| {
                let sets = ["4", "6"].map(|family| &ruleset.sets[&*format!("{set}{family}")]);
                let key = key::address(end);
                sets.iter().any(|set| set.elements.contains_key(&key))
            };
            let mut both = [frame.source, frame.destination].into_iter();
            // To and from a pod that leaves nothing need pass.
            let leaves = both
                .clone()
                .any(|end| is_in(ends[0], "endpoints", end) && !is_in(ends[1], "endpoints", end));
            // What was no pod's address is judged as one before others know (`docs/security.md`).
            if both.any(|end| is_in(ends[0], "pods", end) != is_in(ends[1], "pods", end)) {
                continue;
            }
            assert!(
                seen == before || seen == after || leaves && !seen,
                "{what}, without {ignored}: before {before}, after {after}, in between {seen}: {frame:?}"
            );
        }
    }
}

/// No number means something else than before to anybody who asks for it.
fn check_numbers(before: &Ruleset, after: &Ruleset, what: &str) {
    let (old, new) = (Meaning::of(before), Meaning::of(after));
    for (set, content) in &old.sets {
        let Some(now) = new.sets.get(set) else {
            continue;
        };
        let differs: BTreeSet<&String> = content.symmetric_difference(now).collect();
        if differs.is_empty() {
            continue;
        }
        for (who, asked) in &old.asked_by {
            let stays = new
                .asked_by
                .get(who)
                .is_some_and(|asked| asked.contains(set));
            let himself = differs.len() == 1 && differs.contains(&who.1);
            assert!(
                !asked.contains(set) || stays || himself,
                "{what}: {set:?} is asked for by {who:?} and changes by {differs:?}"
            );
        }
    }
    for (name, rules) in &old.chains {
        let now = new.chains.get(name);
        assert!(
            now.is_none_or(|now| now == rules),
            "chain {name} was\n{rules}and is\n{}",
            now.unwrap()
        );
    }
}

/// Takes one step and checks everything that must hold of it.
fn step(held: &mut Compiled, changing: &Changing, single: bool, what: &str) -> bool {
    let before = held.clone();
    let update = held.update(&changing.engine, &changing.node);
    let mut taken_back = held.clone();
    taken_back.take_back(update.clone());
    assert!(
        taken_back.ruleset == before.ruleset,
        "{what}: not as it was"
    );
    assert_eq!(taken_back.epoch(), before.epoch());
    let changes = update.changes;
    let mut applied = before.ruleset.clone();
    applied.apply(&changes);
    assert!(applied == held.ruleset, "{what}: the steps lead elsewhere");
    let fresh = Compiled::new(&changing.engine, &changing.node, &Compiled::default());
    let (mine, wanted) = (canonical(&held.ruleset), canonical(&fresh.ruleset));
    assert!(
        mine == wanted,
        "{what}: {:#?}",
        canonical::difference(&mine, &wanted)
    );
    assert_eq!(held.unknown, fresh.unknown, "{what}");
    check_numbers(&before.ruleset, &held.ruleset, what);
    let mut so_far = before.ruleset.clone();
    let frames: Vec<Frame> = match single {
        true => {
            let snapshot = changing.engine.snapshot();
            let questions = Questions::new(snapshot, changing.roll_of(what)).take(40);
            // Addresses that are no pods' are looked up twice (`docs/security.md`).
            let is_pod = |peer| matches!(peer, Peer::Pod(_));
            let questions = questions.filter(|it| is_pod(it.source) && is_pod(it.destination));
            // What a pod opens to itself is judged for both directions at once.
            let questions = questions.filter(|it| it.source != it.destination);
            questions
                .filter_map(|packet| frame(snapshot, &packet))
                .filter(|frame| frame.source != frame.destination)
                .collect()
        }
        false => Vec::new(),
    };
    for part in changes.in_parts(&held.ruleset) {
        let mut now = so_far.clone();
        now.apply(&part);
        check_mixture(
            &so_far,
            &now,
            [&before.ruleset, &held.ruleset],
            &frames,
            what,
        );
        so_far = now;
    }
    assert!(so_far == held.ruleset, "{what}: the parts lead elsewhere");
    // The same from nothing but the ruleset.
    let resumed = Compiled::resumed(held.ruleset.clone(), held.epoch());
    let again = Compiled::new(&changing.engine, &changing.node, &resumed);
    check_numbers(&held.ruleset, &again.ruleset, what);
    !changes.is_empty()
}

/// Seeds that found something once.
///
/// 3621: all who asked for a set that moved passed on to an equal one, and a set without
/// anybody but a table that was gone was given to others under its number.
const FOUND_SOMETHING: [u64; 5] = [3621, 4112, 4598, 4764, 5226];

/// How often something was made, and how often that changed the ruleset.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    made: usize,
    changed: usize,
}

impl Tally {
    fn add(&mut self, changed: bool) {
        self.made += 1;
        self.changed += usize::from(changed);
    }
}

/// How many of a thousand changes of a kind change the ruleset when they are made alone, as
/// thousands of clusters had it. Many pods are alike, and many policies select nobody.
const USUAL: [(&str, usize); 8] = [
    ("address changed", 350),
    ("endpoint audited", 990),
    ("endpoint closed or opened", 950),
    ("endpoint joined", 990),
    ("endpoint left", 950),
    ("pod relabelled", 25),
    ("policy added", 80),
    ("policy removed", 80),
];

/// Were it otherwise, what is followed here would be next to nothing. A third of what is usual
/// is enough, and is asked for where it cannot be chance that there is less.
fn check_that_changes_matter(steps: Tally, alone: &BTreeMap<String, Tally>) {
    let enough = steps.changed * 10 > steps.made * 3;
    assert!(
        enough || steps.made < 2_000,
        "most changes change nothing: {steps:?}"
    );
    for (kind, tally) in alone {
        let known = USUAL.iter().find(|(usual, _)| usual == kind);
        let usual = tally.made * known.expect("a kind of change").1 / 1_000;
        assert!(
            tally.changed * 3 > usual || usual < 20,
            "{kind} changes next to nothing: {tally:?}"
        );
    }
}

#[test]
fn what_follows_changes_is_what_compiling_everything_makes() {
    let first = number("RINGFENCE_SEED", 0);
    let mut steps = Tally::default();
    let mut alone: BTreeMap<String, Tally> = BTreeMap::new();
    let seeds = first..first + number("RINGFENCE_CLUSTERS", 300);
    for seed in seeds.chain(FOUND_SOMETHING) {
        let mut changing = Changing::new(seed, Size::Small);
        let empty = Compiled::default();
        let mut held = Compiled::new(&changing.engine, &changing.node, &empty);
        for round in 0..12 {
            let single = round % 2 == 0;
            let made = changing.change(if single { 1 } else { 4 });
            let what = format!("seed {seed}, round {round}, {made:?}");
            let changed = step(&mut held, &changing, single, &what);
            if let [kind] = &made[..] {
                alone.entry(kind.clone()).or_default().add(changed);
            }
            match made.iter().all(|kind| kind == NOTHING) {
                true => assert!(!changed, "{what}"),
                false => steps.add(changed),
            }
        }
    }
    println!("{steps:?}, of those made alone: {alone:?}");
    alone.remove(NOTHING);
    check_that_changes_matter(steps, &alone);
}

#[test]
fn a_regular_cluster_is_followed() {
    for seed in 0..6 {
        let mut changing = Changing::new(seed, Size::Regular);
        let empty = Compiled::default();
        let mut held = Compiled::new(&changing.engine, &changing.node, &empty);
        for round in 0..25 {
            let made = changing.change(1 + round % 3);
            let what = format!("seed {seed}, round {round}, {made:?}");
            step(&mut held, &changing, false, &what);
            let resumed = Compiled::resumed(held.ruleset.clone(), held.epoch());
            let again = Compiled::new(&changing.engine, &changing.node, &resumed);
            let differ = again.changes_from(&held).elements();
            assert!(
                differ <= 2,
                "{what}: {differ} elements differ after taking it over"
            );
        }
    }
}

#[test]
fn what_the_engine_does_not_remember_is_compiled_from_the_beginning() {
    let mut changing = Changing::new(11, Size::Small);
    let empty = Compiled::default();
    let mut held = Compiled::new(&changing.engine, &changing.node, &empty);
    for round in 0..6 {
        changing.change(2);
        // Another engine: nobody knows what changed.
        changing.recompile();
        step(&mut held, &changing, false, &format!("round {round}"));
    }
    // So long ago that the engine has forgotten.
    for _ in 0..4_000 {
        changing.change(4);
    }
    step(&mut held, &changing, false, "after a long time");
    // Other settings are another node.
    changing.node.settings.judge_untracked = true;
    step(&mut held, &changing, false, "other settings");
    changing.change(2);
    step(&mut held, &changing, false, "and on");
}

#[test]
fn what_did_not_change_is_no_change() {
    let mut changing = Changing::new(5, Size::Small);
    let empty = Compiled::default();
    let mut held = Compiled::new(&changing.engine, &changing.node, &empty);
    let epoch = held.epoch();
    let update = held.update(&changing.engine, &changing.node);
    assert!(update.changes.is_empty());
    assert_eq!(held.epoch(), epoch);
    changing.recompile();
    let update = held.update(&changing.engine, &changing.node);
    assert!(update.changes.is_empty());
    assert_eq!(held.epoch(), epoch);
}
