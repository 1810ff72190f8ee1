use std::net::IpAddr;

use ipnet::IpNet;
use ringfence_engine::explain::explain;
use ringfence_engine::{Packet, Peer, Verdict};
use ringfence_model::address::IpFamily;
use ringfence_model::diagnostic::Severity;
use ringfence_model::k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ringfence_model::policy::Direction;
use ringfence_model::protocol::Protocol;
use ringfence_model::selector::selects_everything;
use ringfence_model::snapshot::{PodId, ServiceEndpoint};
use serde_json::json;

use crate::context::{Context, NOT_BY_BLOCK, Role, WrittenRule, is_out_of_blocks};
use crate::finding::{Edit, Finding, Fix, NotVerified, Safety, Witness};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// A rule for the API server that doesn't match its endpoints, or that is for every pod.
pub(super) static RULE: Rule = Rule {
    code: Code(504),
    name: "api-server",
    severity: Severity::Error,
    summary: "a rule for the API server doesn't match its endpoints, or lets every pod reach it",
    page: include_str!("../../../../docs/findings/RF504.md"),
    check,
};

/// How many kinds of pods are looked at.
const TRIED: usize = 16;

/// What the names of policies for the API server have in common.
const NAMES: [&str; 5] = [
    "kube-api",
    "apiserver",
    "api-server",
    "kubernetes-api",
    "kubeapi",
];

/// What is known of the API server.
struct ApiServer {
    /// The addresses of its Service.
    service: Vec<IpAddr>,
    /// Where it answers.
    endpoints: Vec<(Peer, Option<IpAddr>, u16)>,
}

fn check(context: &Context<'_>, findings: &mut Findings) {
    let server = find(context);
    // Judged before translation, the Service's address is right.
    if context.engine.profile().judges_before_dnat {
        return;
    }
    for rule in context.written_rules() {
        if rule.id.direction != Direction::Egress {
            continue;
        }
        let is_named = NAMES.iter().any(|name| rule.policy.name.contains(name));
        if server.endpoints.is_empty() {
            if is_named {
                findings.not_verified(NotVerified {
                    code: RULE.code,
                    what: format!("whether {} leads to the API server", rule.name()),
                    why: "a policy sees the address and port of the API server itself, not those \
                          of its Service, and the input doesn't have them"
                        .to_owned(),
                    how: "add them to the input: `kubectl get -n default \
                          service,endpointslice kubernetes -o yaml`"
                        .to_owned(),
                });
            }
            continue;
        }
        findings.extend(finding(context, rule, &server, is_named));
    }
}

fn find(context: &Context<'_>) -> ApiServer {
    let Some(id) = context.snapshot.find_service("default", "kubernetes") else {
        return ApiServer {
            service: Vec::new(),
            endpoints: Vec::new(),
        };
    };
    let service = context.snapshot.service(id);
    let endpoints = service
        .ports
        .iter()
        .flat_map(|port| context.snapshot.service_endpoints(id, port));
    let endpoints = endpoints.map(|endpoint| match endpoint {
        ServiceEndpoint::Pod { pod, port, .. } => {
            let address = context.snapshot.pod(pod).addresses.first().copied();
            (Peer::Pod(pod), address, port)
        }
        ServiceEndpoint::Address { address, port } => (Peer::Address(address), Some(address), port),
    });
    ApiServer {
        service: service.cluster_ips.clone(),
        endpoints: endpoints.collect(),
    }
}

fn finding(
    context: &Context<'_>,
    rule: &WrittenRule<'_>,
    server: &ApiServer,
    is_named: bool,
) -> Option<Finding> {
    let only = |address: IpAddr| {
        let mut blocks = rule.blocks.iter();
        let block = blocks.find(|block| block.block.cidr == IpNet::from(address));
        block.map(|block| block.peer)
    };
    let of_service = server.service.iter().find_map(|address| only(*address));
    let of_endpoint = server
        .endpoints
        .iter()
        .find_map(|(_, address, _)| only((*address)?));
    if of_service.is_none() && of_endpoint.is_none() && !is_named {
        return None;
    }
    let subjects = context.subjects(rule.id.policy);
    let packets: Vec<Packet> = server
        .endpoints
        .iter()
        .flat_map(|endpoint| packets(context, &subjects, endpoint))
        .collect();
    let judged: Vec<Witness> = packets.iter().map(|p| judged(context, p)).collect();
    if let Some(witness) = judged.iter().find(|w| w.verdict == Verdict::Allowed) {
        return for_every_pod(
            context,
            rule,
            server,
            *witness,
            is_named || of_endpoint.is_some(),
        );
    }
    let denied: Vec<Witness> = judged
        .iter()
        .filter(|witness| witness.verdict == Verdict::Denied)
        .map(|witness| context.witness(witness.packet))
        .collect();
    // A pod that may be on the node of the API server reaches it from there whatever its
    // policies say.
    let not_there = denied.iter().find(|w| w.verdict == Verdict::Denied);
    let witness = *not_there.or(denied.first())?;
    let (_, address, port) = server.endpoints.first()?;
    let address = (*address)?;
    let at = match address {
        IpAddr::V4(address) => format!("{address}:{port}"),
        IpAddr::V6(address) => format!("[{address}]:{port}"),
    };
    let profile = context.engine.profile();
    let (peer, what) = match (of_service, of_endpoint) {
        (Some(peer), _) => (
            Some(peer),
            "is about the address of the API server's Service, not its own",
        ),
        (None, Some(peer)) => (Some(peer), "has another port than the API server"),
        (None, None) => (None, "doesn't match the API server"),
    };
    // Whatever block or port is written, it is about nothing.
    let (what, help) = match is_out_of_blocks(context, address) {
        true => (
            format!(
                "cannot match the API server at {at}: no `ipBlock` matches a node under profile {}",
                profile.name
            ),
            NOT_BY_BLOCK.to_owned(),
        ),
        false => (
            format!("{what}: it answers at {at}"),
            format!(
                "allow the endpoint: an `ipBlock` of {}, port {port}",
                host(address)
            ),
        ),
    };
    let is_selector = rule.peers.iter().any(|peer| peer.ip_block.is_none());
    let consequence = match is_selector {
        _ if is_out_of_blocks(context, address) => {
            "addresses of nodes are entities there and have no CIDR: it is denied"
        }
        true => "selectors match pods, and the API server is an address to them: it is denied",
        false => {
            "the Service's address and port are replaced by the endpoint's before a policy sees \
             the connection: it is denied"
        }
    };
    let numbers: Vec<usize> = rule
        .port_entries
        .iter()
        .enumerate()
        .filter(|(_, p)| matches!(&p.port, Some(IntOrString::Int(443))))
        .map(|(index, _)| index)
        .collect();
    let fix = match is_out_of_blocks(context, address) {
        true => None,
        false => fix(rule, server, (of_service, address, *port), &numbers),
    };
    let path = match peer {
        Some(peer) => rule.peer_path(peer).key("ipBlock").key("cidr"),
        None => rule.path(),
    };
    Some(Finding {
        rule: &RULE,
        severity: RULE.severity,
        message: format!("{} {what}", rule.name()),
        consequence: Some(match witness.verdict {
            Verdict::Denied => consequence.to_owned(),
            Verdict::Allowed | Verdict::Unknown => {
                format!("{consequence}, unless the pod is on the API server's own node")
            }
        }),
        help: Some(help),
        object: context.policy_ref(rule.id.policy),
        primary: rule.place(path, "the API server isn't here"),
        related: Vec::new(),
        witness: Some(witness),
        affected: context.workloads_like(&subjects),
        fix,
    })
}

/// Connections to one endpoint, one of each kind of pod.
fn packets(
    context: &Context<'_>,
    subjects: &[PodId],
    (to, address, port): &(Peer, Option<IpAddr>, u16),
) -> Vec<Packet> {
    let family = address.map_or(IpFamily::V4, IpFamily::of);
    let of_family = subjects.iter().filter(|pod| {
        let pod = context.snapshot.pod(**pod);
        context.snapshot.families_of(pod).contains(&family)
    });
    of_family
        .take(TRIED)
        .map(|source| Packet {
            source: Peer::Pod(*source),
            destination: *to,
            family,
            protocol: Protocol::Tcp,
            port: *port,
            through_service: None,
        })
        .collect()
}

/// What the policies say of a connection, wherever the pod runs: that it may happen to be
/// on the node of the API server makes no rule right.
fn judged(context: &Context<'_>, packet: &Packet) -> Witness {
    let witness = context.witness(*packet);
    let profile = context.engine.profile();
    if witness.verdict == Verdict::Denied || !profile.pod_reaches_own_node {
        return witness;
    }
    let by_policies = explain(context.snapshot, &profile.strict_own_node(), packet);
    Witness {
        verdict: by_policies.verdict,
        ..witness
    }
}

/// One address as a block.
fn host(address: IpAddr) -> String {
    ipnet::IpNet::from(address).to_string()
}

fn fix(
    rule: &WrittenRule<'_>,
    server: &ApiServer,
    (of_service, address, port): (Option<usize>, IpAddr, u16),
    numbers: &[usize],
) -> Option<Fix> {
    let origin = rule.policy.origin.as_ref()?;
    let mut edits = Vec::new();
    if let Some(peer) = of_service {
        edits.push(Edit::Set {
            origin: origin.clone(),
            path: rule.peer_path(peer).key("ipBlock").key("cidr"),
            value: json!(host(address)),
        });
    }
    for index in numbers {
        edits.push(Edit::Set {
            origin: origin.clone(),
            path: rule.port_path(*index).key("port"),
            value: json!(port),
        });
    }
    let is_all = server.endpoints.len() == 1 && rule.peers.len() == 1;
    // A selector stays what it is: the API server is no pod.
    let is_block = rule.peers.iter().all(|peer| peer.ip_block.is_some());
    (!edits.is_empty() && is_block).then(|| Fix {
        title: "allow the address and port at which the API server answers".to_owned(),
        safety: if is_all && of_service.is_some() {
            Safety::Safe
        } else {
            Safety::Unsafe
        },
        edits,
    })
}

/// A rule for the API server in a policy for all pods of a namespace.
fn for_every_pod(
    context: &Context<'_>,
    rule: &WrittenRule<'_>,
    server: &ApiServer,
    witness: Witness,
    is_meant: bool,
) -> Option<Finding> {
    let everyone = rule
        .spec
        .pod_selector
        .as_ref()
        .is_none_or(selects_everything);
    let namespace = context
        .snapshot
        .find_namespace(rule.policy.namespace.as_deref()?)?;
    let covers = server.endpoints.iter().any(|(_, address, port)| {
        let ports = context.engine.ports_of(rule.id, None).allow;
        address.is_some_and(|a| rule.addresses(IpFamily::of(a)).contains(a))
            && ports.contains(Protocol::Tcp, *port)
    });
    if !is_meant || !everyone || !covers || context.role(namespace) != Role::Workloads {
        return None;
    }
    let subjects = context.subjects(rule.id.policy);
    let affected = context.workloads_like(&subjects);
    if affected.len() < 2 {
        return None;
    }
    let name = &context.snapshot.namespace(namespace).name;
    Some(Finding {
        rule: &RULE,
        severity: Severity::Warning,
        message: format!(
            "{} lets every pod of namespace `{name}` reach the API server",
            rule.name()
        ),
        consequence: Some(
            "whoever gets into any of them can try its token, and everything that the API \
             server offers without one"
                .to_owned(),
        ),
        help: Some("select the pods that use the Kubernetes API with `podSelector`".to_owned()),
        object: context.policy_ref(rule.id.policy),
        primary: rule.place(
            ringfence_model::source::KeyPath::root()
                .key("spec")
                .key("podSelector"),
            "every pod of the namespace",
        ),
        related: Vec::new(),
        witness: Some(witness),
        affected,
        fix: None,
    })
}
