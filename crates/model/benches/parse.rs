//! Throughput of reading manifests, from bytes to typed objects.
//!
//! `cargo bench -p ringfence-model --bench parse` prints megabytes per second for the
//! three forms in which large inputs arrive: a stream of documents (`helm template`),
//! one YAML `List` and one JSON `List` (`kubectl get`). Set `RAYON_NUM_THREADS=1` for
//! the figure of one core.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use ringfence_model::parse::{Input, Limits, load};
use serde_json::{Value, json};

/// Deployments in the input; each comes with a Service and two policies.
const DEPLOYMENTS: usize = 6_000;
const ROUNDS: usize = 5;

fn main() {
    let objects: Vec<Value> = (0..DEPLOYMENTS).flat_map(objects_of).collect();
    let mut stream = String::new();
    for object in &objects {
        stream.push_str("---\n");
        write_yaml(&mut stream, object, 0);
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let mut yaml_list = String::new();
    write_yaml(&mut yaml_list, &list, 0);
    let json_list = format!("{list:#}");
    for (what, text) in [
        ("a stream of YAML documents", stream),
        ("one YAML List", yaml_list),
        ("one JSON List", json_list),
    ] {
        measure(what, &text, objects.len());
    }
}

fn measure(what: &str, text: &str, expected: usize) {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let input = Input {
            name: "bench".to_owned(),
            bytes: text.as_bytes().to_vec(),
        };
        let start = Instant::now();
        let loaded = load(vec![input], &Limits::default());
        best = best.min(start.elapsed());
        assert_eq!(loaded.objects.len(), expected, "{:?}", loaded.diagnostics);
        assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    }
    let megabytes = text.len() as f64 / 1e6;
    println!(
        "{what}: {megabytes:.1} MB in {:.3} s, {:.1} MB/s",
        best.as_secs_f64(),
        megabytes / best.as_secs_f64()
    );
}

fn objects_of(number: usize) -> [Value; 4] {
    let namespace = format!("team-{}", number / 20);
    let name = format!("service-{number}");
    let labels = json!({
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/part-of": namespace,
        "tier": if number.is_multiple_of(3) { "web" } else { "backend" },
    });
    let metadata = |name: &str| json!({"name": name, "namespace": namespace, "labels": labels});
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(&name),
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": labels, "annotations": {"checksum/config": "5f4dcc3b5aa765d61d8327deb882cf99"}},
                "spec": {
                    "serviceAccountName": name,
                    "securityContext": {"runAsNonRoot": true, "runAsUser": 65534},
                    "containers": [{
                        "name": "main",
                        "image": format!("registry.example.com/{namespace}/{name}:1.4.{number}"),
                        "args": ["--listen=:8080", "--log-level=info", "--config=/etc/config/main.yaml"],
                        "env": [
                            {"name": "DATABASE_HOST", "value": format!("db-{number}.{namespace}.svc.cluster.local")},
                            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": name, "key": "password"}}},
                            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                        ],
                        "ports": [
                            {"name": "http", "containerPort": 8080, "protocol": "TCP"},
                            {"name": "metrics", "containerPort": 9090, "protocol": "TCP"},
                        ],
                        "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 10},
                        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 5},
                        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
                        "volumeMounts": [{"name": "config", "mountPath": "/etc/config", "readOnly": true}],
                    }],
                    "volumes": [{"name": "config", "configMap": {"name": name}}],
                },
            },
        },
    });
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(&name),
        "spec": {
            "type": "ClusterIP",
            "selector": labels,
            "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}],
        },
    });
    let egress = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(&format!("{name}-egress")),
        "spec": {
            "podSelector": {"matchLabels": labels},
            "policyTypes": ["Egress"],
            "egress": [
                {
                    "to": [{
                        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
                    }],
                    "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
                },
                {
                    "to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8", "169.254.169.254/32"]}}],
                    "ports": [{"port": 443, "protocol": "TCP"}],
                },
            ],
        },
    });
    let ingress = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(&format!("{name}-ingress")),
        "spec": {
            "podSelector": {"matchLabels": labels},
            "policyTypes": ["Ingress"],
            "ingress": [{
                "from": [{"podSelector": {"matchLabels": {"tier": "web"}}}],
                "ports": [{"port": "http", "protocol": "TCP"}],
            }],
        },
    });
    [deployment, service, egress, ingress]
}

/// Writes a value as `kubectl` would: block style, two spaces, quotes where needed.
fn write_yaml(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                let _ = write!(out, "{:indent$}{key}:", "");
                write_nested(out, value, indent + 2);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let mut nested = String::new();
                write_yaml(&mut nested, item, indent + 2);
                let first = nested.trim_start();
                let _ = writeln!(out, "{:indent$}- {}", "", first.trim_end_matches('\n'));
            }
        }
        Value::String(text) if text.parse::<f64>().is_ok() || text.contains([':', '%', ' ']) => {
            let _ = writeln!(out, "{value}");
        }
        Value::String(text) => {
            let _ = writeln!(out, "{text}");
        }
        other => {
            let _ = writeln!(out, "{other}");
        }
    }
}

fn write_nested(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            out.push('\n');
            write_yaml(out, value, indent);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            // As kubectl does, a list is not indented against its key.
            write_yaml(out, value, indent - 2);
        }
        scalar => {
            out.push(' ');
            write_yaml(out, scalar, 0);
        }
    }
}
