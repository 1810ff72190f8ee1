use super::*;
use crate::labels::LabelValue::Unknown;
use crate::labels::METADATA_NAME;
use crate::snapshot::{PodKind, PortRef};

fn backend(service: &str, port: Value) -> Value {
    json!({"service": {"name": service, "port": port}})
}

fn ingress(spec: Value) -> Value {
    json!({"kind": "Ingress", "metadata": {"namespace": "x", "name": "web"}, "spec": spec})
}

fn simple() -> Value {
    ingress(json!({"defaultBackend": backend("front", json!({"number": 80}))}))
}

#[test]
fn every_backend_of_an_ingress_is_a_route() {
    let snapshot = build(vec![ingress(json!({
        "defaultBackend": backend("fallback", json!({"number": 80})),
        "rules": [
            {"host": "shop.example.org", "http": {"paths": [
                {"pathType": "Prefix", "path": "/api", "backend": backend("api", json!({"name": "http"}))},
                {"pathType": "ImplementationSpecific", "backend": backend("front", json!({"number": 80}))},
            ]}},
            {"http": {"paths": [{"pathType": "Prefix", "path": "/",
                "backend": {"resource": {"kind": "Bucket", "name": "static"}}}]}},
        ],
    }))]);
    let shown: Vec<_> = snapshot
        .ingress_routes
        .iter()
        .map(|r| {
            (
                r.host.as_deref(),
                r.path.as_deref(),
                &*r.service,
                r.port.clone(),
            )
        })
        .collect();
    let host = Some("shop.example.org");
    assert_eq!(
        shown,
        [
            (None, None, "fallback", PortRef::Number(80)),
            (host, Some("/"), "front", PortRef::Number(80)),
            (host, Some("/api"), "api", PortRef::Name("http".into())),
        ]
    );
}

#[test]
fn an_ingress_without_a_known_controller_gets_a_stand_in() {
    let snapshot = build(vec![simple(), pod("x", "a", json!({}), json!({}))]);
    let controllers = snapshot.ingress_controllers();
    assert_eq!(controllers.len(), 1);
    let workload = snapshot.workload(controllers[0]);
    assert_eq!(&*workload.kind, "IngressController");
    assert!(!workload.may_have_peers_of_its_own());
    let namespace = snapshot.namespace(workload.namespace);
    assert_eq!(&*namespace.name, "(ingress controller)");
    assert!(!namespace.identity_known);
    assert_eq!(namespace.labels.get(METADATA_NAME), Unknown);
    let pod = snapshot.pod(workload.pod_ids().next().unwrap());
    assert_eq!(pod.kind, PodKind::Outside);
    assert_eq!(pod.labels.get("app"), Unknown);
    assert_eq!(
        workload_names(&snapshot),
        [
            "(ingress controller)/IngressController/ingress-controller",
            "x/Pod/a"
        ]
    );
}

#[test]
fn a_known_controller_needs_no_stand_in() {
    let known = [
        json!({"app.kubernetes.io/name": "ingress-nginx"}),
        json!({"app.kubernetes.io/name": "ingress-nginx", "app.kubernetes.io/component": "controller"}),
        json!({"app.kubernetes.io/part-of": "ingress-nginx", "app.kubernetes.io/component": "controller"}),
        json!({"app.kubernetes.io/name": "traefik"}),
        json!({"k8s-app": "traefik-ingress-lb"}),
        json!({"istio": "ingressgateway"}),
    ];
    for labels in known {
        let snapshot = build(vec![
            simple(),
            workload(
                "Deployment",
                "ingress",
                "controller",
                labels.clone(),
                json!({}),
            ),
        ]);
        let controllers = snapshot.ingress_controllers();
        assert_eq!(controllers.len(), 1, "{labels}");
        assert_eq!(&*snapshot.workload(controllers[0]).kind, "Deployment");
    }
}

#[test]
fn parts_of_a_controller_that_carry_no_traffic_are_none() {
    let webhook = json!({"app.kubernetes.io/name": "ingress-nginx",
        "app.kubernetes.io/component": "admission-webhook"});
    let snapshot = build(vec![
        simple(),
        workload("Job", "ingress", "admission", webhook, json!({})),
    ]);
    let controllers = snapshot.ingress_controllers();
    assert_eq!(
        &*snapshot.workload(controllers[0]).kind,
        "IngressController"
    );
}

#[test]
fn without_an_ingress_there_is_no_stand_in() {
    let snapshot = build(vec![pod("x", "a", json!({}), json!({}))]);
    assert!(snapshot.ingress_controllers().is_empty());
    assert_eq!(snapshot.namespaces.len(), 1);
}
