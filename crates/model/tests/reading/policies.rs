//! The cluster-wide families in one vocabulary.

use ringfence_model::policy::{Action, PodSelection, PolicyBody, Tier, TieredPeer, TieredPort};
use ringfence_model::protocol::Protocol;

use super::*;

#[test]
fn a_cluster_network_policy_is_translated() {
    let TypedObject::Policy(policy) = one("apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: p}
spec:
  tier: Baseline
  priority: 7
  subject: {pods: {podSelector: {matchLabels: {a: b}}}}
  egress:
    - name: out
      action: Accept
      to: [{networks: [10.0.0.0/8]}, {nodes: {}}, {domainNames: ['*.example.com']}]
      protocols:
        - udp: {destinationPort: {range: {start: 53, end: 54}}}
    - action: Pass
      to: [{namespaces: {}}]
      protocols: [{destinationNamedPort: http}]
")
    else {
        panic!()
    };
    let PolicyBody::Tiered(tiered) = policy.body else {
        panic!()
    };
    assert_eq!((tiered.tier, tiered.priority), (Tier::Baseline, 7));
    assert!(matches!(tiered.subject, PodSelection::Pods { .. }));
    let [first, second] = tiered.egress.as_slice() else {
        panic!()
    };
    assert_eq!((first.name.as_str(), first.action), ("out", Action::Accept));
    assert!(matches!(first.peers[0], TieredPeer::Networks(_)));
    assert!(matches!(first.peers[1], TieredPeer::Nodes(_)));
    assert!(matches!(first.peers[2], TieredPeer::DomainNames(_)));
    let range = TieredPort::Range {
        protocol: Protocol::Udp,
        start: 53,
        end: 54,
    };
    assert_eq!(first.ports, Some(vec![range]));
    assert_eq!(
        second.ports,
        Some(vec![TieredPort::Named("http".to_owned())])
    );
}

#[test]
fn the_older_families_are_translated_to_the_same_words() {
    let text = "apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {name: p}
spec:
  priority: 3
  subject: {namespaces: {}}
  ingress:
    - action: Allow
      from: [{pods: {namespaceSelector: {}, podSelector: {}}}]
      ports:
        - portNumber: {protocol: SCTP, port: 9}
        - portRange: {start: 1, end: 2}
        - namedPort: http
---
apiVersion: policy.networking.k8s.io/v1alpha1
kind: BaselineAdminNetworkPolicy
metadata: {name: default}
spec:
  subject: {namespaces: {}}
  egress:
    - {action: Deny, to: [{namespaces: {}}]}
";
    let bodies: Vec<PolicyBody> = objects(text)
        .into_iter()
        .map(|object| match object.typed {
            TypedObject::Policy(policy) => policy.body,
            other => panic!("{other:?}"),
        })
        .collect();
    let [PolicyBody::Tiered(admin), PolicyBody::Tiered(baseline)] = bodies.as_slice() else {
        panic!()
    };
    assert_eq!((admin.tier, admin.priority), (Tier::Admin, 3));
    assert_eq!(admin.ingress[0].action, Action::Accept);
    let range = |protocol, start, end| TieredPort::Range {
        protocol,
        start,
        end,
    };
    assert_eq!(
        admin.ingress[0].ports,
        Some(vec![
            range(Protocol::Sctp, 9, 9),
            range(Protocol::Tcp, 1, 2),
            TieredPort::Named("http".to_owned())
        ])
    );
    assert_eq!(baseline.tier, Tier::Baseline);
    assert_eq!(baseline.egress[0].ports, None);
}

#[test]
fn a_live_policy_that_is_newer_than_we_are_fails_closed() {
    let loaded = read(
        "apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: p, uid: 1-2-3}
spec:
  tier: Admin
  priority: 1
  subject: {namespaces: {}}
  ingress:
    - {action: Deny, from: [{serviceAccounts: {}}]}
    - {action: Accept, from: [{namespaces: {}}], protocols: [{quic: {}}]}
",
    );
    let TypedObject::Policy(policy) = &loaded.objects[0].typed else {
        panic!()
    };
    let PolicyBody::Tiered(tiered) = &policy.body else {
        panic!()
    };
    for rule in &tiered.ingress {
        assert_eq!(rule.peers, [TieredPeer::Unrecognized]);
        assert_eq!(rule.ports, None);
    }
}
