//! `policy.networking.k8s.io/v1alpha1` `AdminNetworkPolicy` and
//! `BaselineAdminNetworkPolicy`.
//!
//! Source: the custom resource definitions of `kubernetes-sigs/network-policy-api`.

use super::METADATA;
use super::schema::{Field, LABEL_SELECTOR, Shape};
use super::tiered::{Dialect, PortSyntax, TierSyntax};
use crate::policy::Tier;

const NAMESPACED_POD: Shape = Shape::Record(&[
    Field::required("namespaceSelector", LABEL_SELECTOR),
    Field::required("podSelector", LABEL_SELECTOR),
]);

const SUBJECT: Shape = Shape::Record(&[
    Field::optional("namespaces", LABEL_SELECTOR),
    Field::optional("pods", NAMESPACED_POD),
]);

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

const INGRESS: Shape = Shape::List(&Shape::Record(&[
    Field::optional("name", Shape::Text),
    Field::required("action", Shape::Text),
    Field::required("from", Shape::List(&SUBJECT)),
    Field::optional("ports", PORTS),
]));

pub(super) const SCHEMA: &[Field] = &[
    Field::optional("apiVersion", Shape::Text),
    Field::optional("kind", Shape::Text),
    Field::optional("metadata", METADATA),
    Field::required(
        "spec",
        Shape::Record(&[
            Field::required("priority", Shape::Whole),
            Field::required("subject", SUBJECT),
            Field::optional("ingress", INGRESS),
            Field::optional(
                "egress",
                Shape::List(&Shape::Record(&[
                    Field::optional("name", Shape::Text),
                    Field::required("action", Shape::Text),
                    Field::required(
                        "to",
                        Shape::List(&Shape::Record(&[
                            Field::optional("namespaces", LABEL_SELECTOR),
                            Field::optional("pods", NAMESPACED_POD),
                            Field::optional("nodes", LABEL_SELECTOR),
                            Field::optional("networks", Shape::List(&Shape::Text)),
                            Field::optional("domainNames", Shape::List(&Shape::Text)),
                        ])),
                    ),
                    Field::optional("ports", PORTS),
                ])),
            ),
        ]),
    ),
    Field::optional("status", Shape::Anything),
];

pub(super) const BASELINE_SCHEMA: &[Field] = &[
    Field::optional("apiVersion", Shape::Text),
    Field::optional("kind", Shape::Text),
    Field::optional("metadata", METADATA),
    Field::required(
        "spec",
        Shape::Record(&[
            Field::required("subject", SUBJECT),
            Field::optional("ingress", INGRESS),
            Field::optional(
                "egress",
                Shape::List(&Shape::Record(&[
                    Field::optional("name", Shape::Text),
                    Field::required("action", Shape::Text),
                    Field::required(
                        "to",
                        Shape::List(&Shape::Record(&[
                            Field::optional("namespaces", LABEL_SELECTOR),
                            Field::optional("pods", NAMESPACED_POD),
                            Field::optional("nodes", LABEL_SELECTOR),
                            Field::optional("networks", Shape::List(&Shape::Text)),
                        ])),
                    ),
                    Field::optional("ports", PORTS),
                ])),
            ),
        ]),
    ),
    Field::optional("status", Shape::Anything),
];

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
