use crate::{SMALL, Scratch, ringfence, ringfence_with};

const OPEN: &str = "assert examples/shop/assertions.yaml -f examples/shop/base";

#[test]
fn the_closed_shop_holds_and_no_other_step_does() {
    for (step, code) in [
        ("1-ingress-only", 1),
        ("2-deny-all-dns-forgotten", 1),
        ("3-deny-metadata-additive", 1),
        ("4-label-typo", 1),
        ("5-hostnetwork", 1),
        ("6-closed", 0),
    ] {
        let run = ringfence(&format!("{OPEN} -f examples/shop/steps/{step}"));
        assert_eq!(run.code, Some(code), "{step}: {}", run.text());
    }
}

#[test]
fn a_failure_carries_a_counterexample_and_its_explanation() {
    let scratch = Scratch::new("assert");
    let file = scratch.file("assertions.yaml", FAILING);
    let shown = |arguments: &str| {
        let run = ringfence_with(&format!("assert {file} -f - {arguments}"), SMALL);
        run.text().replace(&scratch.path(), "SCRATCH")
    };
    insta::assert_snapshot!("human", shown(""));
    insta::assert_snapshot!("junit", shown("-o junit"));
    insta::assert_snapshot!("github", shown("-o github"));
    insta::assert_snapshot!("markdown", shown("-o markdown"));
    insta::assert_snapshot!("json", shown("-o json"));
}

const FAILING: &str = "apiVersion: ringfence.dev/v1alpha1
kind: Assertions
permits:
  - from: web/shop
    to: svc:web/db
    why: orders are kept there
  - from: web/shop
    to: web/db
    ports: [sql, 5433]
forbids:
  - from: {namespace: web}
    to: metadata
  - from: [web/db]
    to: internet
    ports: ['*']
";

#[test]
fn what_is_wrong_with_an_assertion_file_is_shown_at_its_line() {
    let scratch = Scratch::new("assert-broken");
    for (name, text) in [
        ("field", FAILING.replace("ports", "port")),
        ("endpoint", FAILING.replace("svc:web/db", "svc:web/dp")),
        ("port", FAILING.replace("5433", "75433")),
        ("kind", FAILING.replace("Assertions", "Assertion")),
        (
            "addresses_without_ports",
            FAILING.replace("svc:web/db", "8.8.8.8"),
        ),
    ] {
        let file = scratch.file("assertions.yaml", &text);
        let run = ringfence_with(&format!("assert {file} -f -"), SMALL);
        assert_eq!(run.code, Some(2), "{name}");
        insta::assert_snapshot!(
            format!("broken_{name}"),
            run.text().replace(&scratch.path(), "SCRATCH")
        );
    }
}

#[test]
fn a_verdict_that_is_not_known_is_good_enough_only_when_asked_for() {
    let unknown = SMALL.replace(
        "{podSelector: {matchLabels: {app: shop}}}",
        "{ipBlock: {cidr: 10.1.0.0/16}}",
    );
    let scratch = Scratch::new("assert-unknown");
    let head = "apiVersion: ringfence.dev/v1alpha1\nkind: Assertions\n";
    for demand in ["permits", "forbids"] {
        let body = format!("{demand}:\n- from: web/shop\n  to: web/db\n  ports: [sql]\n");
        let strict = scratch.file("strict.yaml", &format!("{head}{body}"));
        let lax = scratch.file("lax.yaml", &format!("{head}{body}  allowUnknown: true\n"));
        let run = ringfence_with(&format!("assert {strict} -f -"), &unknown);
        assert_eq!(run.code, Some(1), "{}", run.text());
        let run = ringfence_with(&format!("assert {lax} -f -"), &unknown);
        assert_eq!(run.code, Some(0), "{}", run.text());
    }
}
