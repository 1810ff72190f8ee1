//! Ways out that the input does not show: another IP family, and IPv4 behind a translator.

use crate::not_counted::{CLOSED, posture, questions};
use crate::{Run, ringfence_with};

fn policy(blocks: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: out, namespace: vault, annotations: {{description: why}}}}
spec:
  podSelector: {{}}
  policyTypes: [Egress]
  egress:
    - {blocks}
"
    )
}

const IPV6_NODE: &str = "apiVersion: v1
kind: Node
metadata: {name: n1}
spec: {podCIDRs: [\"fd00:10::/64\"]}
---
";

fn check_with(arguments: &str, more: &str) -> Run {
    let input = format!("{CLOSED}---\n{more}");
    ringfence_with(&format!("check --no-config -f - {arguments}"), &input)
}

fn vault(run: &Run) -> [String; 2] {
    let [_, metadata, internet] = posture(run, "vault");
    [metadata, internet]
}

#[test]
fn a_policy_that_names_the_other_family_is_not_taken_for_nothing() {
    for block in ["::/0", "2000::/3"] {
        let policy = policy(&format!("to: [{{ipBlock: {{cidr: \"{block}\"}}}}]"));
        let run = check_with("-o json", &policy);
        let metadata = if block == "::/0" { "unknown" } else { "closed" };
        assert_eq!(vault(&run), [metadata, "unknown"], "{block}");
        let all = questions(&run).join("\n");
        assert!(
            all.contains(
                "RF501: whether NetworkPolicy vault/out lets pods reach the public IPv6 internet: \
                 egress rule 1 allows it, and nothing in the input shows that pods have IPv6: \
                 they are taken to have IPv4 alone"
            ),
            "{all}"
        );
        let metadata = "RF404: whether NetworkPolicy vault/out lets pods reach cloud metadata at \
                        fd00:ec2::254";
        assert_eq!(all.contains(metadata), block == "::/0", "{all}");
        let walk = check_with("--why-open vault/signer", &policy);
        assert!(!walk.stdout.contains("is not open"), "{}", walk.stdout);
        assert_eq!(walk.code, Some(1));
        let junit = check_with("--select RF5 -o junit", &policy).stdout;
        let passed = "<testcase name=\"a rule opens egress to the internet, on all ports or on named ones\" classname=\"RF501\"/>";
        assert!(
            junit.contains("RF501") && !junit.contains(passed),
            "{junit}"
        );
    }
}

#[test]
fn who_says_which_families_there_are_is_believed() {
    let policy = policy("to: [{ipBlock: {cidr: \"::/0\"}}]");
    let run = check_with("-o json --ip-family ipv4", &policy);
    assert_eq!(vault(&run), ["closed", "closed"]);
    assert!(questions(&run).is_empty(), "{}", run.stdout);
    let run = check_with("-o json --ip-family dual", &policy);
    assert_eq!(vault(&run), ["open", "open"]);
    let rules: Vec<String> = run.json()["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["rule"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        rules.contains(&"RF404".to_owned()) && rules.contains(&"RF501".to_owned()),
        "{rules:?}"
    );
}

#[test]
fn a_cluster_wide_rule_for_the_other_family_is_asked_about_too() {
    let accept = "apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: out, annotations: {description: why}}
spec:
  tier: Admin
  priority: 1
  subject: {namespaces: {}}
  egress: [{action: Accept, to: [{networks: [\"::/0\"]}]}]
";
    let run = check_with("-o json", accept);
    assert_eq!(vault(&run), ["unknown", "unknown"]);
    let all = questions(&run).join("\n");
    assert!(
        all.contains("RF703: whether ClusterNetworkPolicy out lets pods"),
        "{all}"
    );
}

#[test]
fn pods_with_ipv6_alone_may_have_a_way_to_ipv4() {
    let open = policy("to: [{ipBlock: {cidr: 0.0.0.0/0}}]");
    let run = check_with("-o json", &format!("{IPV6_NODE}{open}"));
    assert_eq!(vault(&run), ["unknown", "unknown"]);
    let all = questions(&run).join("\n");
    assert!(all.contains("they are taken to have IPv6 alone"), "{all}");
    assert!(all.contains("RF401: whether"), "{all}");
}

#[test]
fn a_pair_of_both_families_is_nothing_to_ask_about() {
    for ports in ["ports: [{port: 443}], ", ""] {
        let pair = policy(&format!(
            "{{{ports}to: [{{ipBlock: {{cidr: 0.0.0.0/0}}}}, {{ipBlock: {{cidr: \"::/0\"}}}}]}}"
        ));
        let run = check_with("-o json", &pair);
        assert!(questions(&run).is_empty(), "{}", run.stdout);
        assert_eq!(vault(&run)[1], "open");
    }
    // IPv6 keeps to what is public: nothing of it is metadata.
    let sound = policy(
        "{ports: [{port: 443}], to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8, 172.16.0.0/12, \
         192.168.0.0/16, 100.64.0.0/10, 169.254.0.0/16, 168.63.129.16/32, 192.0.0.192/32]}}, \
         {ipBlock: {cidr: \"2000::/3\"}}]}",
    );
    let run = check_with("-o json", &sound);
    assert!(questions(&run).is_empty(), "{}", run.stdout);
    assert_eq!(vault(&run), ["closed", "open"]);
}

#[test]
fn a_block_of_translated_addresses_may_be_the_ipv4_internet() {
    for (block, rfc) in [("64:ff9b::/96", "RFC 6052"), ("64:ff9b:1::/48", "RFC 8215")] {
        let policy = policy(&format!("to: [{{ipBlock: {{cidr: \"{block}\"}}}}]"));
        let run = check_with("-o json", &format!("{IPV6_NODE}{policy}"));
        assert_eq!(vault(&run), ["unknown", "unknown"], "{block}");
        let all = questions(&run).join("\n");
        assert!(
            all.contains("the public IPv4 internet through a translator"),
            "{all}"
        );
        assert!(
            all.contains("cloud metadata at 169.254.169.254 through a translator"),
            "{all}"
        );
        assert!(all.contains(rfc) && !all.contains("taken to have"), "{all}");
        let walk = check_with("--why-open vault/signer", &format!("{IPV6_NODE}{policy}"));
        assert!(!walk.stdout.contains("is not open"), "{}", walk.stdout);
        // That a pod without a known address may be in the block opens nothing for certain.
        let words = walk.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            words.contains("it is not known whether vault/signer is open"),
            "{words}"
        );
        let way = "NetworkPolicy vault/out allows the public IPv4 internet through a translator";
        assert!(words.contains(way), "{words}");
        // Whether pods have IPv6 is not known either where no address shows it.
        let all = questions(&check_with("-o json", &policy)).join("\n");
        assert!(
            all.contains(rfc) && all.contains("taken to have IPv4 alone"),
            "{all}"
        );
    }
    let one = policy("to: [{ipBlock: {cidr: \"64:ff9b::a9fe:a9fe/128\"}}]");
    let run = check_with("-o json", &format!("{IPV6_NODE}{one}"));
    assert_eq!(vault(&run), ["unknown", "closed"]);
}

#[test]
fn pods_without_ipv4_may_reach_it_through_a_translator_in_all_of_ipv6() {
    let all =
        "to: [{ipBlock: {cidr: \"::/0\", except: [\"fd00:ec2::254/128\", \"fd00:ec2::23/128\"]}}]";
    let policy = policy(all);
    let run = check_with("--provider aws -o json", &format!("{IPV6_NODE}{policy}"));
    assert_eq!(vault(&run), ["unknown", "open"], "{}", run.stdout);
    let all = questions(&run).join("\n");
    assert!(all.contains("RF401") && all.contains("RFC 6052"), "{all}");
    let dual = IPV6_NODE.replace("[\"fd00", "[10.1.0.0/24, \"fd00");
    let run = check_with("--provider aws -o json", &format!("{dual}{policy}"));
    assert!(questions(&run).is_empty(), "{}", run.stdout);
    assert_eq!(vault(&run), ["closed", "open"]);
}

#[test]
fn what_is_open_in_a_family_that_nothing_shows_is_unknown_to_explain_and_assert() {
    let open = policy("to: [{ipBlock: {cidr: \"::/0\"}}]");
    let input = format!("{CLOSED}---\n{open}");
    let directory = tempfile::tempdir().unwrap();
    let assertions = directory.path().join("assert.yaml");
    let text = "apiVersion: ringfence.dev/v1alpha1\nkind: Assertions\nforbids:\n\
                - {from: vault/signer, to: internet}\n- {from: vault/signer, to: metadata}\n";
    std::fs::write(&assertions, text).unwrap();
    let assertions = assertions.display();
    for (families, code, verdict) in [
        ("", 1, "Unknown"),
        ("--ip-family ipv4", 0, "Denied"),
        ("--ip-family ipv6", 1, "Allowed"),
    ] {
        let run = ringfence_with(&format!("assert -f - {families} {assertions}"), &input);
        assert_eq!(run.code, Some(code), "{families}: {}", run.stdout);
        for word in ["internet", "metadata"] {
            let question = format!("explain -f - {families} vault/signer {word} -o json");
            let run = ringfence_with(&question, &input);
            assert!(run.stdout.contains(verdict), "{question}: {}", run.stdout);
        }
    }
    // What is open anyway is not asked about.
    let both = policy("to: [{ipBlock: {cidr: 0.0.0.0/0}}, {ipBlock: {cidr: \"::/0\"}}]");
    let input = format!("{CLOSED}---\n{both}");
    let run = ringfence_with("explain -f - vault/signer internet", &input);
    assert!(!run.stdout.contains("NOT KNOWN"), "{}", run.stdout);
}
