//! Policies, read strictly: an unknown field, a wrong type, and whatever the API
//! server would refuse is an error, and a policy with an error is left out rather than
//! half understood.
//!
//! Each family has a file with its schema and what is particular to it. The schema
//! walk ([`schema`]) knows nothing of values, the validation nothing of unknown fields.
//!
//! A policy with a `metadata.uid` comes from an API server that has accepted it: what
//! we do not know about it may be newer than we are, and may narrow what we do know. A
//! rule of a cluster-wide policy with an unknown field in it fails closed: it becomes a
//! rule for [`TieredPeer::Unrecognized`], with a warning. Elsewhere in the `spec`, and
//! in a NetworkPolicy, which has no such rule, the policy is left out.
//!
//! [`TieredPeer::Unrecognized`]: crate::policy::TieredPeer::Unrecognized

mod admin_network_policy;
mod checker;
mod cidr;
mod cluster_network_policy;
mod convert;
mod network_policy;
mod ports;
mod schema;
mod selectors;
mod tiered;
mod tiered_schema;

use std::sync::Arc;

use checker::Checker;
use schema::{Field, Shape};

use super::deserialize::{Mask, read as read_masked};
use super::metadata;
use super::names;
use super::node::{Node, Value};
use super::place::Place;
use super::report::Reporter;
use super::syntax_help;
use crate::policy::{Policy, PolicyBody, PolicyFamily};

/// Reads a policy. `None` after a message.
pub(crate) fn read(
    root: &Node<'_>,
    family: PolicyFamily,
    reporter: &mut Reporter<'_>,
) -> Option<Policy> {
    if let Some(template) = find_template(root) {
        let error = syntax_help::unrendered_template(template.head());
        reporter
            .error(error.code, error.extent, error.message)
            .maybe_help(error.help);
        reporter.left_out(0, LEFT_OUT);
        return None;
    }
    let place = Place::root(root);
    let is_live = metadata::is_live(root);
    let api_version = root.get("apiVersion").and_then(Node::text);
    let api_version = api_version.unwrap_or_default();
    let mut checker = Checker::new(reporter, family, api_version, is_live);
    checker.schema(&place, schema_of(family));
    check_metadata(&place, &mut checker);
    if let Some(spec) = place.get("spec") {
        match dialect_of(family) {
            Some(dialect) => tiered::check(&spec, dialect, &mut checker),
            None => network_policy::check(&spec, &mut checker),
        }
    } else if family == PolicyFamily::NetworkPolicy {
        checker
            .warning(
                "missing-field",
                place.key_or_head(),
                "a NetworkPolicy without `spec` isolates every pod of its namespace from ingress",
            )
            .help("write the `spec` out, even if that is meant");
    }
    if reporter.errors() == 0 {
        if let Some(policy) = convert(root, family) {
            return Some(policy);
        }
        reporter.error(
            "wrong-type",
            root.head(),
            "this policy could not be read, and it cannot be said why",
        );
    }
    reporter.left_out(0, LEFT_OUT);
    None
}

const LEFT_OUT: &str = "this policy was left out";

fn schema_of(family: PolicyFamily) -> &'static [Field] {
    match family {
        PolicyFamily::NetworkPolicy => network_policy::SCHEMA,
        PolicyFamily::ClusterNetworkPolicy => cluster_network_policy::SCHEMA,
        PolicyFamily::AdminNetworkPolicy => admin_network_policy::SCHEMA,
        PolicyFamily::BaselineAdminNetworkPolicy => admin_network_policy::BASELINE_SCHEMA,
    }
}

fn dialect_of(family: PolicyFamily) -> Option<&'static tiered::Dialect> {
    match family {
        PolicyFamily::NetworkPolicy => None,
        PolicyFamily::ClusterNetworkPolicy => Some(&cluster_network_policy::DIALECT),
        PolicyFamily::AdminNetworkPolicy => Some(&admin_network_policy::DIALECT),
        PolicyFamily::BaselineAdminNetworkPolicy => Some(&admin_network_policy::BASELINE_DIALECT),
    }
}

/// The fields every object has.
const METADATA: Shape = Shape::Record(&[
    Field::optional("name", Shape::Text),
    Field::optional("generateName", Shape::Text),
    Field::optional("namespace", Shape::Text),
    Field::optional("labels", Shape::TextMap),
    Field::optional("annotations", Shape::TextMap),
    Field::optional("uid", Shape::Text),
    Field::optional("creationTimestamp", Shape::Anything),
    Field::optional("deletionGracePeriodSeconds", Shape::Anything),
    Field::optional("deletionTimestamp", Shape::Anything),
    Field::optional("finalizers", Shape::Anything),
    Field::optional("generation", Shape::Anything),
    Field::optional("managedFields", Shape::Anything),
    Field::optional("ownerReferences", Shape::Anything),
    Field::optional("resourceVersion", Shape::Anything),
    Field::optional("selfLink", Shape::Anything),
]);

/// A text with a template action in it.
fn find_template<'n, 't>(node: &'n Node<'t>) -> Option<&'n Node<'t>> {
    match &node.value {
        Value::Scalar(scalar) => syntax_help::has_template_action(&scalar.text).then_some(node),
        Value::Sequence(items) => items.iter().find_map(find_template),
        Value::Mapping(entries) => entries
            .iter()
            // A description may well quote a template.
            .filter(|entry| !matches!(&*entry.key, "annotations" | "managedFields"))
            .find_map(|entry| find_template(&entry.value)),
    }
}

fn check_metadata(root: &Place<'_, '_, '_>, checker: &mut Checker<'_, '_>) {
    let Some(metadata) = root.get("metadata") else {
        checker.missing(root, "metadata.name");
        return;
    };
    if !metadata.node.is_mapping() {
        return;
    }
    match metadata.get("name") {
        Some(name) => {
            checker.syntax(&name, "invalid-name", names::subdomain);
            let is_baseline = checker.family() == PolicyFamily::BaselineAdminNetworkPolicy;
            if is_baseline && name.node.text().is_some_and(|text| text != "default") {
                checker
                    .error(
                        "baseline-name",
                        name.value_extent(),
                        "the BaselineAdminNetworkPolicy must be called `default`",
                    )
                    .help("there can be only one in a cluster");
            }
        }
        None if metadata.get("generateName").is_none() => {
            checker.missing(&metadata, "metadata.name");
        }
        None => {}
    }
    if let Some(namespace) = metadata.get("namespace") {
        let is_absent = namespace.node.text() == Some("");
        if is_absent {
            // The API server knows no difference between an empty text and none.
        } else if checker.family() == PolicyFamily::NetworkPolicy {
            checker.syntax(&namespace, "invalid-name", names::label);
        } else {
            let kind = checker.family().kind();
            checker
                .warning(
                    "ignored-field",
                    namespace.key_or_head(),
                    format!("{kind} has no namespace: this is ignored"),
                )
                .help("it applies to the whole cluster; `subject` says to which pods");
        }
    }
    if let Some(labels) = metadata.get("labels") {
        selectors::check_labels(&labels, checker);
    }
    if let Some(annotations) = metadata.get("annotations") {
        for annotation in annotations.entries() {
            selectors::check_annotation_key(&annotation, checker);
        }
    }
}

/// The policy in our vocabulary, once nothing is wrong with it.
fn convert(root: &Node<'_>, family: PolicyFamily) -> Option<Policy> {
    let metadata = root.get("metadata")?;
    let text = |key: &str| {
        metadata
            .get(key)
            .and_then(Node::text)
            .filter(|text| !text.is_empty())
    };
    let body = match dialect_of(family) {
        Some(dialect) => PolicyBody::Tiered(convert::tiered_policy(
            root.get("spec")?,
            dialect,
            schema_of(family),
        )?),
        None => PolicyBody::Network(match root.get("spec") {
            Some(spec) => convert::network_policy(spec)?,
            None => Default::default(),
        }),
    };
    let namespace = text("namespace").filter(|_| family == PolicyFamily::NetworkPolicy);
    let annotations = metadata.get("annotations");
    Some(Policy {
        family,
        namespace: namespace.map(Arc::from),
        name: text("name").or_else(|| text("generateName"))?.into(),
        annotations: match annotations {
            Some(annotations) => read_masked(annotations, &Mask::All).ok()?,
            None => Default::default(),
        },
        body,
        origin: None,
    })
}
