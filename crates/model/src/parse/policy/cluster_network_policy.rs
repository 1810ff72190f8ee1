//! `policy.networking.k8s.io/v1alpha2` `ClusterNetworkPolicy`.
//!
//! Source: the custom resource definition of `kubernetes-sigs/network-policy-api`.

use super::METADATA;
use super::schema::{Field, LABEL_SELECTOR, Shape};
use super::tiered::{Dialect, PortSyntax, TierSyntax};

const NAMESPACED_POD: Shape = Shape::Record(&[
    Field::optional("namespaceSelector", LABEL_SELECTOR),
    Field::required("podSelector", LABEL_SELECTOR),
]);

const SUBJECT: Shape = Shape::Record(&[
    Field::optional("namespaces", LABEL_SELECTOR),
    Field::optional("pods", NAMESPACED_POD),
]);

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

pub(super) const SCHEMA: &[Field] = &[
    Field::optional("apiVersion", Shape::Text),
    Field::optional("kind", Shape::Text),
    Field::optional("metadata", METADATA),
    Field::required(
        "spec",
        Shape::Record(&[
            Field::required("tier", Shape::Text),
            Field::required("priority", Shape::Whole),
            Field::required("subject", SUBJECT),
            Field::optional(
                "ingress",
                Shape::List(&Shape::Record(&[
                    Field::optional("name", Shape::Text),
                    Field::required("action", Shape::Text),
                    Field::required("from", Shape::List(&SUBJECT)),
                    Field::optional("protocols", PROTOCOLS),
                ])),
            ),
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
                    Field::optional("protocols", PROTOCOLS),
                ])),
            ),
        ]),
    ),
    Field::optional("status", Shape::Anything),
];

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
