//! Pods that come and go while a lab is up.
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

#[path = "support/agreed.rs"]
mod agreed;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nlink::netlink::link::BridgeLink;
use ringfence_lab::LabError;
use ringfence_lab::probe::{Kind, Observation, Observed, Probe, Progress, Settings};
use ringfence_lab::run::{Report, run};
use ringfence_lab::schedule::{Options, Placement};
use ringfence_lab::session::{Building, Running};
use ringfence_lab::topology::Cni;
use ringfence_model::address::IpFamily;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::PodId;

use agreed::{assert_all_agree, scheduled};

/// A lab that is up.
struct Up {
    running: Running,
    building: Building,
    options: Options,
}

impl Up {
    async fn start(yaml: &str, cni: Cni, nodes: usize) -> Self {
        let building = Building {
            cni,
            probing: Settings {
                wait: Duration::from_millis(500),
                ..Settings::default()
            },
            ..Building::default()
        };
        let options = Options {
            nodes,
            families: Some(IpFamily::ALL.to_vec()),
            replicas: 5,
            ..Options::default()
        };
        let running = Running::start(scheduled(yaml, &options), &building)
            .await
            .expect("network namespaces can be made: root is needed");
        Self {
            running,
            building,
            options,
        }
    }

    /// The manifests in the place of those before.
    async fn becomes(&mut self, yaml: &str) -> Result<(), LabError> {
        let options = Options {
            placed: Placement::of(self.running.lab.schedule()),
            ..self.options.clone()
        };
        let next = scheduled(yaml, &options);
        self.running.update(next, &self.building).await
    }

    /// Tries everything, and holds it against what the policies say.
    async fn check(&self) -> Report {
        let (lab, engine) = (&self.running.lab, &self.running.engine);
        let report = run(lab, engine, false, &Arc::new(Progress::default()))
            .await
            .unwrap();
        assert_eq!(report.failed_controls, [""; 0]);
        assert_all_agree(&report);
        report
    }

    /// The addresses of all pods by name.
    fn addresses(&self) -> BTreeMap<String, Vec<IpAddr>> {
        let pods = &self.running.lab.schedule().snapshot.pods;
        let pods = pods.iter();
        pods.map(|pod| (pod.name.to_string(), pod.addresses.clone()))
            .collect()
    }

    fn pod(&self, name: &str) -> PodId {
        let mut pods = self.running.lab.schedule().snapshot.pod_ids();
        let found = pods.find(|(_, pod)| &*pod.name == name);
        found.unwrap_or_else(|| panic!("there is no {name}")).0
    }

    fn station(&self, name: &str) -> usize {
        self.running.lab.station_of(self.pod(name)).unwrap()
    }

    /// What becomes of a packet that should get through. On a busy machine the first answer
    /// may come too late; what has to be learnt anew about a neighbour takes longer than this.
    async fn try_hard(&self, from: &str, to: IpAddr, port: u16) -> Observation {
        let probe = udp(self.station(from), to, port);
        let prober = self.running.lab.prober();
        let mut last = prober.probe(&probe, Duration::from_secs(1)).await;
        for _ in 0..30 {
            if last.observed.passed() == Some(true) {
                break;
            }
            last = prober.probe(&probe, Duration::from_secs(1)).await;
        }
        last
    }
}

fn udp(from: usize, to: IpAddr, port: u16) -> Probe {
    Probe {
        from,
        source: None,
        to,
        name: None,
        protocol: Protocol::Udp,
        port,
        kind: Kind::Connection,
    }
}

const POLICIES: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny, namespace: shop}
spec: {podSelector: {}, policyTypes: [Egress, Ingress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: client-to-all, namespace: shop}
spec:
  podSelector: {matchLabels: {app: client}}
  policyTypes: [Egress]
  egress: [{to: [{namespaceSelector: {}}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web-from-clients, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress]
  ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: client}}}]}]
";

/// A pod with a port of TCP and one of UDP.
fn pod(namespace: &str, name: &str, app: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}, labels: \
         {{app: {app}}}}}\nspec: {{containers: [{{name: a, ports: [{{containerPort: 80}}, \
         {{containerPort: 8080, protocol: UDP}}]}}]}}\n"
    )
}

/// The same pod, on the first node and with addresses that it has had before.
fn pod_at(namespace: &str, name: &str, app: &str, addresses: [&str; 2]) -> String {
    let [v4, v6] = addresses;
    let own = pod(namespace, name, app).replace("spec: {", "spec: {nodeName: node-1, ");
    format!("{own}status: {{podIP: {v4}, podIPs: [{{ip: {v4}}}, {{ip: '{v6}'}}]}}\n")
}

fn deployment(replicas: u32) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, namespace: shop}}\n\
         spec: {{replicas: {replicas}, selector: {{matchLabels: {{app: web}}}}, template: \
         {{metadata: {{labels: {{app: web}}}}, spec: {{containers: [{{name: a, ports: \
         [{{containerPort: 80}}]}}]}}}}}}\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: \
         web, namespace: shop}}\nspec: {{selector: {{app: web}}, ports: [{{port: 8000, targetPort: \
         80}}]}}\n"
    )
}

const BOTH: [Cni; 2] = [Cni::Routed, Cni::Bridge];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_come_and_go_and_packets_do_what_is_predicted() {
    for cni in BOTH {
        let client = pod("shop", "client", "client");
        let start = format!("{POLICIES}{client}{}", deployment(1));
        let mut up = Up::start(&start, cni, 2).await;
        let first = up.addresses();
        let stations: Vec<usize> = first.keys().map(|name| up.station(name)).collect();

        // More replicas, and another namespace with a client and somebody who is none.
        let on_host = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: on-host, namespace: shop}\n\
             spec: {hostNetwork: true, containers: [{name: a, ports: [{containerPort: 9100}]}]}\n";
        let guests = pod("guests", "client-2", "client") + &pod("guests", "any", "none") + on_host;
        let more = format!("{POLICIES}{client}{}{guests}", deployment(3));
        up.becomes(&more).await.unwrap();
        let second = up.addresses();
        assert_eq!(second.len(), first.len() + 5);
        for (name, addresses) in &first {
            assert_eq!(second[name], *addresses, "{name} stays where it is");
        }
        let same: Vec<usize> = first.keys().map(|name| up.station(name)).collect();
        assert_eq!(same, stations);
        up.check().await;

        // All of that goes, and others get their addresses.
        up.becomes(&format!("{POLICIES}{client}{}", deployment(0)))
            .await
            .unwrap();
        assert!(!up.addresses().keys().any(|name| name.starts_with("web")));
        up.check().await;
        let others = pod("guests", "late", "client") + &pod("shop", "later", "web");
        up.becomes(&format!("{POLICIES}{client}{}{others}", deployment(1)))
            .await
            .unwrap();
        let third = up.addresses();
        let used: Vec<&IpAddr> = second.values().flatten().collect();
        let late = ["late", "later"].map(|name| third[name][0]);
        assert!(late.iter().any(|address| used.contains(&address)));
        let report = up.check().await;
        let allowed = report.rows.iter();
        let allowed = allowed.filter(|row| {
            let (from, to) = (&*row.question.from.name, &*row.question.to.name);
            (from, to) == ("guests/late", "shop/later")
        });
        for row in allowed {
            assert_eq!(row.observation.observed, Observed::Allowed, "{row:?}");
        }
    }
}

/// On bridges so large that neighbours are written down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_becomes_crowded_and_empty_again() {
    let pods = |count: u32| -> String {
        let pods = (0..count).map(|number| pod("shop", &format!("p{number}"), "web"));
        pods.collect()
    };
    let client = pod("shop", "client", "client");
    let mut up = Up::start(&format!("{POLICIES}{client}{}", pods(8)), Cni::Bridge, 1).await;
    for count in [18, 20, 7, 19] {
        up.becomes(&format!("{POLICIES}{client}{}", pods(count)))
            .await
            .unwrap();
        up.check().await;
    }
}

const TAKEN: [&str; 2] = ["10.244.0.50", "fd00:10:244::50"];

/// A client that asks without an end, until it is told to stop.
struct Asking {
    stop: Arc<AtomicBool>,
    asked: tokio::task::JoinHandle<Vec<Observation>>,
}

impl Asking {
    fn start(up: &Up, addresses: [&str; 2]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let prober = up.running.lab.prober().clone();
        let probes = addresses.map(|to| udp(up.station("client"), to.parse().unwrap(), 8080));
        let ended = Arc::clone(&stop);
        let asked = tokio::spawn(async move {
            let mut running = tokio::task::JoinSet::new();
            while !ended.load(Ordering::Relaxed) {
                for probe in probes.clone() {
                    let prober = prober.clone();
                    running.spawn(
                        async move { prober.probe(&probe, Duration::from_millis(300)).await },
                    );
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            running.join_all().await
        });
        Self { stop, asked }
    }

    /// How many packets arrived at each station.
    async fn end(self) -> BTreeMap<usize, usize> {
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.stop.store(true, Ordering::Relaxed);
        let mut arrived = BTreeMap::new();
        for observation in self.asked.await.unwrap() {
            if let Some(station) = observation.arrived {
                *arrived.entry(station).or_insert(0) += 1;
            }
        }
        arrived
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_hold_for_a_new_pod_from_its_first_packet_on() {
    for cni in BOTH {
        let without = format!("{POLICIES}{}", pod("shop", "client", "client"));
        let with = |name: &str, app: &str| without.clone() + &pod_at("shop", name, app, TAKEN);
        let mut up = Up::start(&without, cni, 2).await;
        // One that nobody may reach comes, at an address that nobody had.
        for round in 0..3 {
            let asking = Asking::start(&up, TAKEN);
            tokio::time::sleep(Duration::from_millis(50)).await;
            up.becomes(&with(&format!("closed-{round}"), "closed"))
                .await
                .unwrap();
            let closed = up.station(&format!("closed-{round}"));
            let arrived = asking.end().await;
            assert_eq!(arrived.get(&closed), None, "{cni:?}: {arrived:?}");
            // One that the client may reach gets its address, and answers at once.
            let name = format!("web-{round}");
            up.becomes(&with(&name, "web")).await.unwrap();
            for address in TAKEN {
                let observation = up.try_hard("client", address.parse().unwrap(), 8080).await;
                assert_eq!(observation.observed, Observed::Allowed, "{observation:?}");
            }
            // While it is asked, one that may not be reached gets its address.
            let asking = Asking::start(&up, TAKEN);
            let web = up.station(&name);
            tokio::time::sleep(Duration::from_millis(50)).await;
            up.becomes(&with("closed-again", "closed")).await.unwrap();
            let again = up.station("closed-again");
            let arrived = asking.end().await;
            assert!(
                arrived.get(&web).is_some_and(|count| *count > 10),
                "{arrived:?}"
            );
            assert_eq!(arrived.get(&again), None, "{cni:?}: {arrived:?}");
            up.becomes(&without).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_listens_on_a_port_as_long_as_a_service_leads_there() {
    let pods = pod("open", "server", "server") + &pod("open", "client", "client");
    let service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: open}\nspec: \
         {selector: {app: server}, ports: [{port: 53, targetPort: 9999, protocol: UDP}]}\n";
    let mut up = Up::start(&pods, Cni::Routed, 1).await;
    let address = up.addresses()["server"][0];
    for (yaml, observed) in [
        (pods.clone() + service, Observed::Allowed),
        (pods.clone(), Observed::Closed),
        (pods.replace("8080", "9999"), Observed::Allowed),
    ] {
        up.becomes(&yaml).await.unwrap();
        let observation = up.try_hard("client", address, 9999).await;
        assert_eq!(observation.observed, observed, "{observation:?}");
        up.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_the_kernel_refuses_is_taken_back() {
    for cni in BOTH {
        let client = pod("shop", "client", "client");
        let start = format!("{POLICIES}{client}{}", deployment(2));
        let mut up = Up::start(&start, cni, 2).await;
        let before = up.addresses();
        // Somebody has the names of the interfaces that would come next.
        let node = up.running.lab.network().node(1).unwrap().route().unwrap();
        let last = before.keys().map(|name| up.station(name)).max().unwrap();
        let taken: Vec<String> = (1..=4).map(|n| format!("pod{}", last + n)).collect();
        for name in &taken {
            node.add_link(BridgeLink::new(name)).await.unwrap();
        }
        let next = format!("{POLICIES}{}{}", deployment(5), pod("shop", "other", "web"));
        let error = up.becomes(&next).await.unwrap_err().to_string();
        assert!(error.contains("nothing is changed"), "{error}");
        assert_eq!(up.addresses(), before);
        up.check().await;
        for name in taken {
            node.del_link(&*name).await.unwrap();
        }
        up.becomes(&next).await.unwrap();
        assert!(!up.addresses().contains_key("client"));
        up.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_stay_as_they_are() {
    let client = pod("shop", "client", "client");
    let mut up = Up::start(&client, Cni::Routed, 2).await;
    let elsewhere = pod("shop", "far", "web").replace("spec: {", "spec: {nodeName: node-9, ");
    let error = up
        .becomes(&format!("{client}{elsewhere}"))
        .await
        .unwrap_err();
    let told = error.to_string();
    assert!(told.contains("add the node node-9"), "{told}");
    assert!(told.contains("ringfence lab up"), "{told}");
    assert_eq!(up.running.lab.schedule().nodes.len(), 2);
    up.check().await;
}
