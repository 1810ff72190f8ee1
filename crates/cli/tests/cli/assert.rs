use crate::{Run, SMALL, Scratch, ringfence, ringfence_with};

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

/// The exit code of an assertion file with this one assertion.
fn asserted(scratch: &Scratch, demand: &str, from: &str, to: &str, input: &str) -> Run {
    let head = "apiVersion: ringfence.dev/v1alpha1\nkind: Assertions\n";
    let body = format!("{demand}:\n- from: {from}\n  to: '{to}'\n  ports: ['80']\n");
    let file = scratch.file("one.yaml", &format!("{head}{body}"));
    ringfence_with(&format!("assert {file} -f -"), input)
}

#[test]
fn addresses_of_a_family_that_pods_may_have_are_not_forbidden_by_silence() {
    let scratch = Scratch::new("assert-families");
    for to in ["2001:db8::1", "2000::/3", "10.244.1.7", "8.8.8.8"] {
        let run = asserted(&scratch, "forbids", "web/shop", to, SMALL);
        assert_eq!(run.code, Some(1), "{to}: {}", run.text());
        let run = asserted(&scratch, "forbids", "web/db", to, SMALL);
        assert_eq!(run.code, Some(0), "{to}: {}", run.text());
    }
    let run = asserted(&scratch, "forbids", "2001:db8::1", "web/shop", SMALL);
    assert_eq!(run.code, Some(1), "{}", run.text());
    let run = ringfence_with("explain web/shop [2001:db8::1]:443 -f -", SMALL);
    assert_eq!(run.code, Some(0), "{}", run.text());
    // In a range of pods it may be any pod's.
    let ranges = ringfence_with(
        "explain web/shop 10.244.1.7:80 -f - --pod-cidr 10.244.0.0/16",
        SMALL,
    );
    assert_eq!(ranges.code, Some(1), "{}", ranges.text());
}

#[test]
fn pods_with_known_addresses_of_other_families_have_no_connection() {
    let pod = |name: &str, address: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: web}}\nspec: {{containers: [{{name: c}}]}}\nstatus: {{podIPs: [{{ip: '{address}'}}], podIP: '{address}', phase: Running}}\n"
        )
    };
    let input = format!(
        "{SMALL}{}{}",
        pod("four", "10.1.1.1"),
        pod("six", "fd00::6")
    );
    let scratch = Scratch::new("assert-known-families");
    for (from, to, code) in [
        ("web/four", "2001:db8::1", 0),
        ("web/four", "web/six", 0),
        // Nobody knows the addresses of the shop.
        ("web/shop", "web/six", 1),
        ("web/six", "web/shop", 1),
    ] {
        let run = asserted(&scratch, "forbids", from, to, &input);
        assert_eq!(run.code, Some(code), "{from} {to}: {}", run.text());
    }
}

#[test]
fn pods_behind_a_service_without_a_port_to_them_are_still_judged() {
    let scratch = Scratch::new("assert-no-port");
    let file = scratch.file(
        "a.yaml",
        "apiVersion: ringfence.dev/v1alpha1\nkind: Assertions\nforbids:\n- {from: web/shop, to: 'svc:web/db'}\n",
    );
    for service in [
        SMALL.replace("targetPort: sql", "targetPort: nope"),
        SMALL.replace(
            "clusterIP: 10.96.0.7, ports: [{port: 1521, targetPort: sql}]",
            "clusterIP: None",
        ),
    ] {
        let run = ringfence_with(&format!("assert {file} -f -"), &service);
        assert_eq!(run.code, Some(1), "{}", run.text());
    }
    let run = ringfence_with("assert - -f -", SMALL);
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr.contains("are read from a file"),
        "{}",
        run.stderr
    );
}
