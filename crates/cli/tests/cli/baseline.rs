//! What `baseline` writes, and that `check` has nothing to say about it.

use crate::{Scratch, command, ringfence, ringfence_with};

const SHOP: &str = "examples/shop/base";

/// One workload, and nothing that says what cluster it runs in.
pub(crate) const PLAIN: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: plain}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: example.org/web:1.0.0}]}
";

/// Name servers behind a cache on every node.
pub(crate) const NODE_LOCAL: &str = "
---
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec:
  selector: {k8s-app: kube-dns}
  clusterIP: 10.96.0.10
  ports:
    - {name: dns, port: 53, protocol: UDP, targetPort: 53}
    - {name: dns-tcp, port: 53, protocol: TCP, targetPort: 53}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: coredns, namespace: kube-system}
spec:
  selector: {matchLabels: {k8s-app: kube-dns}}
  template:
    metadata: {labels: {k8s-app: kube-dns}}
    spec: {containers: [{name: coredns, ports: [{containerPort: 53, protocol: UDP}]}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: node-local-dns, namespace: kube-system}
spec:
  selector: {matchLabels: {k8s-app: node-local-dns}}
  template:
    metadata: {labels: {k8s-app: node-local-dns}}
    spec:
      hostNetwork: true
      containers: [{name: cache, args: [-localip, '169.254.20.10,10.96.0.10']}]
";

/// The name servers of OpenShift.
const OPENSHIFT: &str = "
---
apiVersion: v1
kind: Service
metadata: {name: dns-default, namespace: openshift-dns}
spec:
  selector: {dns.operator.openshift.io/daemonset-dns: default}
  clusterIP: 172.30.0.10
  ports:
    - {name: dns, port: 53, protocol: UDP, targetPort: dns}
    - {name: dns-tcp, port: 53, protocol: TCP, targetPort: dns-tcp}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: dns-default, namespace: openshift-dns}
spec:
  selector: {matchLabels: {dns.operator.openshift.io/daemonset-dns: default}}
  template:
    metadata: {labels: {dns.operator.openshift.io/daemonset-dns: default}}
    spec:
      containers:
        - name: dns
          ports:
            - {name: dns, containerPort: 5353, protocol: UDP}
            - {name: dns-tcp, containerPort: 5353, protocol: TCP}
";

/// A name server with labels and a port of its own, as a chart installs it.
pub(crate) const CHART: &str = "
---
apiVersion: v1
kind: Service
metadata: {name: coredns, namespace: kube-system}
spec:
  selector: {app.kubernetes.io/name: coredns, app.kubernetes.io/instance: dns}
  ports: [{port: 53, protocol: UDP, targetPort: 1053}, {port: 53, protocol: TCP, targetPort: 1053}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: coredns, namespace: kube-system}
spec:
  selector: {matchLabels: {app.kubernetes.io/name: coredns}}
  template:
    metadata: {labels: {app.kubernetes.io/name: coredns, app.kubernetes.io/instance: dns}}
    spec: {containers: [{name: coredns}]}
";

/// Where the API server is.
const API_SERVER: &str = "
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: kubernetes
  namespace: default
  labels: {kubernetes.io/service-name: kubernetes}
addressType: IPv4
endpoints: [{addresses: [192.168.7.2]}, {addresses: [192.168.7.3]}]
ports: [{name: https, port: 6443, protocol: TCP}]
";

#[test]
fn the_set_for_the_shop() {
    insta::assert_snapshot!(ringfence(&format!("baseline -f {SHOP}")).text());
}

#[test]
fn everything_that_can_be_asked_for() {
    let run = ringfence_with(
        "baseline plain -f - --internet --kube-api --intra-namespace --ip-family dual \
         --pod-cidr 100.128.0.0/16 --service-cidr 2001:db9::/108 --annotation ticket=SEC-42 \
         --annotation approved-by=security",
        &format!("{PLAIN}{API_SERVER}{NODE_LOCAL}"),
    );
    insta::assert_snapshot!(run.text());
}

#[test]
fn name_servers_are_those_of_the_input() {
    for (name, cluster, shown) in [
        ("openshift", OPENSHIFT, "port: 5353"),
        ("chart", CHART, "app.kubernetes.io/instance: dns"),
        ("chart", CHART, "port: 1053"),
        ("nodelocal", NODE_LOCAL, "cidr: 169.254.20.10/32"),
        ("nodelocal", NODE_LOCAL, "cidr: 10.96.0.10/32"),
    ] {
        let run = ringfence_with("baseline plain -f -", &format!("{PLAIN}{cluster}"));
        assert_eq!(run.code, Some(0), "{name}: {}", run.text());
        assert!(run.stdout.contains(shown), "{name}: {}", run.stdout);
    }
    let run = ringfence_with("baseline -f -", PLAIN);
    assert!(run.stderr.contains("no name servers"), "{}", run.stderr);
    for (said, shown) in [
        ("kube-dns", "k8s-app: kube-dns"),
        ("nodelocal", "cidr: 169.254.20.10/32"),
        ("openshift", "kubernetes.io/metadata.name: openshift-dns"),
    ] {
        let run = ringfence(&format!("baseline somewhere --dns {said}"));
        assert_eq!(run.code, Some(0), "{}", run.text());
        assert!(run.stdout.contains(shown), "{said}: {}", run.stdout);
        assert_eq!(run.stderr, "");
    }
}

/// The findings about a namespace or what is in it, with their codes; without those that
/// no baseline can mend: what the cluster is made of (RF1xx), and what the application
/// itself needs to be allowed (RF509).
fn findings(report: &serde_json::Value, namespaces: &[&str]) -> Vec<String> {
    let concerns = |object: &serde_json::Value| {
        let namespace = match object["kind"].as_str() {
            Some("Namespace") => object["name"].as_str(),
            _ => object["namespace"].as_str(),
        };
        namespace.is_some_and(|namespace| namespaces.contains(&namespace))
    };
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .filter(|finding| concerns(&finding["object"]))
        .filter(|finding| {
            let rule = finding["rule"].as_str().unwrap();
            !rule.starts_with("RF1") && rule != "RF509"
        })
        .map(|finding| format!("{}: {}", finding["rule"], finding["message"]))
        .collect()
}

#[test]
fn check_has_nothing_to_say_about_a_namespace_with_its_baseline() {
    let scratch = Scratch::new("baseline-clean");
    let shop = ["shop-web", "shop-data", "shop-payments"];
    let plain = |name: &str, cluster: &str| {
        scratch.file(&format!("{name}/app.yaml"), &format!("{PLAIN}{cluster}"))
    };
    let trees = [
        (SHOP.to_owned(), &shop[..]),
        ("examples/dual-stack/cluster.yaml".to_owned(), &["shop"]),
        (
            "examples/cluster-policies/cluster.yaml".to_owned(),
            &["team-a", "team-b"],
        ),
        (plain("alone", ""), &["plain"]),
        (plain("nodelocal", NODE_LOCAL), &["plain"]),
        (plain("openshift", OPENSHIFT), &["plain"]),
        (plain("chart", CHART), &["plain"]),
        (plain("api", API_SERVER), &["plain"]),
    ];
    for (index, (tree, namespaces)) in trees.iter().enumerate() {
        for options in [
            "",
            "--internet",
            "--intra-namespace",
            "--internet --intra-namespace --ip-family dual --kube-api=10.7.7.7:6443",
        ] {
            for format in ["yaml", "json"] {
                let run = ringfence(&format!("baseline -f {tree} {options} -o {format}"));
                assert_eq!(run.code, Some(0), "{tree}: {}", run.text());
                let file = format!("written-{index}/baseline.{format}");
                let file = scratch.file(&file, &run.stdout);
                let report = ringfence(&format!("check -f {tree} -f {file} -o json"));
                assert_ne!(report.code, Some(2), "{tree}: {}", report.text());
                let found = findings(&report.json(), namespaces);
                assert_eq!(found, [""; 0], "{tree} {options}");
                let again = ringfence(&format!(
                    "baseline -f {tree} -f {file} {options} --patch -q"
                ));
                assert_eq!(again.text(), "exit code: 0\n", "{tree} {options}");
            }
        }
    }
}

#[test]
fn a_patch_leaves_what_is_right_and_adds_what_is_missing() {
    let whole = ringfence(&format!(
        "baseline -f {SHOP} -f examples/shop/steps/6-closed --patch -q"
    ));
    assert_eq!(whole.text(), "exit code: 0\n");
    let half = ringfence(&format!(
        "baseline shop-web -f {SHOP} -f examples/shop/steps/1-ingress-only --patch"
    ));
    insta::assert_snapshot!("ingress_only", half.text());
    let names = ringfence(&format!(
        "baseline shop-web -f {SHOP} -f examples/shop/steps/2-deny-all-dns-forgotten --patch -o json"
    ));
    let items = names.json()["items"].as_array().unwrap().clone();
    let names: Vec<&str> = items
        .iter()
        .map(|item| item["metadata"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["allow-dns"]);
}

#[test]
fn a_policy_that_does_not_do_what_its_name_says_keeps_its_name() {
    let wrong = format!(
        "{PLAIN}---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: allow-dns, namespace: plain}}
spec:
  podSelector: {{}}
  policyTypes: [Egress]
  egress: [{{ports: [{{port: 53, protocol: UDP}}]}}]
"
    );
    let run = ringfence_with("baseline -f - --patch", &wrong);
    assert!(
        run.stdout.contains("name: ringfence-allow-dns"),
        "{}",
        run.text()
    );
    assert!(
        run.stderr.contains("plain/allow-dns does not do"),
        "{}",
        run.stderr
    );
    let run = ringfence_with("baseline -f -", &wrong);
    assert!(run.stderr.contains("replaces it"), "{}", run.stderr);
}

#[test]
fn a_patch_can_be_written_and_is_written_once() {
    let scratch = Scratch::new("baseline-write");
    scratch.file("tree/app.yaml", PLAIN);
    let file = scratch.file("tree/policies.yaml", "# ours\n# no line break at the end");
    let arguments = format!("baseline -f {}/tree --patch --write {file}", scratch.path());
    let run = ringfence(&arguments);
    assert_eq!(run.code, Some(0), "{}", run.text());
    assert_eq!(run.stdout, "");
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(
        written.starts_with("# ours\n# no line break at the end\n---\n"),
        "{written}"
    );
    let run = ringfence(&arguments);
    assert!(run.stderr.contains("nothing is missing"), "{}", run.stderr);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), written);
    // A file outside the tree is read all the same.
    let arguments = format!(
        "baseline -f {0}/tree/app.yaml --patch --write {0}/new/baseline.yaml",
        scratch.path()
    );
    assert_eq!(ringfence(&arguments).code, Some(0));
    assert!(ringfence(&arguments).stderr.contains("nothing is missing"));
}

#[test]
fn presets_are_one_policy_or_two() {
    for (name, arguments) in [
        (
            "default_deny_all_egress",
            "shop --dns kube-dns --preset default-deny-all-egress",
        ),
        (
            "deny_metadata",
            "shop --preset deny-metadata --provider aws",
        ),
        (
            "deny_metadata_cluster_wide",
            "--preset deny-metadata --cluster-policy --provider aws",
        ),
        (
            "workload_to_workload",
            "-f examples/shop/base --preset workload-to-workload --from shop-web/cart \
             --to svc:shop-data/redis:6379",
        ),
        (
            "workload_to_cidr",
            "-f examples/shop/base --preset workload-to-cidr --from shop-web/cart \
             --to 169.254.0.0/16:443",
        ),
    ] {
        let run = ringfence(&format!("baseline {arguments}"));
        assert_eq!(run.code, Some(0), "{}", run.text());
        insta::assert_snapshot!(format!("preset_{name}"), run.text());
        let read = ringfence_with("reach -f -", &run.stdout);
        assert_eq!(read.code, Some(0), "{name}: {}", read.text());
    }
}

#[test]
fn a_connection_that_policies_are_written_for_works_behind_a_default_deny() {
    let scratch = Scratch::new("baseline-flow");
    let closed = ringfence(&format!("baseline -f {SHOP}")).stdout;
    let closed = scratch.file("closed.yaml", &closed);
    let explain = |more: &str| {
        ringfence(&format!(
            "explain shop-web/cart svc:shop-data/redis:6379 -f {SHOP} -f {closed} {more}"
        ))
    };
    assert_eq!(explain("").code, Some(1));
    let opened = ringfence(&format!(
        "baseline -f {SHOP} --preset workload-to-workload --from shop-web/cart \
         --to svc:shop-data/redis:6379"
    ));
    let opened = scratch.file("opened.yaml", &opened.stdout);
    let run = explain(&format!("-f {opened}"));
    assert_eq!(run.code, Some(0), "{}", run.text());
}

#[test]
fn namespaces_of_the_control_plane_are_left_alone() {
    let run = ringfence("baseline kube-system --dns kube-dns");
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""));
    assert!(
        run.stderr.contains("`kube-system` was left out"),
        "{}",
        run.stderr
    );
    let run = ringfence("baseline kube-system --dns kube-dns --force");
    assert!(
        run.stdout.contains("namespace: kube-system"),
        "{}",
        run.text()
    );
    let run = ringfence(&format!("baseline monitoring -f {SHOP}"));
    assert!(
        run.stdout.contains("namespace: monitoring"),
        "{}",
        run.text()
    );
    assert!(run.stderr.contains("allow what it needs"), "{}", run.stderr);
}

#[test]
fn what_cannot_be_written_is_said() {
    for (arguments, said) in [
        ("shop", "say with `--dns`"),
        ("Shop --dns kube-dns", "lower-case letters"),
        ("shop --dns kube-dns --kube-api", "--kube-api=10.0.0.1:6443"),
        ("shop --dns kube-dns --kube-api=10.0.0.1", "invalid"),
        ("shop --dns kube-dns --annotation ticket", "KEY=VALUE"),
        ("shop --dns kube-dns --pods a=b/c", "the value `b/c`"),
        ("shop --dns kube-dns --write x.yaml", "--patch"),
        (
            "shop --dns kube-dns --patch --write x.yaml -o json",
            "YAML documents",
        ),
        (
            "shop --dns kube-dns --internet --pod-cidr 0.0.0.0/0",
            "leave nothing",
        ),
        ("shop --dns kube-dns --cluster-policy", "deny-metadata"),
        (
            "--preset workload-to-workload --dns kube-dns",
            "--from and --to",
        ),
        (
            "-f examples/shop/base --preset workload-to-cidr --from shop-web/cart --to 169.254.169.254:80",
            "metadata service",
        ),
        (
            "-f examples/shop/base --preset workload-to-cidr --from shop-web/cart --to 10.0.0.0/8",
            "needs a port",
        ),
        (
            "-f examples/shop/base --preset workload-to-workload --from monitoring/node-exporter --to shop-web/cart",
            "no policy applies to it",
        ),
        (
            "-f examples/shop/base -f examples/shop/steps/6-closed --preset deny-metadata",
            "would open what they close",
        ),
    ] {
        let run = ringfence(&format!("baseline {arguments}"));
        assert_eq!(run.code, Some(2), "{arguments}: {}", run.text());
        assert_eq!(run.stdout, "", "{arguments}");
        assert!(run.stderr.contains(said), "{arguments}: {}", run.stderr);
    }
}

#[test]
fn an_api_server_elsewhere_than_the_input_has_it_is_noted() {
    let input = format!("{PLAIN}{API_SERVER}");
    let run = ringfence_with("baseline -f - --kube-api=10.0.0.1:6443", &input);
    assert!(
        run.stderr.contains("answers at 192.168.7.2:6443"),
        "{}",
        run.stderr
    );
    assert!(run.stdout.contains("cidr: 10.0.0.1/32"), "{}", run.stdout);
    let run = ringfence_with(
        "baseline -f - --kube-api=192.168.7.2:6443,192.168.7.3:6443",
        &input,
    );
    assert!(!run.stderr.contains("answers at"), "{}", run.stderr);
}

#[test]
fn texts_that_yaml_would_read_otherwise_are_quoted() {
    let output = command()
        .args(["baseline", "123", "true", "--dns", "kube-dns"])
        .args([
            "--annotation",
            "expires=2027-01-01",
            "--annotation",
            "ticket=0x10",
        ])
        .args([
            "--annotation",
            "note=two\nlines: [a, b] # c",
            "--pods",
            "app=no",
            "--internet",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let report = ringfence_with("check -f - -o json", &text);
    assert_ne!(report.code, Some(2), "{text}\n{}", report.text());
    assert_eq!(
        report.json()["problems"].as_array().map_or(0, Vec::len),
        0,
        "{text}"
    );
}

#[test]
fn the_name_of_a_policy_that_could_not_be_read_is_not_given_to_another() {
    let unread = format!(
        "{PLAIN}---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: allow-dns, namespace: plain}}
spec: {{podSelector: {{}}, policyTypes: [egress], egress: [{{}}]}}
"
    );
    let run = ringfence_with("baseline -f - --patch", &unread);
    assert_eq!(run.code, Some(2), "{}", run.text());
    assert!(
        run.stdout.contains("name: ringfence-allow-dns"),
        "{}",
        run.text()
    );
    assert!(
        run.stderr
            .contains("plain/allow-dns could not be read, and stays"),
        "{}",
        run.stderr
    );
    // What could not be read of the target may be what is missing.
    let scratch = Scratch::new("baseline-unread");
    let file = scratch.file("policies.yaml", &unread);
    let run = ringfence(&format!("baseline plain --patch --write {file}"));
    assert_eq!(run.code, Some(2), "{}", run.text());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), unread);
}

/// A namespace that only the Baseline tier closes, and name servers that nothing isolates.
const BESIDE_NAME_SERVERS: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: coredns, namespace: kube-system, labels: {k8s-app: kube-dns}}
spec: {containers: [{name: c, image: c, ports: [{containerPort: 53, protocol: UDP}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: c, image: c}]}
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: base}
spec:
  tier: Baseline
  priority: 1
  subject: {namespaces: {matchLabels: {kubernetes.io/metadata.name: shop}}}
  egress: [{name: d, action: Deny, to: [{networks: [0.0.0.0/0]}, {namespaces: {}}]}]
";

#[test]
fn what_the_baseline_tier_closes_is_not_opened_by_deny_metadata() {
    let preset = "baseline shop --preset deny-metadata -f -";
    let run = ringfence_with(preset, BESIDE_NAME_SERVERS);
    assert_eq!((run.code, &*run.stdout), (Some(2), ""), "{}", run.text());
    assert!(
        run.stderr.contains("ClusterNetworkPolicy"),
        "{}",
        run.stderr
    );
    let harmless = BESIDE_NAME_SERVERS.replace("action: Deny", "action: Accept");
    let run = ringfence_with(preset, &harmless);
    assert_eq!(run.code, Some(0), "{}", run.text());
}

#[test]
fn name_servers_are_not_isolated_by_the_way() {
    let preset = "baseline --preset workload-to-workload --from shop/web --to \
                  kube-system/coredns:53/udp -f -";
    let run = ringfence_with(preset, BESIDE_NAME_SERVERS);
    assert_eq!((run.code, &*run.stdout), (Some(2), ""), "{}", run.text());
    assert!(run.stderr.contains("--force"), "{}", run.stderr);
    let run = ringfence_with(&format!("{preset} --force"), BESIDE_NAME_SERVERS);
    assert_eq!(run.code, Some(0), "{}", run.text());
}
