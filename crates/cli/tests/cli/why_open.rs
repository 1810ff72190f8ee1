//! `check --why-open`: each reason why a pod is open, and one that is not.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{ringfence, root};

const DATA: &str = "crates/cli/tests/data/why-open";

/// The walk of `web/front` with some of the manifests.
fn front(manifests: &str) -> String {
    let mut files = String::from("check --no-config --why-open web/front");
    for name in manifests.split_whitespace() {
        files.push_str(&format!(" -f {DATA}/{name}.yaml"));
    }
    files
}

fn shop(step: &str, pod: &str) -> String {
    format!("check -f examples/shop/base -f examples/shop/steps/{step} --why-open {pod}")
}

/// What is asked, and the step at which the pod is open.
fn cases() -> Vec<(&'static str, String, Option<u64>)> {
    vec![
        ("no_policy", front("web"), Some(2)),
        ("not_enforced", front("web deny flannel"), Some(1)),
        (
            "ingress_only",
            shop("1-ingress-only", "shop-web/storefront"),
            Some(2),
        ),
        ("admin_accept", front("web deny admin"), Some(3)),
        (
            "label_typo",
            shop("4-label-typo", "shop-web/storefront"),
            Some(4),
        ),
        ("old_calico", front("web deny calico-3.19"), Some(5)),
        (
            "host_network",
            shop("5-hostnetwork", "monitoring/node-exporter"),
            Some(6),
        ),
        ("rule", front("web deny open-rule"), Some(7)),
        // Every port of all namespaces but one.
        ("all_but_one", front("web deny more all-but-one"), Some(7)),
        (
            "additive",
            shop("3-deny-metadata-additive", "shop-web/cart"),
            Some(7),
        ),
        ("closed", front("web deny"), None),
        (
            "shop_closed",
            shop("6-closed", "shop-payments/payments"),
            None,
        ),
    ]
}

#[test]
fn every_reason_is_found_at_its_step() {
    for (name, arguments, step) in cases() {
        let run = ringfence(&format!("{arguments} -o json"));
        let walk = run.json();
        assert_eq!(
            walk["step"].as_u64(),
            step,
            "{name}: {}",
            walk["conclusion"]
        );
        assert_eq!(run.code, Some(i32::from(step.is_some())), "{name}");
        let answer = if step.is_some() { "open" } else { "closed" };
        assert_eq!(walk["answer"], answer, "{name}");
    }
}

#[test]
fn every_walk_is_shown_with_its_lines() {
    for (name, arguments, _) in cases() {
        insta::assert_snapshot!(format!("human_{name}"), ringfence(&arguments).text());
    }
    let rule = front("web deny open-rule");
    insta::assert_snapshot!("json", ringfence(&format!("{rule} -o json")).text());
    insta::assert_snapshot!("markdown", ringfence(&format!("{rule} -o markdown")).text());
}

#[test]
fn it_is_about_one_pod_and_says_so() {
    for (asked, said) in [
        ("svc:shop-web/cart", "is no pod"),
        ("internet", "is no pod"),
        ("shop-web/*", "5 workloads"),
        ("shop-web/cart:80", "not a port"),
        ("shop-web/karts", "there is no workload or pod"),
    ] {
        let run = ringfence(&format!("check -f examples/shop/base --why-open {asked}"));
        assert_eq!(run.code, Some(2), "{asked}");
        assert!(run.stderr.contains(said), "{asked}: {}", run.stderr);
    }
    let sarif = ringfence("check -f examples/shop/base --why-open shop-web/cart -o sarif");
    assert!(sarif.code == Some(2) && sarif.stderr.contains("the formats of --why-open"));
}

#[test]
fn a_policy_that_cannot_be_read_is_not_taken_for_none() {
    let scratch = crate::Scratch::new("why-open");
    let broken = scratch.file(
        "broken.yaml",
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: b, namespace: web}\nspec: {podSelector: {}, egress: [{to: [{}]}]}\n",
    );
    let run = ringfence(&format!("{} -f {broken} -o json", front("web deny")));
    assert_eq!(run.code, Some(2), "{}", run.text());
    assert_eq!(run.json()["answer"], "unknown");
}

/// The workloads that one can reach, `?` before those that it may reach.
fn workloads<'a>(ends: impl Iterator<Item = (&'a Value, bool)>) -> BTreeSet<String> {
    ends.filter(|(end, _)| end["name"].is_string())
        .map(|(end, certain)| {
            let text = |key: &str| end[key].as_str().unwrap().to_owned();
            let sign = if certain { "" } else { "?" };
            format!(
                "{sign}{}/{}/{}",
                text("namespace"),
                text("kind"),
                text("name")
            )
        })
        .collect()
}

fn has_ports(ports: &Value) -> bool {
    ports.as_object().is_some_and(|ports| !ports.is_empty())
}

/// What `reach` finds from a workload to something: open, may be open, or neither.
fn reach(input: &str, from: &str, to: &str) -> Option<bool> {
    let run = ringfence(&format!("reach {input} --from {from} --to {to} -o json"));
    let report = run.json();
    // Asked for IPv6 addresses, `reach` answers for them; pods that have IPv4 alone do not
    // connect to them.
    let counts = |end: &Value| {
        let mut cidrs = end["cidrs"].as_array().into_iter().flatten();
        input.contains("dual-stack") || cidrs.any(|net| !net.as_str().unwrap().contains(':'))
    };
    let connections = report["connections"].as_array().unwrap();
    let any = |key: &str| {
        let mut connections = connections.iter();
        connections.any(|c| counts(&c["to"]) && has_ports(&c[key]))
    };
    if any("allow") {
        Some(true)
    } else {
        any("maybe").then_some(false)
    }
}

#[test]
fn it_never_contradicts_reach() {
    let mut compared = 0;
    for input in [
        "-f examples/shop/base",
        "-f examples/shop/base -f examples/shop/steps/1-ingress-only",
        "-f examples/shop/base -f examples/shop/steps/3-deny-metadata-additive",
        "-f examples/shop/base -f examples/shop/steps/5-hostnetwork",
        "-f examples/shop/base -f examples/shop/steps/6-closed",
        "-f examples/cluster-policies/cluster.yaml -f examples/cluster-policies/admin.yaml -f examples/cluster-policies/team-a.yaml",
        "-f examples/dual-stack/cluster.yaml -f examples/dual-stack/leaky",
    ] {
        let report = ringfence(&format!("reach {input} -o json")).json();
        let connections = report["connections"].as_array().unwrap();
        let known: BTreeSet<String> = connections
            .iter()
            .filter(|c| c["from"]["name"].is_string() && c["from"]["kind"] != "IngressController")
            .map(|c| {
                let text = |key: &str| c["from"][key].as_str().unwrap();
                format!("{}/{}/{}", text("namespace"), text("kind"), text("name"))
            })
            .collect();
        for workload in known {
            let run = ringfence(&format!("check {input} --why-open {workload} -o json"));
            let walk = run.json();
            let reaches = walk["reaches"].as_array().unwrap();
            let said = workloads(reaches.iter().flat_map(|reached| {
                let certain = reached["verdict"] == "Allowed";
                let ends = reached["to"].as_array().unwrap().iter();
                ends.map(move |end| (end, certain))
            }));
            let from = connections.iter().filter(|c| {
                let text = |key: &str| c["from"][key].as_str().unwrap_or_default();
                format!("{}/{}/{}", text("namespace"), text("kind"), text("name")) == workload
            });
            let found = workloads(
                from.filter(|c| c["to"] != c["from"] && c["to"]["kind"] != "IngressController")
                    .map(|c| {
                        let icmp = c["icmp"] == "Allowed";
                        (&c["to"], has_ports(&c["allow"]) || icmp)
                    }),
            );
            assert_eq!(said, found, "{input}: {workload}");
            for (what, to) in [("metadata", "metadata"), ("internet", "internet")] {
                let mut of = reaches.iter().filter(|reached| reached["what"] == what);
                let certain = of.clone().any(|reached| has_ports(&reached["allow"]));
                let maybe = of.any(|reached| has_ports(&reached["maybe"]));
                let said = if certain {
                    Some(true)
                } else {
                    maybe.then_some(false)
                };
                assert_eq!(
                    said,
                    reach(input, &workload, to),
                    "{input}: {workload} {to}"
                );
                // Nobody who reaches metadata is called closed.
                let is_leaky = what == "metadata" && certain;
                assert!(!is_leaky || walk["answer"] == "open", "{input}: {workload}");
            }
            compared += 1;
        }
    }
    assert!(compared > 40, "{compared} walks in {}", root().display());
}
