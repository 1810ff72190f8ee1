use std::collections::BTreeMap;

use ringfence_model::k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ringfence_model::labels::METADATA_NAME;
use ringfence_model::parse::TypedObject;
use ringfence_model::policy::{
    Action, PodSelection, Policy, PolicyBody, PolicyFamily, Tier, TieredPeer, TieredPolicy,
    TieredPort, TieredRule,
};
use ringfence_model::protocol::Protocol;

use super::{Name, Shape, policy};

/// Deployments that may leave the cluster: one in so many.
const ONE_IN_SO_MANY_LEAVES: usize = 5;

fn labels(pairs: &[(&str, &str)]) -> LabelSelector {
    let pairs = pairs.iter();
    LabelSelector {
        match_labels: Some(
            pairs
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        ),
        match_expressions: None,
    }
}

fn port(number: i32, protocol: &str) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(number)),
        protocol: Some(protocol.to_owned()),
        end_port: None,
    }
}

fn pods(namespace: &str, pod_labels: &[(&str, &str)]) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(labels(&[(METADATA_NAME, namespace)])),
        pod_selector: Some(labels(pod_labels)),
        ip_block: None,
    }
}

fn network_policy(namespace: &str, name: String, spec: NetworkPolicySpec) -> TypedObject {
    policy(Policy {
        family: PolicyFamily::NetworkPolicy,
        namespace: Some(namespace.into()),
        name: name.into(),
        annotations: BTreeMap::new(),
        body: PolicyBody::Network(spec),
        origin: None,
    })
}

fn types(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(ToString::to_string).collect())
}

/// Default deny, both ways.
pub(super) fn of_namespaces(shape: &Shape) -> Vec<TypedObject> {
    (0..shape.namespaces)
        .map(|number| {
            let spec = NetworkPolicySpec {
                pod_selector: Some(LabelSelector::default()),
                policy_types: types(&["Ingress", "Egress"]),
                ..NetworkPolicySpec::default()
            };
            network_policy(&shape.namespace(number), "default-deny".to_owned(), spec)
        })
        .collect()
}

/// Who may call a deployment, and whom it may call.
pub(super) fn of_deployment(shape: &Shape, name: &Name) -> Vec<TypedObject> {
    let pod_selector = Some(labels(&[("app", name.app.as_str())]));
    let ingress = Some(ingress(shape, name));
    let egress = Some(egress(shape, name));
    if !shape.policy_for_each_direction {
        let spec = NetworkPolicySpec {
            pod_selector,
            policy_types: types(&["Ingress", "Egress"]),
            ingress,
            egress,
        };
        return vec![network_policy(&name.namespace, name.app.clone(), spec)];
    }
    let inward = NetworkPolicySpec {
        pod_selector: pod_selector.clone(),
        policy_types: types(&["Ingress"]),
        ingress,
        egress: None,
    };
    let outward = NetworkPolicySpec {
        pod_selector,
        policy_types: types(&["Egress"]),
        ingress: None,
        egress,
    };
    vec![
        network_policy(&name.namespace, format!("{}-ingress", name.app), inward),
        network_policy(&name.namespace, format!("{}-egress", name.app), outward),
    ]
}

/// One more call each, to a port of its own.
pub(super) fn more(shape: Shape) -> impl Iterator<Item = TypedObject> {
    let deployments = shape.deployments.max(1);
    (0..shape.more_policies).map(move |number| {
        let name = Name::of(&shape, number % deployments);
        let callee = name.number + 5 + number / deployments * 7;
        let number_of_port = 10_000 + i32::try_from(number % 20_000).unwrap_or_default();
        let spec = NetworkPolicySpec {
            pod_selector: Some(labels(&[("app", name.app.as_str())])),
            policy_types: types(&["Egress"]),
            ingress: None,
            egress: Some(vec![NetworkPolicyEgressRule {
                to: Some(apps(&shape, std::iter::once(callee % deployments))),
                ports: Some(vec![port(number_of_port, "TCP")]),
            }]),
        };
        network_policy(&name.namespace, format!("more-{number:05}"), spec)
    })
}

fn apps(shape: &Shape, numbers: impl Iterator<Item = usize>) -> Vec<NetworkPolicyPeer> {
    numbers
        .map(|number| Name::of(shape, number))
        .map(|other| pods(&other.namespace, &[("app", other.app.as_str())]))
        .collect()
}

fn ingress(shape: &Shape, name: &Name) -> Vec<NetworkPolicyIngressRule> {
    vec![
        NetworkPolicyIngressRule {
            from: Some(apps(shape, shape.callers(name.number))),
            ports: Some(vec![NetworkPolicyPort {
                port: Some(IntOrString::String("http".to_owned())),
                protocol: None,
                end_port: None,
            }]),
        },
        NetworkPolicyIngressRule {
            from: Some(vec![pods("monitoring", &[("app", "prometheus")])]),
            ports: Some(vec![port(9090, "TCP")]),
        },
    ]
}

fn egress(shape: &Shape, name: &Name) -> Vec<NetworkPolicyEgressRule> {
    let mut rules = vec![
        NetworkPolicyEgressRule {
            to: Some(vec![pods("kube-system", &[("k8s-app", "kube-dns")])]),
            ports: Some(vec![port(53, "UDP"), port(53, "TCP")]),
        },
        NetworkPolicyEgressRule {
            to: Some(apps(shape, shape.callees(name.number))),
            ports: Some(vec![port(8080, "TCP")]),
        },
    ];
    if shape.external_blocks > 0 && name.number.is_multiple_of(ONE_IN_SO_MANY_LEAVES) {
        rules.push(NetworkPolicyEgressRule {
            to: Some(vec![NetworkPolicyPeer {
                ip_block: Some(external_block(name.number % shape.external_blocks)),
                ..NetworkPolicyPeer::default()
            }]),
            ports: Some(vec![port(443, "TCP")]),
        });
    }
    rules
}

/// Every tenth block is the whole internet but for private ranges; the others are
/// small.
fn external_block(number: usize) -> IPBlock {
    if number.is_multiple_of(10) {
        let except = [
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "169.254.169.254/32",
        ];
        return IPBlock {
            cidr: "0.0.0.0/0".to_owned(),
            except: Some(except.iter().map(ToString::to_string).collect()),
        };
    }
    IPBlock {
        cidr: format!("203.{}.{}.0/24", number / 256 % 256, number % 256),
        except: None,
    }
}

/// Rules of the cluster's owners, in turn: no metadata service, DNS for all, no
/// production traffic to other environments, nothing to the nodes' range.
pub(super) fn of_cluster(shape: &Shape) -> Vec<TypedObject> {
    (0..shape.cluster_policies)
        .map(|number| {
            let (environment, name, rule) = match number % 4 {
                0 => (
                    None,
                    "no-metadata",
                    egress_rule(
                        Action::Deny,
                        TieredPeer::Networks(vec!["169.254.169.254/32".to_owned()]),
                        None,
                    ),
                ),
                1 => (
                    None,
                    "dns",
                    egress_rule(
                        Action::Accept,
                        TieredPeer::Pods(PodSelection::Pods {
                            namespace_selector: labels(&[(METADATA_NAME, "kube-system")]),
                            pod_selector: labels(&[("k8s-app", "kube-dns")]),
                        }),
                        Some((Protocol::Udp, 53)),
                    ),
                ),
                2 => (
                    Some("prod"),
                    "production-stays-in-production",
                    egress_rule(
                        Action::Deny,
                        TieredPeer::Pods(PodSelection::Namespaces(labels(&[("env", "dev")]))),
                        None,
                    ),
                ),
                _ => (
                    Some("dev"),
                    "no-nodes",
                    egress_rule(
                        Action::Deny,
                        TieredPeer::Networks(vec!["192.168.0.0/16".to_owned()]),
                        Some((Protocol::Tcp, 10250)),
                    ),
                ),
            };
            cluster_policy(number, environment, name, rule)
        })
        .collect()
}

fn egress_rule(action: Action, peer: TieredPeer, port: Option<(Protocol, u16)>) -> TieredRule {
    TieredRule {
        name: String::new(),
        action,
        peers: vec![peer],
        ports: port.map(|(protocol, number)| {
            vec![TieredPort::Range {
                protocol,
                start: number,
                end: number,
            }]
        }),
    }
}

fn cluster_policy(
    number: usize,
    environment: Option<&str>,
    name: &str,
    rule: TieredRule,
) -> TypedObject {
    let subject = environment.map_or_else(LabelSelector::default, |env| labels(&[("env", env)]));
    policy(Policy {
        family: PolicyFamily::ClusterNetworkPolicy,
        namespace: None,
        name: format!("{name}-{number:03}").into(),
        annotations: BTreeMap::new(),
        body: PolicyBody::Tiered(TieredPolicy {
            tier: Tier::Admin,
            priority: u16::try_from(number % 1000).unwrap_or_default(),
            subject: PodSelection::Namespaces(subject),
            ingress: Vec::new(),
            egress: vec![rule],
        }),
        origin: None,
    })
}
