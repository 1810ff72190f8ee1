//! What the API server accepts, or has accepted, is read the way it is meant there.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use ringfence_model::diagnostic::Severity;
use ringfence_model::parse::{Input, Limits, Loaded, TypedObject, load};
use ringfence_model::policy::{Policy, PolicyBody, TieredPeer, TieredPort, TieredRule};
use ringfence_model::protocol::Protocol;

fn read(text: &str) -> Loaded {
    let input = Input {
        name: "in.yaml".to_owned(),
        bytes: text.into(),
    };
    load(vec![input], &Limits::default())
}

fn codes(loaded: &Loaded) -> Vec<&'static str> {
    loaded.diagnostics.iter().map(|d| d.code).collect()
}

/// The only object, a policy.
fn policy(loaded: &Loaded) -> &Policy {
    let [object] = loaded.objects.as_slice() else {
        panic!("{:#?}", loaded.diagnostics)
    };
    let TypedObject::Policy(policy) = &object.typed else {
        panic!("{object:?}")
    };
    policy
}

fn egress(policy: &Policy) -> &[TieredRule] {
    let PolicyBody::Tiered(tiered) = &policy.body else {
        panic!("{policy:?}")
    };
    &tiered.egress
}

/// An AdminNetworkPolicy with one egress rule to all pods on `ports`.
fn admin(ports: &str) -> Loaded {
    read(&format!(
        "apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {{name: it}}
spec:
  priority: 10
  subject: {{namespaces: {{}}}}
  egress:
    - action: Deny
      to: [{{namespaces: {{}}}}]
      ports: {ports}
"
    ))
}

#[test]
fn a_port_number_without_a_protocol_is_tcp() {
    let loaded = admin("[{portNumber: {port: 80}}, {portRange: {start: 1, end: 9}}]");
    assert_eq!(loaded.diagnostics, []);
    let range = |start, end| TieredPort::Range {
        protocol: Protocol::Tcp,
        start,
        end,
    };
    assert_eq!(
        egress(policy(&loaded))[0].ports,
        Some(vec![range(80, 80), range(1, 9)])
    );
}

#[test]
fn an_empty_list_of_ports_means_all_traffic_in_v1alpha1() {
    let loaded = admin("[]");
    assert_eq!(loaded.diagnostics, []);
    assert_eq!(egress(policy(&loaded))[0].ports, None);
}

#[test]
fn a_named_port_of_a_cluster_wide_rule_can_be_any_text() {
    let loaded = admin("[{namedPort: not_a_port}]");
    assert_eq!(codes(&loaded), ["invalid-port"]);
    assert_eq!(loaded.diagnostics[0].severity, Severity::Warning);
    let ports = egress(policy(&loaded))[0].ports.as_deref();
    assert_eq!(
        ports,
        Some(&[TieredPort::Named("not_a_port".to_owned())][..])
    );
}

/// A NetworkPolicy that selects everything, with this metadata besides its name.
fn network(metadata: &str) -> Loaded {
    read(&format!(
        "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: it, {metadata}}}
spec: {{podSelector: {{}}}}
"
    ))
}

#[test]
fn the_domain_of_an_annotation_may_have_capital_letters() {
    let loaded = network("annotations: {Example.com/Owner: me}");
    assert_eq!(loaded.diagnostics, []);
    assert_eq!(policy(&loaded).annotations["Example.com/Owner"], "me");
    assert_eq!(
        codes(&network("labels: {Example.com/Owner: me}")),
        ["invalid-label"]
    );
    assert_eq!(
        codes(&network("annotations: {a/b/c: me}")),
        ["invalid-label"]
    );
}

#[test]
fn an_empty_namespace_is_none() {
    let loaded = network("namespace: \"\"");
    assert_eq!(loaded.diagnostics, []);
    assert_eq!(policy(&loaded).namespace, None);
}

#[test]
fn a_list_that_is_too_long_is_not_searched_for_repetitions() {
    let networks = vec!["10.0.0.0/8"; 26].join(", ");
    let loaded = read(&format!(
        "apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {{name: it}}
spec:
  tier: Admin
  priority: 10
  subject: {{namespaces: {{}}}}
  egress: [{{action: Deny, to: [{{networks: [{networks}]}}]}}]
"
    ));
    assert_eq!(codes(&loaded), ["too-many"]);
}

#[test]
fn a_live_rule_with_a_field_we_do_not_know_fails_closed() {
    let read_rule = |rule: &str| {
        let loaded = read(&format!(
            "apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {{name: it, uid: 6f0b1c5e-6a8c-4f53-8a52-0a0e6a3a5b10}}
spec:
  tier: Admin
  priority: 10
  subject: {{namespaces: {{}}}}
  egress: [{{action: Accept, {rule}}}]
"
        ));
        (egress(policy(&loaded))[0].clone(), codes(&loaded))
    };
    for rule in [
        "to: [{namespaces: {}}], when: night",
        "to: [{namespaces: {}, serviceAccounts: {}}]",
        "to: [{pods: {namespaceSelector: {}, podSelector: {}, other: 1}}]",
        "to: [{namespaces: {matchFields: []}}]",
        "to: [{namespaces: {matchExpressions: [{key: a, operator: Exists, fold: true}]}}]",
        "to: [{namespaces: {}}, {other: {}}]",
        "to: [{namespaces: {}}], protocols: [{quic: {}}]",
        "to: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {number: 1}, sourcePort: {}}}]",
    ] {
        let (read, codes) = read_rule(rule);
        assert!(
            read.peers.contains(&TieredPeer::Unrecognized),
            "{rule}: {read:?}"
        );
        assert_eq!(codes, ["unknown-field"], "{rule}");
    }
    let (read, _) = read_rule("to: [{namespaces: {}, serviceAccounts: null}]");
    assert!(
        !read.peers.contains(&TieredPeer::Unrecognized),
        "null is absent"
    );
}

#[test]
fn the_cidrs_of_a_live_policy_are_read_as_the_api_server_that_accepted_them_did() {
    let read_with = |metadata: &str| {
        read(&format!(
            "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: it, {metadata}}}
spec:
  podSelector: {{}}
  egress:
    - to:
        - ipBlock: {{cidr: 010.0.0.0/8, except: [010.008.0.0/16]}}
        - ipBlock: {{cidr: \"::ffff:192.168.0.0/112\"}}
"
        ))
    };
    let live = read_with("uid: 6f0b1c5e-6a8c-4f53-8a52-0a0e6a3a5b10");
    assert_eq!(codes(&live), ["invalid-cidr"; 3]);
    let PolicyBody::Network(spec) = &policy(&live).body else {
        panic!("{live:?}")
    };
    let peers = spec.egress.as_ref().unwrap()[0].to.as_ref().unwrap();
    let block = |index: usize| peers[index].ip_block.as_ref().unwrap();
    assert_eq!(block(0).cidr, "10.0.0.0/8");
    assert_eq!(block(0).except, Some(vec!["10.8.0.0/16".to_owned()]));
    assert_eq!(block(1).cidr, "192.168.0.0/16");
    assert!(read_with("labels: {}").objects.is_empty());
}
