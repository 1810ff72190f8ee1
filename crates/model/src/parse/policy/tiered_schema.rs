//! The schema that the cluster-wide families share. What differs between them are the
//! parameters.

use super::schema::{Field, LABEL_SELECTOR, Shape};

/// Peers of egress rules that not all families have.
pub(super) const NODES: Field = Field::optional("nodes", LABEL_SELECTOR);
pub(super) const NETWORKS: Field = Field::optional("networks", Shape::List(&Shape::Text));
pub(super) const DOMAIN_NAMES: Field = Field::optional("domainNames", Shape::List(&Shape::Text));

/// The fields of an object of a cluster-wide family:
///
/// - `pods_need`: whether `namespaceSelector` of `pods` is `required` or `optional`;
/// - `spec`: the fields of `spec` besides subject and rules;
/// - `ports`: the field of a rule that says on which ports;
/// - `egress_peers`: the peers of an egress rule besides namespaces and pods.
macro_rules! tiered_schema {
    (
        pods_need: $namespaces:ident,
        spec: [$($spec:expr),*],
        ports: $ports:expr,
        egress_peers: [$($peer:expr),*],
    ) => {{
        use crate::parse::policy::METADATA;
        use crate::parse::policy::schema::{Field, LABEL_SELECTOR, Shape};

        const NAMESPACES: Field = Field::optional("namespaces", LABEL_SELECTOR);
        const PODS: Field = Field::optional(
            "pods",
            Shape::Record(&[
                Field::$namespaces("namespaceSelector", LABEL_SELECTOR),
                Field::required("podSelector", LABEL_SELECTOR),
            ]),
        );
        const SUBJECT: Shape = Shape::Record(&[NAMESPACES, PODS]);
        const NAME: Field = Field::optional("name", Shape::Text);
        const ACTION: Field = Field::required("action", Shape::Text);
        const INGRESS: Shape = Shape::Record(&[
            NAME,
            ACTION,
            Field::required("from", Shape::List(&SUBJECT)),
            $ports,
        ]);
        const EGRESS_PEER: Shape = Shape::Record(&[NAMESPACES, PODS, $($peer),*]);
        const EGRESS: Shape = Shape::Record(&[
            NAME,
            ACTION,
            Field::required("to", Shape::List(&EGRESS_PEER)),
            $ports,
        ]);
        const SPEC: Shape = Shape::Record(&[
            $($spec,)*
            Field::required("subject", SUBJECT),
            Field::optional("ingress", Shape::List(&INGRESS)),
            Field::optional("egress", Shape::List(&EGRESS)),
        ]);
        &[
            Field::optional("apiVersion", Shape::Text),
            Field::optional("kind", Shape::Text),
            Field::optional("metadata", METADATA),
            Field::required("spec", SPEC),
            Field::optional("status", Shape::Anything),
        ]
    }};
}

pub(super) use tiered_schema;
