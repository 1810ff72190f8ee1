use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as core;

use super::interner::Interner;
use super::nodes::Nodes;
use super::notices::{Notices, Subject};
use super::{containers, one_of_each_family};
use crate::parse::Sources;
use crate::snapshot::ContainerPort;
use crate::source::KeyPath;

/// What a pod's spec and status say about it as an endpoint of connections.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) ports: Arc<[ContainerPort]>,
    pub(super) host_network: bool,
    pub(super) addresses: Vec<IpAddr>,
    /// The addresses that the status gives for the node.
    pub(super) host_addresses: Vec<IpAddr>,
    pub(super) node: Option<Arc<str>>,
}

/// The spec of a pod or of a template, and the status of a pod.
///
/// They are kilobytes for each pod, of which few are needed, so they are read as soon as
/// they come. Only those that something is to be said about are kept: where they are
/// written is known at the end.
#[derive(Debug)]
pub(super) enum Described {
    Read(Endpoint),
    Kept(Box<(Option<core::PodSpec>, Option<core::PodStatus>)>),
}

impl Described {
    pub(super) fn new(spec: Option<core::PodSpec>, status: Option<core::PodStatus>) -> Self {
        Self::Kept(Box::new((spec, status)))
    }

    /// Reads them, if nothing is to be said about them. `root` is the path of the value that
    /// has them as `spec` and `status`.
    pub(super) fn read(
        self,
        root: &KeyPath,
        subject: Subject<'_>,
        interner: &mut Interner,
    ) -> Self {
        let Self::Kept(kept) = self else {
            return self;
        };
        let nowhere = Sources::default();
        let mut notices = Notices::new(&nowhere);
        let endpoint = read(&kept, root, subject, interner, &mut notices);
        if notices.is_empty() {
            return Self::Read(endpoint);
        }
        Self::Kept(kept)
    }

    /// What they say; says what is wrong with them.
    pub(super) fn endpoint(
        self,
        root: &KeyPath,
        subject: Subject<'_>,
        nodes: &Nodes,
        interner: &mut Interner,
        notices: &mut Notices<'_>,
    ) -> Endpoint {
        let mut endpoint = match self {
            Self::Read(endpoint) => endpoint,
            Self::Kept(kept) => read(&kept, root, subject, interner, notices),
        };
        if endpoint.host_network && endpoint.addresses.is_empty() {
            let node = endpoint.node.as_deref();
            let addresses = node.map(|node| nodes.addresses_of(node));
            endpoint.addresses = one_of_each_family(addresses.unwrap_or_default().iter().copied());
        }
        endpoint
    }
}

fn read(
    (spec, status): &(Option<core::PodSpec>, Option<core::PodStatus>),
    root: &KeyPath,
    subject: Subject<'_>,
    interner: &mut Interner,
    notices: &mut Notices<'_>,
) -> Endpoint {
    let (spec, status) = (spec.as_ref(), status.as_ref());
    let ports = spec
        .map(|spec| containers::ports(spec, subject, root, notices))
        .unwrap_or_default();
    let host_network = spec.and_then(|spec| spec.host_network).unwrap_or_default();
    let node = spec
        .and_then(|spec| spec.node_name.as_deref())
        .filter(|name| !name.is_empty())
        .map(|name| interner.name(name));

    let host_addresses = status
        .map(|status| host_addresses(status, subject, notices))
        .unwrap_or_default();
    let mut addresses = if host_network {
        host_addresses.clone()
    } else {
        Vec::new()
    };
    if addresses.is_empty()
        && let Some(status) = status
    {
        addresses = pod_addresses(status, subject, notices);
    }
    Endpoint {
        ports: interner.ports(ports),
        host_network,
        addresses: one_of_each_family(addresses),
        host_addresses,
        node,
    }
}

fn host_addresses(
    status: &core::PodStatus,
    subject: Subject<'_>,
    notices: &mut Notices<'_>,
) -> Vec<IpAddr> {
    let many = status.host_ips.iter().flatten().map(|host| &host.ip);
    read_addresses(
        many,
        "hostIPs",
        status.host_ip.as_ref(),
        "hostIP",
        subject,
        notices,
    )
}

fn pod_addresses(
    status: &core::PodStatus,
    subject: Subject<'_>,
    notices: &mut Notices<'_>,
) -> Vec<IpAddr> {
    let many = status.pod_ips.iter().flatten().map(|pod| &pod.ip);
    read_addresses(
        many,
        "podIPs",
        status.pod_ip.as_ref(),
        "podIP",
        subject,
        notices,
    )
}

/// The plural field is the complete one; the singular repeats its first element and
/// is all that old clusters have.
fn read_addresses<'a>(
    many: impl Iterator<Item = &'a String>,
    plural: &str,
    one: Option<&String>,
    singular: &str,
    subject: Subject<'_>,
    notices: &mut Notices<'_>,
) -> Vec<IpAddr> {
    let status = || KeyPath::root().key("status");
    let mut addresses: Vec<IpAddr> = many
        .enumerate()
        .filter_map(|(index, text)| {
            notices.address(subject, text, || {
                status().key(plural).index(index).key("ip")
            })
        })
        .collect();
    if addresses.is_empty() {
        addresses
            .extend(one.and_then(|text| notices.address(subject, text, || status().key(singular))));
    }
    addresses
}
