use std::sync::Arc;

use ringfence_model::parse::{self, Input, Limits};
use ringfence_model::snapshot::builder::{BuildOptions, SnapshotBuilder};

use super::*;
use crate::engine::Engine;
use crate::profile::Profile;

fn compile(text: &str) -> Engine {
    let input = Input {
        name: "cluster.yaml".to_owned(),
        bytes: text.as_bytes().to_vec(),
    };
    let loaded = parse::load(vec![input], &Limits::default());
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    let mut builder = SnapshotBuilder::new(BuildOptions::default());
    builder.add(loaded.objects);
    let (snapshot, diagnostics) = builder.build(&loaded.sources);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    Engine::compile(&Arc::new(snapshot), Profile::default())
}

/// Pods that all differ in their labels.
fn pods(count: usize) -> String {
    let pod = |number| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{namespace: x, name: p{number}, \
             labels: {{id: n{number}}}}}\nspec: {{containers: [{{name: c}}]}}\n---\n"
        )
    };
    (0..count).map(pod).collect()
}

fn lists(engine: &Engine) -> Vec<(ListId, ListId)> {
    let all = Selection::default();
    let reachability = engine.reach(&all, &all);
    let workloads = reachability.rows().iter();
    let workloads = workloads.filter(|row| matches!(reachability.end(row.from), End::Workload(_)));
    let mut lists: Vec<_> = workloads.map(|row| (row.workloads, row.outside)).collect();
    assert_eq!(lists.len(), 40);
    lists.sort();
    lists.dedup();
    lists
}

#[test]
fn pods_that_differ_in_labels_that_no_policy_asks_for_share_what_they_reach() {
    let engine = compile(&pods(40));
    assert_eq!(engine.classes.len(), 40);
    assert_eq!(lists(&engine).len(), 1);
    let policy = |spec: &str| {
        let manifest = format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
             metadata: {{namespace: x, name: one}}\nspec: {spec}\n"
        );
        lists(&compile(&format!("{}{manifest}", pods(40)))).len()
    };
    // One that a policy isolates as a destination is the same source as others.
    let isolated = "{podSelector: {matchLabels: {id: n7}}, policyTypes: [Ingress]}";
    assert_eq!(policy(isolated), 1);
    // One that is let in where others are not is another source.
    let lets_in = "{podSelector: {matchLabels: {id: n7}}, \
                   ingress: [{from: [{podSelector: {matchLabels: {id: n9}}}]}]}";
    assert_eq!(policy(lets_in), 2);
    // And so is one whose egress differs.
    let egress = "{podSelector: {matchLabels: {id: n7}}, policyTypes: [Egress], \
                  egress: [{to: [{podSelector: {matchLabels: {id: n9}}}]}]}";
    assert_eq!(policy(egress), 2);
}
