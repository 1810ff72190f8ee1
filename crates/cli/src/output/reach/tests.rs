//! Every format of one small cluster, and that nothing depends on the order of input.

use ringfence_engine::reach::Selection;
use ringfence_engine::{Engine, Profile};
use ringfence_model::parse::{Input, Limits, load};
use ringfence_model::snapshot::builder::{BuildOptions, SnapshotBuilder};
use std::sync::Arc;

use super::{Format, Report, write};
use crate::entry_points;
use crate::output::Theme;

/// Two shops' worth of everything that a format must show: a namespace whose workloads
/// have something in common, bare pods, a host-networked pod, an exposed service, a
/// named port, addresses with exceptions, and a verdict that is not known.
const CLUSTER: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: web, labels: {tier: front}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: web}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: left, namespace: web, labels: {app: pair}}
spec: {containers: [{name: c}]}
---
apiVersion: v1
kind: Pod
metadata: {name: right, namespace: web, labels: {app: pair}}
spec: {containers: [{name: c}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: data}
spec:
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: c, ports: [{name: sql, containerPort: 5432}]}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: node}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {hostNetwork: true, containers: [{name: c}]}
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: web}
spec: {type: NodePort, selector: {app: shop}, ports: [{port: 80, targetPort: http, nodePort: 30080}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: shop, namespace: web}
spec:
  podSelector: {matchLabels: {app: shop}}
  policyTypes: [Ingress, Egress]
  ingress:
  - from: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]
    ports: [{port: http}]
  egress:
  - to: [{namespaceSelector: {}, podSelector: {matchLabels: {app: db}}}]
    ports: [{port: 5432}]
  - to: [{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.0.0/16]}}]
    ports: [{port: 443}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: data}
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
  ingress:
  - from: [{namespaceSelector: {matchLabels: {tier: front}}}]
    ports: [{port: sql}]
  - from: [{ipBlock: {cidr: 10.1.0.0/16}}]
"#;

fn rendered(text: &str, format: Format) -> String {
    let input = Input {
        name: "cluster.yaml".into(),
        bytes: text.into(),
    };
    let loaded = load(vec![input], &Limits::default());
    assert_eq!(loaded.diagnostics, []);
    let mut builder = SnapshotBuilder::new(BuildOptions::default());
    builder.add(loaded.objects);
    let (snapshot, diagnostics) = builder.build(&loaded.sources);
    let snapshot = Arc::new(snapshot);
    let profile = Profile::default();
    let engine = Engine::compile(&snapshot, profile);
    let everything = Selection::default();
    let reachability = engine.reach(&everything, &everything);
    let sources: Vec<_> = snapshot.workload_ids().map(|(id, _)| id).collect();
    let entry_points = entry_points::find(&engine, &everything);
    let report = Report {
        unread: &crate::unread::Unread::default(),
        snapshot: &snapshot,
        profile: &profile,
        diagnostics: &diagnostics,
        reachability: &reachability,
        sources: &sources,
        entry_points: &entry_points,
    };
    let mut out = Vec::new();
    write(&report, format, Theme::default(), 100, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_human_report_groups_what_is_alike() {
    insta::assert_snapshot!(rendered(CLUSTER, Format::Human));
}

#[test]
fn json_has_one_connection_to_a_line() {
    insta::assert_snapshot!(rendered(CLUSTER, Format::Json));
}

#[test]
fn streamed_json_is_the_document_that_serde_would_write() {
    let streamed: serde_json::Value =
        serde_json::from_str(&rendered(CLUSTER, Format::Json)).unwrap();
    let whole: serde_json::Value =
        serde_saphyr::from_str(&rendered(CLUSTER, Format::Yaml)).unwrap();
    assert_eq!(streamed, whole);
}

#[test]
fn csv_has_one_line_for_each_protocol() {
    insta::assert_snapshot!(rendered(CLUSTER, Format::Csv));
}

#[test]
fn markdown_is_a_table() {
    insta::assert_snapshot!(rendered(CLUSTER, Format::Markdown));
}

#[test]
fn dot_has_a_cluster_for_each_namespace() {
    insta::assert_snapshot!(rendered(CLUSTER, Format::Dot));
}

#[test]
fn mermaid_has_a_subgraph_for_each_namespace() {
    insta::assert_snapshot!(rendered(CLUSTER, Format::Mermaid));
}

#[test]
fn svg_is_well_formed_and_names_everything() {
    let svg = rendered(CLUSTER, Format::Svg);
    for text in [
        "shop",
        "left",
        "right",
        "db",
        "agent",
        "hostNetwork",
        "internet",
        "metadata",
    ] {
        assert!(svg.contains(text), "{text}");
    }
    let opened = svg.matches("<g>").count() + svg.matches("<text ").count();
    let closed = svg.matches("</g>").count() + svg.matches("</text>").count();
    assert_eq!(opened, closed);
    assert!(svg.starts_with("<svg xmlns=") && svg.trim_end().ends_with("</svg>"));
    assert!(!svg.contains("NaN") && !svg.contains("inf "));
}

#[test]
fn the_same_objects_in_another_order_give_the_same_bytes() {
    let mut documents: Vec<&str> = CLUSTER.split("---\n").collect();
    documents.reverse();
    let reversed = documents.join("\n---\n");
    for format in [
        Format::Human,
        Format::Json,
        Format::Csv,
        Format::Markdown,
        Format::Dot,
        Format::Mermaid,
        Format::Svg,
    ] {
        assert_eq!(
            rendered(CLUSTER, format),
            rendered(&reversed, format),
            "{format:?}"
        );
    }
}

#[test]
fn an_empty_cluster_is_shown_in_every_format() {
    for format in [
        Format::Human,
        Format::Json,
        Format::Yaml,
        Format::Csv,
        Format::Markdown,
        Format::Dot,
        Format::Mermaid,
        Format::Svg,
    ] {
        assert!(!rendered("", format).is_empty(), "{format:?}");
    }
}
