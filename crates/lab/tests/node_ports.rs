//! Node ports, load balancers and `externalIPs` in the kernel: where they lead, as whom, and
//! what policies make of it.
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
#[expect(dead_code, reason = "each test file uses what it needs")]
mod tried;

use std::net::IpAddr;
use std::time::Duration;

use ringfence_engine::{Profile, Verdict};
use ringfence_lab::Lab;
use ringfence_lab::enforcer::Nftables;
use ringfence_lab::probe::{Kind, Observation, Observed, Probe, Settings};
use ringfence_lab::run::{Purpose, Report, Row};
use ringfence_lab::topology::Cni;
use ringfence_model::address::IpFamily;
use ringfence_model::protocol::Protocol;
use tried::{Mode, assert_all_agree, dual, report, scheduled};

/// Two nodes; `web` is on the second only, and a client on each.
const CLUSTER: &str = "
apiVersion: v1
kind: Node
metadata: {name: a}
---
apiVersion: v1
kind: Node
metadata: {name: b}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec:
  nodeName: b
  containers:
  - name: web
    ports:
    - {name: http, containerPort: 8080}
    - {name: quic, containerPort: 8443, protocol: UDP}
    - {name: signal, containerPort: 3868, protocol: SCTP}
---
apiVersion: v1
kind: Pod
metadata: {name: near, namespace: shop, labels: {app: near}}
spec: {nodeName: b, containers: [{name: near}]}
---
apiVersion: v1
kind: Pod
metadata: {name: far, namespace: shop, labels: {app: far}}
spec: {nodeName: a, containers: [{name: far}]}
---
apiVersion: v1
kind: Pod
metadata: {name: on-host, namespace: shop, labels: {app: on-host}}
spec: {nodeName: a, hostNetwork: true, containers: [{name: on-host, ports: [{containerPort: 9100}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  type: LoadBalancer
  externalTrafficPolicy: POLICY
  externalIPs: [198.51.100.7, \"2001:db8:7::7\"]
  selector: {app: web}
  ports:
  - {name: http, port: 80, targetPort: http, nodePort: 30080}
  - {name: quic, port: 443, targetPort: quic, nodePort: 30443, protocol: UDP}
  - {name: signal, port: 3868, targetPort: signal, protocol: SCTP}
status: {loadBalancer: {ingress: [{ip: 203.0.113.80}, {ip: \"2001:db8::80\"}]}}
---
apiVersion: v1
kind: Service
metadata: {name: empty, namespace: shop}
spec:
  type: NodePort
  selector: {app: nobody}
  ports: [{port: 80, nodePort: 30999}]
";

/// `web` takes connections from the pods of its namespace, by their labels.
const FROM_PODS: &str = "
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web-from-pods, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {}}]}]
";

/// `far` may reach `web` and nothing else.
const FAR_TO_WEB: &str = "
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: far-to-web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: far}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {matchLabels: {app: web}}}]}]
";

fn cluster(policy: &str, more: &str) -> String {
    format!("{}{more}", CLUSTER.replace("POLICY", policy))
}

/// The rows from a pod to what is called so, and all of them are predicted and observed alike.
fn verdicts(report: &Report, from: &str, to: &str) -> Verdict {
    let rows: Vec<&Row> = report
        .rows
        .iter()
        .filter(|row| row.question.from.name == from && row.question.to.name == to)
        .collect();
    assert!(!rows.is_empty(), "{from} -> {to} is not asked");
    let verdict = rows[0].predicted;
    for row in rows {
        assert_eq!(row.predicted, verdict, "{row:?}");
    }
    verdict
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_policies_every_way_leads_to_the_service() {
    for policy in ["Cluster", "Local"] {
        for cni in [Cni::Routed, Cni::Bridge] {
            let yaml = cluster(policy, "");
            let report = report(&yaml, &dual(2), cni, Mode::Enforce).await;
            assert_all_agree(&report);
            for purpose in [Purpose::NodePort, Purpose::External] {
                for protocol in Protocol::WITH_PORTS {
                    let mut rows = report.rows.iter();
                    let asked = rows.any(|row| {
                        row.question.purpose == purpose && row.question.probe.protocol == protocol
                    });
                    assert!(asked, "{purpose:?} {protocol}");
                }
            }
            let to = |from: &str, node: &str| {
                verdicts(
                    &report,
                    &format!("shop/{from}"),
                    &format!("svc:shop/web at {node}"),
                )
            };
            assert_eq!(to("near", "b"), Verdict::Allowed);
            assert_eq!(to("far", "b"), Verdict::Allowed);
            assert_eq!(to("far", "198.51.100.7"), Verdict::Allowed);
            assert_eq!(to("far", "203.0.113.80"), Verdict::Allowed);
            // A pod's own node, and a node that asks itself, are inside the cluster.
            assert_eq!(to("far", "a"), Verdict::Allowed);
            assert_eq!(to("on-host", "a"), Verdict::Allowed);
            // Another node that has no endpoint drops what it may not send on.
            let dropped = match policy {
                "Local" => Verdict::Denied,
                _ => Verdict::Allowed,
            };
            assert_eq!(to("near", "a"), dropped);
            let refused = verdicts(&report, "shop/far", "svc:shop/empty at a");
            assert_eq!(refused, Verdict::Denied);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ingress_policy_for_pods_does_not_know_who_comes_by_another_node() {
    for cni in [Cni::Routed, Cni::Bridge] {
        let yaml = cluster("Cluster", FROM_PODS);
        let report = report(&yaml, &dual(2), cni, Mode::Enforce).await;
        assert_all_agree(&report);
        let to = |from: &str, node: &str| {
            verdicts(
                &report,
                &format!("shop/{from}"),
                &format!("svc:shop/web at {node}"),
            )
        };
        // By the endpoint's own node a pod is still known.
        assert_eq!(to("far", "b"), Verdict::Allowed);
        assert_eq!(to("near", "b"), Verdict::Allowed);
        // By another one it has the address of that node.
        assert_eq!(to("far", "a"), Verdict::Denied);
        assert_eq!(to("near", "a"), Verdict::Denied);
        assert_eq!(to("far", "203.0.113.80"), Verdict::Denied);
        assert_eq!(to("near", "203.0.113.80"), Verdict::Allowed);
        // The source is kept, and it is known wherever it comes from.
        let yaml = cluster("Local", FROM_PODS);
        let report = tried::report(&yaml, &dual(2), cni, Mode::Enforce).await;
        assert_all_agree(&report);
        let kept = verdicts(&report, "shop/far", "svc:shop/web at a");
        assert_eq!(kept, Verdict::Allowed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_egress_policy_for_the_pods_behind_it_does_not_open_another_nodes_port() {
    for policy in ["Cluster", "Local"] {
        let yaml = cluster(policy, FAR_TO_WEB);
        let report = report(&yaml, &dual(2), Cni::Routed, Mode::Enforce).await;
        assert_all_agree(&report);
        let to = |node: &str| verdicts(&report, "shop/far", &format!("svc:shop/web at {node}"));
        // The own node has translated the address when it judges; the other has not.
        assert_eq!(to("a"), Verdict::Allowed);
        assert_eq!(to("203.0.113.80"), Verdict::Allowed);
        assert_eq!(to("b"), Verdict::Denied);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_with_different_verdicts_have_no_prediction() {
    let more = "
---
apiVersion: v1
kind: Pod
metadata: {name: web-too, namespace: shop, labels: {app: web}}
spec: {nodeName: a, containers: [{name: web, ports: [{name: http, containerPort: 8080}]}]}
";
    let yaml = cluster("Cluster", &format!("{more}{FROM_PODS}"));
    let report = report(&yaml, &dual(2), Cni::Routed, Mode::Enforce).await;
    assert_all_agree(&report);
    let mut rows = report.rows.iter();
    let to_http = rows.find(|row| {
        row.question.from.name == "shop/far"
            && row.question.to.name == "svc:shop/web at a"
            && row.question.probe.port == 30080
    });
    assert_eq!(to_http.unwrap().predicted, Verdict::Unknown);
}

/// A lab with these policies, and probes of it from anywhere.
struct Tried {
    lab: Lab,
    /// Policies hold as long as it is there.
    _enforcer: Nftables,
}

impl Tried {
    async fn new(yaml: &str, cni: Cni) -> Self {
        let schedule = scheduled(yaml, &dual(2));
        let lab = Lab::build(schedule, cni, Settings::default())
            .await
            .unwrap();
        let enforcer = Nftables::default();
        lab.enforce(&enforcer, Profile::default(), false)
            .await
            .unwrap();
        Self {
            lab,
            _enforcer: enforcer,
        }
    }

    fn node_address(&self, name: &str, family: IpFamily) -> IpAddr {
        let mut nodes = self.lab.schedule().nodes.iter();
        let node = nodes.find(|node| &*node.name == name).unwrap();
        let mut addresses = node.addresses.iter().copied();
        addresses.find(|a| IpFamily::of(*a) == family).unwrap()
    }

    /// What becomes of a packet of which this is expected. Where nothing is heard of one that
    /// should be heard of, it is tried again: the machine may be busy.
    async fn probe(
        &self,
        from: usize,
        (to, protocol, port): (IpAddr, Protocol, u16),
        expected: Observed,
    ) -> Observation {
        let probe = Probe {
            from,
            source: None,
            to,
            name: None,
            protocol,
            port,
            kind: Kind::Connection,
        };
        let prober = self.lab.prober();
        let mut seen = prober.probe(&probe, Duration::from_secs(1)).await;
        for _ in 0..30 {
            let is_lost = matches!(seen.observed, Observed::Dropped | Observed::Inconclusive);
            if !is_lost || expected == Observed::Dropped {
                break;
            }
            seen = prober.probe(&probe, Duration::from_secs(1)).await;
        }
        seen
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_ports_are_reached_from_the_nodes_and_from_the_world() {
    for (policy, by_other_node) in [("Cluster", Observed::Allowed), ("Local", Observed::Dropped)] {
        let tried = Tried::new(&cluster(policy, ""), Cni::Routed).await;
        let plan = &tried.lab.network().plan;
        for family in IpFamily::ALL {
            let (a, b) = (
                tried.node_address("a", family),
                tried.node_address("b", family),
            );
            for (from, to, observed) in [
                (plan.world, b, Observed::Allowed),
                (plan.world, a, by_other_node),
                (plan.nodes[0], b, Observed::Allowed),
                (plan.nodes[0], a, Observed::Allowed),
                (plan.nodes[1], b, Observed::Allowed),
                (plan.nodes[1], a, by_other_node),
            ] {
                for (protocol, port) in [(Protocol::Tcp, 30080), (Protocol::Udp, 30443)] {
                    let seen = tried.probe(from, (to, protocol, port), observed).await;
                    assert_eq!(
                        seen.observed, observed,
                        "{policy} {from} {to} {port}: {seen:?}"
                    );
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_leads_nowhere_is_refused_also_to_the_nodes() {
    let tried = Tried::new(&cluster("Cluster", ""), Cni::Routed).await;
    let plan = &tried.lab.network().plan;
    let own = tried.node_address("a", IpFamily::V4);
    let snapshot = &tried.lab.schedule().snapshot;
    let empty = snapshot.find_service("shop", "empty").unwrap();
    let service = snapshot.service(empty).cluster_ips[0];
    for from in [plan.nodes[0], plan.nodes[1], plan.world] {
        let to = (own, Protocol::Tcp, 30999);
        let seen = tried.probe(from, to, Observed::Rejected).await;
        assert_eq!(seen.observed, Observed::Rejected, "{from}: {seen:?}");
    }
    for from in [plan.nodes[0], plan.nodes[1]] {
        let to = (service, Protocol::Tcp, 80);
        let seen = tried.probe(from, to, Observed::Rejected).await;
        assert_eq!(seen.observed, Observed::Rejected, "{from}: {seen:?}");
    }
}
