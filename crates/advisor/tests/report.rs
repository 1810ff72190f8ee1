//! What a report says as a whole: what manifests cannot tell is not taken for fine, one
//! cause is said once, and what is suppressed is for a reason.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test panics where it does not find what it expects"
)]

mod loading;

use std::path::Path;

use ringfence_advisor::Report;
use ringfence_advisor::posture::Openness;
use ringfence_model::parse;
use ringfence_model::snapshot::builder::BuildOptions;

use crate::loading::Loaded;

fn checked(text: &str) -> Report {
    checked_with(text, "")
}

fn checked_with(text: &str, words: &str) -> Report {
    let input = parse::Input {
        name: "input.yaml".to_owned(),
        bytes: text.as_bytes().to_vec(),
    };
    Loaded::of(vec![input], words, BuildOptions::default()).report()
}

/// A manifest of the rules' tests.
fn of_rule(name: &str) -> Report {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules");
    let text = std::fs::read_to_string(folder.join(name));
    checked(&text.unwrap_or_else(|error| panic!("{name}: {error}")))
}

fn questions(report: &Report) -> Vec<String> {
    let questions = report.not_verified.iter();
    // Others ask about the cluster, and about selectors.
    let about = |code: u16| matches!(code, 201 | 301 | 303);
    let of_policies = questions.filter(|question| about(question.code.0));
    of_policies
        .map(|question| format!("{} {}", question.code, question.what))
        .collect()
}

const INGRESS_ALONE: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: allow-web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {app: gateway}}}], ports: [{port: 8080}]}]
";

#[test]
fn without_pods_it_is_not_known_whether_all_are_isolated_and_resolve_names() {
    let report = of_rule("RF301/silent-policies-alone.yaml");
    assert_eq!(
        questions(&report),
        [
            "RF201 whether the egress of the pods of namespace `bank` is isolated",
            "RF301 whether the pods of namespace `bank` can resolve names",
        ]
    );
    // What isolates the egress of nobody keeps nobody from resolving names.
    assert_eq!(
        questions(&checked(INGRESS_ALONE)),
        ["RF201 whether the egress of the pods of namespace `shop` is isolated"]
    );
}

#[test]
fn without_pods_nothing_is_asked_where_policies_say_it_all() {
    for manifest in [
        "RF401/silent-policies-alone.yaml",
        "RF301/fires-policies-alone.yaml",
        "RF303/fires-policies-alone.yaml",
    ] {
        assert_eq!(questions(&of_rule(manifest)), [""; 0], "{manifest}");
    }
}

#[test]
fn a_cluster_wide_policy_may_decide_about_pods_that_are_not_there() {
    let deny = "
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: no-metadata}
spec:
  tier: Admin
  priority: 5
  subject: {namespaces: {}}
  egress: [{name: link-local, action: Deny, to: [{networks: [169.254.0.0/16]}]}]
";
    let open = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: open, namespace: shop}
spec: {podSelector: {}, policyTypes: [Egress], egress: [{}]}
";
    let severity = |report: &Report| {
        let mut found = report.findings.iter();
        let finding = found.find(|finding| finding.rule.code.0 == 401).unwrap();
        format!("{:?}", finding.severity)
    };
    assert_eq!(severity(&checked(open)), "Error");
    let report = checked(&format!("{open}{deny}"));
    assert_eq!(severity(&report), "Warning");
    assert_eq!(
        questions(&report),
        ["RF301 whether the pods of namespace `shop` can resolve names"]
    );
}

#[test]
fn cluster_wide_policies_alone_are_not_taken_for_fine() {
    let accept = "
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: open}
spec:
  tier: Admin
  priority: 5
  subject: {namespaces: {}}
  egress: [{name: all, action: Accept, to: [{networks: [0.0.0.0/0]}]}]
";
    let said = |text: &str| {
        let report = checked(text);
        let findings = report.findings.iter();
        findings
            .map(|finding| format!("{} {:?}", finding.rule.code, finding.severity))
            .collect::<Vec<_>>()
    };
    let expected = ["RF401 Error", "RF703 Warning", "RF601 Note"];
    assert_eq!(said(accept), expected);
    // Another rule may decide before it.
    let denied = accept.replace(
        "egress: [",
        "egress: [{name: no, action: Deny, to: [{networks: [169.254.169.254/32]}]}, ",
    );
    let denied = denied.replace("name: no", "name: metadata");
    assert_eq!(
        said(&denied),
        ["RF401 Warning", "RF703 Warning", "RF601 Note"]
    );
}

#[test]
fn name_servers_that_nobody_recognises_are_a_question_and_no_error() {
    for (manifest, question) in [
        (
            "RF301/silent-unknown-servers.yaml",
            "RF301 whether shop/web can resolve names",
        ),
        (
            "RF303/silent-unseen-namespace.yaml",
            "RF303 whether NetworkPolicy shop/allow-dns matches the name servers",
        ),
    ] {
        let report = of_rule(manifest);
        assert_eq!(questions(&report), [question], "{manifest}");
    }
}

/// A namespace that is closed, with workloads that are given `template` and a rule that
/// opens the internet for them, in a policy of this name.
fn opened(name: &str, annotations: [&str; 2]) -> String {
    let mut text = String::new();
    for (workload, annotations) in ["web", "db"].into_iter().zip(annotations) {
        text.push_str(&format!(
            "apiVersion: apps/v1
kind: Deployment
metadata: {{name: {workload}, namespace: shop, annotations: {{{annotations}}}}}
spec:
  selector: {{matchLabels: {{app: {workload}}}}}
  template:
    metadata: {{labels: {{app: {workload}, tier: shop}}}}
    spec: {{containers: [{{name: main}}]}}
---
"
        ));
    }
    text.push_str(&format!(
        "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: {name}, namespace: shop}}
spec:
  podSelector: {{matchLabels: {{tier: shop}}}}
  policyTypes: [Egress]
  egress:
    - to:
        - ipBlock:
            cidr: 0.0.0.0/0
            except: [10.0.0.0/8, 100.64.0.0/10, 168.63.129.16/32, 169.254.0.0/16, \
         172.16.0.0/12, 192.0.0.192/32, 192.168.0.0/16]
      ports: [{{port: 443, protocol: TCP}}]
"
    ));
    text
}

/// The codes and severities of findings about the internet.
fn about_the_internet(report: &Report) -> Vec<String> {
    let about = |code: u16| matches!(code, 402 | 501 | 508);
    let findings = report.findings.iter();
    findings
        .filter(|finding| about(finding.rule.code.0))
        .map(|finding| format!("{} {:?}", finding.rule.code, finding.severity))
        .collect()
}

#[test]
fn a_rule_that_opens_the_internet_is_one_finding_whatever_its_policy_is_called() {
    for (name, said) in [
        ("deny-internet", "RF402 Error"),
        ("block-egress", "RF402 Error"),
        ("deny-list-service", "RF402 Warning"),
        ("block-explorer", "RF501 Warning"),
        ("blocks-api", "RF501 Warning"),
        ("no-traffic-limit", "RF501 Warning"),
        ("isolated-workloads-egress", "RF501 Warning"),
        ("allow-https", "RF501 Warning"),
    ] {
        let report = checked(&opened(name, ["", ""]));
        assert_eq!(about_the_internet(&report), [said], "{name}");
    }
}

#[test]
fn a_workload_speaks_for_itself_alone_when_it_suppresses_a_finding() {
    const WHY: &str = "ringfence.dev/ignore: RF501 calls the bank";
    let report = checked(&opened("allow-https", [WHY, ""]));
    let mut found = report.findings.iter();
    let finding = found.find(|finding| finding.rule.code.0 == 501).unwrap();
    assert_eq!(finding.affected.len(), 1);
    let help = finding.help.as_deref().unwrap();
    assert!(
        help.contains(
            "the annotation of shop/web holds for it alone: the finding stays because of shop/db"
        ),
        "{help}"
    );
    // Where all of them say so it is suppressed, with the reason.
    let report = checked(&opened("allow-https", [WHY, WHY]));
    assert_eq!(about_the_internet(&report), [""; 0]);
    let mut suppressed = report.suppressed.iter();
    let suppressed = suppressed.find(|s| s.finding.rule.code.0 == 501).unwrap();
    assert_eq!(suppressed.reason, "calls the bank");
    assert!(suppressed.by.contains("shop/"), "{}", suppressed.by);
    // None of it holds for another rule.
    let other = WHY.replace("RF501", "RF502");
    let report = checked(&opened("allow-https", [&other, &other]));
    assert_eq!(about_the_internet(&report), ["RF501 Warning"]);
}

/// The codes of findings that say that a rule is wide.
fn about_width(report: &Report) -> Vec<String> {
    let about = |code: u16| matches!(code, 501 | 503);
    let findings = report.findings.iter();
    findings
        .filter(|finding| about(finding.rule.code.0))
        .map(|finding| format!("{} {:?}", finding.rule.code, finding.severity))
        .collect()
}

#[test]
fn what_somebody_lives_with_does_not_come_back_under_another_code() {
    let open = "
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: data, labels: {app: db}}
spec: {containers: [{name: main, ports: [{containerPort: 443}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: main}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: open, namespace: shop, annotations: {IGNORE}}
spec: {podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 443}]}]}
";
    let plain = open.replace("IGNORE", "");
    assert_eq!(about_width(&checked(&plain)), ["RF501 Warning"]);
    let lowered = checked_with(&plain, "--note RF501");
    assert_eq!(about_width(&lowered), ["RF501 Note"]);
    let ignored = open.replace("IGNORE", "ringfence.dev/ignore: RF501 calls the bank");
    let ignored = checked(&ignored);
    assert_eq!(about_width(&ignored), [""; 0]);
    let mut suppressed = ignored.suppressed.iter();
    assert!(suppressed.any(|s| s.finding.rule.code.0 == 501));
}

const OPERATED: &str = "
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata: {name: orders, namespace: shop}
spec: {instances: 3}
";

#[test]
fn pods_that_an_operator_makes_are_a_question_until_the_input_has_them() {
    let asked = "RF201 whether the pods of Cluster `shop/orders` are isolated, and what they reach";
    assert_eq!(questions(&checked(OPERATED)), [asked]);
    let pod = "
---
apiVersion: v1
kind: Pod
metadata: {name: orders-1, namespace: shop, labels: {cnpg.io/cluster: orders}}
spec: {containers: [{name: postgres}]}
";
    assert_eq!(questions(&checked(&format!("{OPERATED}{pod}"))), [""; 0]);
    // Some are called after the part that they play.
    let redis = OPERATED
        .replace(
            "postgresql.cnpg.io/v1",
            "redis.redis.opstreelabs.in/v1beta2",
        )
        .replace("kind: Cluster", "kind: RedisCluster");
    assert_eq!(questions(&checked(&redis)).len(), 1);
    let leader = pod.replace("cnpg.io/cluster: orders", "app: orders-leader");
    assert_eq!(questions(&checked(&format!("{redis}{leader}"))), [""; 0]);
    // Another kind of that name, and one that nobody knows.
    let machines = OPERATED.replace("postgresql.cnpg.io/v1", "cluster.x-k8s.io/v1beta1");
    assert_eq!(questions(&checked(&machines)), [""; 0]);
    let unknown = OPERATED.replace("postgresql.cnpg.io/v1", "example.com/v1");
    let asked = "RF201 whether pods are made of Cluster `shop/orders`, whether they are isolated, \
                 and what they reach";
    assert_eq!(questions(&checked(&unknown)), [asked]);
    assert_eq!(questions(&checked(&format!("{unknown}{pod}"))), [""; 0]);
}

/// A closed namespace that may ask the name servers of the cluster, and a pod of it with
/// this in its `spec`.
fn asking(spec: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: web, namespace: shop, labels: {{app: web}}}}
spec: {{{spec}, containers: [{{name: main}}]}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: default-deny-all, namespace: shop}}
spec:
  podSelector: {{}}
  policyTypes: [Ingress, Egress]
  egress:
    - to:
        - namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: kube-system}}}}
          podSelector: {{matchLabels: {{k8s-app: kube-dns}}}}
      ports: [{{port: 53, protocol: UDP}}, {{port: 53, protocol: TCP}}]
    - to: [{{ipBlock: {{cidr: 192.0.2.53/32}}}}]
      ports: [{{port: 53, protocol: UDP}}, {{port: 53, protocol: TCP}}]
"
    )
}

#[test]
fn dns_is_what_the_pods_ask_and_not_what_others_could() {
    let none = |address: &str| format!("dnsPolicy: None, dnsConfig: {{nameservers: [{address}]}}");
    for (spec, openness, asked) in [
        ("dnsPolicy: ClusterFirst".to_owned(), Openness::Open, false),
        (none("192.0.2.53"), Openness::Open, false),
        (none("8.8.8.8"), Openness::Closed, true),
        ("dnsPolicy: Default".to_owned(), Openness::Unknown, true),
    ] {
        let report = checked(&asking(&spec));
        let mut postures = report.posture.iter();
        let posture = postures.find(|p| &*p.namespace == "shop").unwrap();
        assert_eq!(posture.dns, openness, "{spec}");
        let expected: &[&str] = match asked {
            true => &["RF301 whether shop/web can resolve names"],
            false => &[],
        };
        assert_eq!(questions(&report), expected, "{spec}");
    }
    // Whom nobody isolates can ask whomever there is.
    let open = asking("dnsPolicy: Default").replace("[Ingress, Egress]", "[Ingress]");
    let report = checked(&open);
    assert!(report.posture.iter().all(|p| p.dns == Openness::Open));
}

#[test]
fn name_servers_that_are_closed_themselves_do_not_count_as_open() {
    let text = "
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec: {selector: {k8s-app: kube-dns}, ports: [{port: 53, protocol: UDP}, {port: 53, name: t}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: coredns, namespace: kube-system}
spec:
  selector: {matchLabels: {k8s-app: kube-dns}}
  template:
    metadata: {labels: {k8s-app: kube-dns}}
    spec: {dnsPolicy: Default, containers: [{name: coredns}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny-all, namespace: kube-system}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
";
    let report = checked(text);
    assert_eq!(report.posture.first().unwrap().dns, Openness::Closed);
}
