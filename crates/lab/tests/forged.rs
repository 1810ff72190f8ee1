//! Frames that no pod may send, as `lab run` tries them.
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

use std::collections::BTreeSet;

use ringfence_lab::topology::Cni;
use tried::{Mode, assert_all_agree, dual, report};

/// `web` may ask `db`, and nobody else may.
const PODS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {nodeName: a, containers: [{name: main, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {nodeName: a, containers: [{name: main, ports: [{containerPort: 5432}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: other, namespace: shop, labels: {app: other}}
spec: {nodeName: a, containers: [{name: main, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: far, namespace: shop, labels: {app: far}}
spec: {nodeName: b, containers: [{name: main, ports: [{containerPort: 80}]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]
";

/// Kinds of frames that can only be tried between pods of one bridge.
const ON_BRIDGES: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_frame_that_no_pod_may_send_arrives_where_policies_hold() {
    for cni in [Cni::Routed, Cni::Bridge] {
        for mode in [Mode::Open, Mode::Enforce, Mode::Audit] {
            let report = report(PODS, &dual(2), cni, mode).await;
            if mode == Mode::Enforce {
                assert_all_agree(&report);
            }
            let forged = report.forged;
            println!("{cni:?} {mode:?}: {forged:?}");
            assert_eq!(forged.unseen, []);
            if mode != Mode::Open {
                assert_eq!(forged.arrived, [], "{cni:?} {mode:?}");
                continue;
            }
            // Nobody holds it back, and so it proves something that nothing arrives otherwise.
            assert_eq!(forged.arrived.len(), forged.tried, "{cni:?}");
            let kinds: BTreeSet<&str> = forged.arrived.iter().map(|one| one.what).collect();
            let more = if cni == Cni::Bridge { ON_BRIDGES } else { 0 };
            assert_eq!(kinds.len(), 2 + more, "{kinds:?}");
        }
    }
}
