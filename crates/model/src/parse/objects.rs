//! Trees into typed objects, tolerantly: only the fields that matter are looked at, and
//! what is nearly one of them.

use std::cell::RefCell;

use k8s_openapi::Metadata;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;

use super::deserialize::{Mask, Misspelt, ReadError, read_noting_slips};
use super::kinds::{Class, Header, Typed};
use super::node::Node;
use super::place::Place;
use super::report::Reporter;
use super::{TypedObject, masks, metadata, policy, templates};
use crate::source::KeyPath;

/// The fields that were left unread because of a slip.
type Slips = RefCell<Vec<Misspelt>>;

/// Reads an object. Nothing after a message; several where each pod template in it is a
/// workload.
pub(crate) fn read(
    node: &Node<'_>,
    header: &Header,
    class: Class,
    reporter: &mut Reporter<'_>,
) -> Vec<TypedObject> {
    let since = reporter.count();
    let slips = Slips::default();
    let read = match class {
        Class::Policy(family) => {
            let policy = policy::read(node, family, reporter);
            let policy = policy.map(|policy| TypedObject::Policy(Box::new(policy)));
            return policy.into_iter().collect();
        }
        _ if !metadata::check(&Place::root(node), class, reporter) => None,
        Class::Typed(typed) => Some(read_typed(node, typed, &slips).map(|typed| vec![typed])),
        Class::OtherWorkload => {
            Some(read_other_workload(node, header, &slips).map(|typed| vec![typed]))
        }
        Class::NestedTemplates => Some(read_nested(node, header, &slips)),
    };
    // An API server drops what it does not know: what is here, it knows.
    if !metadata::is_live(node) {
        report_slips(slips.into_inner(), reporter);
    }
    match read {
        Some(Ok(typed)) => return typed,
        Some(Err(error)) => report(node, &error, reporter),
        None => {}
    }
    reporter.left_out(since, &format!("this {} was left out", header.kind));
    Vec::new()
}

fn read_typed(node: &Node<'_>, typed: Typed, slips: &Slips) -> Result<TypedObject, ReadError> {
    Ok(match typed {
        Typed::Namespace => TypedObject::Namespace(boxed(node, &masks::NAMESPACE, slips)?),
        Typed::Node => TypedObject::Node(boxed(node, &masks::NODE, slips)?),
        Typed::Pod => TypedObject::Pod(boxed(node, &masks::POD, slips)?),
        Typed::Deployment => TypedObject::Deployment(boxed(node, &masks::WORKLOAD, slips)?),
        Typed::StatefulSet => TypedObject::StatefulSet(boxed(node, &masks::WORKLOAD, slips)?),
        Typed::DaemonSet => TypedObject::DaemonSet(boxed(node, &masks::WORKLOAD, slips)?),
        Typed::ReplicaSet => TypedObject::ReplicaSet(boxed(node, &masks::WORKLOAD, slips)?),
        Typed::ReplicationController => {
            TypedObject::ReplicationController(boxed(node, &masks::WORKLOAD, slips)?)
        }
        Typed::Job => TypedObject::Job(boxed(node, &masks::JOB, slips)?),
        Typed::CronJob => TypedObject::CronJob(boxed(node, &masks::CRON_JOB, slips)?),
        Typed::Service => TypedObject::Service(boxed(node, &masks::SERVICE, slips)?),
        Typed::Endpoints => TypedObject::Endpoints(boxed(node, &masks::ENDPOINTS, slips)?),
        Typed::EndpointSlice => {
            TypedObject::EndpointSlice(boxed(node, &masks::ENDPOINT_SLICE, slips)?)
        }
        Typed::Ingress => TypedObject::Ingress(boxed(node, &masks::INGRESS, slips)?),
    })
}

fn boxed<T>(node: &Node<'_>, mask: &Mask, slips: &Slips) -> Result<Box<T>, ReadError>
where
    T: DeserializeOwned + Metadata<Ty = ObjectMeta>,
{
    let mut object: Box<T> = read_noting_slips(node, mask, slips)?;
    name_generated(object.metadata_mut());
    Ok(object)
}

/// An object that leaves its name to the API server is known by the given prefix.
fn name_generated(metadata: &mut ObjectMeta) {
    if metadata.name.as_ref().is_none_or(String::is_empty) {
        metadata.name.clone_from(&metadata.generate_name);
    }
}

/// Reads what is at the end of `path`.
fn part<T: DeserializeOwned>(
    part: &Node<'_>,
    path: &KeyPath,
    mask: &Mask,
    slips: &Slips,
) -> Result<T, ReadError> {
    let below = Slips::default();
    let read = read_noting_slips(part, mask, &below);
    slips
        .borrow_mut()
        .extend(below.into_inner().into_iter().map(|slip| Misspelt {
            path: format!("{path}.{}", slip.path),
            ..slip
        }));
    read.map_err(|error| error.below(path, part))
}

/// The same, or the default where there is nothing.
fn optional_part<T: DeserializeOwned + Default>(
    node: &Node<'_>,
    keys: &[&str],
    mask: &Mask,
    slips: &Slips,
) -> Result<T, ReadError> {
    let path = keys.iter().fold(KeyPath::root(), |path, key| path.key(key));
    match node.at(keys) {
        Some(found) => part(found, &path, mask, slips),
        None => Ok(T::default()),
    }
}

fn read_other_workload(
    node: &Node<'_>,
    header: &Header,
    slips: &Slips,
) -> Result<TypedObject, ReadError> {
    let mut metadata: ObjectMeta = optional_part(node, &["metadata"], &masks::METADATA, slips)?;
    name_generated(&mut metadata);
    let template = optional_part(node, &["spec", "template"], &masks::POD_TEMPLATE, slips)?;
    Ok(TypedObject::OtherWorkload {
        kind: header.kind.clone(),
        metadata: Box::new(metadata),
        replicas: optional_part(node, &["spec", "replicas"], &Mask::All, slips)?,
        template: Box::new(template),
    })
}

/// Each pod template as a workload: of the name of the object where there is one, with
/// what tells it from the others where there are several.
fn read_nested(
    node: &Node<'_>,
    header: &Header,
    slips: &Slips,
) -> Result<Vec<TypedObject>, ReadError> {
    let mut metadata: ObjectMeta = optional_part(node, &["metadata"], &masks::METADATA, slips)?;
    name_generated(&mut metadata);
    let nested = templates::nested(node);
    let is_one = nested.len() == 1;
    let read = nested.iter().map(|nested| {
        let template = part(nested.node, &nested.path, &masks::POD_TEMPLATE, slips)?;
        let mut metadata = metadata.clone();
        if let Some(name) = metadata.name.as_mut().filter(|_| !is_one) {
            name.push('-');
            name.push_str(&nested.label);
        }
        Ok(TypedObject::OtherWorkload {
            kind: header.kind.clone(),
            metadata: Box::new(metadata),
            replicas: None,
            template: Box::new(template),
        })
    });
    read.collect()
}

/// Says which fields were not read because their name is nearly, but not quite, one that
/// matters. The object is read without them, as an API server does that does not validate
/// fields; so that answers may be wrong, and this is something left out.
fn report_slips(slips: Vec<Misspelt>, reporter: &mut Reporter<'_>) {
    for slip in slips {
        reporter
            .warning(
                "unknown-field",
                slip.key,
                format!("unknown field `{}`", slip.path),
            )
            .help(format!("did you mean `{}`?", slip.right))
            .instead(Some(slip.right))
            .left_out("this field was left out");
    }
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
