//! `policy.networking.k8s.io/v1alpha1` `AdminNetworkPolicy` and
//! `BaselineAdminNetworkPolicy`.
//!
//! Source: the custom resource definitions of `kubernetes-sigs/network-policy-api`.

use super::schema::{Field, Shape};
use super::tiered::{Dialect, PortSyntax, TierSyntax};
use super::tiered_schema::{DOMAIN_NAMES, NETWORKS, NODES, tiered_schema};
use crate::policy::Tier;

const PORTS: Shape = Shape::List(&Shape::Record(&[
    Field::optional(
        "portNumber",
        Shape::Record(&[
            Field::optional("protocol", Shape::Text),
            Field::required("port", Shape::Whole),
        ]),
    ),
    Field::optional(
        "portRange",
        Shape::Record(&[
            Field::optional("protocol", Shape::Text),
            Field::required("start", Shape::Whole),
            Field::required("end", Shape::Whole),
        ]),
    ),
    Field::optional("namedPort", Shape::Text),
]));

pub(super) const SCHEMA: &[Field] = tiered_schema! {
    pods_need: required,
    spec: [Field::required("priority", Shape::Whole)],
    ports: Field::optional("ports", PORTS),
    egress_peers: [NODES, NETWORKS, DOMAIN_NAMES],
};

pub(super) const BASELINE_SCHEMA: &[Field] = tiered_schema! {
    pods_need: required,
    spec: [],
    ports: Field::optional("ports", PORTS),
    egress_peers: [NODES, NETWORKS],
};

pub(super) const DIALECT: Dialect = Dialect {
    tier: TierSyntax::Fixed(Tier::Admin),
    accept: "Allow",
    actions: &["Allow", "Deny", "Pass"],
    ports_key: "ports",
    port_syntax: PortSyntax::Ports,
    most_rules: 100,
    most_peers: 100,
    most_ports: 100,
    egress_peers: &["namespaces", "pods", "nodes", "networks", "domainNames"],
};

pub(super) const BASELINE_DIALECT: Dialect = Dialect {
    tier: TierSyntax::Fixed(Tier::Baseline),
    actions: &["Allow", "Deny"],
    egress_peers: &["namespaces", "pods", "nodes", "networks"],
    ..DIALECT
};
