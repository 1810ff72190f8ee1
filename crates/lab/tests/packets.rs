//! Labs in the kernel: what manifests say and what packets do.
//!
//! These tests make network namespaces and fail where that is not permitted.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

#[path = "support/tried.rs"]
mod tried;

use ringfence_lab::probe::Observed;
use ringfence_lab::run::{Agreement, Purpose, Report};
use ringfence_lab::schedule::Options;
use ringfence_lab::topology::Cni;
use ringfence_model::address::IpFamily;
use ringfence_model::protocol::Protocol;
use tried::{Mode, assert_all_agree, dual, report};

const SHOP: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        ports:
        - {name: http, containerPort: 8080}
        - {name: quic, containerPort: 8443, protocol: UDP}
        - {name: signal, containerPort: 3868, protocol: SCTP}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  selector: {app: web}
  ports:
  - {name: http, port: 80, targetPort: http}
  - {name: quic, port: 443, targetPort: quic, protocol: UDP}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: shop, labels: {app: client}}
spec: {containers: [{name: client}]}
---
apiVersion: v1
kind: Pod
metadata: {name: on-host, namespace: shop, labels: {app: host}}
spec: {hostNetwork: true, containers: [{name: host, ports: [{containerPort: 9100}]}]}
";

const DENY: &str = "
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny, namespace: shop}
spec: {podSelector: {}, policyTypes: [Egress, Ingress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: client-to-web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: client}}
  policyTypes: [Egress]
  egress:
  - to: [{podSelector: {matchLabels: {app: web}}}]
    ports: [{port: http}, {port: 3868, protocol: SCTP}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web-from-client, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress]
  ingress:
  - from: [{podSelector: {matchLabels: {app: client}}}]
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_policies_everything_is_answered() {
    let report = report(SHOP, &dual(2), Cni::Routed, Mode::Enforce).await;
    assert_all_agree(&report);
    for purpose in [
        Purpose::Pod,
        Purpose::Service,
        Purpose::Dns,
        Purpose::ApiServer,
        Purpose::Internet,
        Purpose::Metadata,
        Purpose::Ping,
    ] {
        let mut rows = report.rows.iter();
        assert!(
            rows.any(|row| row.question.purpose == purpose),
            "{purpose:?}"
        );
    }
    // The metadata of clouds, in both families.
    for address in ["169.254.169.254", "fd00:ec2::254"] {
        let mut rows = report.rows.iter();
        assert!(rows.any(|row| row.question.to.name == address), "{address}");
    }
    // A port that nobody declares is closed, and that is seen to have arrived. An echo request
    // is answered by whom it reaches.
    let to_client = |row: &&ringfence_lab::run::Row| row.question.to.name == "shop/client";
    let closed = report.rows.iter().filter(to_client);
    assert!(closed.clone().count() > 0);
    for row in closed {
        let expected = match row.question.probe.protocol {
            Protocol::Icmp => Observed::Allowed,
            _ => Observed::Closed,
        };
        assert_eq!(row.observation.observed, expected, "{row:?}");
    }
}

/// A rule with ports allows no ping, one without them does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_ping_each_other_where_a_rule_names_no_port() {
    let with_ports = format!("{SHOP}{DENY}");
    let ports = "\n    ports: [{port: http}, {port: 3868, protocol: SCTP}]";
    let without_ports = with_ports.replace(ports, "");
    assert_ne!(with_ports, without_ports);
    for (yaml, expected) in [
        (with_ports, Observed::Dropped),
        (without_ports, Observed::Allowed),
    ] {
        for cni in [Cni::Routed, Cni::Bridge] {
            let report = report(&yaml, &dual(2), cni, Mode::Enforce).await;
            assert_all_agree(&report);
            let pings = report.rows.iter().filter(|row| {
                let question = &row.question;
                question.from.name == "shop/client"
                    && question.to.group == "shop/web"
                    && question.probe.protocol == Protocol::Icmp
            });
            let pings: Vec<Observed> = pings.map(|row| row.observation.observed).collect();
            // Two pods, in two families.
            assert_eq!(pings, [expected; 4], "{cni:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_default_deny_packets_do_what_is_predicted() {
    let yaml = format!("{SHOP}{DENY}");
    let report = report(&yaml, &dual(2), Cni::Routed, Mode::Enforce).await;
    assert_all_agree(&report);
    let dropped = report.rows.iter();
    let dropped = dropped.filter(|row| row.observation.observed == Observed::Dropped);
    assert!(dropped.count() > 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_holds_on_bridges() {
    let yaml = format!("{SHOP}{DENY}");
    let report = report(&yaml, &dual(2), Cni::Bridge, Mode::Enforce).await;
    assert_all_agree(&report);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_holds_without_ipv4() {
    let yaml = format!("{SHOP}{DENY}");
    let options = Options {
        families: Some(vec![IpFamily::V6]),
        ..dual(3)
    };
    for cni in [Cni::Routed, Cni::Bridge] {
        let report = report(&yaml, &options, cni, Mode::Enforce).await;
        assert_all_agree(&report);
        assert!(
            report
                .rows
                .iter()
                .all(|row| row.question.probe.to.is_ipv6())
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_enforces_nothing_is_noticed() {
    let yaml = format!("{SHOP}{DENY}");
    let report = report(&yaml, &dual(1), Cni::Routed, Mode::Open).await;
    assert!(report.count(Agreement::Differ) > 20);
    for row in &report.rows {
        assert_eq!(row.observation.observed.passed(), Some(true), "{row:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audit_mode_denies_nothing() {
    let yaml = format!("{SHOP}{DENY}");
    let report = report(&yaml, &dual(2), Cni::Routed, Mode::Audit).await;
    for row in &report.rows {
        assert_eq!(row.observation.observed.passed(), Some(true), "{row:?}");
    }
}

/// All packets do what is predicted, and this is what became of the name. On a busy machine
/// a name that is answered may come too late, where nothing is to be reached in any case.
async fn assert_by_name(
    yaml: &str,
    options: &Options,
    cni: Cni,
    observed: [Observed; 2],
) -> Report {
    for _ in 0..3 {
        let report = report(yaml, options, cni, Mode::Enforce).await;
        assert_all_agree(&report);
        if by_name(&report) == observed {
            return report;
        }
    }
    panic!("{observed:?} was never observed");
}

/// What became of `www.example.com by name`, from the client in both families.
fn by_name(report: &Report) -> Vec<Observed> {
    let rows = report.rows.iter().filter(|row| {
        let question = &row.question;
        question.to.name == "www.example.com by name" && question.from.name == "shop/client"
    });
    rows.map(|row| row.observation.observed).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_not_answered_is_told_from_a_connection_that_is_not() {
    let dns = "
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: allow-dns, namespace: shop}
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress:
  - to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}]
    ports: [{port: 53, protocol: UDP}]
";
    for (yaml, observed) in [
        (SHOP.to_owned(), Observed::Allowed),
        (format!("{SHOP}{DENY}"), Observed::DnsFailed),
        (format!("{SHOP}{DENY}{dns}"), Observed::Dropped),
    ] {
        assert_by_name(&yaml, &dual(2), Cni::Routed, [observed; 2]).await;
    }
    // The same policy where pods ask the name server of their node: it means other pods.
    let options = Options {
        node_local_dns: true,
        ..dual(2)
    };
    let on_node = dns.replace(
        "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}",
        "ipBlock: {cidr: 169.254.20.10/32}",
    );
    for (yaml, observed) in [
        (SHOP.to_owned(), [Observed::Allowed, Observed::Allowed]),
        (
            format!("{SHOP}{DENY}{dns}"),
            [Observed::DnsFailed, Observed::Dropped],
        ),
        (
            format!("{SHOP}{DENY}{on_node}"),
            [Observed::Dropped, Observed::DnsFailed],
        ),
    ] {
        for cni in [Cni::Routed, Cni::Bridge] {
            let report = assert_by_name(&yaml, &options, cni, observed).await;
            let mut rows = report.rows.iter();
            assert!(rows.any(|row| row.question.to.name == "node-local-dns"));
        }
    }
}

const MIRRORS: &str = "
apiVersion: v1
kind: Pod
metadata: {name: shut, namespace: houses, labels: {name: shut}}
spec: {containers: [{name: shut, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: free, namespace: houses, labels: {name: free}}
spec: {containers: [{name: free, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: mirror-of-shut, namespace: houses}
spec: {selector: {name: shut}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: mirror-of-free, namespace: houses}
spec: {selector: {name: free}, ports: [{port: 80}]}
---
apiVersion: policy.networking.k8s.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: nobody-of-this-house}
spec:
  tier: Admin
  priority: 15
  subject: {pods: {podSelector: {matchLabels: {name: shut}}}}
  ingress: [{action: Deny, from: [{namespaces: {matchLabels: {kubernetes.io/metadata.name: houses}}}]}]
";

/// What a pod got of its own Service, in both families.
fn of_its_own_service(report: &Report, pod: &str) -> Vec<Observed> {
    let (from, to) = (
        format!("houses/{pod}"),
        format!("svc:houses/mirror-of-{pod}"),
    );
    let rows = report.rows.iter().filter(|row| {
        row.question.purpose == Purpose::Service
            && row.question.from.name == from
            && row.question.to.name == to
    });
    rows.map(|row| row.observation.observed).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_whose_own_service_leads_back_to_it_is_judged_by_cluster_wide_policies() {
    for cni in [Cni::Routed, Cni::Bridge] {
        let report = report(MIRRORS, &dual(2), cni, Mode::Enforce).await;
        assert_all_agree(&report);
        assert_eq!(of_its_own_service(&report, "shut"), [Observed::Dropped; 2]);
        assert_eq!(of_its_own_service(&report, "free"), [Observed::Allowed; 2]);
    }
}

/// Nobody is behind it, and kube-proxy has its address refused, in both families.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_without_endpoints_is_rejected() {
    let empty = "
---
apiVersion: v1
kind: Service
metadata: {name: empty, namespace: shop}
spec:
  ipFamilyPolicy: RequireDualStack
  selector: {app: nobody}
  ports:
  - {name: a, port: 80}
  - {name: b, port: 53, protocol: UDP}
";
    for cni in [Cni::Routed, Cni::Bridge] {
        let report = report(&format!("{SHOP}{empty}"), &dual(2), cni, Mode::Enforce).await;
        let rows = report.rows.iter();
        let rows = rows.filter(|row| row.question.to.name == "svc:shop/empty");
        let rows: Vec<_> = rows.collect();
        // Five pods, two families, two protocols.
        assert_eq!(rows.len(), 20);
        let wrong: Vec<String> = rows
            .iter()
            .filter(|row| row.observation.observed != Observed::Rejected)
            .map(|row| {
                let probe = &row.question.probe;
                format!(
                    "{} {} {} {:?}",
                    row.question.from.name, probe.to, probe.protocol, row.observation
                )
            })
            .collect();
        assert!(wrong.is_empty(), "{cni:?}:\n{}", wrong.join("\n"));
    }
}
