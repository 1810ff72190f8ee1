//! A rule that is called redundant can be taken out, and nothing changes.
#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::sync::Arc;

use ringfence_engine::reach::Selection;
use ringfence_engine::{Engine, Peer, Profile, RuleRef, Verdict};
use ringfence_model::policy::{Direction, Policy, PolicyBody};
use ringfence_model::snapshot::Snapshot;
use ringfence_testkit::generate::random::{Cluster, Questions};

const CLUSTERS: u64 = 400;

/// Takes rules out of a policy and leaves what it isolates as it was.
fn without(policy: &mut Policy, direction: Direction, rules: &[usize]) {
    fn keep<T>(list: &mut Vec<T>, left_out: &[usize]) {
        let mut index = 0;
        list.retain(|_| {
            index += 1;
            !left_out.contains(&(index - 1))
        });
    }
    match &mut policy.body {
        PolicyBody::Network(spec) => {
            if spec.policy_types.as_deref().unwrap_or_default().is_empty() {
                let mut types = vec!["Ingress".to_owned()];
                if spec.egress.iter().flatten().next().is_some() {
                    types.push("Egress".to_owned());
                }
                spec.policy_types = Some(types);
            }
            match direction {
                Direction::Egress => keep(spec.egress.as_mut().unwrap(), rules),
                Direction::Ingress => keep(spec.ingress.as_mut().unwrap(), rules),
            }
        }
        PolicyBody::Tiered(tiered) => match direction {
            Direction::Egress => keep(&mut tiered.egress, rules),
            Direction::Ingress => keep(&mut tiered.ingress, rules),
        },
    }
}

fn thinned(snapshot: &Snapshot, left_out: &[RuleRef]) -> Arc<Snapshot> {
    let mut snapshot = snapshot.clone();
    for (index, policy) in (0u32..).zip(&mut snapshot.policies) {
        for direction in [Direction::Egress, Direction::Ingress] {
            let of_policy = left_out
                .iter()
                .filter(|r| r.policy.0 == index && r.direction == direction);
            let rules: Vec<usize> = of_policy.map(|r| r.rule).collect();
            if !rules.is_empty() {
                without(policy, direction, &rules);
            }
        }
    }
    Arc::new(snapshot)
}

#[test]
fn all_redundant_rules_together_can_be_taken_out_and_every_answer_is_the_same() {
    let (mut rules, mut asked) = (0, 0);
    for seed in 0..CLUSTERS {
        let snapshot = Cluster::from_seed(seed).snapshot();
        let engine = Engine::compile(&snapshot, Profile::default());
        let redundant = engine.redundant_rules();
        if redundant.is_empty() {
            continue;
        }
        rules += redundant.len();
        let thin = thinned(&snapshot, &redundant);
        let other = Engine::compile(&thin, Profile::default());
        let all = Selection::default();
        assert_eq!(
            engine.reach(&all, &all),
            other.reach(&all, &all),
            "seed {seed}: {redundant:?}"
        );
        for packet in Questions::new(&snapshot, seed).take(200) {
            assert_eq!(
                engine.can(&packet),
                other.can(&packet),
                "seed {seed}: {packet:?}"
            );
            asked += 1;
        }
        assert!(
            other.redundant_rules().is_empty(),
            "seed {seed}: more after those are gone"
        );
    }
    println!("{rules} redundant rules, {asked} packets");
    assert!(rules > 50, "too few to mean something: {rules}");
}

#[test]
fn what_a_rule_opens_is_closed_without_it() {
    let mut shown = 0;
    for seed in 0..CLUSTERS / 2 {
        let snapshot = Cluster::from_seed(seed).snapshot();
        let engine = Engine::compile(&snapshot, Profile::default());
        let mut rules = Vec::new();
        for (policy, object) in snapshot.policy_ids() {
            if let PolicyBody::Tiered(tiered) = &object.body {
                for direction in [Direction::Egress, Direction::Ingress] {
                    let count = tiered.rules(direction).len();
                    rules.extend((0..count).map(|rule| RuleRef {
                        policy,
                        direction,
                        rule,
                    }));
                }
            }
        }
        for (rule, influences) in rules.iter().zip(engine.influence(&rules)) {
            let other = Engine::compile(&thinned(&snapshot, &[*rule]), Profile::default());
            for influence in influences {
                let pod = *influence.pods.first().unwrap();
                let is_same = influence.other == Peer::Pod(pod);
                let families = snapshot.families_of(snapshot.pod(pod));
                if is_same || !families.contains(&influence.family) {
                    continue;
                }
                let side = |engine: &Engine| {
                    engine.one_sided(pod, rule.direction, influence.other, influence.family)
                };
                let (with, alone) = (side(&engine), side(&other));
                let open = with.allow.union(&with.maybe);
                // A host-networked pod may be on the pod's own node: that is no policy's.
                let is_host = match influence.other {
                    Peer::Pod(other) => snapshot.pod(other).host_network,
                    Peer::Address(address) => snapshot.node_name_with_address(address).is_some(),
                };
                if is_host {
                    continue;
                }
                assert!(
                    influence.opens.is_subset(&with.allow),
                    "seed {seed}: {rule:?}"
                );
                assert!(
                    influence.closes.intersection(&open).is_empty(),
                    "seed {seed}: {rule:?}"
                );
                assert!(
                    influence.closes.is_subset(&alone.allow),
                    "seed {seed}: {rule:?}"
                );
                shown += 1;
            }
        }
    }
    assert!(shown > 100, "too few to mean something: {shown}");
}

#[test]
fn a_tie_is_about_packets_whose_verdict_is_not_known() {
    let mut shown = 0;
    for seed in 0..CLUSTERS {
        let snapshot = Cluster::from_seed(seed).snapshot();
        let engine = Engine::compile(&snapshot, Profile::default());
        for tie in engine.ties() {
            let pod = *tie.pods.first().unwrap();
            let open = engine.one_sided(pod, tie.direction, tie.other, tie.family);
            if open.allow.is_all() {
                continue;
            }
            assert!(tie.ports.is_subset(&open.maybe), "seed {seed}: {tie:?}");
            assert_ne!(tie.accepting, tie.denying);
            shown += 1;
        }
    }
    println!("{shown} ties, all {}", Verdict::Unknown);
    assert!(shown > 0);
}
