use ringfence_engine::{Peer, RuleRef};
use ringfence_model::address::IpFamily;
use ringfence_model::diagnostic::Severity;
use ringfence_model::policy::{Direction, PolicyBody};
use ringfence_model::selector::selects_everything;
use ringfence_model::snapshot::{NamespaceId, PolicyId};
use ringfence_model::source::KeyPath;
use ringfence_model::tri::Tri;

use crate::context::{Context, Group, Role};
use crate::finding::{Edit, Finding, Fix, Place, Safety};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// A default deny where it breaks the cluster, or what watches it.
pub(super) static RULE: Rule = Rule {
    code: Code(206),
    name: "misplaced-default-deny",
    severity: Severity::Error,
    summary: "default deny in a namespace that must not have it",
    page: include_str!("../../../../docs/findings/RF206.md"),
    check,
};

/// Namespaces that hold objects and run nothing.
const WITHOUT_PODS: [&str; 2] = ["kube-public", "kube-node-lease"];

fn check(context: &Context<'_>, findings: &mut Findings) {
    for (id, policy) in context.snapshot.policy_ids() {
        let (PolicyBody::Network(spec), Some(namespace)) = (&policy.body, context.namespace_of(id))
        else {
            continue;
        };
        let selects_all = spec.pod_selector.as_ref().is_none_or(selects_everything);
        let denies = |direction| {
            let has_rules = match direction {
                Direction::Egress => spec.egress.iter().flatten().next().is_some(),
                Direction::Ingress => spec.ingress.iter().flatten().next().is_some(),
            };
            selects_all && !has_rules && context.engine.covers(id, direction)
        };
        let (egress, ingress) = (denies(Direction::Egress), denies(Direction::Ingress));
        if !egress && !ingress {
            continue;
        }
        let role = context.role(namespace);
        match role {
            Role::ControlPlane => findings.push(in_control_plane(context, id, namespace)),
            Role::Monitoring | Role::Logging | Role::IngressController if egress => {
                findings.extend(cut_off(context, id, namespace, role));
            }
            // Where name servers do not let queries in, RF301 says so of whoever asks.
            Role::NameServers
            | Role::Monitoring
            | Role::Logging
            | Role::IngressController
            | Role::Workloads => {}
        }
    }
}

fn in_control_plane(context: &Context<'_>, id: PolicyId, namespace: NamespaceId) -> Finding {
    let name = &context.snapshot.namespace(namespace).name;
    let runs_nothing = WITHOUT_PODS.contains(&&**name);
    let origin = context.snapshot.policy(id).origin.as_ref();
    let subjects = context.engine.subjects_of(id);
    let assumed = |pod| context.dns.is_assumed(pod);
    let pods = subjects
        .iter()
        .map(|(pod, _)| *pod)
        .filter(|pod| !assumed(*pod));
    let mut finding = base(context, id, "this selects every pod of the control plane");
    finding.affected = context.workloads(pods);
    finding.message = format!(
        "`{}` is a default deny in `{name}`",
        context.snapshot.policy(id).name
    );
    if runs_nothing {
        finding.severity = Severity::Note;
        finding.consequence = Some("nothing runs there, so it does nothing".to_owned());
    } else {
        finding.consequence = Some(
            "what runs there runs the cluster: name servers that cannot ask or be asked, and \
             controllers that cannot reach the API server, break every namespace"
                .to_owned(),
        );
    }
    finding.help = Some(format!(
        "remove it; `{name}` is guarded by who may create pods in it, not by a default deny"
    ));
    finding.fix = origin.map(|origin| Fix {
        title: "remove the policy".to_owned(),
        safety: Safety::Unsafe,
        edits: vec![Edit::RemoveObject {
            origin: origin.clone(),
        }],
    });
    finding
}

/// A finding where the namespace's pods cannot do what they are for. By effect: with the
/// policies that allow it, a default deny there is as good as anywhere.
fn cut_off(
    context: &Context<'_>,
    id: PolicyId,
    namespace: NamespaceId,
    role: Role,
) -> Option<Finding> {
    let groups: Vec<&Group> = context
        .groups_in(namespace)
        .filter(|g| !g.host_network && g.egress_isolated == Tri::Yes && works(context, g, role))
        .collect();
    // Whom they would reach must be in the input: otherwise nobody can tell.
    let others: Vec<&Group> = context
        .groups()
        .iter()
        .filter(|other| other.namespace != namespace && !other.host_network)
        .filter(|other| !context.dns.is_server(other.first))
        .collect();
    if groups.is_empty() || others.is_empty() {
        return None;
    }
    let index_of = |group: &Group| {
        let position = context
            .groups()
            .binary_search_by_key(&group.first, |g| g.first);
        position.ok()
    };
    let reaches_internet = |group: &Group| {
        let reach = index_of(group).and_then(|index| context.internet().get(index));
        reach.is_some_and(|reach| !reach.regions.is_empty())
    };
    // A collector of logs may keep them in its own namespace.
    let own: Vec<&Group> = match role {
        Role::Logging => context
            .groups_in(namespace)
            .filter(|g| !g.host_network)
            .collect(),
        _ => Vec::new(),
    };
    let reaches = |group: &Group| {
        let mut pods = others
            .iter()
            .chain(own.iter().filter(|o| o.first != group.first));
        reaches_internet(group)
            || reaches_what_is_not_here(context, group)
            || pods.any(|other| may_connect(context, group, other))
    };
    let cut: Vec<&Group> = groups.into_iter().filter(|group| !reaches(group)).collect();
    if cut.is_empty() {
        return None;
    }
    let affected = context.workloads(cut.iter().flat_map(|g| g.pods.iter().copied()));
    let name = &context.snapshot.namespace(namespace).name;
    let whom = match role {
        Role::Logging => "a pod or to the internet",
        _ => "a pod of another namespace or to the internet",
    };
    let (is_for, lost) = match role {
        Role::Monitoring => ("scrape", "metrics and alerts stop, quietly"),
        Role::Logging => ("send logs to", "logs are lost, quietly"),
        _ => ("forward to", "requests from outside end in errors"),
    };
    let mut finding = base(context, id, "this is all that is said about their egress");
    finding.severity = Severity::Warning;
    finding.message = format!(
        "`{}` leaves {} nothing to {is_for}: no connection to {whom} is allowed",
        context.snapshot.policy(id).name,
        context.list(&affected)
    );
    finding.consequence = Some(lost.to_owned());
    finding.help = Some(format!(
        "allow what they need beside the default deny of `{name}`, {}",
        role.describe()
    ));
    finding.affected = affected;
    Some(finding)
}

/// Whether some rule allows a group what is not in the input: an address that no pod has,
/// or pods of a namespace that is not there.
fn reaches_what_is_not_here(context: &Context<'_>, group: &Group) -> bool {
    let mut policies = context.engine.policies_for(group.first, Direction::Egress);
    policies.any(|(policy, _)| {
        let PolicyBody::Network(spec) = &context.snapshot.policy(policy).body else {
            return false;
        };
        let mut rules = 0..spec.egress.as_ref().map_or(0, Vec::len);
        rules.any(|rule| {
            let rule = RuleRef {
                policy,
                direction: Direction::Egress,
                rule,
            };
            let mut families = IpFamily::ALL.into_iter();
            families.all(|family| context.engine.peers_of(rule, family).is_empty())
        })
    })
}

/// Whether a group does the work of its namespace, and not something beside it.
fn works(context: &Context<'_>, group: &Group, role: Role) -> bool {
    const COLLECTORS: [&str; 6] = [
        "prometheus",
        "vmagent",
        "agent",
        "collector",
        "datadog",
        "alloy",
    ];
    const SHIPPERS: [&str; 8] = [
        "fluentd",
        "fluent-bit",
        "vector",
        "logstash",
        "filebeat",
        "promtail",
        "agent",
        "collector",
    ];
    let workload = context.snapshot.pod(group.first).workload;
    let of = |images: &[&str]| {
        let containers = context
            .inventory
            .containers(&context.workload_ref(workload));
        let mut running = containers.iter().filter(|container| !container.init);
        running.any(|container| {
            let image = container.image_name();
            let mut known = images.iter();
            known.any(|known| image == *known || image.ends_with(&format!("-{known}")))
        })
    };
    match role {
        Role::IngressController => context.snapshot.ingress_controllers().contains(&workload),
        Role::Monitoring => of(&COLLECTORS),
        Role::Logging => of(&SHIPPERS),
        Role::ControlPlane | Role::NameServers | Role::Workloads => false,
    }
}

/// Whether one group can open any connection to another, or may.
fn may_connect(context: &Context<'_>, from: &Group, to: &Group) -> bool {
    let snapshot = context.snapshot;
    let families = snapshot.families_of(snapshot.pod(from.first));
    families.into_iter().any(|family| {
        let (source, destination) = (Peer::Pod(from.first), Peer::Pod(to.first));
        let open = context.engine.ports(source, destination, family);
        !open.allow.is_empty() || !open.maybe.is_empty()
    })
}

fn base(context: &Context<'_>, id: PolicyId, label: &str) -> Finding {
    let origin = context.snapshot.policy(id).origin.as_ref();
    Finding {
        rule: &RULE,
        severity: RULE.severity,
        message: String::new(),
        consequence: None,
        help: None,
        object: context.policy_ref(id),
        primary: origin.map(|origin| {
            let path = KeyPath::root().key("spec").key("podSelector");
            Place::value(origin, path, label)
        }),
        related: Vec::new(),
        witness: None,
        affected: Vec::new(),
        fix: None,
    }
}
