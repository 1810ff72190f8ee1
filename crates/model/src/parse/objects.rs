//! Trees into typed objects, tolerantly: only the fields that matter are looked at.

use k8s_openapi::Metadata;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;

use super::deserialize::{Mask, ReadError, read as read_masked};
use super::kinds::{Class, Header, Typed};
use super::node::Node;
use super::place::Place;
use super::report::Reporter;
use super::{TypedObject, masks, policy, syntax_help};

/// Reads an object. `None` after a message.
pub(crate) fn read(
    node: &Node<'_>,
    header: &Header,
    class: Class,
    reporter: &mut Reporter<'_>,
) -> Option<TypedObject> {
    let since = reporter.count();
    let read = match class {
        Class::Policy(family) => {
            let policy = policy::read(node, family, reporter)?;
            return Some(TypedObject::Policy(Box::new(policy)));
        }
        _ if !check_metadata(&Place::root(node), reporter) => None,
        Class::Typed(typed) => Some(read_typed(node, typed)),
        Class::OtherWorkload => Some(read_other_workload(node, header)),
    };
    match read {
        Some(Ok(typed)) => return Some(typed),
        Some(Err(error)) => report(node, &error, reporter),
        None => {}
    }
    reporter.left_out(since, &format!("this {} was left out", header.kind));
    None
}

fn read_typed(node: &Node<'_>, typed: Typed) -> Result<TypedObject, ReadError> {
    Ok(match typed {
        Typed::Namespace => TypedObject::Namespace(boxed(node, &masks::NAMESPACE)?),
        Typed::Node => TypedObject::Node(boxed(node, &masks::NODE)?),
        Typed::Pod => TypedObject::Pod(boxed(node, &masks::POD)?),
        Typed::Deployment => TypedObject::Deployment(boxed(node, &masks::WORKLOAD)?),
        Typed::StatefulSet => TypedObject::StatefulSet(boxed(node, &masks::WORKLOAD)?),
        Typed::DaemonSet => TypedObject::DaemonSet(boxed(node, &masks::WORKLOAD)?),
        Typed::ReplicaSet => TypedObject::ReplicaSet(boxed(node, &masks::WORKLOAD)?),
        Typed::ReplicationController => {
            TypedObject::ReplicationController(boxed(node, &masks::WORKLOAD)?)
        }
        Typed::Job => TypedObject::Job(boxed(node, &masks::JOB)?),
        Typed::CronJob => TypedObject::CronJob(boxed(node, &masks::CRON_JOB)?),
        Typed::Service => TypedObject::Service(boxed(node, &masks::SERVICE)?),
        Typed::Endpoints => TypedObject::Endpoints(boxed(node, &masks::ENDPOINTS)?),
        Typed::EndpointSlice => TypedObject::EndpointSlice(boxed(node, &masks::ENDPOINT_SLICE)?),
        Typed::Ingress => TypedObject::Ingress(boxed(node, &masks::INGRESS)?),
    })
}

fn boxed<T>(node: &Node<'_>, mask: &Mask) -> Result<Box<T>, ReadError>
where
    T: DeserializeOwned + Metadata<Ty = ObjectMeta>,
{
    let mut object: Box<T> = read_masked(node, mask)?;
    name_generated(object.metadata_mut());
    Ok(object)
}

/// An object that leaves its name to the API server is known by the given prefix.
fn name_generated(metadata: &mut ObjectMeta) {
    if metadata.name.as_ref().is_none_or(String::is_empty) {
        metadata.name.clone_from(&metadata.generate_name);
    }
}

fn read_other_workload(node: &Node<'_>, header: &Header) -> Result<TypedObject, ReadError> {
    /// Reads what is at the end of `keys`, or the default.
    fn part<T: DeserializeOwned + Default>(
        node: &Node<'_>,
        keys: &[&'static str],
        mask: &Mask,
    ) -> Result<T, ReadError> {
        match node.at(keys) {
            Some(part) => read_masked(part, mask).map_err(|error| error.below(keys, part)),
            None => Ok(T::default()),
        }
    }
    let mut metadata: ObjectMeta = part(node, &["metadata"], &masks::METADATA)?;
    name_generated(&mut metadata);
    Ok(TypedObject::OtherWorkload {
        kind: header.kind.clone(),
        metadata: Box::new(metadata),
        replicas: part(node, &["spec", "replicas"], &Mask::All)?,
        template: Box::new(part(node, &["spec", "template"], &masks::POD_TEMPLATE)?),
    })
}

/// Checks what every object must have: a name that is a name.
fn check_metadata(root: &Place<'_, '_, '_>, reporter: &mut Reporter<'_>) -> bool {
    let Some(metadata) = root.get("metadata") else {
        reporter
            .error(
                "missing-field",
                root.key_or_head(),
                "this object has no `metadata.name`",
            )
            .maybe_help(
                root.node
                    .entries()
                    .iter()
                    .find(|entry| entry.key == "name")
                    .map(|_| "`name` belongs under `metadata:`; check the indentation"),
            );
        return false;
    };
    let name = metadata.get("name");
    for field in [name, metadata.get("namespace")].into_iter().flatten() {
        if field
            .node
            .text()
            .is_some_and(syntax_help::has_template_action)
        {
            let error = syntax_help::unrendered_template(field.value_extent());
            reporter
                .error(error.code, error.extent, error.message)
                .maybe_help(error.help);
            return false;
        }
    }
    if metadata.node.is_mapping() && name.is_none() && metadata.get("generateName").is_none() {
        reporter.error(
            "missing-field",
            metadata.key_or_head(),
            "this object has no `metadata.name`",
        );
        return false;
    }
    if let Some(annotations) = metadata.get("annotations") {
        for annotation in annotations.entries() {
            let is_fine = annotation.node.is_null() || annotation.node.text().is_some();
            if !is_fine && !annotation.node.is_mapping() && !annotation.node.is_sequence() {
                reporter
                    .warning(
                        "wrong-type",
                        annotation.value_extent(),
                        format!(
                            "`{}`: expected a string, found {}",
                            annotation.at,
                            annotation.node.describe()
                        ),
                    )
                    .help("quote it: the API server refuses it as it is");
            }
        }
    }
    true
}

/// Says what has the wrong type.
fn report(node: &Node<'_>, error: &ReadError, reporter: &mut Reporter<'_>) {
    let path = error.path();
    reporter
        .error(
            "wrong-type",
            error.extent.unwrap_or_else(|| node.head()),
            format!("`{path}`: {}", error.message),
        )
        .maybe_help(error.needs_quotes.then_some("quote it"));
}
