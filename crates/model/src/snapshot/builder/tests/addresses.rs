use std::net::IpAddr;

use super::*;
use crate::address::IpFamily::{self, V4, V6};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn with_address(namespace: &str, name: &str, address: &str) -> Value {
    pod(
        namespace,
        name,
        json!({}),
        json!({"status": {"podIP": address}}),
    )
}

fn node(name: &str, addresses: Value, spec: Value) -> Value {
    json!({"kind": "Node", "metadata": {"name": name}, "spec": spec,
        "status": {"addresses": addresses}})
}

#[test]
fn a_pod_has_at_most_one_address_of_each_family() {
    let ips = json!([{"ip": "fd00::1"}, {"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]);
    let snapshot = build(vec![pod(
        "x",
        "p",
        json!({}),
        json!({"status": {"podIP": "fd00::1", "podIPs": ips}}),
    )]);
    let pod = only_pod(&snapshot, "x", "p");
    assert_eq!(pod.addresses, [ip("10.0.0.1"), ip("fd00::1")]);
    assert_eq!(
        snapshot.pod_with_address(ip("fd00::1")),
        snapshot.find_pod("x", "p")
    );
    assert_eq!(snapshot.families_of(pod), [V4, V6]);
}

#[test]
fn host_networked_pods_have_their_nodes_address() {
    let on_host = |name: &str, node: &str, status: Value| {
        let spec = json!({"hostNetwork": true, "nodeName": node});
        pod(
            "x",
            name,
            json!({}),
            json!({"spec": spec, "status": status}),
        )
    };
    let snapshot = build(vec![
        node(
            "n1",
            json!([
                {"type": "Hostname", "address": "n1.example.org"},
                {"type": "ExternalIP", "address": "203.0.113.1"},
                {"type": "InternalIP", "address": "192.168.0.1"},
            ]),
            json!({}),
        ),
        on_host("a", "n1", json!({"hostIP": "192.168.0.9"})),
        on_host(
            "b",
            "n1",
            json!({"hostIPs": [{"ip": "192.168.0.8"}, {"ip": "fd01::8"}]}),
        ),
        on_host("c", "n1", json!({"podIP": "192.168.0.7"})),
        on_host("d", "n1", json!({})),
        on_host("e", "gone", json!({})),
    ]);
    let addresses = |name: &str| only_pod(&snapshot, "x", name).addresses.clone();
    assert_eq!(addresses("a"), [ip("192.168.0.9")]);
    assert_eq!(addresses("b"), [ip("192.168.0.8"), ip("fd01::8")]);
    assert_eq!(addresses("c"), [ip("192.168.0.7")]);
    assert_eq!(addresses("d"), [ip("192.168.0.1")]);
    assert_eq!(addresses("e"), Vec::<IpAddr>::new());
    assert_eq!(only_pod(&snapshot, "x", "e").node.as_deref(), Some("gone"));
    assert_eq!(snapshot.pod_with_address(ip("192.168.0.1")), None);
    let by_address = snapshot.node_with_address(ip("203.0.113.1")).unwrap();
    assert_eq!(&*by_address.name, "n1");
    assert_eq!(by_address.addresses, [ip("192.168.0.1"), ip("203.0.113.1")]);
}

#[test]
fn the_address_of_a_node_is_known_from_the_pods_that_run_on_it() {
    let on = |name: &str, node: &str, status: Value| {
        let more = json!({"spec": {"nodeName": node}, "status": status});
        pod("x", name, json!({}), more)
    };
    let mut ended = on("ended", "n5", json!({"hostIP": "192.168.0.5"}));
    ended["status"]["phase"] = json!("Failed");
    let snapshot = build(vec![
        node(
            "n1",
            json!([{"type": "InternalIP", "address": "192.168.0.1"}]),
            json!({}),
        ),
        on("a", "n2", json!({"hostIP": "192.168.0.2"})),
        on(
            "b",
            "n2",
            json!({"hostIPs": [{"ip": "192.168.0.2"}, {"ip": "fd01::2"}]}),
        ),
        on("c", "renamed", json!({"hostIP": "192.168.0.1"})),
        on("d", "n3", json!({"hostIP": "192.168.0.34"})),
        on("e", "n4", json!({"hostIP": "192.168.0.34"})),
        on("f", "", json!({"hostIP": "192.168.0.6"})),
        ended,
    ]);
    let name = |address: &str| snapshot.node_name_with_address(ip(address));
    assert_eq!(name("192.168.0.2"), Some("n2"));
    assert_eq!(name("fd01::2"), Some("n2"));
    assert_eq!(
        name("192.168.0.1"),
        Some("n1"),
        "the Node object goes first"
    );
    assert_eq!(
        name("192.168.0.34"),
        None,
        "two nodes cannot share an address"
    );
    assert_eq!(name("192.168.0.5"), None);
    assert_eq!(name("192.168.0.6"), None);
    assert_eq!(snapshot.nodes.len(), 1);
    assert!(snapshot.node_with_address(ip("192.168.0.2")).is_none());
}

#[test]
fn an_address_that_two_live_pods_claim_is_nobodys() {
    let (snapshot, diagnostics) = build_with(
        BuildOptions::default(),
        vec![
            with_address("x", "a", "10.0.0.1"),
            with_address("y", "b", "10.0.0.1"),
            with_address("y", "c", "10.0.0.2"),
        ],
    );
    assert_eq!(codes(&diagnostics), ["duplicate-address"; 2]);
    assert_eq!(
        diagnostics[0].message,
        "Pod x/a and Pod y/b both claim the address 10.0.0.1"
    );
    assert_eq!(snapshot.pod_with_address(ip("10.0.0.1")), None);
    assert!(only_pod(&snapshot, "x", "a").addresses.is_empty());
    assert!(only_pod(&snapshot, "y", "b").addresses.is_empty());
    assert!(snapshot.pod_with_address(ip("10.0.0.2")).is_some());
}

#[test]
fn a_pod_that_is_being_deleted_has_given_its_address_up() {
    let mut going = with_address("x", "old", "10.0.0.1");
    going["metadata"]["deletionTimestamp"] = json!("2024-01-01T00:00:00Z");
    let (snapshot, diagnostics) = build_with(
        BuildOptions::default(),
        vec![going, with_address("x", "new", "10.0.0.1")],
    );
    assert_eq!(codes(&diagnostics), ["duplicate-address"]);
    assert_eq!(
        snapshot.pod_with_address(ip("10.0.0.1")),
        snapshot.find_pod("x", "new")
    );
    assert!(only_pod(&snapshot, "x", "old").addresses.is_empty());
}

#[test]
fn pod_cidrs_come_from_options_and_nodes() {
    let options = BuildOptions {
        pod_cidrs: vec!["10.2.3.4/16".parse().unwrap()],
        ..BuildOptions::default()
    };
    let (snapshot, diagnostics) = build_with(
        options,
        vec![
            node(
                "a",
                json!([]),
                json!({"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24", "fd00::/64"]}),
            ),
            node("b", json!([]), json!({"podCIDR": "10.1.1.0/24"})),
            node("c", json!([]), json!({"podCIDR": "nonsense"})),
        ],
    );
    let cidrs: Vec<String> = snapshot.pod_cidrs.iter().map(ToString::to_string).collect();
    assert_eq!(
        cidrs,
        ["10.1.0.0/24", "10.1.1.0/24", "10.2.0.0/16", "fd00::/64"]
    );
    assert_eq!(snapshot.default_families, [V4, V6]);
    assert_eq!(codes(&diagnostics), ["unreadable-address"]);
}

#[test]
fn families_are_configured_or_seen_or_ipv4() {
    let families = |configured: Option<Vec<IpFamily>>, manifests: Vec<Value>| {
        let options = BuildOptions {
            families: configured,
            ..BuildOptions::default()
        };
        build_with(options, manifests).0.default_families
    };
    let v6_pod = || vec![with_address("x", "a", "fd00::1")];
    assert_eq!(families(None, vec![]), [V4]);
    assert_eq!(families(None, v6_pod()), [V6]);
    assert_eq!(families(Some(vec![V6, V4, V6]), vec![]), [V4, V6]);
    assert_eq!(families(Some(vec![V4]), v6_pod()), [V4]);
    assert_eq!(families(Some(vec![]), v6_pod()), [V6]);
}

#[test]
fn what_is_derived_from_pods_follows_a_replaced_pod() {
    let mut snapshot = build(vec![
        with_address("x", "a", "10.0.0.1"),
        pod("x", "b", json!({}), json!({})),
    ]);
    let (a, b) = (
        snapshot.find_pod("x", "a").unwrap(),
        snapshot.find_pod("x", "b").unwrap(),
    );
    let pod_a = snapshot.pod(a).clone();

    let mut renamed = pod_a.clone();
    renamed.name = "c".into();
    renamed.addresses = vec![ip("fd00::1")];
    snapshot.replace_pod(a, renamed.clone());
    assert_eq!(snapshot.find_pod("x", "a"), None);
    assert_eq!(snapshot.find_pod("x", "c"), Some(a));
    assert_eq!(snapshot.pod_with_address(ip("10.0.0.1")), None);
    assert_eq!(snapshot.pod_with_address(ip("fd00::1")), Some(a));
    assert_eq!(snapshot.families_of(snapshot.pod(b)), [V6]);

    // While one pod takes over the address of another, both may have it.
    let mut taking = snapshot.pod(b).clone();
    taking.addresses = vec![ip("fd00::1")];
    snapshot.replace_pod(b, taking.clone());
    assert_eq!(snapshot.pod_with_address(ip("fd00::1")), Some(b));
    taking.host_network = true;
    snapshot.replace_pod(b, taking);
    assert_eq!(snapshot.pod_with_address(ip("fd00::1")), Some(a));

    renamed.addresses = Vec::new();
    snapshot.replace_pod(a, renamed);
    assert_eq!(snapshot.pod_with_address(ip("fd00::1")), None);
    assert_eq!(snapshot.default_families, [V4]);
}

#[test]
fn families_that_were_configured_do_not_follow_pods() {
    let options = BuildOptions {
        families: Some(vec![V4]),
        ..BuildOptions::default()
    };
    let mut snapshot = build_with(options, vec![with_address("x", "a", "10.0.0.1")]).0;
    let a = snapshot.find_pod("x", "a").unwrap();
    let mut changed = snapshot.pod(a).clone();
    changed.addresses = vec![ip("fd00::1")];
    snapshot.replace_pod(a, changed);
    assert_eq!(snapshot.default_families, [V4]);
}

#[test]
fn no_pod_has_the_address_of_a_service() {
    let service = |name: &str, address: &str| {
        json!({"kind": "Service", "metadata": {"namespace": "x", "name": name},
            "spec": {"clusterIP": address}})
    };
    let manifests = || vec![service("a", "10.96.0.10"), service("none", "None")];
    let taken = ip("10.96.0.10");
    let snapshot = build(manifests());
    for space in [
        snapshot.addresses_for_pods(V4),
        snapshot.assignable_addresses(V4),
    ] {
        assert!(!space.contains(taken));
        assert!(space.contains(ip("10.96.0.11")));
    }
    assert!(snapshot.assignable_addresses(V6).contains(ip("fd00::1")));

    let within = |pod_cidr: &str| {
        let options = BuildOptions {
            pod_cidrs: vec![pod_cidr.parse().unwrap()],
            ..BuildOptions::default()
        };
        build_with(options, manifests()).0
    };
    let snapshot = within("10.0.0.0/8");
    assert!(!snapshot.addresses_for_pods(V4).contains(taken));
    assert!(!snapshot.addresses_for_pods(V4).contains(ip("11.0.0.1")));
    // Of two that cannot both be so, what was said on purpose.
    let snapshot = within("10.96.0.10/32");
    assert!(snapshot.addresses_for_pods(V4).contains(taken));
}

#[test]
fn the_address_of_a_metadata_service_is_no_nodes() {
    let addresses = json!([{"type": "InternalIP", "address": "10.0.0.1"},
        {"type": "InternalIP", "address": "169.254.169.254"},
        {"type": "InternalIP", "address": "fe80::a9fe:a9fe"}]);
    let snapshot = build(vec![
        node("n", addresses, json!({})),
        pod(
            "x",
            "p",
            json!({}),
            json!({"spec": {"nodeName": "m"},
                "status": {"podIP": "10.1.0.1", "hostIP": "169.254.170.2"}}),
        ),
    ]);
    assert_eq!(snapshot.node_addresses(), [ip("10.0.0.1")]);
    for address in ["169.254.169.254", "fe80::a9fe:a9fe", "169.254.170.2"] {
        assert_eq!(snapshot.node_name_with_address(ip(address)), None);
    }
    assert_eq!(snapshot.node_name_with_address(ip("10.0.0.1")), Some("n"));
}
