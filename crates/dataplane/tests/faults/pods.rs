//! Pods that come and go: one that sends before anything is known of it, and an address
//! that another pod gets.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ringfence_dataplane::compile::{Node, Port};
use ringfence_dataplane::nft::Enforcer;
use ringfence_engine::Engine;

use crate::network::{
    Network, Received, come_up, record_udp, track_connections, udp, udp_echoes, v4, v6,
};
use crate::traffic::{Flow, Seen, serve};
use crate::{DB, ONE_AT_A_TIME, OTHER, PORT, WEB, WIRINGS, cycles, shop};

/// Where the pod in question asks; `other` asks on [`PORT`] all the while.
const ASKED: u16 = 54;

/// Clients may ask `db`; nobody else may do anything.
const POLICIES: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny-all, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: clients-to-db, namespace: shop}
spec:
  podSelector: {matchLabels: {role: client}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 53, protocol: UDP}, {port: 54, protocol: UDP}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db-from-clients, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {role: client}}}], ports: [{port: 53, protocol: UDP}, {port: 54, protocol: UDP}]}]
";

/// `db`, `other` who asks it without an end, and `web` whose packets tell when they were
/// sent.
struct Stage {
    network: Network,
    others: Vec<(Flow, Arc<Seen>)>,
    asking: Vec<(UdpSocket, SocketAddr, Received)>,
    /// How many packets were sent that must not arrive.
    forbidden: u64,
}

impl Stage {
    async fn new(is_bridge: bool) -> Self {
        let network = shop(is_bridge).await;
        track_connections(network.node.netns()).await;
        let (mut others, mut asking) = (Vec::new(), Vec::new());
        for address in [v4, v6] {
            let seen = serve(network.pod(DB), address(DB), PORT, address(OTHER));
            let received = record_udp(network.pod(DB), address(DB), ASKED);
            for (pod, port) in [(WEB, ASKED), (OTHER, PORT)] {
                come_up(network.pod(pod), address(pod), address(DB), port);
            }
            // So the kernel knows this connection from before.
            let socket = udp(network.pod(WEB), address(WEB));
            assert!(udp_echoes(&socket, address(DB), ASKED));
            asking.push((socket, SocketAddr::new(address(DB), ASKED), received));
            others.push((seen, address));
        }
        let start = |(seen, address): (Arc<Seen>, fn(usize) -> IpAddr)| {
            let flow = Flow::allowed(network.pod(OTHER), address(OTHER), address(DB), PORT);
            (flow, seen)
        };
        Self {
            others: others.into_iter().map(start).collect(),
            network,
            asking,
            forbidden: 0,
        }
    }

    /// The cluster, with `web` under this name.
    fn cluster(&self, name: &str, is_client: bool) -> (Engine, Node) {
        let mut labels = vec![("other", "role: client")];
        if is_client {
            labels.push(("web", "role: client"));
        }
        let text = self.network.manifests(&labels, POLICIES);
        let text = text.replace("{name: web,", &format!("{{name: {name},"));
        let (engine, mut node) = self.network.engine_of(text);
        node.pod_ranges = vec![
            "10.9.0.0/16".parse().unwrap(),
            "fd00:9::/32".parse().unwrap(),
        ];
        (engine, node)
    }

    /// What is sent now must not arrive.
    fn send_in_vain(&mut self, cycle: usize) {
        for (socket, to, _) in &self.asking {
            for number in 0..3 {
                // The kernel may say at once that it does not get through.
                let _ = socket.send_to(format!("vain {cycle} {number}").as_bytes(), to);
                self.forbidden += 1;
            }
        }
    }

    /// What is sent now must be answered, the first packet already.
    fn ask(&self, cycle: usize) {
        for (socket, to, _) in &self.asking {
            let question = format!("asked {cycle}");
            let mut buffer = [0; 64];
            socket.send_to(question.as_bytes(), to).expect("it is open");
            let read = socket
                .recv(&mut buffer)
                .expect("the first packet is answered");
            assert_eq!(&buffer[..read], question.as_bytes());
        }
    }

    fn check(self, what: &str) {
        let (mut sent, mut lost, mut foreign) = (0, 0, 0);
        for (flow, seen) in self.others {
            let outcome = flow.stop();
            sent += outcome.sent;
            lost += outcome.sent - outcome.answered;
            foreign += seen.leaked.load(Ordering::Relaxed);
        }
        let mut leaked = 0;
        for (_, _, received) in &self.asking {
            let received = received.lock().unwrap();
            leaked += received
                .iter()
                .filter(|text| text.starts_with(b"vain"))
                .count();
        }
        let forbidden = self.forbidden;
        println!("{what}: {leaked} of {forbidden} leaked, {lost} of {sent} of another pod lost");
        assert!(forbidden > 0 && sent > 0);
        assert_eq!((leaked, lost, foreign), (0, 0, 0), "{what}");
    }
}

async fn start(stage: &Stage, engine: &Engine, node: &Node) -> Enforcer {
    crate::network::start(stage.network.node.netns(), engine, node).await
}

async fn update(enforcer: &mut Enforcer, engine: &Engine, node: &Node) {
    enforcer
        .update(engine, node)
        .await
        .expect("a change is taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_sends_before_it_is_known_gets_nothing_through_until_its_policies_hold() {
    let _alone = ONE_AT_A_TIME.lock().await;
    for is_bridge in WIRINGS {
        send_before_it_is_known(is_bridge).await;
    }
}

async fn send_before_it_is_known(is_bridge: bool) {
    let mut stage = Stage::new(is_bridge).await;
    let (engine, node) = stage.cluster("web", true);
    let mut before = node.clone();
    before
        .endpoints
        .retain(|endpoint| &*endpoint.name != "shop/web");
    let mut enforcer = start(&stage, &engine, &before).await;
    for cycle in 0..cycles() {
        stage.send_in_vain(cycle);
        // It is known, and not yet what it may do.
        let (engine, node) = stage.cluster("web", false);
        update(&mut enforcer, &engine, &node).await;
        stage.send_in_vain(cycle + cycles());
        let (engine, node) = stage.cluster("web", true);
        update(&mut enforcer, &engine, &node).await;
        stage.ask(cycle);
        update(&mut enforcer, &engine, &before).await;
    }
    stage.check("pods before their policies");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_gets_the_address_of_another_gets_none_of_its_connections() {
    let _alone = ONE_AT_A_TIME.lock().await;
    for is_bridge in WIRINGS {
        get_an_address_of_another(is_bridge).await;
    }
}

async fn get_an_address_of_another(is_bridge: bool) {
    let mut stage = Stage::new(is_bridge).await;
    let (engine, node) = stage.cluster("web", true);
    let mut enforcer = start(&stage, &engine, &node).await;
    for cycle in 0..cycles() {
        stage.ask(cycle);
        // The same address and the same ports, so that the kernel takes it for the same
        // connection; every other time it is behind another interface.
        let (engine, mut node) = stage.cluster("intruder", cycle % 4 == 3);
        if cycle % 2 == 1 {
            for endpoint in &mut node.endpoints {
                if &*endpoint.name == "shop/intruder" {
                    let endpoint = Arc::make_mut(endpoint);
                    let (name, hardware) = ("pod9".to_owned(), [2, 0, 0, 0, 0, 9]);
                    match is_bridge {
                        true => endpoint.port = Some(Port { name, hardware }),
                        false => endpoint.interface = Some(name),
                    }
                }
            }
        }
        update(&mut enforcer, &engine, &node).await;
        stage.send_in_vain(cycle);
        let (engine, node) = stage.cluster("web", true);
        update(&mut enforcer, &engine, &node).await;
    }
    stage.ask(cycles());
    stage.check("addresses of others");
}
