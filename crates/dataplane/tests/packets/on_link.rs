//! Addresses of the node's links to its pods, where a metadata service may answer.

use std::net::{IpAddr, Ipv6Addr, SocketAddrV6, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nlink::netlink::addr::{Ipv4Address, Ipv6Address};
use nlink::netlink::namespace::Netns;

use super::network::{DEADLINE, Network, Received, record_udp, start, udp, v4, v6, when_usable};
use super::{DENY_ALL, OTHER, WEB, change, shop};

const ON_LINK: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe);
const COMMON: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 169, 254));

/// A node that says that both addresses are its own.
const NODE: &str = "
---
apiVersion: v1
kind: Node
metadata: {name: node-1}
status:
  addresses:
  - {type: InternalIP, address: 10.9.1.1}
  - {type: InternalIP, address: 169.254.169.254}
  - {type: InternalIP, address: \"fe80::a9fe:a9fe\"}
";

/// `web` may go anywhere; `other` nowhere.
const WEB_ANYWHERE: &str = "
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web-anywhere, namespace: shop}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{}]}
";

/// What has come to port 80 of the node, in both families.
struct Come {
    received: Received,
    /// How often something was tried.
    tries: AtomicU64,
}

impl Come {
    /// Whether what is sent arrives in the end, as it must.
    fn arrives(&self, send: impl Fn(&[u8])) -> bool {
        let deadline = Instant::now() + DEADLINE;
        self.comes_while(|| Instant::now() < deadline, send)
    }

    /// Whether nothing of it arrives, as it must not.
    fn is_dropped(&self, send: impl Fn(&[u8])) -> bool {
        let mut times = 0..10;
        !self.comes_while(|| times.next().is_some(), send)
    }

    /// Sends again and again, and each time that something is tried, something else: what was
    /// sent before may come late.
    fn comes_while(&self, mut goes_on: impl FnMut() -> bool, send: impl Fn(&[u8])) -> bool {
        let number = self.tries.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        while goes_on() {
            send(&number);
            std::thread::sleep(Duration::from_millis(50));
            if self.received.lock().unwrap().contains(&number[..]) {
                return true;
            }
        }
        false
    }
}

async fn with_metadata(network: &Network) -> Come {
    let links = nlink::Connection::<nlink::netlink::Route>::new_in(network.node.netns()).unwrap();
    for pod in 0..network.pods.len() {
        let name = format!("pod{pod}");
        let address = Ipv6Address::new(&name, ON_LINK, 128).nodad();
        links.add_address(address).await.unwrap();
    }
    let IpAddr::V4(common) = COMMON else {
        unreachable!()
    };
    links
        .add_address(Ipv4Address::new("lo", common, 32))
        .await
        .unwrap();
    // What is bound so takes both families.
    let any = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    Come {
        received: record_udp(network.node.netns(), any, 80),
        tries: AtomicU64::new(0),
    }
}

/// Sends to the address on the link: from this one, or as the kernel chooses.
fn send_on_link(pod: &Netns, from: Option<IpAddr>, text: &[u8]) {
    let bound = from.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    let socket = when_usable(pod, || UdpSocket::bind((bound, 0)));
    let table = pod.run(|| std::fs::read_to_string("/proc/thread-self/net/if_inet6"));
    let table = table.unwrap().unwrap();
    let line = table.lines().find(|line| line.ends_with(" eth0")).unwrap();
    let index = line.split_whitespace().nth(1).unwrap();
    let scope = u32::from_str_radix(index, 16).unwrap();
    // Refused while sending counts as not arrived.
    let _ = socket.send_to(text, SocketAddrV6::new(ON_LINK, 80, 0, scope));
}

#[tokio::test]
async fn a_metadata_service_on_the_node_is_not_reached_because_it_is_the_node() {
    let network = shop().await;
    let come = with_metadata(&network).await;
    let to_common = |pod: usize, text: &[u8]| {
        let socket = udp(network.pod(pod), v4(pod));
        let _ = socket.send_to(text, (COMMON, 80));
    };
    let on_link = |pod: usize, from: Option<IpAddr>, text: &[u8]| {
        send_on_link(network.pod(pod), from, text);
    };
    for pod in [WEB, OTHER] {
        assert!(
            come.arrives(|text| to_common(pod, text)),
            "nothing denies yet"
        );
        for from in [None, Some(v6(pod))] {
            assert!(come.arrives(|text| on_link(pod, from, text)), "nor here");
        }
    }
    let text = network.manifests(&[], &format!("{DENY_ALL}{WEB_ANYWHERE}{NODE}"));
    let (engine, mut node) = network.engine_of(text);
    // Whoever says so.
    node.addresses.extend([COMMON, ON_LINK.into()]);
    let mut enforcer = start(network.node.netns(), &engine, &node).await;
    assert!(come.is_dropped(|text| to_common(OTHER, text)));
    assert!(come.is_dropped(|text| on_link(OTHER, Some(v6(OTHER)), text)));
    assert!(
        come.arrives(|text| to_common(WEB, text)),
        "allowed by its policy"
    );
    assert!(come.arrives(|text| on_link(WEB, Some(v6(WEB)), text)));
    // Nobody knows whose a link-local address is.
    for pod in [WEB, OTHER] {
        assert!(come.is_dropped(|text| on_link(pod, None, text)));
    }
    // Without policies a pod goes anywhere, from its own addresses.
    change(&mut enforcer, &network, "").await;
    assert!(come.arrives(|text| to_common(OTHER, text)));
    assert!(come.arrives(|text| on_link(OTHER, Some(v6(OTHER)), text)));
    assert!(come.is_dropped(|text| on_link(OTHER, None, text)));
}
