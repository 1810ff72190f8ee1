//! The security properties of `docs/security.md`, by packets.
//!
//! Runs in network namespaces of its own, without a way out, and needs the right to make
//! them.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod bridge;
mod bridge_and_node;
mod claims;
mod icmp;
mod log;
#[path = "../support/network.rs"]
#[expect(dead_code, reason = "each test file uses what it needs")]
mod network;
mod on_link;
mod ports;
mod tunnels;
mod wire;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use network::{
    Network, connect, count_udp, echoes, is_cut, is_dropped, nothing_comes, serve_tcp, serve_udp,
    start, udp, udp_echoes, udp_is_dropped, v4, v6,
};
use ringfence_dataplane::compile::Enforcement;
use ringfence_dataplane::nft::{Enforcer, Table, TableName};

const DENY_ALL: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny-all, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
";

const WEB_TO_DB: &str = "
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web-to-db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 5432}, {port: 53, protocol: UDP}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db-from-web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}, {port: 53, protocol: UDP}]}]
";

const WEB: usize = 0;
const DB: usize = 1;
const OTHER: usize = 2;

async fn shop() -> Network {
    let network = Network::new(&["web", "db", "other"]).await;
    for address in [v4, v6] {
        serve_tcp(network.pod(DB), address(DB), 5432);
        serve_tcp(network.pod(DB), address(DB), 5433);
        serve_udp(network.pod(DB), address(DB), 53);
        // What is not allowed later must fail because of that, and of nothing else.
        for pod in [WEB, OTHER] {
            let control = connect(network.pod(pod), address(DB), 5432);
            assert!(control.is_some(), "without rules everything arrives");
        }
    }
    network
}

async fn enforce(network: &Network, policies: &str) -> Enforcer {
    let (engine, node) = network.engine(&[], policies);
    start(network.node.netns(), &engine, &node).await
}

async fn change(enforcer: &mut Enforcer, network: &Network, policies: &str) {
    let (engine, node) = network.engine(&[], policies);
    enforcer
        .update(&engine, &node)
        .await
        .expect("the change is taken");
}

fn with_allow() -> String {
    format!("{DENY_ALL}{WEB_TO_DB}")
}

fn both() -> [fn(usize) -> IpAddr; 2] {
    [v4, v6]
}

#[tokio::test]
async fn what_no_policy_allows_does_not_arrive_and_what_one_allows_does() {
    let network = shop().await;
    for address in both() {
        let stream = connect(network.pod(OTHER), address(DB), 5432);
        assert!(stream.is_some(), "without rules everything arrives");
    }
    let enforcer = enforce(&network, &with_allow()).await;
    for address in both() {
        let mut stream = connect(network.pod(WEB), address(DB), 5432).expect("allowed");
        assert!(echoes(&mut stream));
        assert!(
            is_dropped(network.pod(WEB), address(DB), 5433),
            "another port"
        );
        assert!(
            is_dropped(network.pod(OTHER), address(DB), 5432),
            "another pod"
        );
        assert!(
            is_dropped(network.pod(DB), address(WEB), 5432),
            "the other way"
        );
        let socket = udp(network.pod(WEB), address(WEB));
        assert!(udp_echoes(&socket, address(DB), 53));
        assert!(udp_is_dropped(&socket, address(DB), 54));
        let socket = udp(network.pod(OTHER), address(OTHER));
        assert!(udp_is_dropped(&socket, address(DB), 53));
    }
    enforcer.uninstall().await.unwrap();
    assert!(
        connect(network.pod(OTHER), v4(DB), 5432).is_some(),
        "nothing is left"
    );
}

#[tokio::test]
async fn a_connection_that_is_no_longer_allowed_is_cut_and_others_go_on() {
    let network = shop().await;
    let mut enforcer = enforce(&network, &with_allow()).await;
    for address in both() {
        let mut stream = connect(network.pod(WEB), address(DB), 5432).expect("allowed");
        let socket = udp(network.pod(WEB), address(WEB));
        assert!(echoes(&mut stream) && udp_echoes(&socket, address(DB), 53));
        // Something else changes: both go on.
        let more = format!(
            "{}\n---{}",
            with_allow(),
            DENY_ALL.replace("default-deny-all", "again")
        );
        change(&mut enforcer, &network, &more).await;
        assert!(echoes(&mut stream) && udp_echoes(&socket, address(DB), 53));
        // The port is closed: only it.
        let without = with_allow().replace("{port: 5432}, ", "");
        change(&mut enforcer, &network, &without).await;
        assert!(is_cut(&mut stream));
        assert!(udp_echoes(&socket, address(DB), 53), "not cut");
        change(&mut enforcer, &network, &with_allow()).await;
    }
}

#[tokio::test]
async fn connections_from_before_the_table_are_judged_too() {
    let network = shop().await;
    let mut allowed = connect(network.pod(WEB), v4(DB), 5432).expect("nothing denies yet");
    let mut denied = connect(network.pod(OTHER), v4(DB), 5432).expect("nothing denies yet");
    assert!(echoes(&mut allowed) && echoes(&mut denied));
    let _enforcer = enforce(&network, &with_allow()).await;
    assert!(echoes(&mut allowed) && is_cut(&mut denied));
}

#[tokio::test]
async fn a_process_that_stops_opens_nothing_and_the_next_one_takes_over() {
    let network = shop().await;
    let first = enforce(&network, &with_allow()).await;
    let mut stream = connect(network.pod(WEB), v4(DB), 5432).expect("allowed");
    assert!(echoes(&mut stream));
    drop(first);
    assert!(
        is_dropped(network.pod(OTHER), v4(DB), 5432),
        "the table stays"
    );
    assert!(echoes(&mut stream));
    let second = enforce(&network, &with_allow()).await;
    assert!(second.held().epoch() > 1, "connections are judged again");
    assert!(echoes(&mut stream));
    assert!(is_dropped(network.pod(OTHER), v4(DB), 5432));
    drop(second);
    let _third = enforce(&network, DENY_ALL).await;
    assert!(
        is_cut(&mut stream),
        "what was allowed before the restart is cut after it"
    );
}

#[tokio::test]
async fn a_namespace_in_audit_mode_denies_nothing() {
    let network = shop().await;
    let (engine, mut node) = network.engine(&[], DENY_ALL);
    for endpoint in &mut node.endpoints {
        Arc::make_mut(endpoint).enforcement = Enforcement::Audit;
    }
    let mut enforcer = start(network.node.netns(), &engine, &node).await;
    let mut stream = connect(network.pod(OTHER), v4(DB), 5432).expect("only audited");
    assert!(echoes(&mut stream));
    change(&mut enforcer, &network, DENY_ALL).await;
    assert!(is_cut(&mut stream));
}

#[tokio::test]
async fn a_pod_sends_from_its_own_addresses_only() {
    let network = shop().await;
    // Nothing else comes there: an answer to what is forged would go to somebody else.
    let policies = with_allow().replace("port: 53,", "port: 54,");
    let arrived = both().map(|address| count_udp(network.pod(DB), address(DB), 54));
    let mut enforcer = enforce(&network, &policies).await;
    // `other` takes the address of `web`, which is allowed, besides its own.
    for (address, length) in [(v4(WEB), 32), (v6(WEB), 128)] {
        add_address(network.pod(OTHER), address, length).await;
    }
    let (engine, mut node) = network.engine(&[], &policies);
    for is_known in [true, false] {
        if !is_known {
            // Its interface is there before anything is known of the pod.
            node.endpoints.retain(|it| &*it.name != "shop/other");
            enforcer.update(&engine, &node).await.unwrap();
        }
        for (address, arrived) in both().into_iter().zip(&arrived) {
            let before = arrived.load(Ordering::SeqCst);
            let forging = udp(network.pod(OTHER), address(WEB));
            forging.send_to(b"forged", (address(DB), 54)).unwrap();
            let honest = udp(network.pod(WEB), address(WEB));
            assert!(udp_echoes(&honest, address(DB), 54));
            let own = arrived.load(Ordering::SeqCst) - before;
            assert_eq!(own, 1, "{}, known: {is_known}", address(WEB));
        }
    }
}

#[tokio::test]
async fn an_address_of_the_node_that_no_known_pod_has_is_closed() {
    let network = shop().await;
    let (engine, mut node) = network.engine(&[], "");
    node.pod_ranges = vec![
        "10.9.0.0/16".parse().unwrap(),
        "fd00:9::/32".parse().unwrap(),
    ];
    // `other` is not known yet; its interface is.
    node.endpoints
        .retain(|endpoint| &*endpoint.name != "shop/other");
    let _enforcer = start(network.node.netns(), &engine, &node).await;
    for address in both() {
        assert!(
            connect(network.pod(WEB), address(DB), 5432).is_some(),
            "known pods are free"
        );
        assert!(is_dropped(network.pod(OTHER), address(DB), 5432), "from it");
    }
    serve_tcp(network.pod(OTHER), v4(OTHER), 80);
    assert!(is_dropped(network.pod(WEB), v4(OTHER), 80), "to it");
}

#[tokio::test]
async fn a_table_that_somebody_changed_is_repaired() {
    let network = shop().await;
    let mut enforcer = enforce(&network, &with_allow()).await;
    assert_eq!(enforcer.repair().await.unwrap(), None);
    let namespace = network.node.netns();
    let mut stream = connect(network.pod(WEB), v4(DB), 5432).expect("allowed");
    let stranger = Table::in_namespace(namespace, TableName::default()).unwrap();
    stranger.delete().await.unwrap();
    assert!(
        connect(network.pod(OTHER), v4(DB), 5432).is_some(),
        "it is gone"
    );
    assert!(enforcer.repair().await.unwrap().is_some());
    assert!(is_dropped(network.pod(OTHER), v4(DB), 5432), "and back");
    assert!(echoes(&mut stream));
    assert_eq!(enforcer.repair().await.unwrap(), None);
}

#[tokio::test]
async fn fragments_are_judged_as_the_packet_that_they_make() {
    let network = shop().await;
    let _enforcer = enforce(&network, &with_allow()).await;
    for address in both() {
        let large = [7; 4000];
        for (pod, arrives) in [(WEB, true), (OTHER, false)] {
            let socket = udp(network.pod(pod), address(pod));
            socket.send_to(&large, (address(DB), 53)).unwrap();
            match arrives {
                true => assert!(socket.recv(&mut [0; 4096]).is_ok()),
                false => assert!(nothing_comes(&socket)),
            }
        }
    }
}

#[tokio::test]
async fn a_metadata_service_behind_a_translation_is_still_one() {
    let network = shop().await;
    let namespace = network.node.netns();
    // A Service, and an agent that answers for the metadata address: both lead to `db`.
    for first in ["10.96.0.10", "169.254.169.254"] {
        translate(namespace, first.parse().unwrap(), 80, v4(DB), 5432).await;
    }
    let service = "10.96.0.10".parse().unwrap();
    let metadata = "169.254.169.254".parse().unwrap();
    assert!(
        connect(network.pod(WEB), metadata, 80).is_some(),
        "nothing denies yet"
    );
    let _enforcer = enforce(&network, &with_allow()).await;
    let mut stream = connect(network.pod(WEB), service, 80).expect("judged by its endpoint");
    assert!(echoes(&mut stream));
    assert!(
        is_dropped(network.pod(WEB), metadata, 80),
        "judged by what it is"
    );
}

/// What kube-proxy does for a Service.
async fn translate(
    namespace: &nlink::netlink::namespace::Netns,
    first: std::net::Ipv4Addr,
    port: u16,
    to: IpAddr,
    to_port: u16,
) {
    use nlink::netlink::nftables::{BaseChain, Chain, Family, NatHook, Priority, Rule};
    let IpAddr::V4(to) = to else {
        panic!("IPv4 only")
    };
    let nft = nlink::Connection::<nlink::netlink::Nftables>::new_in(namespace).unwrap();
    let table = format!("services-{first}");
    let chain = Chain::new(&*table, "prerouting")
        .unwrap()
        .family(Family::Ip);
    let rule = Rule::new(&table, "prerouting").family(Family::Ip);
    let rule = rule
        .match_daddr_v4(first, 32)
        .match_tcp_dport(port)
        .dnat(to, Some(to_port));
    let made = nft
        .transaction()
        .add_table(&table, Family::Ip)
        .add_chain(chain.base(BaseChain::nat(NatHook::Prerouting, Priority::DstNat)))
        .add_rule(rule)
        .commit(&nft);
    made.await.unwrap();
}

async fn add_address(namespace: &nlink::netlink::namespace::Netns, address: IpAddr, length: u8) {
    use nlink::netlink::addr::{Ipv4Address, Ipv6Address};
    let links = nlink::Connection::<nlink::netlink::Route>::new_in(namespace).unwrap();
    let added = match address {
        IpAddr::V4(address) => {
            links
                .add_address(Ipv4Address::new("eth0", address, length))
                .await
        }
        IpAddr::V6(address) => {
            links
                .add_address(Ipv6Address::new("eth0", address, length))
                .await
        }
    };
    added.unwrap();
}
