//! `check --standard`: the controls of benchmarks and standards.

use serde_json::Value;

use crate::{SMALL, Scratch, ringfence, ringfence_with};

const OPEN: &str = "check -f examples/shop/base --standard";
const CLOSED: &str = "check -f examples/shop/base -f examples/shop/steps/6-closed --standard";

#[test]
fn the_open_shop_fails_and_the_closed_one_does_not() {
    let open = ringfence(&format!("{OPEN} all"));
    assert_eq!(open.code, Some(1));
    insta::assert_snapshot!("open", open.text());
    let closed = ringfence(&format!("{CLOSED} all"));
    assert_eq!(closed.code, Some(0), "{}", closed.text());
    insta::assert_snapshot!("closed", closed.text());
    insta::assert_snapshot!("json", ringfence(&format!("{CLOSED} cis -o json")).text());
    insta::assert_snapshot!(
        "markdown",
        ringfence(&format!("{OPEN} cis,nsa -o markdown")).text()
    );
}

fn controls(report: &Value) -> Vec<&Value> {
    let standards = report["standards"].as_array().unwrap().iter();
    standards
        .flat_map(|standard| standard["controls"].as_array().unwrap())
        .collect()
}

fn statuses(arguments: &str) -> Vec<(String, String)> {
    let report = ringfence(&format!("{arguments} -o json")).json();
    let text = |control: &Value, key: &str| control[key].as_str().unwrap().to_owned();
    let controls = controls(&report).into_iter();
    controls
        .map(|control| (text(control, "number"), text(control, "status")))
        .collect()
}

#[test]
fn no_control_passes_that_manifests_alone_cannot_show() {
    // The best that manifests can look: everything closed, and a plugin that enforces.
    let input = "-f crates/cli/tests/data/why-open/web.yaml -f crates/cli/tests/data/why-open/deny.yaml -f crates/advisor/tests/rules/RF101/silent.yaml";
    for arguments in [
        format!("{CLOSED} all"),
        format!("check {input} --standard all"),
    ] {
        let live = [
            "5.2.5",
            "5.3.1",
            "network-1",
            "network-4",
            "network-5",
            "pods-1",
            "1.2.7",
            "1.3.1",
            "1.3.2",
            "1.4.1",
            "1.4.2",
            "1.4.4",
            "4.3.3",
            "4.4.2",
            "4.4.3",
        ];
        for (number, status) in statuses(&arguments) {
            let needs_proof = live.contains(&number.as_str());
            assert!(!needs_proof || status != "pass", "{arguments}: {number}");
        }
    }
}

#[test]
fn what_was_not_looked_for_does_not_pass() {
    let all = statuses(&format!("{CLOSED} cis,nsa"));
    assert!(all.contains(&("network-3".to_owned(), "pass".to_owned())));
    let fewer = statuses(&format!("{CLOSED} cis,nsa --ignore RF204"));
    assert!(fewer.contains(&("network-3".to_owned(), "not verified".to_owned())));
    assert!(fewer.contains(&("5.3.2".to_owned(), "not verified".to_owned())));
    let nothing = ringfence_with(
        "check -f - --standard cis -o json",
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n",
    )
    .json();
    assert!(controls(&nothing).iter().all(|c| c["status"] != "pass"));
}

#[test]
fn a_suppressed_finding_is_an_accepted_risk() {
    let scratch = Scratch::new("standards");
    let config = scratch.file(
        "ringfence.toml",
        "[[check.suppress]]\ncodes = [\"RF201\"]\nnamespaces = [\"web\"]\nreason = \"moves out next month\"\n",
    );
    let arguments = format!("check -f - --config {config} --standard pci -o json");
    let run = ringfence_with(&arguments, SMALL);
    assert!(
        run.stdout.contains("moves out next month"),
        "{}",
        run.text()
    );
    let report = run.json();
    let control = controls(&report)
        .into_iter()
        .find(|c| c["number"] == "1.4.4");
    let control = control.unwrap();
    assert_eq!(
        control["acceptedRisks"][0]["risk"]["rule"], "RF201",
        "{control}"
    );
}

#[test]
fn a_control_that_fails_is_exit_code_1_unless_fail_on_asks_for_worse() {
    let fails = |options: &str| ringfence(&format!("{OPEN} cis {options} -q")).code;
    assert_eq!(fails(""), Some(1));
    assert_eq!(fails("--fail-on error"), Some(1));
    assert_eq!(fails("--fail-on never"), Some(0));
    let run = ringfence(&format!("{OPEN} cis -o junit"));
    assert!(run.code == Some(2) && run.stderr.contains("the formats of --standard"));
}

#[test]
fn a_namespace_of_pods_that_an_operator_makes_is_no_empty_one() {
    let operated = format!(
        "{SMALL}---\napiVersion: postgresql.cnpg.io/v1\nkind: Cluster\nmetadata: {{name: orders, \
         namespace: data}}\nspec: {{}}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: \
         data}}\n"
    );
    let run = ringfence_with("check -f - --standard cis -o json", &operated);
    let report = run.json();
    let mut found = controls(&report).into_iter();
    let control = found.find(|c| c["number"] == "5.3.2").unwrap();
    assert_eq!(control["status"], "fail", "{control}");
    assert!(
        run.stdout.contains("namespace `data` has no NetworkPolicy"),
        "{}",
        run.text()
    );
}
