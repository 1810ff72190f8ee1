//! Policies that no verdict counts: `check` is never green where they may open something.

use serde_json::Value;

use crate::{Run, Scratch, ringfence_with};

pub(crate) const CLOSED: &str = include_str!("../data/closed/closed.yaml");

const GLOBAL: &str = "apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: allow-all}
spec: {order: 1, selector: all(), types: [Egress], egress: [{action: Allow}]}
";

const CILIUM: &str = "apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: world, namespace: vault}
spec: {endpointSelector: {}, egress: [{toEntities: [world]}]}
";

/// The API server refuses the exception.
const BROKEN: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: out, namespace: vault, annotations: {description: why}}
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.169.254]}}]}]
";

/// Runs `check` on the closed namespace with one more policy in it.
fn check_with(arguments: &str, policy: &str) -> Run {
    let input = format!("{CLOSED}---\n{policy}");
    ringfence_with(&format!("check --no-config -f - {arguments}"), &input)
}

/// A text without its lines, and without the frame around them.
fn unwrapped(text: &str) -> String {
    let words = text.split_whitespace().filter(|word| *word != "│");
    words.collect::<Vec<_>>().join(" ")
}

pub(crate) fn posture(run: &Run, namespace: &str) -> [String; 3] {
    let report = run.json();
    let rows = report["posture"].as_array().unwrap();
    let row = rows.iter().find(|row| row["namespace"] == namespace);
    ["dns", "metadata", "internet"].map(|key| row.unwrap()[key].as_str().unwrap().to_owned())
}

pub(crate) fn questions(run: &Run) -> Vec<String> {
    let report = run.json();
    let questions = report["notVerified"].as_array().unwrap().iter();
    questions
        .map(|question| {
            let text = |key: &str| question[key].as_str().unwrap();
            format!("{}: {}: {}", text("rule"), text("what"), text("why"))
        })
        .filter(|text| !text.starts_with("RF101"))
        .collect()
}

#[test]
fn the_table_says_unknown_where_such_a_policy_may_open_something() {
    assert_eq!(
        posture(&check_with("-o json", ""), "vault"),
        ["open", "closed", "closed"]
    );
    for (policy, name) in [
        (GLOBAL, "GlobalNetworkPolicy allow-all is not evaluated"),
        (CILIUM, "CiliumNetworkPolicy vault/world is not evaluated"),
    ] {
        let run = check_with("-o json", policy);
        assert_eq!(
            posture(&run, "vault"),
            ["unknown", "unknown", "unknown"],
            "{name}"
        );
        let questions = questions(&run).join("\n");
        assert!(questions.contains(name), "{questions}");
        assert!(questions.contains("RF401: whether pods of"), "{questions}");
        assert!(questions.contains("RF501: whether pods of"), "{questions}");
    }
    // What a NetworkPolicy allows stays allowed, whatever another one says.
    let run = check_with("-o json", BROKEN);
    assert_eq!(posture(&run, "vault"), ["open", "unknown", "unknown"]);
    assert_eq!(
        questions(&run),
        ["metadata", "internet"].map(|what| {
            let (code, what) = match what {
                "metadata" => ("RF401", "cloud metadata"),
                _ => ("RF501", "the internet"),
            };
            format!(
                "{code}: whether pods of namespace `vault` reach {what}: NetworkPolicy vault/out \
                 could not be read, and may decide it"
            )
        })
    );
}

#[test]
fn a_policy_of_another_namespace_puts_nothing_in_doubt() {
    let elsewhere = CILIUM.replace("vault", "elsewhere");
    let run = check_with("-o json", &elsewhere);
    assert_eq!(posture(&run, "vault"), ["open", "closed", "closed"]);
    assert_eq!(run.code, Some(0), "{}", run.text());
    let broken = BROKEN.replace("namespace: vault", "namespace: elsewhere");
    let run = check_with("-o json", &broken);
    assert_eq!(posture(&run, "vault"), ["open", "closed", "closed"]);
}

#[test]
fn what_is_denied_before_namespaces_are_asked_stays_closed() {
    let admin = "apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: no-metadata, annotations: {description: why}}
spec:
  tier: Admin
  priority: 1
  subject: {namespaces: {}}
  egress: [{action: Deny, to: [{networks: [169.254.0.0/16, 100.100.100.200/32, 168.63.129.16/32, 192.0.0.192/32]}]}]
";
    let run = check_with("-o json", &format!("{BROKEN}---\n{admin}"));
    assert_eq!(posture(&run, "vault"), ["open", "closed", "unknown"]);
}

#[test]
fn a_run_without_findings_does_not_end_well_where_something_is_not_known() {
    for policy in [GLOBAL, CILIUM] {
        let run = check_with("", policy);
        assert_eq!(run.code, Some(2), "{}", run.text());
        assert!(run.stderr.contains("incomplete"), "{}", run.stderr);
        let run = check_with("--standard cis", policy);
        assert_eq!(run.code, Some(2), "{}", run.text());
        let run = check_with("--select RF4", policy);
        assert_eq!(run.code, Some(2), "{}", run.text());
        let never = check_with("--fail-on never", policy);
        assert_eq!(never.code, Some(0), "{}", never.text());
    }
    // The policy that the API server refuses is an error itself.
    let run = check_with("", BROKEN);
    assert_eq!(run.code, Some(1), "{}", run.text());
    let run = check_with("--select RF2", BROKEN);
    assert_eq!(run.code, Some(2), "{}", run.text());
}

#[test]
fn who_suppresses_what_is_found_of_such_a_policy_has_accepted_it() {
    let scratch = Scratch::new("accepted");
    let config = "[[check.suppress]]
codes = [\"RF604\"]
reason = \"checked by the platform team with calicoctl\"
";
    let config = scratch.file("ringfence.toml", config);
    let input = format!("{CLOSED}---\n{GLOBAL}");
    let run = ringfence_with(&format!("check --config {config} -f -"), &input);
    assert_eq!(run.code, Some(0), "{}", run.text());
    assert!(!run.stderr.contains("incomplete"), "{}", run.stderr);
}

#[test]
fn the_walk_does_not_say_that_a_pod_is_closed_when_such_a_policy_may_open_it() {
    for (policy, name, step) in [
        (GLOBAL, "GlobalNetworkPolicy allow-all is not evaluated", 2),
        (
            CILIUM,
            "CiliumNetworkPolicy vault/world is not evaluated",
            2,
        ),
        (BROKEN, "NetworkPolicy vault/out could not be read", 3),
    ] {
        let run = check_with("--why-open vault/signer -o json", policy);
        assert_eq!(run.code, Some(2), "{}", run.text());
        let walk = run.json();
        assert_eq!(walk["answer"], "unknown", "{}", run.stdout);
        let step: &Value = &walk["steps"][step];
        assert_eq!(step["status"], "not verified", "{step}");
        assert!(step["says"].as_str().unwrap().contains(name), "{step}");
        assert_eq!(walk["steps"][6]["status"], "not verified");
        let text = check_with("--why-open vault/signer", policy);
        assert!(!text.stdout.contains("is not open"), "{}", text.stdout);
    }
}

#[test]
fn what_is_open_is_said_to_be_so_as_far_as_is_known() {
    let old = "apiVersion: extensions/v1beta1
kind: NetworkPolicy
metadata: {name: deny-all, namespace: vault}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
";
    let open = CLOSED.split("---\napiVersion: networking.k8s.io").next();
    let input = format!("{}---\n{old}", open.unwrap());
    let run = ringfence_with("check --no-config -f - --select RF401 -o json", &input);
    let report = run.json();
    let witness = &report["findings"][0]["witness"];
    assert_eq!(witness["verdict"], "Unknown", "{}", run.stdout);
    assert_eq!(report["findings"][0]["severity"], "warning");
    let text = ringfence_with("check --no-config -f - --select RF401", &input);
    assert!(!text.stdout.contains("Allowed: see"), "{}", text.stdout);
    let words = unwrapped(&text.stdout);
    assert!(
        words.contains("NetworkPolicy `deny-all` may close it, and could not be read"),
        "{words}"
    );
    let run = ringfence_with("check --no-config -f - --why-open vault/signer", &input);
    let words = unwrapped(&run.stdout);
    assert!(
        words.contains("as far as is known: NetworkPolicy vault/deny-all could not be read"),
        "{words}"
    );
}

#[test]
fn no_control_passes_where_such_a_policy_may_open_something() {
    for policy in [GLOBAL, CILIUM, BROKEN] {
        let run = check_with("--standard all -o json", policy);
        let report = run.json();
        for standard in report["standards"].as_array().unwrap() {
            for control in standard["controls"].as_array().unwrap() {
                assert_ne!(control["status"], "pass", "{control}");
            }
        }
    }
    let run = check_with("--standard cis", GLOBAL);
    let words = unwrapped(&run.stdout);
    assert!(
        words.contains("what GlobalNetworkPolicy allow-all opens or closes"),
        "{words}"
    );
}

#[test]
fn a_baseline_that_lacks_nothing_may_not_close_all_the_same() {
    let input = |policy: &str| format!("{CLOSED}---\n{policy}");
    let run = ringfence_with("baseline vault -f - --patch", &input(""));
    assert!(
        run.stderr.contains("nothing is missing\n"),
        "{}",
        run.stderr
    );
    for policy in [GLOBAL, CILIUM, BROKEN] {
        let run = ringfence_with("baseline vault -f - --patch", &input(policy));
        assert!(
            !run.stderr.contains("nothing is missing\n"),
            "{}",
            run.stderr
        );
        assert!(
            run.stderr.contains("what it opens or closes is not known"),
            "{}",
            run.stderr
        );
    }
}
