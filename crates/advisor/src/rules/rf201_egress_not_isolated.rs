use std::collections::BTreeMap;
use std::net::IpAddr;

use ringfence_engine::{Packet, Peer, Verdict};
use ringfence_model::address::IpFamily;
use ringfence_model::diagnostic::Severity;
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::labels::LabelValue;
use ringfence_model::metadata;
use ringfence_model::policy::{Direction, Policy, PolicyBody};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::NamespaceId;
use ringfence_model::source::KeyPath;
use ringfence_model::tri::Tri;

use crate::context::{Context, Exposure, Group, InternetReach, Role};
use crate::finding::{Edit, Finding, Fix, NotVerified, Place, Safety, Witness};
use crate::nearest::{Meant, nearest};
use crate::proposal;
use crate::report::Findings;
use crate::rule::{Code, Rule};
use crate::unlooked;

/// Pods whose egress no policy isolates.
pub(super) static RULE: Rule = Rule {
    code: Code(201),
    name: "egress-not-isolated",
    severity: Severity::Error,
    summary: "pods whose egress no policy isolates: the namespace has no default deny",
    page: include_str!("../../../../docs/findings/RF201.md"),
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings) {
    let mut open: BTreeMap<NamespaceId, Vec<Open<'_>>> = BTreeMap::new();
    let reaches = context.exposures().iter().zip(context.internet());
    for (group, (metadata, internet)) in context.groups().iter().zip(reaches) {
        let is_open = !group.host_network && group.egress_isolated != Tri::Yes;
        if is_open && context.cluster_wide_deny(group).is_none() {
            open.entry(group.namespace).or_default().push(Open {
                group,
                metadata,
                internet,
            });
        }
    }
    for (namespace, groups) in open {
        let mut finding = finding(context, namespace, &groups);
        if context.role(namespace).is_protected() {
            // What runs there runs the cluster. To add a default deny would be wrong, and
            // so would be to say nothing.
            finding.fix = None;
            finding.help = None;
            let name = &context.snapshot.namespace(namespace).name;
            findings.push_suppressed(
                finding,
                "a default deny there breaks the cluster",
                format!("`{name}` is {}", context.role(namespace).describe()),
            );
        } else {
            if matches!(
                context.role(namespace),
                Role::Monitoring | Role::Logging | Role::IngressController
            ) {
                // They work by connecting to others: to close them needs a list of whom, and
                // a default deny alone would be RF206.
                finding.severity = Severity::Warning;
                finding.fix = None;
                finding.help = Some(format!(
                    "it is {}: allow what its workloads connect to, name servers and the API \
                     server among it, and add the default deny last",
                    context.role(namespace).describe()
                ));
            }
            findings.push(finding);
        }
    }
    for unseen in context.unseen_pods() {
        let (object, maker) = (&unseen.of, unseen.operator.maker);
        let namespace = object.namespace.as_deref().unwrap_or_default();
        findings.not_verified(NotVerified {
            code: RULE.code,
            what: format!(
                "whether the pods of {} `{namespace}/{}` are isolated, and what they reach",
                object.kind, object.name
            ),
            why: format!("{maker} makes them, and the input does not have them"),
            how: format!("add them to the input: `kubectl get pods -n {namespace} -o yaml`"),
        });
    }
    for question in unlooked::questions(context, RULE.code) {
        findings.not_verified(question);
    }
    for alone in context.policies_alone() {
        if alone.isolating.is_empty() {
            let name = &context.snapshot.namespace(alone.namespace).name;
            findings.not_verified(NotVerified {
                code: RULE.code,
                what: format!("whether the egress of the pods of namespace `{name}` is isolated"),
                why: "the input has policies and no pods of it, and none of these policies \
                      isolates the egress of all pods"
                    .to_owned(),
                how: "add its workloads to the input".to_owned(),
            });
        }
    }
}

/// A value that a policy asks for among others (`In`), that no pod has, and that was
/// probably meant to be the label of one of these groups.
struct Slip<'a> {
    policy: &'a Policy,
    written: &'a str,
    meant: Meant,
}

fn slip<'a>(context: &'a Context<'_>, groups: &[&Group]) -> Option<Slip<'a>> {
    let namespace = groups.first()?.namespace;
    let policies = context.snapshot.policy_ids();
    let mut policies = policies.filter(|(id, _)| {
        context.namespace_of(*id) == Some(namespace)
            && context.engine.covers(*id, Direction::Egress)
    });
    policies.find_map(|(_, policy)| {
        let PolicyBody::Network(spec) = &policy.body else {
            return None;
        };
        let selector = spec.pod_selector.as_ref()?;
        let labels = groups.iter().map(|g| &context.snapshot.pod(g.first).labels);
        let meant = nearest(selector, labels)?;
        let [meant] = <[Meant; 1]>::try_from(meant).ok()?;
        let (expression, value) = meant.value_of?;
        let expression = selector.match_expressions.as_ref()?.get(expression)?;
        let written = expression.values.as_ref()?.get(value)?;
        let mut pods = context.snapshot.pods_in(namespace);
        let is_there =
            pods.any(|(_, pod)| pod.labels.get(&meant.key) == LabelValue::Present(written));
        (!is_there).then_some(Slip {
            policy,
            written,
            meant,
        })
    })
}

/// A group that is not isolated, and what it reaches outside of the cluster.
struct Open<'a> {
    group: &'a Group,
    metadata: &'a [Exposure],
    internet: &'a InternetReach,
}

impl Open<'_> {
    /// Whether something of cloud metadata is open for certain.
    fn has_metadata(&self) -> bool {
        self.metadata.iter().any(|e| !e.open.allow.is_empty())
    }

    /// Packets that show that nothing isolates it, the one that shows most first.
    fn packets(&self, context: &Context<'_>) -> Vec<Packet> {
        let to = |address: IpAddr, (protocol, port)| Packet {
            source: Peer::Pod(self.group.first),
            destination: Peer::Address(address),
            family: IpFamily::of(address),
            protocol,
            port,
            through_service: None,
        };
        let mut packets = vec![to(metadata::COMMON, (Protocol::Tcp, 80))];
        packets.extend(self.metadata.iter().map(|e| e.packet(self.group)));
        let regions = self.internet.regions.iter().filter_map(|region| {
            let address = region.addresses.first()?.addr();
            let port = context.telling_port(&region.open.allow, Peer::Address(address))?;
            Some(to(address, port))
        });
        packets.extend(regions);
        let families = context
            .snapshot
            .families_of(context.snapshot.pod(self.group.first));
        packets.retain(|packet| families.contains(&packet.family));
        packets
    }
}

/// What is open, for a sentence.
fn consequence(open: &[Open<'_>]) -> String {
    let has_internet = open.iter().any(|open| open.internet.is_wide());
    let has_metadata = open.iter().any(Open::has_metadata);
    let outside = match (has_internet, has_metadata) {
        (true, true) => "the internet, cloud metadata and ",
        (true, false) => "the internet and ",
        (false, true) => "cloud metadata and ",
        (false, false) => "",
    };
    match outside {
        "" => "a cluster-wide policy denies some of it; whatever that passes on is open".to_owned(),
        outside => format!("they reach {outside}every namespace that lets them in"),
    }
}

fn finding(context: &Context<'_>, namespace: NamespaceId, open: &[Open<'_>]) -> Finding {
    let groups: Vec<&Group> = open.iter().map(|open| open.group).collect();
    let name = &context.snapshot.namespace(namespace).name;
    let affected = context.workloads(groups.iter().flat_map(|g| g.pods.iter().copied()));
    let of_namespace = context.groups_in(namespace);
    let is_all = of_namespace.filter(|g| !g.host_network).count() == groups.len();
    let is_certain = groups.iter().any(|group| group.egress_isolated == Tri::No);
    let message = match (is_all, is_certain) {
        (true, true) => format!("no policy isolates the egress of namespace `{name}`"),
        (false, true) => format!(
            "no policy isolates the egress of {}",
            context.list(&affected)
        ),
        (_, false) => format!(
            "it is not known whether a policy isolates the egress of {}",
            context.list(&affected)
        ),
    };
    let primary = affected.iter().find_map(|id| {
        let workload = context.snapshot.workload(*id);
        let path = KeyPath::root().key("metadata").key("name");
        let label = "its pods may connect to anything";
        Some(Place::value(workload.origin.as_ref()?, path, label))
    });
    let declared = context.snapshot.namespace(namespace).origin.as_ref();
    let namespace_place = declared.map(|origin| {
        let path = KeyPath::root().key("metadata").key("name");
        Place::value(
            origin,
            path,
            "this namespace has no default deny for egress",
        )
    });
    let mut written = affected.iter();
    let beside = written.find_map(|id| context.snapshot.workload(*id).origin.as_ref());
    let mut witnesses = open
        .iter()
        .flat_map(|open| open.packets(context))
        .map(|packet| context.witness(packet));
    let first = witnesses.next();
    // One that is let through shows it; one that is not is better than none.
    let is_allowed = |witness: &Witness| witness.verdict == Verdict::Allowed;
    let witness = first
        .filter(is_allowed)
        .or_else(|| witnesses.find(is_allowed))
        .or(first);
    let slip = slip(context, &groups);
    let instead = slip.as_ref().map_or_else(String::new, |slip| {
        format!(
            "did you mean `{}` in the selector of `{}`, which asks for `{}`? Otherwise ",
            slip.meant.pair(),
            slip.policy.name,
            slip.written
        )
    });
    let slip_place = slip.as_ref().and_then(|slip| {
        let selector = KeyPath::root().key("spec").key("podSelector");
        let origin = slip.policy.origin.as_ref()?;
        Some(Place::value(
            origin,
            slip.meant.path(&selector),
            "no pod has this label",
        ))
    });
    Finding {
        rule: &RULE,
        severity: RULE.severity,
        message,
        consequence: Some(consequence(open)),
        help: Some(format!(
            "{instead}add a default deny with `policyTypes: [Ingress, Egress]`, then allow what is \
             needed, DNS first: `ringfence baseline {name} -f PATH` writes the set"
        )),
        object: context.namespace_ref(namespace),
        related: slip_place
            .into_iter()
            .chain(namespace_place.as_ref().and(primary.clone()))
            .collect(),
        primary: namespace_place.or(primary),
        witness,
        affected,
        fix: declared.or(beside).and_then(|origin| {
            let deny = proposal::deny_egress(context, namespace);
            let dns = proposal::allow_dns(context, namespace, [LabelSelector::default()]);
            // Without it the default deny would do harm.
            let has_dns = !dns.is_empty();
            let manifests = std::iter::once(deny).chain(dns);
            has_dns.then(|| Fix {
                title: format!(
                    "add a default deny for egress to namespace `{name}`, and allow DNS"
                ),
                safety: Safety::Unsafe,
                edits: manifests
                    .map(|manifest| Edit::AddObject {
                        beside: origin.clone(),
                        manifest,
                    })
                    .collect(),
            })
        }),
    }
}
