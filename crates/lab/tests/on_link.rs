//! Addresses of one link in the kernel: the metadata service that a node has there, and what
//! pods open from and to addresses that nobody gave them.
//!
//! These tests make network namespaces and fail where that is not permitted.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

#[path = "support/tried.rs"]
mod tried;

use std::net::IpAddr;
use std::time::Duration;

use ringfence_engine::{Profile, Verdict};
use ringfence_lab::Lab;
use ringfence_lab::enforcer::Nftables;
use ringfence_lab::probe::{Kind, Observation, Observed, Probe, Settings};
use ringfence_lab::topology::Cni;
use ringfence_model::address::IpFamily;
use ringfence_model::protocol::Protocol;
use tried::{Mode, assert_all_agree, dual, report, scheduled};

const METADATA: &str = "fe80::a9fe:a9fe";

const PODS: &str = "
apiVersion: v1
kind: Node
metadata: {name: a}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: closed, namespace: shop, labels: {app: closed}}
spec: {nodeName: a, containers: [{name: main, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-only, namespace: shop, labels: {app: web-only}}
spec: {nodeName: a, containers: [{name: main, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: open, namespace: shop, labels: {app: open}}
spec: {nodeName: a, containers: [{name: main, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: on-host, namespace: shop, labels: {app: on-host}}
spec: {nodeName: a, hostNetwork: true, containers: [{name: main, ports: [{containerPort: 80}]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: shop}
spec: {podSelector: {matchLabels: {app: closed}}, policyTypes: [Egress, Ingress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web-only, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web-only}}
  policyTypes: [Egress]
  egress: [{to: [{ipBlock: {cidr: \"::/0\"}}], ports: [{port: 80}]}]
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_metadata_service_on_a_pods_own_link_is_tried() {
    for cni in [Cni::Routed, Cni::Bridge] {
        let report = report(PODS, &dual(1), cni, Mode::Enforce).await;
        assert_all_agree(&report);
        for (pod, verdict, observed) in [
            ("shop/closed", Verdict::Denied, Observed::Dropped),
            ("shop/web-only", Verdict::Allowed, Observed::Allowed),
            ("shop/open", Verdict::Allowed, Observed::Allowed),
        ] {
            let mut rows = report.rows.iter();
            let asked = rows.find(|row| {
                let question = &row.question;
                question.from.name == pod && question.to.name == METADATA
            });
            let row = asked.unwrap_or_else(|| panic!("{pod} is not asked"));
            assert_eq!(
                (row.predicted, row.observation.observed),
                (verdict, observed)
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_without_policies_lets_metadata_on_the_link_through() {
    let report = report(PODS, &dual(1), Cni::Bridge, Mode::Open).await;
    let rows = report.rows.iter();
    let rows = rows.filter(|row| row.question.to.name == METADATA);
    assert!(rows.clone().count() >= 3);
    for row in rows {
        assert_eq!(row.observation.observed, Observed::Allowed, "{row:?}");
    }
}

async fn probe(lab: &Lab, from: usize, to: IpAddr, source: Option<IpAddr>) -> Observation {
    let probe = Probe {
        from,
        source,
        to,
        name: None,
        protocol: Protocol::Tcp,
        port: 80,
        kind: Kind::Connection,
    };
    lab.prober().probe(&probe, Duration::from_secs(1)).await
}

/// The same for one that should get through, tried again where it does not: a machine may be
/// busy, and the kernel does not answer for an address while it is not sure yet that nobody
/// else has it.
async fn try_hard(lab: &Lab, from: usize, to: IpAddr, source: Option<IpAddr>) -> Observation {
    let mut seen = probe(lab, from, to, source).await;
    for _ in 0..30 {
        if seen.observed.passed() == Some(true) {
            break;
        }
        seen = probe(lab, from, to, source).await;
    }
    seen
}

/// The address that the kernel gives an interface with the lab's hardware address of a
/// station.
fn link_local(station: usize) -> IpAddr {
    let [a, b, c, d] = u32::try_from(station).unwrap().to_be_bytes();
    let high = u16::from_be_bytes([a, 0xff]);
    let low = u16::from_be_bytes([0xfe, b]);
    let last = u16::from_be_bytes([c, d]);
    IpAddr::from([0xfe80, 0, 0, 0, 0, high, low, last])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn link_local_addresses_are_no_way_around_policies() {
    for cni in [Cni::Routed, Cni::Bridge] {
        let lab = Lab::build(scheduled(PODS, &dual(1)), cni, Settings::default())
            .await
            .unwrap();
        let snapshot = lab.schedule().snapshot.clone();
        let pods: Vec<_> = snapshot
            .pod_ids()
            .filter(|(_, pod)| &*snapshot.namespace(pod.namespace).name == "shop")
            .filter(|(_, pod)| !pod.host_network)
            .map(|(id, pod)| (id, pod.name.clone()))
            .collect();
        let metadata: IpAddr = METADATA.parse().unwrap();
        let mut ways = Vec::new();
        for (id, name) in &pods {
            let from = lab.station_of(*id).unwrap();
            ways.push((format!("{name} to the node"), from, metadata));
            for (other, to) in pods.iter().filter(|(other, _)| other != id) {
                if cni == Cni::Bridge {
                    let other = lab.station_of(*other).unwrap();
                    ways.push((format!("{name} to {to}"), from, link_local(other)));
                }
            }
        }
        for (what, from, to) in &ways {
            // The kernel chooses a source on the link.
            let seen = try_hard(&lab, *from, *to, None).await;
            assert_eq!(
                seen.observed,
                Observed::Allowed,
                "{cni:?}, {what}: {seen:?}"
            );
        }
        let enforcer = Nftables::default();
        lab.enforce(&enforcer, Profile::default(), false)
            .await
            .unwrap();
        for (what, from, to) in &ways {
            let seen = probe(&lab, *from, *to, None).await;
            assert_eq!(
                seen.observed,
                Observed::Dropped,
                "{cni:?}, {what}: {seen:?}"
            );
        }
        // From its own address a pod is known.
        for (id, name) in &pods {
            let from = lab.station_of(*id).unwrap();
            let own = snapshot.pod(*id).address(IpFamily::V6);
            let passes = &**name != "closed";
            let seen = match passes {
                true => try_hard(&lab, from, metadata, own).await,
                false => probe(&lab, from, metadata, own).await,
            };
            assert_eq!(seen.observed.passed(), Some(passes), "{name}");
        }
    }
}
