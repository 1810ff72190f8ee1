use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use k8s_openapi::api::core::v1 as core;
use rustc_hash::FxHashMap;

use super::collect::Named;
use super::interner::Interner;
use super::notices::Notices;
use crate::labels::UnknownKeys;
use crate::snapshot::Node;
use crate::source::KeyPath;

/// The nodes of the cluster.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    /// Sorted by name.
    pub(super) list: Vec<Node>,
    /// `spec.podCIDRs` of all of them.
    pub(super) pod_cidrs: Vec<IpNet>,
    addresses_by_name: FxHashMap<Arc<str>, Vec<IpAddr>>,
}

impl Nodes {
    pub(super) fn read(
        objects: Vec<Named<Box<core::Node>>>,
        interner: &mut Interner,
        notices: &mut Notices<'_>,
    ) -> Self {
        let mut nodes = Self::default();
        for mut named in objects {
            nodes.pod_cidrs.extend(pod_cidrs(&named, notices));
            let addresses = addresses(&named, notices);
            nodes
                .addresses_by_name
                .insert(Arc::clone(&named.id.name), addresses.clone());
            let labels = named.object.metadata.labels.take().unwrap_or_default();
            nodes.list.push(Node {
                name: named.id.name,
                labels: interner.labels(labels, UnknownKeys::None),
                addresses,
                origin: named.origin,
            });
        }
        nodes.list.sort_by(|a, b| a.name.cmp(&b.name));
        nodes
    }

    /// The addresses of a node, internal ones first; none for a node that is not
    /// known.
    pub(super) fn addresses_of(&self, name: &str) -> &[IpAddr] {
        self.addresses_by_name
            .get(name)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }
}

fn addresses(node: &Named<Box<core::Node>>, notices: &mut Notices<'_>) -> Vec<IpAddr> {
    let status = node.object.status.as_ref();
    let written: Vec<_> = status
        .and_then(|status| status.addresses.as_ref())
        .into_iter()
        .flatten()
        .enumerate()
        .collect();
    let mut addresses = Vec::new();
    for wanted in ["InternalIP", "ExternalIP"] {
        for (index, entry) in &written {
            if entry.type_ == wanted {
                let path = || {
                    KeyPath::root()
                        .key("status")
                        .key("addresses")
                        .index(*index)
                        .key("address")
                };
                addresses.extend(notices.address(node.subject(), &entry.address, path));
            }
        }
    }
    addresses
}

fn pod_cidrs(node: &Named<Box<core::Node>>, notices: &mut Notices<'_>) -> Vec<IpNet> {
    let Some(spec) = &node.object.spec else {
        return Vec::new();
    };
    let root = KeyPath::root().key("spec");
    let many = spec.pod_cidrs.iter().flatten().enumerate();
    let mut written: Vec<(&String, KeyPath)> = many
        .map(|(index, cidr)| (cidr, root.key("podCIDRs").index(index)))
        .collect();
    if written.is_empty() {
        written.extend(spec.pod_cidr.iter().map(|cidr| (cidr, root.key("podCIDR"))));
    }
    written
        .into_iter()
        .filter_map(|(cidr, path)| notices.cidr(node.subject(), cidr, || path))
        .collect()
}
