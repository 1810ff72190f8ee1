//! Ports of a bridge: those of which nothing is known, and what the bridge and the node send out
//! by others.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nlink::FdbEntryBuilder;
use nlink::netlink::Route;
use nlink::netlink::link::BridgePortConfig;
use ringfence_dataplane::compile::Node;

use super::bridge::{EVERYBODY, compiled, enforce, node_address, past_policies, shop};
use super::claims::lies;
use super::icmp::in_the_end;
use super::network::{BRIDGE_HARDWARE, connect, count_udp, hardware, start, udp, v4};
use super::wire::{TEXT, Wire, arp, packet, with};
use super::{DB, DENY_ALL, OTHER, WEB, both};

/// LLDP: what bridges tell their neighbours, and carry no further.
const TO_BRIDGES: [u8; 6] = [1, 0x80, 0xc2, 0, 0, 0x0e];

#[tokio::test]
async fn no_frame_for_bridges_alone_reaches_the_node_past_the_policies() {
    let network = shop().await;
    let from = Wire::of(network.pod(OTHER));
    let node = node_address(v4);
    let come = count_udp(network.node.netns(), node, 53);
    let outside: IpAddr = "198.51.100.7".parse().unwrap();
    let frame = packet((hardware(OTHER), TO_BRIDGES), outside, node, TEXT);
    let arrives = || {
        let before = come.load(Ordering::SeqCst);
        (0..5).any(|_| {
            from.send(&frame);
            std::thread::sleep(Duration::from_millis(60));
            come.load(Ordering::SeqCst) > before
        })
    };
    assert!(arrives(), "without rules it arrives");
    let _enforcer = enforce(&network, DENY_ALL).await;
    assert!(!arrives());
}

/// The node, as long as nothing is known of `OTHER`.
fn without_other(node: &Node) -> Node {
    let mut before = node.clone();
    before
        .endpoints
        .retain(|endpoint| !endpoint.addresses.contains(&v4(OTHER)));
    before
}

#[tokio::test]
async fn a_port_that_no_pod_is_known_behind_is_closed() {
    let network = shop().await;
    let (engine, node) = compiled(&network, "");
    let mut enforcer = start(network.node.netns(), &engine, &without_other(&node)).await;
    let (from, to) = (Wire::of(network.pod(OTHER)), Wire::of(network.pod(DB)));
    for (what, frame) in past_policies() {
        from.send(&frame);
        assert!(!to.comes(TEXT), "{what}");
    }
    for (what, lie) in lies() {
        from.send(&lie);
        assert!(!to.comes(&lie), "{what}");
    }
    enforcer.update(&engine, &node).await.unwrap();
    for address in both() {
        let stream = connect(network.pod(OTHER), address(DB), 5432);
        assert!(stream.is_some(), "nobody is isolated");
    }
}

/// A tag that is of no network, which who gets it does not care for.
const TAGS: [&[u8]; 3] = [&[], &[0x81, 0, 0, 0], &[0x88, 0xa8, 0xe0, 0, 0x81, 0, 0, 0]];

#[tokio::test]
async fn a_port_that_no_pod_is_known_behind_is_nobody_else_for_the_node() {
    let network = shop().await;
    let links = nlink::Connection::<Route>::new_in(network.node.netns()).unwrap();
    let port = links.get_link_by_name(&*format!("pod{OTHER}")).await;
    let port = port.unwrap().unwrap();
    let port: [u8; 6] = port.address().unwrap().try_into().unwrap();
    let from = Wire::of(network.pod(OTHER));
    for address in both() {
        let node = node_address(address);
        let come = count_udp(network.node.netns(), node, 53);
        // By its bridge, and by its end of the link.
        let mut frames = Vec::new();
        for tag in TAGS {
            for to in [BRIDGE_HARDWARE, port] {
                let frame = packet((hardware(OTHER), to), address(WEB), node, TEXT);
                frames.push(with(tag, &frame));
            }
        }
        let arrived = || {
            let before = come.load(Ordering::SeqCst);
            frames.iter().for_each(|frame| from.send(frame));
            std::thread::sleep(Duration::from_millis(200));
            come.load(Ordering::SeqCst) - before
        };
        // Those with two tags are none that this kernel takes both off.
        assert!(arrived() >= 4, "without rules they arrive");
        let (engine, whole) = compiled(&network, "");
        let enforcer = start(network.node.netns(), &engine, &without_other(&whole)).await;
        assert_eq!(arrived(), 0);
        // Nor while nobody is known at all.
        let mut nobody = without_other(&whole);
        nobody.endpoints.clear();
        let mut enforcer = enforcer;
        enforcer.update(&engine, &nobody).await.unwrap();
        assert_eq!(arrived(), 0);
        enforcer.uninstall().await.unwrap();
    }
}

#[tokio::test]
async fn what_the_node_sends_is_for_who_it_is_for_whoever_says_otherwise() {
    let network = shop().await;
    let [thief, db] = [OTHER, DB].map(|pod| Wire::of(network.pod(pod)));
    let node = udp(network.node.netns(), node_address(v4));
    let links = nlink::Connection::<Route>::new_in(network.node.netns()).unwrap();
    let bridge = links.get_link_by_name(super::network::BRIDGE).await;
    let bridge = bridge.unwrap().unwrap().ifindex();
    // What is for bridges alone meets no hook, and the bridge learns from it where somebody is.
    let moved = packet((hardware(DB), TO_BRIDGES), v4(OTHER), v4(DB), b"moved");
    let mut claims = Vec::new();
    for tag in TAGS {
        let to_all = arp(
            (hardware(OTHER), v4(DB)),
            hardware(OTHER),
            (EVERYBODY, v4(DB)),
            &[],
        );
        claims.push(with(tag, &to_all));
        let as_db = packet((hardware(DB), EVERYBODY), v4(OTHER), v4(WEB), b"moved");
        claims.push(with(tag, &as_db));
    }
    let sends = || {
        // Nobody listens there, and what db says of it is quoted.
        while db.comes(TEXT) {}
        let to = std::net::SocketAddr::new(v4(DB), 9);
        node.send_to(TEXT, to).unwrap();
        (thief.comes(TEXT), db.comes(TEXT))
    };
    assert!(
        in_the_end(|| sends() == (false, true)),
        "it asks where it is"
    );
    let is_stolen = || {
        thief.send(&moved);
        sends() == (true, false)
    };
    assert!(in_the_end(is_stolen), "without rules it is stolen");
    let gets_there = || {
        let (stolen, arrived) = sends();
        assert!(!stolen);
        arrived
    };
    let (engine, whole) = compiled(&network, "");
    for known in [whole.clone(), without_other(&whole)] {
        let enforcer = start(network.node.netns(), &engine, &known).await;
        // By what the bridge hears from anybody, it is lost at most.
        thief.send(&moved);
        let (stolen, _) = sends();
        assert!(!stolen);
        db.send(&packet(
            (hardware(DB), hardware(WEB)),
            v4(DB),
            v4(WEB),
            b"back",
        ));
        for claim in &claims {
            thief.send(claim);
            assert!(in_the_end(gets_there));
        }
        // Nor where the bridge has forgotten where it is.
        for entry in links.get_fdb_by_index(bridge).await.unwrap() {
            if entry.mac() == hardware(DB) {
                links
                    .del_fdb_by_index(entry.ifindex(), entry.mac(), None)
                    .await
                    .unwrap();
            }
        }
        assert!(in_the_end(gets_there));
        enforcer.uninstall().await.unwrap();
    }
}

#[tokio::test]
async fn a_bridge_whose_ports_learn_nothing_is_not_told_that_somebody_moved() {
    let network = shop().await;
    let _enforcer = enforce(&network, "").await;
    let (thief, web) = (Wire::of(network.pod(OTHER)), Wire::of(network.pod(WEB)));
    let all = [&thief, &web, &Wire::of(network.pod(DB))];
    // What is for bridges alone meets no hook, and the bridge learns from it where somebody is.
    let theft = packet((hardware(DB), TO_BRIDGES), v4(OTHER), v4(DB), b"moved");
    let for_db = packet((hardware(WEB), hardware(DB)), v4(WEB), v4(DB), TEXT);
    let reaches = |number: usize| {
        thief.send(&theft);
        web.send(&for_db);
        all[number].comes(TEXT)
    };
    assert!(
        !reaches(DB),
        "it goes to the thief's port, and is not for the thief"
    );
    let node = network.node.netns();
    let links = nlink::Connection::<nlink::netlink::Route>::new_in(node).unwrap();
    for pod in [WEB, DB, OTHER] {
        let port = format!("pod{pod}");
        let learns_nothing = BridgePortConfig::new().learning(false);
        let set = links.set_bridge_port(&*port, learns_nothing).await;
        set.unwrap();
        let behind = FdbEntryBuilder::new(hardware(pod)).dev(port).static_();
        links.replace_fdb(behind).await.unwrap();
    }
    assert!(reaches(DB));
}
