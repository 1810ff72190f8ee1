use super::*;
use crate::snapshot::{ServiceEndpoint, TrafficPolicy};

/// The endpoints of the first port of a service, as `pod:port` or `address:port`.
fn endpoints(snapshot: &Snapshot, namespace: &str, name: &str) -> Vec<String> {
    let id = snapshot.find_service(namespace, name).unwrap();
    let port = &snapshot.service(id).ports[0];
    snapshot
        .service_endpoints(id, port)
        .into_iter()
        .map(|endpoint| match endpoint {
            ServiceEndpoint::Pod { pod, port, certain } => {
                let doubt = if certain { "" } else { "?" };
                format!("{}:{port}{doubt}", snapshot.pod(pod).name)
            }
            ServiceEndpoint::Address { address, port } => format!("{address}:{port}"),
        })
        .collect()
}

fn service(namespace: &str, name: &str, spec: Value) -> Value {
    json!({"kind": "Service", "metadata": {"namespace": namespace, "name": name}, "spec": spec})
}

fn slice(namespace: &str, service: &str, endpoints: Value, ports: Value) -> Value {
    json!({"kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"namespace": namespace, "name": format!("{service}-slice"),
            "labels": {"kubernetes.io/service-name": service}},
        "endpoints": endpoints, "ports": ports})
}

fn web(name: &str, labels: Value, port: u16) -> Value {
    let ports = json!([{"containerPort": port, "name": "http"}]);
    let spec = json!({"containers": [{"name": "main", "ports": ports}]});
    pod("x", name, labels, json!({"spec": spec}))
}

#[test]
fn a_named_target_port_is_each_pods_own_number() {
    let snapshot = build(vec![
        web("a", json!({"app": "web"}), 8080),
        web("b", json!({"app": "web"}), 8081),
        web("c", json!({"app": "other"}), 80),
        pod("x", "d", json!({"app": "web"}), json!({})),
        pod("y", "e", json!({"app": "web"}), json!({})),
        service(
            "x",
            "named",
            json!({"selector": {"app": "web"},
            "ports": [{"port": 80, "targetPort": "http"}]}),
        ),
        service(
            "x",
            "number",
            json!({"selector": {"app": "web"},
            "ports": [{"port": 80, "targetPort": 9090}]}),
        ),
        service(
            "x",
            "same",
            json!({"selector": {"app": "web"}, "ports": [{"port": 80}]}),
        ),
        service(
            "x",
            "udp",
            json!({"selector": {"app": "web"},
            "ports": [{"port": 80, "targetPort": "http", "protocol": "UDP"}]}),
        ),
    ]);
    assert_eq!(endpoints(&snapshot, "x", "named"), ["a:8080", "b:8081"]);
    assert_eq!(
        endpoints(&snapshot, "x", "number"),
        ["a:9090", "b:9090", "d:9090"]
    );
    assert_eq!(endpoints(&snapshot, "x", "same"), ["a:80", "b:80", "d:80"]);
    assert_eq!(endpoints(&snapshot, "x", "udp"), Vec::<String>::new());
}

#[test]
fn a_service_that_selects_by_an_unknown_label_may_lead_to_the_template() {
    let snapshot = build(vec![
        workload("StatefulSet", "x", "db", json!({"app": "db"}), json!({})),
        service(
            "x",
            "db-0",
            json!({
            "selector": {"app": "db", "statefulset.kubernetes.io/pod-name": "db-0"},
            "ports": [{"port": 5432}]}),
        ),
    ]);
    assert_eq!(endpoints(&snapshot, "x", "db-0"), ["db:5432?"]);
}

#[test]
fn a_service_without_selector_leads_where_its_slices_say() {
    let targets = json!([
        {"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": "a", "namespace": "x"}},
        {"addresses": ["10.0.0.2"]},
        {"addresses": ["203.0.113.7"], "targetRef": {"kind": "Pod", "name": "gone"}},
    ]);
    let snapshot = build(vec![
        pod("x", "a", json!({}), json!({})),
        pod(
            "x",
            "b",
            json!({}),
            json!({"status": {"podIP": "10.0.0.2"}}),
        ),
        service(
            "x",
            "manual",
            json!({"selector": {}, "ports": [{"port": 80, "name": "web"}]}),
        ),
        slice(
            "x",
            "manual",
            targets,
            json!([
            {"name": "web", "port": 8080}, {"name": "other", "port": 1}]),
        ),
    ]);
    let manual = snapshot.find_service("x", "manual").unwrap();
    assert_eq!(snapshot.service(manual).selector, None);
    assert_eq!(
        endpoints(&snapshot, "x", "manual"),
        ["a:8080", "b:8080", "203.0.113.7:8080"]
    );
}

#[test]
fn endpoints_count_only_where_the_service_has_no_slice() {
    let subsets = |address: &str| {
        json!([{"addresses": [{"ip": address}], "notReadyAddresses": [{"ip": "192.0.2.9"}],
            "ports": [{"port": 6443}]}])
    };
    let of = |name: &str, address: &str| {
        json!({"kind": "Endpoints", "metadata": {"namespace": "x", "name": name},
            "subsets": subsets(address)})
    };
    let snapshot = build(vec![
        service("x", "old", json!({"ports": [{"port": 443}]})),
        of("old", "192.0.2.1"),
        service("x", "new", json!({"ports": [{"port": 443}]})),
        of("new", "192.0.2.2"),
        slice(
            "x",
            "new",
            json!([{"addresses": ["192.0.2.3"]}]),
            json!([{"port": 6443}]),
        ),
    ]);
    assert_eq!(
        endpoints(&snapshot, "x", "old"),
        ["192.0.2.1:6443", "192.0.2.9:6443"]
    );
    assert_eq!(endpoints(&snapshot, "x", "new"), ["192.0.2.3:6443"]);
    assert_eq!(snapshot.endpoint_slices.len(), 2);
}

#[test]
fn a_service_whose_pods_are_not_in_the_input_leads_where_its_slices_say() {
    let snapshot = build(vec![
        service(
            "x",
            "dns",
            json!({"selector": {"k8s-app": "dns"}, "ports": [{"port": 53}]}),
        ),
        slice(
            "x",
            "dns",
            json!([{"addresses": ["10.0.0.53"]}]),
            json!([{"port": 5353}]),
        ),
    ]);
    assert_eq!(endpoints(&snapshot, "x", "dns"), ["10.0.0.53:5353"]);
}

#[test]
fn an_external_name_leads_nowhere_in_the_cluster() {
    let snapshot = build(vec![
        pod("x", "a", json!({"app": "a"}), json!({})),
        service(
            "x",
            "alias",
            json!({"type": "ExternalName", "externalName": "db.example.org",
            "selector": {"app": "a"}, "ports": [{"port": 5432}]}),
        ),
    ]);
    assert_eq!(endpoints(&snapshot, "x", "alias"), Vec::<String>::new());
    let id = snapshot.find_service("x", "alias").unwrap();
    assert_eq!(
        snapshot.service(id).external_name.as_deref(),
        Some("db.example.org")
    );
}

#[test]
fn a_services_addresses_and_type_are_read() {
    let mut balanced = service(
        "x",
        "lb",
        json!({"type": "LoadBalancer",
        "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd96::1"],
        "externalIPs": ["198.51.100.1"], "externalTrafficPolicy": "Local",
        "ports": [{"port": 80, "nodePort": 30080}]}),
    );
    balanced["status"] = json!({"loadBalancer": {"ingress": [
        {"ip": "203.0.113.1"}, {"hostname": "lb.example.org"}]}});
    let snapshot = build(vec![
        balanced,
        service("x", "headless", json!({"clusterIP": "None"})),
        service("x", "plain", json!({})),
    ]);
    let of = |name: &str| snapshot.service(snapshot.find_service("x", name).unwrap());
    let shown =
        |list: &[std::net::IpAddr]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(shown(&of("lb").cluster_ips), ["10.96.0.1", "fd96::1"]);
    assert_eq!(
        shown(&of("lb").external_addresses),
        ["198.51.100.1", "203.0.113.1"]
    );
    assert_eq!(of("lb").ports[0].node_port, Some(30080));
    assert_eq!(of("lb").external_traffic, TrafficPolicy::Local);
    assert_eq!(of("plain").external_traffic, TrafficPolicy::Cluster);
    assert_eq!(&*of("plain").service_type, "ClusterIP");
    assert!(of("headless").headless && !of("plain").headless);
    assert!(of("headless").cluster_ips.is_empty());
}

#[test]
fn a_named_target_port_is_the_first_that_is_declared_with_that_name() {
    let port = |number: u16| json!([{"containerPort": number, "name": "http"}]);
    let spec = json!({
        "initContainers": [{"name": "proxy", "restartPolicy": "Always", "ports": port(1)}],
        "containers": [
            {"name": "main", "ports": port(9090)},
            {"name": "other", "ports": port(8080)},
        ],
    });
    let snapshot = build(vec![
        pod("x", "a", json!({"app": "web"}), json!({"spec": spec})),
        service(
            "x",
            "web",
            json!({"selector": {"app": "web"},
            "ports": [{"port": 80, "targetPort": "http"}]}),
        ),
    ]);
    assert_eq!(endpoints(&snapshot, "x", "web"), ["a:9090"]);
}
