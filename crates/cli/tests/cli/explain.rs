use crate::{SMALL, ringfence, ringfence_with};

#[test]
fn a_denial_names_the_rule_that_nearly_matches_and_what_is_missing() {
    insta::assert_snapshot!(
        ringfence(
            "explain shop-web/storefront shop-data/postgres:5432 -f examples/shop/base -f examples/shop/steps/6-closed"
        )
        .text()
    );
}

#[test]
fn a_service_is_followed_to_its_pods() {
    insta::assert_snapshot!(ringfence_with("explain web/shop svc:web/db -f -", SMALL).text());
}

#[test]
fn the_address_of_a_service_is_the_service() {
    let by_name = ringfence_with("explain web/shop svc:web/db:1521 -f -", SMALL);
    let by_address = ringfence_with("explain web/shop 10.96.0.7:1521 -f -", SMALL);
    assert_eq!(by_name.stdout, by_address.stdout);
}

#[test]
fn a_target_port_at_a_service_is_told_apart_from_its_own() {
    insta::assert_snapshot!(ringfence_with("explain web/shop svc:web/db:5432 -f -", SMALL).text());
}

#[test]
fn forgotten_dns_is_two_denials() {
    insta::assert_snapshot!(
        ringfence(
            "explain shop-web/cart dns -f examples/shop/base -f examples/shop/steps/2-deny-all-dns-forgotten"
        )
        .text()
    );
}

#[test]
fn the_additive_deny_opens_the_internet_and_part_of_metadata() {
    let input = "-f examples/shop/base -f examples/shop/steps/3-deny-metadata-additive";
    insta::assert_snapshot!(
        "internet",
        ringfence(&format!("explain shop-web/cart internet:443 {input}")).text()
    );
    insta::assert_snapshot!(
        "metadata",
        ringfence(&format!("explain shop-web/cart metadata:80 {input}")).text()
    );
    insta::assert_snapshot!(
        "all_ports",
        ringfence(&format!("explain shop-web/cart internet {input}")).text()
    );
}

#[test]
fn a_host_networked_pod_is_said_to_bypass_policy() {
    insta::assert_snapshot!(
        ringfence(
            "explain monitoring/node-exporter 169.254.169.254:80 -f examples/shop/base -f examples/shop/steps/5-hostnetwork"
        )
        .text()
    );
}

#[test]
fn ping_is_a_question_too() {
    let run = ringfence_with("explain web/db 8.8.8.8:icmp -f -", SMALL);
    assert_eq!(run.code, Some(1));
    assert!(
        run.stdout.contains("web/db → internet ICMP") || run.stdout.contains("ICMP"),
        "{}",
        run.text()
    );
}

#[test]
fn connections_from_outside_are_judged_at_the_destination() {
    let run = ringfence_with("explain internet web/db:sql -f -", SMALL);
    assert_eq!(run.code, Some(1), "{}", run.text());
    assert!(
        run.stdout.contains("ingress of web/db: denied"),
        "{}",
        run.text()
    );
}

#[test]
fn markdown_is_for_comments() {
    insta::assert_snapshot!(
        ringfence_with("explain web/shop web/db:80 -f - -o markdown", SMALL).text()
    );
}

#[test]
fn what_cannot_be_asked_is_told_why() {
    for (arguments, expected) in [
        ("svc:web/db web/shop", "opens none"),
        ("8.8.8.8 1.1.1.1", "both ends are outside"),
        ("web/shop:80 web/db", "belongs to the destination"),
        ("web/shop web/db:http", "declares sql"),
        ("web/shop 8.8.8.8:http", "write a number"),
        ("web/shop dns", "no name server"),
        ("web/shop apiserver", "default/kubernetes"),
        ("web/shop web/bd", "did you mean `web/db`"),
        ("wep/shop web/db", "did you mean `web`"),
        ("web/deploy/db web/db", "did you mean `web/StatefulSet/db`"),
        (
            "deploy/shop web/db -n web",
            "did you mean `web/deploy/shop`",
        ),
        ("web/shop svc:web/bd", "did you mean `svc:web/db`"),
    ] {
        let run = ringfence_with(&format!("explain {arguments} -f -"), SMALL);
        assert_eq!(run.code, Some(2), "{arguments}: {}", run.text());
        assert!(run.stderr.contains(expected), "{arguments}: {}", run.stderr);
        assert_eq!(run.stdout, "");
    }
}

#[test]
fn a_name_that_two_kinds_share_must_be_told_apart() {
    let twins = SMALL.replace("name: shop, namespace: web", "name: db, namespace: web");
    let run = ringfence_with("explain web/db svc:web/db -f -", &twins);
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr
            .contains("web/Deployment/db or web/StatefulSet/db"),
        "{}",
        run.stderr
    );
    let run = ringfence_with("explain web/deploy/db svc:web/db -f -", &twins);
    assert_ne!(run.code, Some(2), "{}", run.text());
}

#[test]
fn aws_judges_the_api_server_at_the_address_of_its_service() {
    let input = "-f examples/shop/base";
    let upstream = ringfence(&format!("explain shop-web/cart apiserver {input}"));
    assert!(
        upstream.stdout.contains("172.18.0.2 port 6443"),
        "{}",
        upstream.text()
    );
    let aws = ringfence(&format!(
        "explain shop-web/cart apiserver {input} --profile aws"
    ));
    assert!(
        aws.stdout
            .contains("10.96.0.1 port 443: that is what policies see"),
        "{}",
        aws.text()
    );
    let pods = ringfence_with("explain web/shop svc:web/db -f - --profile aws", SMALL);
    assert!(
        pods.stdout
            .contains("ingress rules see that, egress rules see the service"),
        "{}",
        pods.text()
    );
    assert!(
        pods.stderr.contains("must cover 10.96.0.7 and port 1521"),
        "{}",
        pods.text()
    );
}

#[test]
fn a_pod_reaches_its_own_node_unless_that_is_switched_off() {
    let input = "---
apiVersion: v1
kind: Node
metadata: {name: one}
status: {addresses: [{type: InternalIP, address: 192.168.7.1}]}
---
apiVersion: v1
kind: Pod
metadata: {name: probe, namespace: web, labels: {app: db}}
spec: {nodeName: one, containers: [{name: c}]}
status: {podIP: 10.0.0.9, podIPs: [{ip: 10.0.0.9}]}
";
    let input = format!("{SMALL}{input}");
    let own = ringfence_with("explain web/probe 192.168.7.1:10250 -f -", &input);
    assert_eq!(own.code, Some(0), "{}", own.text());
    assert!(
        own.stdout.contains("its own node is allowed"),
        "{}",
        own.text()
    );
    let strict = ringfence_with(
        "explain web/probe 192.168.7.1:10250 -f - --own-node strict",
        &input,
    );
    assert_eq!(strict.code, Some(1), "{}", strict.text());
    let around = ringfence_with("explain web/probe 192.168.7.0/24:10250 -f -", &input);
    assert!(around.stdout.contains("it depends"), "{}", around.text());
}

#[test]
fn pods_that_policies_see_alike_are_explained_once() {
    let pod = |namespace: &str, n: usize| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{n}, namespace: {namespace}, labels: {{app: a}}}}\nspec: {{containers: [{{name: c}}]}}\n"
        )
    };
    let input: String = (0..60).flat_map(|n| [pod("n0", n), pod("n1", n)]).collect();
    let run = ringfence_with("explain n0/* n1/* -f -", &input);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("the same goes for"), "{}", run.stdout);
    assert!(run.stdout.contains("and 3550 more"), "{}", run.stdout);
    assert!(run.stdout.lines().count() < 80, "{}", run.stdout);
}

#[test]
fn a_target_port_that_no_pod_declares_and_names_of_the_outside_are_told() {
    let wrong = SMALL.replace("targetPort: sql", "targetPort: nope");
    let run = ringfence_with("explain web/shop svc:web/db -f -", &wrong);
    assert_eq!(run.code, Some(2), "{}", run.text());
    assert!(
        run.stderr.contains("no port named `nope`"),
        "{}",
        run.stderr
    );
    for (end, message) in [
        ("api.example.com:443", "domain name"),
        ("https://example.com", "is a URL"),
        ("10.0.0.0/33", "no IP address or block"),
    ] {
        let run = ringfence_with(&format!("explain web/shop {end} -f -"), SMALL);
        assert_eq!(run.code, Some(2), "{}", run.text());
        assert!(run.stderr.contains(message), "{}", run.stderr);
    }
}

#[test]
fn json_explains_what_is_alike_once_and_names_the_rest() {
    let pod = |namespace: &str, n: usize| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{n}, namespace: {namespace}, labels: {{app: a}}}}\nspec: {{containers: [{{name: c}}]}}\n"
        )
    };
    let input: String = (0..60).flat_map(|n| [pod("n0", n), pod("n1", n)]).collect();
    let explanation = ringfence_with("explain n0/* n1/* -f - -o json", &input).json();
    let outcomes = explanation["outcomes"].as_array().unwrap();
    assert_eq!(outcomes.len(), 1);
    assert_eq!(outcomes[0]["alike"]["count"], 3599);
    let connections = outcomes[0]["alike"]["connections"].as_array().unwrap();
    assert_eq!(connections.len(), 3599);
    assert_eq!(connections[3598]["from"]["name"], "p9");
}

#[test]
fn denials_that_one_policy_can_allow_have_one_manifest() {
    let run = ringfence(
        "explain shop-web/cart dns -f examples/shop/base -f examples/shop/steps/2-deny-all-dns-forgotten -o json",
    );
    let explanation = run.json();
    let manifests: Vec<&str> = explanation["outcomes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|outcome| outcome["missing"][0]["manifest"].as_str().unwrap())
        .collect();
    assert_eq!(manifests.len(), 2);
    assert_eq!(manifests[0], manifests[1]);
    assert!(manifests[0].contains("UDP") && manifests[0].contains("TCP"));
}

#[test]
fn suggestions_for_ends_of_one_name_have_different_names() {
    let workload = |namespace: &str, name: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}\nspec: {{containers: [{{name: c, ports: [{{containerPort: 80}}]}}]}}\n"
        )
    };
    let deny = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny, namespace: a}\nspec: {podSelector: {}, policyTypes: [Egress]}\n";
    let input = [
        workload("a", "cart"),
        workload("b", "db"),
        workload("c", "db"),
        deny.to_owned(),
    ]
    .concat();
    let run = ["b/db", "c/db"]
        .map(|to| ringfence_with(&format!("explain a/cart {to} -f -"), &input).stdout)
        .concat();
    assert!(run.contains("name: allow-cart-to-b-db\n"), "{run}");
    assert!(run.contains("name: allow-cart-to-c-db\n"), "{run}");
}

#[test]
fn a_reader_that_leaves_ends_the_work_quietly() {
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::process::Stdio;

    let scratch = crate::Scratch::new("leaves");
    let workload = |n: usize| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{n}, namespace: web, labels: {{app: a{n}}}}}\nspec: {{containers: [{{name: c, ports: [{{containerPort: 80}}]}}]}}\n---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p{n}, namespace: web}}\nspec: {{podSelector: {{matchLabels: {{app: a{n}}}}}, policyTypes: [Egress]}}\n"
        )
    };
    let file = scratch.file("all.yaml", &(0..60).map(workload).collect::<String>());
    let mut child = crate::command()
        .args(["explain", "web/*", "web/*", "-o", "json", "-f", &file])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "{\n");
    let status = child.wait().unwrap();
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(status.code(), Some(1));
    assert_eq!(stderr, "");
}

#[test]
fn a_tie_is_not_told_as_something_that_is_missing_in_the_input() {
    let files = ["cluster.yaml", "admin.yaml", "team-a.yaml", "tie"]
        .map(|file| format!("-f examples/cluster-policies/{file}"))
        .join(" ");
    let run = ringfence(&format!("explain {files} team-a/api 169.254.169.254:80"));
    assert!(
        run.stdout.contains(
            "not known, policies of equal priority disagree, and an implementation may take either first"
        ),
        "{}",
        run.stdout
    );
}

#[test]
fn what_hangs_on_the_node_of_a_pod_says_so() {
    let shop = "-f examples/shop/base -f examples/shop/steps/6-closed";
    let run = ringfence(&format!(
        "explain {shop} shop-web/cart monitoring/node-exporter:443"
    ));
    assert!(
        run.stdout.contains(
            "not known, a pod and its own node always reach each other, and whether the other end is its own node is not in the input"
        ),
        "{}",
        run.stdout
    );
    let run = ringfence(&format!(
        "explain {shop} shop-payments/payments monitoring/node-exporter:443"
    ));
    assert!(
        run.stdout
            .contains("one of them whether the other end is its own node"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_mixed_answer_of_which_all_is_known_is_not_unknown() {
    let cluster = "apiVersion: v1
kind: Node
metadata: {name: control-plane}
status: {addresses: [{type: InternalIP, address: 192.168.1.10}]}
---
apiVersion: v1
kind: Pod
metadata: {name: open, namespace: web, labels: {app: open}}
spec: {containers: [{name: c}]}
---
apiVersion: v1
kind: Pod
metadata: {name: closed, namespace: web, labels: {app: closed}}
spec: {containers: [{name: c}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: web}
spec: {podSelector: {matchLabels: {app: closed}}, policyTypes: [Egress]}
";
    let asked = |to: &str| ringfence_with(&format!("explain web/* {to} -f - -o json"), cluster);
    let known = asked("8.8.8.8:443").json();
    assert_eq!(known["verdict"], "Mixed");
    assert_eq!(known["mixed"], true);
    // Whether one of them is on that node is not in the input.
    let doubtful = asked("192.168.1.10:6443").json();
    assert_eq!(doubtful["verdict"], "Unknown");
    let node = "it is node control-plane, where no policy for pods applies";
    assert_eq!(doubtful["ingress"]["text"], node);
    let run = ringfence_with("explain web/Pod/closed 8.8.8.8:443 -f -", cluster);
    assert!(run.stdout.contains("outside the cluster"), "{}", run.stdout);
}
