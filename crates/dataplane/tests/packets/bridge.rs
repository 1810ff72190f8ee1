//! Frames between pods of one bridge, from a pod that may make any frame it likes.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;

use nlink::netlink::namespace::Netns;
use nlink::netlink::nftables::{
    BaseChain, Chain, Expr, Family, FilterHook, Policy, Priority, Rule, Set, SetKeyType, Verdict,
};
use ringfence_dataplane::compile::{Node, Settings};
use ringfence_dataplane::nflog::{Denials, Event};
use ringfence_dataplane::nft::{Connections, Enforcer, Noisy, Table, TableName};
use ringfence_engine::Engine;

use super::network::{
    Network, PATIENCE, connect, echoes, hardware, is_dropped, serve_tcp, serve_udp, start, udp,
    udp_echoes, udp_is_dropped, v4, v6,
};
use super::wire::{TEXT, Wire, arp, packet, with};
use super::{DB, DENY_ALL, OTHER, WEB, both, with_allow};

pub(super) const EVERYBODY: [u8; 6] = [0xff; 6];
const NOBODY: [u8; 6] = [2, 0, 0, 0, 9, 9];

pub(super) async fn shop() -> Network {
    let network = Network::on_bridge(&["web", "db", "other"]).await;
    for address in both() {
        serve_tcp(network.pod(DB), address(DB), 5432);
        serve_udp(network.pod(DB), address(DB), 53);
        for pod in [WEB, OTHER] {
            let control = connect(network.pod(pod), address(DB), 5432);
            assert!(control.is_some(), "without rules everything arrives");
        }
    }
    network
}

/// The address of the bridge in the family of this.
pub(super) fn node_address(address: fn(usize) -> IpAddr) -> IpAddr {
    match address(0) {
        IpAddr::V4(_) => "10.9.255.254".parse().unwrap(),
        IpAddr::V6(_) => "fd00:9:ffff::1".parse().unwrap(),
    }
}

pub(super) fn compiled(network: &Network, policies: &str) -> (Engine, Node) {
    let (engine, mut node) = network.engine(&[], policies);
    node.addresses = both().map(node_address).to_vec();
    (engine, node)
}

pub(super) async fn enforce(network: &Network, policies: &str) -> Enforcer {
    let (engine, node) = compiled(network, policies);
    start(network.node.netns(), &engine, &node).await
}

/// Frames by which `OTHER` reaches `DB`, to which nothing is allowed.
pub(super) fn past_policies() -> Vec<(&'static str, Vec<u8>)> {
    let direct = (hardware(OTHER), hardware(DB));
    let mut frames = Vec::new();
    for address in both() {
        let plain = packet(direct, address(OTHER), address(DB), TEXT);
        frames.extend([
            ("plain", plain.clone()),
            ("802.1Q, tag 0", with(&[0x81, 0, 0, 0], &plain)),
            ("802.1Q, tag 5", with(&[0x81, 0, 0, 5], &plain)),
            ("802.1ad, tag 0", with(&[0x88, 0xa8, 0, 0], &plain)),
            ("802.1ad, tag 7", with(&[0x88, 0xa8, 0, 7], &plain)),
            ("two tags", with(&[0x88, 0xa8, 0, 7, 0x81, 0, 0, 0], &plain)),
            (
                "two tags of one kind",
                with(&[0x81, 0, 0, 0, 0x81, 0, 0, 0], &plain),
            ),
            (
                "PPPoE",
                with(&[0x88, 0x64, 0x11, 0, 0, 1, 0, 60, 0, 0x21], &plain),
            ),
            ("MPLS", with(&[0x88, 0x47, 0, 1, 0x01, 0x40], &plain)),
            ("an experiment", with(&[0x88, 0xb5], &plain)),
            ("its length alone", with(&[0, 60], &plain)),
        ]);
        // Allowed to `web`, and so tried in its name.
        let from_web = |own| packet((own, hardware(DB)), address(WEB), address(DB), TEXT);
        frames.push(("another's address", from_web(hardware(OTHER))));
        frames.push(("all of another's", from_web(hardware(WEB))));
        // What may be sent, to who is not meant.
        let outside: IpAddr = match address(OTHER) {
            IpAddr::V4(_) => "203.0.113.9".parse().unwrap(),
            IpAddr::V6(_) => "2001:db8::9".parse().unwrap(),
        };
        for (what, to) in [
            ("to everybody", EVERYBODY),
            ("to nobody", NOBODY),
            ("to a group", [1, 0, 0x5e, 0, 0, 0xfb]),
            ("another's hardware address", hardware(DB)),
        ] {
            frames.push((
                what,
                packet((hardware(OTHER), to), address(OTHER), outside, TEXT),
            ));
        }
    }
    for (what, to) in [
        ("everybody", "255.255.255.255"),
        ("everybody of the network", "10.9.255.255"),
        ("a group", "224.0.0.251"),
        ("a group over IPv6", "ff02::fb"),
        ("all hosts over IPv6", "ff02::1"),
    ] {
        let to: IpAddr = to.parse().unwrap();
        let from = if to.is_ipv4() { v4(OTHER) } else { v6(OTHER) };
        let group = match to {
            IpAddr::V4(_) => EVERYBODY,
            IpAddr::V6(to) => {
                let [.., a, b, c, d] = to.octets();
                [0x33, 0x33, a, b, c, d]
            }
        };
        frames.push((what, packet((hardware(OTHER), group), from, to, TEXT)));
    }
    frames
}

#[tokio::test]
async fn what_policies_allow_passes_a_bridge_and_nothing_else() {
    let network = shop().await;
    let mut enforcer = enforce(&network, &with_allow()).await;
    for address in both() {
        // Whom they asked for before is forgotten, and asked for again.
        for pod in [WEB, DB] {
            forget_neighbours(network.pod(pod)).await;
        }
        let mut stream = connect(network.pod(WEB), address(DB), 5432).expect("allowed");
        assert!(echoes(&mut stream));
        assert!(is_dropped(network.pod(OTHER), address(DB), 5432));
        let socket = udp(network.pod(WEB), address(WEB));
        assert!(udp_echoes(&socket, address(DB), 53));
        let socket = udp(network.pod(OTHER), address(OTHER));
        assert!(udp_is_dropped(&socket, address(DB), 53));
        // Its own node it reaches.
        let node = node_address(address);
        serve_udp(network.node.netns(), node, 99);
        forget_neighbours(network.pod(OTHER)).await;
        assert!(udp_echoes(&socket, node, 99), "{node}");
    }
    let (engine, node) = compiled(&network, "");
    enforcer.update(&engine, &node).await.unwrap();
    for address in both() {
        let stream = connect(network.pod(OTHER), address(DB), 5432);
        assert!(stream.is_some(), "nobody is isolated any more");
    }
}

async fn forget_neighbours(pod: &Netns) {
    let links = nlink::Connection::<nlink::netlink::Route>::new_in(pod).unwrap();
    for neighbour in links.get_neighbors().await.unwrap() {
        if let Some(address) = neighbour.destination().copied() {
            let known = nlink::netlink::neigh::Neighbor::with_index(neighbour.ifindex(), address);
            links.del_neighbor_if_exists(known).await.unwrap();
        }
    }
}

#[tokio::test]
async fn no_frame_of_a_pod_gets_past_the_policies() {
    let network = shop().await;
    let (from, to) = (Wire::of(network.pod(OTHER)), Wire::of(network.pod(DB)));
    for (what, frame) in past_policies() {
        from.send(&frame);
        assert!(to.comes(TEXT), "{what}: without rules it arrives");
    }
    let _enforcer = enforce(&network, &with_allow()).await;
    while to.comes(TEXT) {}
    for (what, frame) in past_policies() {
        from.send(&frame);
        assert!(!to.comes(TEXT), "{what}");
    }
    // The way is open all the same.
    let web = Wire::of(network.pod(WEB));
    for address in both() {
        let own = (hardware(WEB), hardware(DB));
        web.send(&packet(own, address(WEB), address(DB), TEXT));
        assert!(to.comes(TEXT));
    }
}

#[tokio::test]
async fn a_frame_that_is_denied_is_told_by_its_port_and_hides_nobody() {
    let network = shop().await;
    let settings = Settings::default();
    let namespace = network.node.netns();
    let mut denials = Denials::listen(namespace, settings.log_group)
        .await
        .unwrap();
    let enforcer = enforce(&network, &with_allow()).await;
    let from = Wire::of(network.pod(OTHER));
    let direct = (hardware(OTHER), hardware(DB));
    let forged = packet(direct, v4(WEB), v4(DB), TEXT);
    let noise = 200_u64;
    for _ in 0..noise {
        from.send(&with(&[0x81, 0, 0, 0], &forged));
    }
    // Another pod is still told.
    let web = Wire::of(network.pod(WEB));
    let of_other = (hardware(OTHER), v4(OTHER));
    web.send(&arp((hardware(WEB), v4(DB)), hardware(WEB), of_other, &[]));
    let mut told = Vec::new();
    let all = denials.read(|event| {
        match event {
            Event::DeniedFrame(frame) => told.push(frame),
            Event::Denied(_) => {}
            lost => panic!("{lost:?}"),
        }
        ControlFlow::Continue(())
    });
    assert!(
        tokio::time::timeout(PATIENCE, all).await.is_err(),
        "it never ends by itself"
    );
    let suppressed = enforcer.suppressed().await.unwrap();
    let noisy = Noisy::Port(format!("pod{OTHER}"));
    let tagged: Vec<_> = told.iter().filter(|it| it.ether_type == 0x8100).collect();
    assert_eq!(tagged.len() as u64 + suppressed[&noisy], noise);
    assert_eq!(tagged[0].addresses, Some((v4(WEB), v4(DB))));
    assert_eq!((tagged[0].source, tagged[0].destination), direct);
    let lie: Vec<_> = told.iter().filter(|it| it.ether_type == 0x0806).collect();
    assert_eq!(lie.len(), 1, "{told:?}");
    assert_eq!(lie[0].addresses, Some((v4(DB), v4(OTHER))));
    assert_ne!(lie[0].port, tagged[0].port);
}

#[tokio::test]
async fn a_table_of_bridges_that_somebody_changed_is_repaired() {
    let network = shop().await;
    let mut enforcer = enforce(&network, &with_allow()).await;
    let (from, to) = (Wire::of(network.pod(OTHER)), Wire::of(network.pod(DB)));
    let (own, of_db) = (hardware(OTHER), (hardware(DB), v4(DB)));
    let lie = arp((own, v4(WEB)), own, of_db, TEXT);
    let stranger = nlink::Connection::<nlink::netlink::Nftables>::new_in(network.node.netns());
    let stranger = stranger.unwrap();
    let (table, family) = ("ringfence", Family::Bridge);
    let accept = Rule::new(table, "arp")
        .family(family)
        .expressions(vec![Expr::Verdict(Verdict::Accept)]);
    let more = Set::new(table, "more").family(family);
    let forward = Chain::new(table, "forward").unwrap().family(family);
    let base = BaseChain::filter(FilterHook::Forward, Priority::Filter).policy(Policy::Drop);
    let changes = [
        (
            "a chain without rules",
            stranger
                .transaction()
                .flush_chain(table, "arriving_frame", family),
        ),
        ("a rule more", stranger.transaction().add_rule(accept)),
        (
            "a set more",
            stranger
                .transaction()
                .add_set(more.key_type(SetKeyType::EtherAddr)),
        ),
        (
            "a chain with a name of ours",
            stranger.transaction().add_chain(forward.base(base)),
        ),
        ("no table", stranger.transaction().del_table(table, family)),
    ];
    for (change, transaction) in changes {
        transaction.commit(&stranger).await.expect(change);
        let found = enforcer.repair().await.expect("it is repaired");
        assert!(found.is_some(), "{change}");
        assert_eq!(enforcer.repair().await.expect("an answer"), None);
        from.send(&lie);
        assert!(!to.comes(TEXT), "{change}");
        let stream = connect(network.pod(WEB), v4(DB), 5432);
        assert!(stream.is_some(), "{change}");
    }
    // Nothing of it is left.
    enforcer.uninstall().await.unwrap();
    from.send(&lie);
    assert!(to.comes(TEXT));
}

#[tokio::test]
async fn what_would_not_hold_between_pods_of_a_bridge_is_not_said_to_hold() {
    let network = shop().await;
    let (engine, node) = compiled(&network, DENY_ALL);
    let namespace = network.node.netns();
    let mut enforcer = start(namespace, &engine, &node).await;
    for key in ["iptables", "ip6tables"] {
        let key = format!("net.bridge.bridge-nf-call-{key}");
        namespace.sysctl().set(&key, "0").unwrap();
        for error in [
            enforcer.repair().await.unwrap_err(),
            Enforcer::start(
                Table::in_namespace(namespace, TableName::default()).unwrap(),
                Connections::in_namespace(namespace).unwrap(),
                &engine,
                &node,
            )
            .await
            .err()
            .expect("it is refused"),
        ] {
            assert!(error.to_string().contains(&key), "{error}");
        }
        namespace.sysctl().set(&key, "1").unwrap();
        assert_eq!(enforcer.repair().await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_node_that_loses_its_bridges_has_no_table_of_frames() {
    let network = shop().await;
    let links = Nftables::of(&network);
    let mut enforcer = enforce(&network, DENY_ALL).await;
    assert_eq!(links.tables_of_bridges().await, 1);
    let (engine, mut node) = compiled(&network, DENY_ALL);
    node.bridges.clear();
    for endpoint in &mut node.endpoints {
        Arc::make_mut(endpoint).port = None;
    }
    enforcer.update(&engine, &node).await.unwrap();
    assert_eq!(links.tables_of_bridges().await, 0);
    assert_eq!(enforcer.suppressed().await.unwrap().len(), 0);
    assert_eq!(enforcer.repair().await.unwrap(), None);
    let (engine, node) = compiled(&network, DENY_ALL);
    enforcer.update(&engine, &node).await.unwrap();
    assert_eq!(links.tables_of_bridges().await, 1);
}

/// What is asked of the kernel besides the enforcer.
struct Nftables(nlink::Connection<nlink::netlink::Nftables>);

impl Nftables {
    fn of(network: &Network) -> Self {
        Self(nlink::Connection::new_in(network.node.netns()).unwrap())
    }

    async fn tables_of_bridges(&self) -> usize {
        self.0.list_tables_in(Family::Bridge).await.unwrap().len()
    }
}
