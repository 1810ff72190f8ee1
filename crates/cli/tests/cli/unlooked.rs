//! What lies in the input and is not what is looked at: pods in objects of kinds that
//! nobody here knows, what would be installed, files that would not be built.

use crate::not_counted::{CLOSED, posture, questions};
use crate::{Run, SMALL, Scratch, ringfence, ringfence_with};

const JOB_SET: &str = "apiVersion: jobset.x-k8s.io/v1alpha2
kind: JobSet
metadata: {name: train, namespace: vault}
spec:
  replicatedJobs:
  - name: leader
    template: {spec: {template: {spec: {hostNetwork: true, containers: [{name: c, image: c}]}}}}
  - name: worker
    template: {spec: {template: {metadata: {labels: {role: worker}}, spec: {containers: [{name: c, image: c}]}}}}
";

const OTHERS: &str = "apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: redis, namespace: gitops}
spec: {destination: {namespace: shop}, source: {chart: redis}}
---
apiVersion: grafana.integreatly.org/v1beta1
kind: Grafana
metadata: {name: dashboards, namespace: metrics}
spec: {}
---
apiVersion: grafana.integreatly.org/v1beta1
kind: Grafana
metadata: {name: more, namespace: metrics}
spec: {}
";

const PODLESS: &str = "apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: web, namespace: vault}
spec: {endpoints: [{port: http}]}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: web, namespace: vault}
spec: {secretName: web}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: web, namespace: vault}
spec: {}
---
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshot
metadata: {name: web, namespace: vault}
spec: {}
";

fn check(arguments: &str, objects: &str) -> Run {
    let input = format!("{CLOSED}---\n{objects}");
    ringfence_with(&format!("check --no-config -f - {arguments}"), &input)
}

#[test]
fn pod_templates_inside_objects_of_unknown_kinds_are_pods() {
    let run = check("", JOB_SET);
    assert!(run.stdout.contains("RF103"), "{}", run.text());
    assert!(run.stdout.contains("vault/train-leader"), "{}", run.text());
    let input = format!("{CLOSED}---\n{JOB_SET}");
    let run = ringfence_with("explain vault/train-worker 8.8.8.8:443 -f -", &input);
    assert!(run.stdout.contains("DENIED"), "{}", run.text());
    let run = ringfence_with("explain vault/train-leader 8.8.8.8:443 -f -", &input);
    assert!(run.stdout.contains("ALLOWED"), "{}", run.text());
}

#[test]
fn what_may_make_pods_or_installs_others_is_a_question_a_kind() {
    let run = check("-o json", OTHERS);
    let asked = questions(&run);
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[0].contains("what Application `gitops/redis` installs"));
    assert!(asked[1].contains("2 objects of kind Grafana (`metrics/dashboards`, `metrics/more`)"));
    assert_eq!(posture(&run, "metrics"), ["unknown"; 3]);
    assert_eq!(run.code, Some(0), "{}", run.text());
    let said = "not looked at: 3 objects of which pods may be made, or which install others: \
                Application, Grafana (2)";
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: metrics}\n---\n";
    let alone = format!("{namespace}{OTHERS}");
    let alone = ringfence_with("check --no-config -f -", &alone);
    assert!(alone.stderr.contains(said), "{}", alone.stderr);
    assert!(!alone.stdout.contains("no findings ("), "{}", alone.stdout);
    // The pods of one are in the input.
    let pod = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: d, namespace: metrics, labels: \
               {app: dashboards}}\nspec: {containers: [{name: c}]}\n";
    let asked = questions(&check("-o json", &format!("{OTHERS}{pod}")));
    assert!(
        asked
            .iter()
            .any(|text| text.contains("Grafana `metrics/more`")),
        "{asked:?}"
    );
}

#[test]
fn kinds_of_which_nobody_makes_pods_change_nothing() {
    let (without, with) = (
        ringfence_with("check --no-config -f -", CLOSED),
        check("", PODLESS),
    );
    assert_eq!(without.text(), with.text());
}

#[test]
fn a_namespace_that_may_have_pods_passes_no_control_and_fails_none() {
    let namespace = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: metrics}\n";
    let run = check("--standard nsa", &format!("{OTHERS}{namespace}"));
    let said = "whether namespace `metrics` has pods";
    assert!(run.stdout.contains(said), "{}", run.text());
}

#[test]
fn files_beside_a_kustomization_that_does_not_list_them_are_no_part_of_it() {
    let scratch = Scratch::new("unlisted");
    scratch.file("shop.yaml", SMALL);
    let deny = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny, \
                namespace: web}\nspec: {podSelector: {}, policyTypes: [Egress]}\n";
    scratch.file("netpol.yaml", deny);
    scratch.file("kustomization.yaml", "resources: [shop.yaml]\n");
    for verb in ["check", "reach"] {
        let run = ringfence(&format!("{verb} -f {}", scratch.path()));
        assert_eq!(run.code, Some(2), "{verb}: {}", run.text());
        let says = "`netpol.yaml` is not in `resources` of";
        assert!(run.stderr.contains(says), "{verb}: {}", run.stderr);
        assert!(run.stderr.contains("kustomize build "), "{}", run.stderr);
    }
    scratch.file(
        "kustomization.yaml",
        "resources: [shop.yaml, netpol.yaml]\n",
    );
    let run = ringfence(&format!("reach -f {}", scratch.path()));
    assert_eq!(run.code, Some(0), "{}", run.text());
}

#[test]
fn several_kustomizations_are_built_first() {
    let scratch = Scratch::new("several-kustomizations");
    scratch.file("dev/shop.yaml", SMALL);
    scratch.file("dev/kustomization.yaml", "resources: [shop.yaml]\n");
    let other = "apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n";
    scratch.file("prod/other.yaml", other);
    scratch.file("prod/kustomization.yaml", "resources: [other.yaml]\n");
    let run = ringfence(&format!("reach -f {}", scratch.path()));
    assert_eq!(run.code, Some(2), "{}", run.text());
    assert!(
        run.stderr.contains("none lists the others"),
        "{}",
        run.stderr
    );
    // The one builds on the other.
    scratch.file(
        "prod/kustomization.yaml",
        "resources: [other.yaml, ../dev]\n",
    );
    let run = ringfence(&format!("reach -f {}", scratch.path()));
    assert_eq!(run.code, Some(0), "{}", run.text());
}

#[test]
fn policies_about_requests_keep_no_answer_from_being_whole() {
    let mesh = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, \
                namespace: web}\nspec: {}\n---\napiVersion: policy.linkerd.io/v1alpha1\nkind: \
                AuthorizationPolicy\nmetadata: {name: b, namespace: web}\nspec: {}\n";
    for verb in ["reach", "explain web/shop web/db"] {
        let run = ringfence_with(&format!("{verb} -f -"), &format!("{SMALL}---\n{mesh}"));
        assert_eq!(run.code, Some(0), "{verb}: {}", run.text());
        assert!(run.stderr.contains("opens none"), "{verb}: {}", run.stderr);
        assert!(!run.stderr.contains("incomplete"), "{}", run.stderr);
    }
    let scratch = Scratch::new("compose");
    scratch.file("manifests/shop.yaml", SMALL);
    scratch.file("docker-compose.yml", "services: {}\n");
    let run = ringfence(&format!("reach -f {}", scratch.path()));
    assert_eq!(run.code, Some(0), "{}", run.text());
}

const ON_A_NODE: &str = "apiVersion: v1
kind: Node
metadata: {name: n1}
status: {addresses: [{type: InternalIP, address: 192.168.9.5}]}
---
apiVersion: v1
kind: Service
metadata: {name: kubernetes, namespace: default}
spec: {clusterIP: 10.96.0.1, ports: [{name: https, port: 443, targetPort: 6443}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: kubernetes, namespace: default}
subsets: [{addresses: [{ip: 192.168.9.5}], ports: [{name: https, port: 6443}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: allow-kube-api, namespace: vault, annotations: {description: why}}
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress: [{to: [{ipBlock: {cidr: 192.168.9.5/32}}], ports: [{port: 6443}]}]
";

#[test]
fn no_block_means_an_api_server_on_a_node_under_cilium() {
    let words = |text: &str| {
        text.split_whitespace()
            .filter(|w| *w != "│")
            .collect::<Vec<_>>()
            .join(" ")
    };
    let run = check("--profile cilium", ON_A_NODE);
    let text = words(&run.stdout);
    assert!(
        text.contains("no `ipBlock` matches a node under profile cilium"),
        "{}",
        run.text()
    );
    assert!(text.contains("toEntities"), "{}", run.text());
    assert!(!text.contains("has another port"), "{}", run.text());
    let input = format!("{CLOSED}---\n{ON_A_NODE}");
    let preset = "baseline vault --preset allow-kube-api -f -";
    let run = ringfence_with(&format!("{preset} --profile cilium"), &input);
    assert_eq!(run.code, Some(2), "{}", run.text());
    assert!(run.stderr.contains("toEntities"), "{}", run.stderr);
    let run = ringfence_with(preset, &input);
    assert_eq!(run.code, Some(0), "{}", run.text());
    let set = "baseline vault --dns kube-dns --kube-api -f - --profile cilium";
    let run = ringfence_with(set, &input);
    assert!(
        run.stderr.contains("allow-kube-api was left out"),
        "{}",
        run.stderr
    );
    assert!(!run.stdout.contains("192.168.9.5"), "{}", run.stdout);
}

#[test]
fn what_is_suppressed_is_as_uncertain_as_what_is_not() {
    let input = "apiVersion: apps/v1
kind: Deployment
metadata: {name: agent, namespace: kube-system}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: c, image: c}]}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: all}
spec: {}
";
    let run = ringfence_with("check --no-config -f - --show-suppressed", input);
    assert!(run.stdout.contains("suppressed by"), "{}", run.text());
    assert!(!run.stdout.contains("Allowed: see"), "{}", run.text());
}

#[test]
fn other_networks_of_a_pod_are_not_verified() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: m, namespace: vault, labels: {app: m}, \
               annotations: {k8s.v1.cni.cncf.io/networks: macvlan}}\nspec: {containers: [{name: \
               c}]}\n";
    let asked = questions(&check("-o json", pod));
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(
        asked[0].starts_with("RF103: what vault/m can open"),
        "{asked:?}"
    );
    let run = check("--standard nsa -o json", pod);
    assert!(
        run.stdout.contains("isolated in other networks"),
        "{}",
        run.text()
    );
}
