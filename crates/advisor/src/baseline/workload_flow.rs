use ipnet::IpNet;
use ringfence_engine::explain::pod_selector;
use ringfence_model::address::IpFamily;
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::metadata;
use ringfence_model::selector;
use ringfence_model::snapshot::{Snapshot, WorkloadId};
use ringfence_model::tri::Tri;

use super::proposed::{ProposedPolicy, block, egress, from, ingress, pods, pods_of, ports, to};
use super::request::{BaselineError, Destination, Flow, PortRange};
use crate::context::{Context, Group};

/// The policies that one connection needs: the egress of its source, and the ingress of
/// its destination if that is a workload.
pub(super) fn policies(
    context: &Context<'_>,
    flow: &Flow,
    force: bool,
) -> Result<Vec<ProposedPolicy>, BaselineError> {
    let source = End::of(context.snapshot, flow.from)?;
    if !force {
        must_not_isolate(context, flow.from, |group| group.egress_isolated)?;
        if let Destination::Workload(to) = &flow.to {
            must_not_isolate(context, *to, |group| group.ingress_isolated)?;
        }
    }
    match &flow.to {
        Destination::Workload(to) => {
            let destination = End::of(context.snapshot, *to)?;
            Ok(between(&source, &destination, &flow.ports))
        }
        Destination::Block(net) => Ok(vec![outside(&source, *net, &flow.ports)?]),
    }
}

/// Refuses to isolate, in the direction that `isolated` tells of, name servers and what
/// runs the cluster, unless they are isolated already.
fn must_not_isolate(
    context: &Context<'_>,
    id: WorkloadId,
    isolated: impl Fn(&Group) -> Tri,
) -> Result<(), BaselineError> {
    let workload = context.snapshot.workload(id);
    let role = context.role(workload.namespace);
    let is_name_server = context
        .dns
        .servers
        .iter()
        .any(|(pod, _)| context.snapshot.pod(*pod).workload == id);
    let what = match (is_name_server, role.is_protected()) {
        (true, _) => "a name server of the cluster".to_owned(),
        (false, true) => format!("in {}", role.describe()),
        (false, false) => return Ok(()),
    };
    let mut groups = context.groups_in(workload.namespace).filter(|group| {
        let mut pods = group.pods.iter();
        pods.any(|pod| context.snapshot.pod(*pod).workload == id)
    });
    if groups.all(|group| isolated(group) == Tri::Yes) {
        return Ok(());
    }
    let namespace = &context.snapshot.namespace(workload.namespace).name;
    let name = format!("{namespace}/{}", workload.name);
    Err(BaselineError::ClosesCluster(name, what))
}

/// A workload as policies see it.
struct End<'a> {
    namespace: &'a str,
    name: &'a str,
    selector: LabelSelector,
    /// Other workloads of the namespace with the same labels.
    also: Vec<&'a str>,
}

impl<'a> End<'a> {
    fn of(snapshot: &'a Snapshot, id: WorkloadId) -> Result<Self, BaselineError> {
        let workload = snapshot.workload(id);
        let namespace = &*snapshot.namespace(workload.namespace).name;
        let shown = || format!("{namespace}/{}", workload.name);
        let mut own = workload.pod_ids();
        let first = own.next().ok_or_else(|| BaselineError::NoLabels(shown()))?;
        if snapshot.pod(first).host_network {
            return Err(BaselineError::HostNetwork(shown()));
        }
        let selector =
            pod_selector(snapshot, first).ok_or_else(|| BaselineError::NoLabels(shown()))?;
        let selected = snapshot.pods_in(workload.namespace).filter(|(_, pod)| {
            pod.workload != id && selector::matches(&selector, &pod.labels) != Tri::No
        });
        let mut also: Vec<&str> = selected
            .map(|(_, pod)| &*snapshot.workload(pod.workload).name)
            .collect();
        also.sort_unstable();
        also.dedup();
        Ok(Self {
            namespace,
            name: &workload.name,
            selector,
            also,
        })
    }

    /// The workload from a namespace.
    fn peer(
        &self,
        seen_from: &str,
    ) -> ringfence_model::k8s_openapi::api::networking::v1::NetworkPolicyPeer {
        match self.namespace == seen_from {
            true => pods(self.selector.clone()),
            false => pods_of(self.namespace, self.selector.clone()),
        }
    }

    fn display_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// That the labels mean more than the workload.
    fn warn(&self, proposed: ProposedPolicy) -> ProposedPolicy {
        match self.also.is_empty() {
            true => proposed,
            false => proposed.saying(format!(
                "The labels of {} are also those of {}, which this policy means as well.",
                self.name,
                self.also.join(", ")
            )),
        }
    }
}

fn between(source: &End<'_>, destination: &End<'_>, ranges: &[PortRange]) -> Vec<ProposedPolicy> {
    let shown = describe(ranges);
    let (from_name, to_name) = (source.display_name(), destination.display_name());
    let rule = to(
        vec![destination.peer(source.namespace)],
        ports(ranges.iter().copied()),
    );
    let out = ProposedPolicy::network(
        source.namespace,
        &format!("allow-{}-to-{}", source.name, destination.name),
        &format!("{from_name} connects to {to_name} on {shown}"),
        egress(source.selector.clone(), vec![rule]),
    )
    .saying(format!(
        "The egress half: a connection needs this and the ingress of {to_name}. The port is the \
         one on the pods, not that of a Service in front of them. A pod that is selected is closed \
         for everything else, so {} also needs DNS.",
        source.name
    ));
    let rule = from(
        vec![source.peer(destination.namespace)],
        ports(ranges.iter().copied()),
    );
    let into = ProposedPolicy::network(
        destination.namespace,
        &format!("allow-{}-from-{}", destination.name, source.name),
        &format!("{to_name} accepts connections from {from_name} on {shown}"),
        ingress(destination.selector.clone(), vec![rule]),
    )
    .saying(format!(
        "The ingress half. {} is closed for everyone else who is not allowed in by another policy.",
        destination.name
    ));
    let warned = source.warn(destination.warn(out));
    vec![warned, destination.warn(source.warn(into))]
}

fn outside(
    source: &End<'_>,
    net: IpNet,
    ranges: &[PortRange],
) -> Result<ProposedPolicy, BaselineError> {
    let net = net.trunc();
    let mut except = Vec::new();
    for address in metadata::secret_addresses() {
        if !net.contains(&address) || IpFamily::of(address) != IpFamily::of(net.addr()) {
            continue;
        }
        let endpoint = IpNet::from(address);
        if endpoint == net {
            let provider = metadata::endpoints_at(address).find(|e| e.gives_secrets);
            let provider = provider.map_or("a cloud", |endpoint| endpoint.provider);
            return Err(BaselineError::Metadata(net, provider));
        }
        except.push(endpoint.to_string());
    }
    let has_exceptions = !except.is_empty();
    let name = net.to_string().replace([':', '.', '/'], "-");
    let rule = to(vec![block(net, except)], ports(ranges.iter().copied()));
    let shown = describe(ranges);
    let proposed = ProposedPolicy::network(
        source.namespace,
        &format!("allow-{}-to-{name}", source.name),
        &format!("{} connects to {net} on {shown}", source.display_name()),
        egress(source.selector.clone(), vec![rule]),
    )
    .saying(format!(
        "The protocol is written out: a port without one is TCP alone. A pod that is selected is \
         closed for everything else, so {} also needs DNS if it goes by name.",
        source.name
    ));
    let proposed = match has_exceptions {
        true => proposed.saying("The metadata endpoints that lie in the block are left out of it."),
        false => proposed,
    };
    Ok(source.warn(proposed))
}

/// `TCP 443`, `TCP 8080-8090 and UDP 53`.
fn describe(ranges: &[PortRange]) -> String {
    let shown: Vec<String> = ranges
        .iter()
        .map(|range| match range.start == range.end {
            true => format!("{} {}", range.protocol, range.start),
            false => format!("{} {}-{}", range.protocol, range.start, range.end),
        })
        .collect();
    shown.join(" and ")
}
