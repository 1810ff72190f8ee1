//! Packets in packets, which a node takes out.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ringfence_dataplane::compile::Settings;
use socket2::{Domain, Protocol};

use super::icmp::{comes, raw, send};
use super::network::{count_udp, start, udp, v4};
use super::{DENY_ALL, OTHER, shop};

#[tokio::test]
async fn a_pod_sends_nothing_into_the_tunnels_of_a_node() {
    let network = shop().await;
    let namespace = network.node.netns();
    let own: IpAddr = "10.9.3.1".parse().unwrap();
    // Nobody says that one of these is closed because it is a tunnel's.
    let other_port = 8473;
    let tunnels = Settings::default().tunnel_ports;
    let ports = tunnels.iter().copied().chain([other_port]);
    let counts: Vec<_> = ports
        .map(|port| (port, count_udp(namespace, own, port)))
        .collect();
    let arrives = |port: u16| {
        let (_, count) = counts.iter().find(|(of, _)| *of == port).unwrap();
        let before = count.load(Ordering::SeqCst);
        let socket = udp(network.pod(OTHER), v4(OTHER));
        (0..5).any(|_| {
            socket.send_to(b"ping", (own, port)).unwrap();
            std::thread::sleep(Duration::from_millis(60));
            count.load(Ordering::SeqCst) > before
        })
    };
    let protocols = [4, 41, 47].map(Protocol::from);
    let comes_out = |protocol: Protocol| {
        let to = raw(namespace, Domain::IPV4, protocol);
        let from = raw(network.pod(OTHER), Domain::IPV4, protocol);
        send(&from, b"a stowaway", own);
        comes(&to, b"a stowaway")
    };
    for port in tunnels.iter().copied().chain([other_port]) {
        assert!(arrives(port), "nothing denies {port} yet");
    }
    for protocol in protocols {
        assert!(comes_out(protocol), "nothing denies {protocol:?} yet");
    }
    let (engine, mut node) = network.engine(&[], DENY_ALL);
    node.addresses = vec![own];
    let _enforcer = start(namespace, &engine, &node).await;
    assert!(arrives(other_port), "a pod reaches its own node");
    for port in tunnels {
        assert!(!arrives(port), "{port}");
    }
    for protocol in protocols {
        assert!(!comes_out(protocol), "{protocol:?}");
    }
}
