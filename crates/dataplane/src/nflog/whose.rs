//! Whose policies a denied connection was denied by.

use ringfence_engine::Engine;
use ringfence_model::policy::Direction;
use ringfence_model::snapshot::{PodId, PolicyId};
use ringfence_model::tri::Tri;

use super::{Denial, Side};

/// The pod whose policies do not allow a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Isolated {
    /// The pod.
    pub pod: PodId,
    /// Whether its egress or its ingress policies are meant.
    pub direction: Direction,
    /// The policies that apply to it in that direction, in the order of the snapshot, and
    /// whether they do for certain. None of them allows the connection, or one denies it.
    pub policies: Vec<(PolicyId, Tri)>,
}

/// Whose policies do not allow a connection; `None` where that is nobody's, and where no pod
/// has the address.
///
/// This says what the engine knows now, and the event may be older: a pod that is gone is not
/// found, and the policies are those that apply today, maybe none any more. An address that
/// another pod has got meanwhile is that pod's. Who wants to be certain reads the events before
/// the engine takes a change over.
#[must_use]
pub fn whose(engine: &Engine, denial: &Denial) -> Option<Isolated> {
    // The others are denied whatever policies say, and the address may be a forged one.
    let Side::Policies(direction) = denial.side else {
        return None;
    };
    let address = match direction {
        Direction::Egress => denial.source,
        Direction::Ingress => denial.destination,
    };
    let pod = engine.snapshot().pod_with_address(address)?;
    Some(Isolated {
        pod,
        direction,
        policies: engine.policies_for(pod, direction).collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use ringfence_engine::Profile;
    use ringfence_model::parse::{self, Input, Limits};
    use ringfence_model::snapshot::builder::{BuildOptions, SnapshotBuilder};

    use super::*;
    use crate::compile::Enforcement;

    const CLUSTER: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {nodeName: node-1, containers: [{name: main, image: none}]}
status: {podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {nodeName: node-1, containers: [{name: main, image: none}]}
status: {podIPs: [{ip: 10.0.0.2}]}
---
apiVersion: v1
kind: Pod
metadata: {name: agent, namespace: shop, labels: {app: agent}}
spec: {nodeName: node-1, hostNetwork: true, containers: [{name: main, image: none}]}
status: {podIPs: [{ip: 192.168.0.1}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny-all, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db-from-nobody, namespace: shop}
spec: {podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress]}
---
apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {name: no-metadata}
spec:
  priority: 10
  subject: {namespaces: {}}
  egress: [{name: none, action: Deny, to: [{networks: [169.254.169.254/32]}]}]
";

    fn engine(cluster: &str) -> Engine {
        let input = Input {
            name: "test.yaml".to_owned(),
            bytes: cluster.as_bytes().to_vec(),
        };
        let loaded = parse::load(vec![input], &Limits::default());
        assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
        let mut builder = SnapshotBuilder::new(BuildOptions::default());
        builder.add(loaded.objects);
        let (snapshot, _) = builder.build(&loaded.sources);
        Engine::compile(&Arc::new(snapshot), Profile::default())
    }

    fn denial(side: Side, source: &str, destination: &str) -> Denial {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        Denial {
            enforcement: Enforcement::Enforce,
            side,
            source: address(source),
            destination: address(destination),
            protocol: 6,
            ports: Some((40_000, 80)),
        }
    }

    /// The pod and its policies by name.
    fn names(engine: &Engine, denial: &Denial) -> Option<(String, Vec<String>)> {
        let found = whose(engine, denial)?;
        let snapshot = engine.snapshot();
        assert_eq!(denial.side, Side::Policies(found.direction));
        let policies = found.policies.iter().map(|(policy, applies)| {
            assert_eq!(*applies, Tri::Yes);
            snapshot.policy(*policy).name.to_string()
        });
        let policies = policies.collect();
        Some((snapshot.pod(found.pod).name.to_string(), policies))
    }

    fn found(pod: &str, policies: &[&str]) -> Option<(String, Vec<String>)> {
        let policies = policies.iter().map(|name| (*name).to_owned());
        Some((pod.to_owned(), policies.collect()))
    }

    const EGRESS: Side = Side::Policies(Direction::Egress);
    const INGRESS: Side = Side::Policies(Direction::Ingress);

    #[test]
    fn a_denial_leads_to_the_policies_of_the_pod_on_the_side_that_denies() {
        let engine = engine(CLUSTER);
        for (source, destination) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "2001:db8::1")] {
            let denied = denial(EGRESS, source, destination);
            let web = found("web", &["deny-all", "no-metadata"]);
            assert_eq!(names(&engine, &denied), web);
        }
        let denied = denial(INGRESS, "10.0.0.1", "10.0.0.2");
        let db = found("db", &["db-from-nobody", "deny-all"]);
        assert_eq!(names(&engine, &denied), db);
        let denied = denial(INGRESS, "198.51.100.7", "10.0.0.2");
        assert_eq!(names(&engine, &denied), db, "whoever opens it");
    }

    #[test]
    fn what_is_denied_because_of_no_policy_and_what_has_the_address_of_no_pod_is_nobodys() {
        let engine = engine(CLUSTER);
        for side in [
            Side::UnknownAddress,
            Side::Closed,
            Side::ForgedSource,
            Side::Tunnel,
        ] {
            assert_eq!(whose(&engine, &denial(side, "10.0.0.1", "10.0.0.2")), None);
        }
        let stranger = denial(EGRESS, "10.0.0.9", "10.0.0.2");
        assert_eq!(whose(&engine, &stranger), None);
        // It has the address of its node.
        let agent = denial(EGRESS, "192.168.0.1", "10.0.0.2");
        assert_eq!(whose(&engine, &agent), None);
    }

    #[test]
    fn an_event_from_before_a_change_is_read_by_what_is_known_after_it() {
        let mut engine = engine(CLUSTER);
        let old = denial(INGRESS, "10.0.0.1", "10.0.0.2");
        let policies = engine.snapshot().policies.to_vec();
        for policy in &policies {
            engine.remove_policy(policy);
        }
        assert_eq!(names(&engine, &old), found("db", &[]));
        let db = engine
            .snapshot()
            .find_pod("shop", "db")
            .expect("it is there");
        let mut moved = engine.snapshot().pod(db).clone();
        moved.addresses = vec![IpAddr::from([10, 0, 0, 77])];
        engine.replace_pod(db, moved);
        assert_eq!(whose(&engine, &old), None);
    }
}
