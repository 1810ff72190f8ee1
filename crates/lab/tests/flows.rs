//! UDP clients that keep their port, through Services whose endpoints change.
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
#[expect(dead_code, reason = "each test file uses what it needs")]
mod agreed;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ringfence_lab::probe::Settings;
use ringfence_lab::schedule::{Options, Placement};
use ringfence_lab::session::{Building, Running};
use ringfence_lab::station::Trace;
use ringfence_lab::topology::Cni;
use ringfence_model::address::IpFamily;
use ringfence_model::snapshot::{Pod, PodId};
use socket2::{Domain, Type};
use tokio::net::UdpSocket;

use agreed::scheduled;

const OUTSIDE: [&str; 2] = ["198.51.100.7", "2001:db8:7::7"];

/// Pods that serve, pods that do not, and whether there is the Service.
fn cluster(serving: &[&str], idle: &[&str], has_service: bool) -> String {
    let pod = |name: &str, serves: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{serves: \
             '{serves}'}}}}\nspec: {{containers: [{{name: a, ports: [{{containerPort: 9000, \
             protocol: UDP}}]}}]}}\n"
        )
    };
    let mut yaml = pod("client", "no");
    yaml.extend(serving.iter().map(|name| pod(name, "yes")));
    yaml.extend(idle.iter().map(|name| pod(name, "no")));
    if has_service {
        let [v4, v6] = OUTSIDE;
        yaml.push_str(&format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: dns}}\nspec: {{type: NodePort, \
             ipFamilyPolicy: RequireDualStack, clusterIPs: [10.96.7.7, 'fd00:10:96::7:7'], \
             externalIPs: [{v4}, '{v6}'], selector: {{serves: 'yes'}}, ports: [{{port: 53, \
             targetPort: 9000, nodePort: 30053, protocol: UDP}}]}}\n"
        ));
    }
    yaml
}

struct Up {
    running: Running,
    building: Building,
    options: Options,
    /// A socket of each family in the client, always the same.
    sockets: Vec<UdpSocket>,
    sent: u64,
}

impl Up {
    async fn start(yaml: &str, cni: Cni) -> Self {
        let building = Building {
            cni,
            probing: Settings::default(),
            ..Building::default()
        };
        let options = Options {
            nodes: 2,
            families: Some(IpFamily::ALL.to_vec()),
            ..Options::default()
        };
        let running = Running::start(scheduled(yaml, &options), &building)
            .await
            .expect("network namespaces can be made: root is needed");
        let snapshot = &running.lab.schedule().snapshot;
        let is_client = |(_, pod): &(_, &Pod)| &*pod.name == "client";
        let client = snapshot.pod_ids().find(is_client).unwrap().0;
        let client = running.lab.network().pod(client).unwrap();
        let sockets = [
            (Domain::IPV4, "0.0.0.0:40000"),
            (Domain::IPV6, "[::]:40000"),
        ];
        let sockets = sockets.map(|(domain, own)| {
            let socket = client.socket(domain, Type::DGRAM, 0).unwrap();
            let own: SocketAddr = own.parse().unwrap();
            if own.is_ipv6() {
                socket.set_only_v6(true).unwrap();
            }
            socket.bind(&own.into()).unwrap();
            UdpSocket::from_std(socket.into()).unwrap()
        });
        Self {
            running,
            building,
            options,
            sockets: sockets.into(),
            sent: 1 << 60,
        }
    }

    async fn becomes(&mut self, yaml: &str) {
        let options = Options {
            placed: Placement::of(self.running.lab.schedule()),
            ..self.options.clone()
        };
        let next = scheduled(yaml, &options);
        self.running.update(next, &self.building).await.unwrap();
    }

    /// Every address and port of the Service.
    fn entrances(&self) -> Vec<SocketAddr> {
        let own = ["10.96.7.7", "fd00:10:96::7:7"];
        let addresses = own.iter().chain(&OUTSIDE);
        let addresses = addresses.map(|a| SocketAddr::new(a.parse().unwrap(), 53));
        let nodes = self.running.lab.schedule().nodes.iter();
        let nodes = nodes.flat_map(|node| &node.addresses);
        let ports = nodes.map(|address| SocketAddr::new(*address, 30053));
        addresses.chain(ports).collect()
    }

    /// The pods at which packets to these places arrive.
    async fn arrive_at(&mut self, places: &[SocketAddr]) -> Vec<Option<String>> {
        let mut all = Vec::new();
        for place in places {
            all.push(self.arrives_at(*place).await);
        }
        all
    }

    async fn arrives_at(&mut self, place: SocketAddr) -> Option<String> {
        let socket = match place.ip() {
            IpAddr::V4(_) => &self.sockets[0],
            IpAddr::V6(_) => &self.sockets[1],
        };
        for _ in 0..5 {
            self.sent += 1;
            // What an earlier packet met is told here.
            let _ = socket.send_to(&self.sent.to_be_bytes(), place).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            let lab = &self.running.lab;
            let arrived = lab.prober().arrivals().all(Trace::Nonce(self.sent));
            let is_there = |(id, pod): &(PodId, &Pod)| {
                // Its answer arrives at the client.
                let station = lab.station_of(*id);
                station.is_some_and(|s| arrived.contains(&s)) && &*pod.name != "client"
            };
            let mut pods = lab.schedule().snapshot.pod_ids();
            if let Some((_, pod)) = pods.find(is_there) {
                return Some(pod.name.to_string());
            }
        }
        None
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_keeps_its_port_comes_to_who_is_an_endpoint_now() {
    for cni in [Cni::Routed, Cni::Bridge] {
        let mut up = Up::start(&cluster(&["one"], &["two"], true), cni).await;
        let entrances = up.entrances();
        assert_eq!(entrances.len(), 8);
        let all_at = |name: &str| vec![Some(name.to_owned()); entrances.len()];
        assert_eq!(up.arrive_at(&entrances).await, all_at("one"), "{cni:?}");
        // The first is there as before, and no endpoint.
        up.becomes(&cluster(&["two"], &["one"], true)).await;
        assert_eq!(up.arrive_at(&entrances).await, all_at("two"), "{cni:?}");
        // The second is not there any more.
        up.becomes(&cluster(&["one"], &[], true)).await;
        assert_eq!(up.arrive_at(&entrances).await, all_at("one"), "{cni:?}");
        // Nobody is an endpoint.
        up.becomes(&cluster(&[], &["one"], true)).await;
        let none = vec![None; entrances.len()];
        assert_eq!(up.arrive_at(&entrances).await, none, "{cni:?}");
        up.becomes(&cluster(&["one"], &[], true)).await;
        assert_eq!(up.arrive_at(&entrances).await, all_at("one"), "{cni:?}");
        // There is no Service.
        up.becomes(&cluster(&[], &["one"], false)).await;
        assert_eq!(up.arrive_at(&entrances).await, none, "{cni:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_stays_with_its_endpoint_whatever_becomes_of_the_others() {
    let names = ["one", "two", "three"];
    let mut up = Up::start(&cluster(&names, &[], true), Cni::Routed).await;
    let entrances = up.entrances();
    let mut before = up.arrive_at(&entrances).await;
    assert!(before.iter().all(Option::is_some), "{before:?}");
    for gone in names {
        let serving: Vec<&str> = names.into_iter().filter(|name| *name != gone).collect();
        up.becomes(&cluster(&serving, &[gone], true)).await;
        let after = up.arrive_at(&entrances).await;
        for (before, after) in before.iter().zip(&after) {
            assert_ne!(after.as_deref(), Some(gone));
            assert!(after.is_some());
            assert!(
                before == after || before.as_deref() == Some(gone),
                "{before:?} {after:?}"
            );
        }
        up.becomes(&cluster(&names, &[], true)).await;
        before = up.arrive_at(&entrances).await;
        assert_eq!(before, after, "who comes takes nobody from another");
    }
}
