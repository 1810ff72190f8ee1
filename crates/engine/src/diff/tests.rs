use std::sync::Arc;

use ringfence_model::parse::{self, Input, Limits};
use ringfence_model::snapshot::builder::{BuildOptions, SnapshotBuilder};

use super::*;
use crate::explain::Effect;
use crate::profile::Profile;

/// Two deployments in a namespace of their own each, whose pods are in 10.0.0.0/16.
const CLUSTER: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: x, labels: {team: red}}
---
apiVersion: v1
kind: Namespace
metadata: {name: z, labels: {team: blue}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: x, name: a}
spec: {template: {metadata: {labels: {app: a}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: z, name: b}
spec: {template: {metadata: {labels: {app: b}}}}
";

fn compile(text: &str) -> Engine {
    let input = Input {
        name: "cluster.yaml".to_owned(),
        bytes: text.as_bytes().to_vec(),
    };
    let loaded = parse::load(vec![input], &Limits::default());
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    let mut builder = SnapshotBuilder::new(BuildOptions {
        pod_cidrs: vec!["10.0.0.0/16".parse().unwrap()],
        ..BuildOptions::default()
    });
    builder.add(loaded.objects);
    let (snapshot, diagnostics) = builder.build(&loaded.sources);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    Engine::compile(&Arc::new(snapshot), Profile::default())
}

fn with(documents: &[&str]) -> Engine {
    compile(&format!("{CLUSTER}---\n{}", documents.join("\n---\n")))
}

fn policy(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
         metadata: {{namespace: {namespace}, name: {name}}}\nspec: {spec}\n"
    )
}

fn end(end: &ChangedEnd) -> String {
    match end {
        ChangedEnd::Workload(name) => format!("{}/{}", name.namespace, name.name),
        ChangedEnd::Addresses(nets) => {
            let texts: Vec<String> = nets.iter().map(ToString::to_string).collect();
            texts.join(",")
        }
    }
}

/// Each change in one line.
fn shown(diff: &Diff) -> Vec<String> {
    diff.changes
        .iter()
        .map(|c| {
            let (from, to) = (end(&c.from), end(&c.to));
            format!("{from} -> {to}: {} -> {}, {}", c.before, c.after, c.ports)
        })
        .collect()
}

/// Each policy to which a change is due, in one line.
fn causes(old: &Engine, new: &Engine, change: &Change) -> Vec<String> {
    responsible(old, new, change)
        .causes
        .into_iter()
        .map(|cause| {
            let snapshot = match cause.when {
                When::Before => old.snapshot(),
                When::After => new.snapshot(),
            };
            let policy = &snapshot.policy(cause.reason.policy).name;
            let rule = cause
                .reason
                .rule
                .map_or(String::new(), |rule| format!("[{rule}]"));
            format!(
                "{:?} {policy}{rule} {:?} ({:?})",
                cause.when, cause.reason.effect, cause.status
            )
        })
        .collect()
}

fn to_workloads(change: &&Change) -> bool {
    matches!(
        (&change.from, &change.to),
        (ChangedEnd::Workload(_), ChangedEnd::Workload(_))
    )
}

#[test]
fn one_policy_written_as_two_changes_nothing() {
    let old = with(&[&policy(
        "x",
        "both",
        "{podSelector: {}, policyTypes: [Ingress, Egress], egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}",
    )]);
    let new = with(&[
        &policy(
            "x",
            "in",
            "{podSelector: {matchLabels: {app: a}}, policyTypes: [Ingress]}",
        ),
        &policy(
            "x",
            "out",
            "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 192.0.2.0/25}}, {ipBlock: {cidr: 192.0.2.128/25}}]}]}",
        ),
    ]);
    let found = diff(&old, &new);
    assert_eq!(shown(&found), Vec::<String>::new());
    let statuses: Vec<_> = found
        .policies
        .iter()
        .map(|p| (&*p.name, p.status))
        .collect();
    assert_eq!(
        statuses,
        [
            ("both", PolicyStatus::Removed),
            ("in", PolicyStatus::Added),
            ("out", PolicyStatus::Added),
        ]
    );
}

#[test]
fn a_default_deny_closes_everything_and_is_named() {
    let old = compile(CLUSTER);
    let deny = policy(
        "x",
        "default-deny",
        "{podSelector: {}, policyTypes: [Egress]}",
    );
    let new = with(&[&deny]);
    let found = diff(&old, &new);
    assert_eq!(found.opened().count(), 0);
    let closed: Vec<&Change> = found.closed().filter(to_workloads).collect();
    assert_eq!(
        closed
            .iter()
            .map(|c| (end(&c.from), end(&c.to), c.ports.to_string()))
            .collect::<Vec<_>>(),
        [
            ("x/a".to_owned(), "x/a".to_owned(), "all".to_owned()),
            ("x/a".to_owned(), "z/b".to_owned(), "all".to_owned()),
        ]
    );
    assert_eq!(
        causes(&old, &new, closed[1]),
        ["After default-deny Isolates (Added)"]
    );

    let back = diff(&new, &old);
    assert_eq!(back.closed().count(), 0);
    let opened = back.opened().find(to_workloads).unwrap();
    assert_eq!(
        causes(&new, &old, opened),
        ["Before default-deny Isolates (Removed)"]
    );
}

#[test]
fn narrowing_the_internet_to_a_private_range_closes_all_but_that_range() {
    let to = |cidr: &str| {
        policy(
            "x",
            "out",
            &format!(
                "{{podSelector: {{}}, policyTypes: [Egress], egress: [{{to: [{{ipBlock: {{cidr: {cidr}}}}}]}}]}}"
            ),
        )
    };
    let old = with(&[&to("0.0.0.0/0")]);
    let new = with(&[&to("10.0.0.0/8")]);
    let found = diff(&old, &new);
    let outside: Vec<&Change> = found
        .changes
        .iter()
        .filter(|c| matches!(c.to, ChangedEnd::Addresses(_)))
        .collect();
    assert_eq!(outside.len(), 1);
    assert_eq!(
        end(&outside[0].to),
        "0.0.0.0/5,8.0.0.0/7,11.0.0.0/8,12.0.0.0/6,16.0.0.0/4,32.0.0.0/3,64.0.0.0/2,128.0.0.0/1"
    );
    assert!(!outside[0].opens());
    let why = responsible(&old, &new, outside[0]);
    let packet = why.before.as_ref().unwrap().packet;
    assert_eq!(
        packet.destination,
        why.after.as_ref().unwrap().packet.destination
    );
    assert_eq!(
        causes(&old, &new, outside[0]),
        [
            "Before out[0] Allows (Changed)",
            "After out Isolates (Changed)"
        ]
    );
}

#[test]
fn a_rule_that_is_gone_is_named_rather_than_the_default_deny_behind_it() {
    let deny = policy("z", "deny", "{podSelector: {}, policyTypes: [Ingress]}");
    let allow = policy(
        "z",
        "allow",
        "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: red}}}], ports: [{port: 80}]}]}",
    );
    let old = with(&[&deny, &allow]);
    let new = with(&[&deny]);
    let found = diff(&old, &new);
    assert_eq!(shown(&found), ["x/a -> z/b: Allowed -> Denied, TCP 80"]);
    assert_eq!(
        causes(&old, &new, &found.changes[0]),
        ["Before allow[0] Allows (Removed)"]
    );
}

#[test]
fn another_port_opens_the_one_and_closes_the_other() {
    let on = |port: u16| {
        policy(
            "z",
            "allow",
            &format!("{{podSelector: {{}}, ingress: [{{ports: [{{port: {port}}}]}}]}}"),
        )
    };
    let old = with(&[&on(443)]);
    let new = with(&[&on(8443)]);
    let found = diff(&old, &new);
    let pairs: Vec<String> = shown(&found)
        .into_iter()
        .filter(|line| line.starts_with("x/a -> z/b"))
        .collect();
    assert_eq!(
        pairs,
        [
            "x/a -> z/b: Allowed -> Denied, TCP 443",
            "x/a -> z/b: Denied -> Allowed, TCP 8443",
        ]
    );
}

#[test]
fn a_changed_label_is_due_to_what_policies_select() {
    let allow = policy(
        "z",
        "allow",
        "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: a}}}]}]}",
    );
    let text = format!("{CLUSTER}---\n{allow}");
    let old = compile(&text);
    let new = compile(&text.replace("{labels: {app: a}}", "{labels: {app: other}}"));
    let found = diff(&old, &new);
    assert_eq!(shown(&found), ["x/a -> z/b: Allowed -> Denied, all"]);
    assert_eq!(
        causes(&old, &new, &found.changes[0]),
        [
            "Before allow[0] Allows (Same)",
            "After allow Isolates (Same)"
        ]
    );
}

#[test]
fn connections_of_a_new_workload_are_marked_as_such() {
    let old = compile(CLUSTER);
    let new = with(&[
        "{apiVersion: apps/v1, kind: StatefulSet, metadata: {namespace: z, name: db}, spec: {template: {metadata: {labels: {app: db}}}}}",
    ]);
    let found = diff(&old, &new);
    assert_eq!(found.added.len(), 1);
    assert_eq!(&*found.added[0].kind, "StatefulSet");
    assert!(found.removed.is_empty());
    assert!(!found.changes.is_empty());
    assert!(
        found
            .changes
            .iter()
            .all(|c| c.presence == Presence::OnlyAfter && c.opens())
    );
    let back = diff(&new, &old);
    assert_eq!(back.removed, found.added);
    assert!(
        back.changes
            .iter()
            .all(|c| c.presence == Presence::OnlyBefore && !c.opens())
    );
}

#[test]
fn what_is_not_known_any_more_is_a_change_too() {
    let allow = policy(
        "z",
        "allow",
        "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: red}}}]}]}",
    );
    let text = format!("{CLUSTER}---\n{allow}");
    let old = compile(&text);
    let namespace =
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: x, labels: {team: red}}\n---\n";
    let new = compile(&text.replace(namespace, ""));
    let found = diff(&old, &new);
    assert_eq!(shown(&found), ["x/a -> z/b: Allowed -> Unknown, all"]);
    assert!(!found.changes[0].opens());
    let why = responsible(&old, &new, &found.changes[0]);
    assert!(
        why.causes
            .iter()
            .any(|c| c.reason.effect == Effect::MayMatch)
    );
}
