//! Which name servers `baseline` writes for, and where it writes nothing for any.

use crate::baseline::{CHART, NODE_LOCAL, PLAIN};
use crate::ringfence_with;

/// Name servers that use their node's network.
const ON_NODES: &str = "
---
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec:
  selector: {k8s-app: kube-dns}
  ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: coredns, namespace: kube-system}
spec:
  selector: {matchLabels: {k8s-app: kube-dns}}
  template:
    metadata: {labels: {k8s-app: kube-dns}}
    spec: {hostNetwork: true, containers: [{name: coredns}]}
";

const NODE: &str = "
---
apiVersion: v1
kind: Node
metadata: {name: n1}
status: {addresses: [{type: InternalIP, address: 192.168.0.11}]}
";

#[test]
fn name_servers_on_nodes_are_allowed_by_the_addresses_of_nodes_or_not_at_all() {
    let run = ringfence_with("baseline plain -f -", &format!("{PLAIN}{ON_NODES}{NODE}"));
    assert_eq!(run.code, Some(0), "{}", run.text());
    assert!(
        run.stdout.contains("cidr: 192.168.0.11/32"),
        "{}",
        run.stdout
    );
    assert!(!run.stdout.contains("k8s-app: kube-dns"), "{}", run.stdout);
    for said in [
        "every node of the input",
        "web may not be able to resolve names",
    ] {
        assert!(run.stderr.contains(said), "{said}: {}", run.stderr);
    }

    // The status of a pod says which node.
    let pod = "
---
apiVersion: v1
kind: Pod
metadata: {name: coredns-1, namespace: kube-system, labels: {k8s-app: kube-dns}}
spec: {hostNetwork: true, nodeName: n2, containers: [{name: coredns}]}
status: {hostIP: 192.168.0.12, podIP: 192.168.0.12}
";
    let run = ringfence_with("baseline plain -f -", &format!("{PLAIN}{pod}{NODE}"));
    assert!(
        run.stdout.contains("cidr: 192.168.0.12/32"),
        "{}",
        run.text()
    );
    assert!(!run.stdout.contains("192.168.0.11"), "{}", run.stdout);
    assert!(!run.stderr.contains("resolve names"), "{}", run.stderr);

    // A selector would match nothing, and a policy without rules closes what is open.
    let input = format!("{PLAIN}{ON_NODES}");
    for patch in ["", "--patch"] {
        let run = ringfence_with(&format!("baseline plain -f - {patch}"), &input);
        assert!(!run.stdout.contains("name: allow-dns"), "{}", run.stdout);
        assert!(
            run.stderr.contains("allow-dns was left out"),
            "{}",
            run.stderr
        );
    }
    let run = ringfence_with("baseline plain -f - --preset allow-dns", &input);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    assert!(run.stderr.contains("kubectl get nodes"), "{}", run.stderr);
}

#[test]
fn no_policy_for_dns_is_added_where_it_would_change_nothing() {
    let deny = "
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: deny-out}
spec:
  tier: Admin
  priority: 5
  subject: {namespaces: {matchLabels: {kubernetes.io/metadata.name: plain}}}
  egress: [{name: all, action: Deny, to: [{networks: [0.0.0.0/0]}]}]
";
    let run = ringfence_with("baseline plain -f - --patch", &format!("{PLAIN}{deny}"));
    assert!(run.stdout.contains("default-deny-all"), "{}", run.stdout);
    assert!(!run.stdout.contains("allow-dns"), "{}", run.stdout);
    assert!(
        run.stderr
            .contains("ClusterNetworkPolicy deny-out denies the queries"),
        "{}",
        run.stderr
    );
    // Name servers that let nobody in.
    let closed = "
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: kube-system}
spec: {podSelector: {}, policyTypes: [Ingress]}
";
    let run = ringfence_with(
        "baseline plain -f - --patch",
        &format!("{PLAIN}{NODE_LOCAL}{closed}").replace("node-local-dns", "other"),
    );
    assert!(!run.stdout.contains("allow-dns"), "{}", run.stdout);
    assert!(
        run.stderr.contains("is not in this namespace"),
        "{}",
        run.stderr
    );
}

#[test]
fn the_namespace_of_the_name_servers_is_not_closed_silently() {
    let cluster = CHART.replace("kube-system", "names");
    let run = ringfence_with("baseline -f -", &format!("{PLAIN}{cluster}"));
    assert!(!run.stdout.contains("namespace: names"), "{}", run.stdout);
    assert!(
        run.stderr
            .contains("`names` was left out: it is the namespace of the name servers"),
        "{}",
        run.stderr
    );
    // Among workloads they are closed with them, and it is said.
    let cluster = CHART.replace("kube-system", "plain");
    let run = ringfence_with("baseline -f -", &format!("{PLAIN}{cluster}"));
    assert!(run.stdout.contains("namespace: plain"), "{}", run.stdout);
    assert!(
        run.stderr
            .contains("name servers of the cluster are in `plain`"),
        "{}",
        run.stderr
    );
}

#[test]
fn pods_that_resolve_names_elsewhere_are_noted() {
    let elsewhere = PLAIN.replace("{containers", "{dnsPolicy: Default, containers");
    let run = ringfence_with("baseline -f -", &elsewhere);
    assert!(
        run.stderr
            .contains("plain/web may not be able to resolve names"),
        "{}",
        run.stderr
    );
    let run = ringfence_with("baseline -f - --patch", &elsewhere);
    assert!(!run.stdout.contains("allow-dns"), "{}", run.stdout);
}
