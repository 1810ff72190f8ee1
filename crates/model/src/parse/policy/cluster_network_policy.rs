//! `policy.networking.k8s.io/v1alpha2` and `v1beta1` `ClusterNetworkPolicy`, which have the
//! same fields. What they say to a CIDR with bits beyond the prefix length differs
//! ([`HostBits`](super::cidr::HostBits)).
//!
//! Source: the custom resource definition of `kubernetes-sigs/network-policy-api`.

use super::schema::{Field, Shape};
use super::tiered::{Dialect, PortSyntax, TierSyntax};
use super::tiered_schema::{DOMAIN_NAMES, NETWORKS, NODES, tiered_schema};

const PORT_RANGE: Shape = Shape::Record(&[
    Field::required("start", Shape::Whole),
    Field::required("end", Shape::Whole),
]);

const TRANSPORT: Shape = Shape::Record(&[Field::optional(
    "destinationPort",
    Shape::Record(&[
        Field::optional("number", Shape::Whole),
        Field::optional("range", PORT_RANGE),
    ]),
)]);

const PROTOCOLS: Shape = Shape::List(&Shape::Record(&[
    Field::optional("tcp", TRANSPORT),
    Field::optional("udp", TRANSPORT),
    Field::optional("sctp", TRANSPORT),
    Field::optional("destinationNamedPort", Shape::Text),
]));

pub(super) const SCHEMA: &[Field] = tiered_schema! {
    pods_need: optional,
    spec: [
        Field::required("tier", Shape::Text),
        Field::required("priority", Shape::Whole)
    ],
    ports: Field::optional("protocols", PROTOCOLS),
    egress_peers: [NODES, NETWORKS, DOMAIN_NAMES],
};

pub(super) const DIALECT: Dialect = Dialect {
    tier: TierSyntax::Field,
    accept: "Accept",
    actions: &["Accept", "Deny", "Pass"],
    ports_key: "protocols",
    port_syntax: PortSyntax::Protocols,
    most_rules: 25,
    most_peers: 25,
    most_ports: 25,
    egress_peers: &["namespaces", "pods", "nodes", "networks", "domainNames"],
};
