use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};

use super::endpoint::Described;
use crate::labels::UnknownKeys;
use crate::parse::TypedObject;
use crate::source::KeyPath;

/// What all objects that make pods have in common.
#[derive(Debug)]
pub(super) struct WorkloadObject {
    /// The owner with `controller: true`.
    pub(super) controller: Option<OwnerReference>,
    pub(super) replicas: Option<i32>,
    /// `spec.selector.matchLabels`, where the kind has it.
    pub(super) selector: Option<BTreeMap<String, String>>,
    /// The labels its pods have, as far as the manifest tells.
    pub(super) pod_labels: BTreeMap<String, String>,
    /// The label keys that its controller adds with values the manifest does not tell.
    pub(super) added_labels: UnknownKeys,
    pub(super) pod: Described,
}

/// Reads an object that makes pods; gives one back that does not.
pub(super) fn read(typed: TypedObject) -> Result<WorkloadObject, TypedObject> {
    Ok(match typed {
        TypedObject::Deployment(object) => {
            let spec = object.spec.unwrap_or_default();
            from_template(&object.metadata, Some(spec.template))
                .replicas(spec.replicas)
                .selector(spec.selector)
                .adds(&["pod-template-hash"])
        }
        TypedObject::StatefulSet(object) => {
            let spec = object.spec.unwrap_or_default();
            from_template(&object.metadata, Some(spec.template))
                .replicas(spec.replicas)
                .selector(spec.selector)
                .adds(&[
                    "apps.kubernetes.io/pod-index",
                    "controller-revision-hash",
                    "statefulset.kubernetes.io/pod-name",
                ])
        }
        TypedObject::DaemonSet(object) => {
            let spec = object.spec.unwrap_or_default();
            from_template(&object.metadata, Some(spec.template))
                .selector(spec.selector)
                .adds(&["controller-revision-hash", "pod-template-generation"])
        }
        // A ReplicaSet adds no label: `pod-template-hash` is in the template that the
        // Deployment gave it.
        TypedObject::ReplicaSet(object) => {
            let spec = object.spec.unwrap_or_default();
            from_template(&object.metadata, spec.template)
                .replicas(spec.replicas)
                .selector(spec.selector)
        }
        TypedObject::ReplicationController(object) => {
            let spec = object.spec.unwrap_or_default();
            let mut read = from_template(&object.metadata, spec.template).replicas(spec.replicas);
            read.selector = spec.selector;
            read
        }
        TypedObject::Job(object) => {
            let spec = object.spec.unwrap_or_default();
            let indexed = spec.completion_mode.as_deref() == Some("Indexed");
            let mut read = from_template(&object.metadata, Some(spec.template));
            if let Some(selector) = spec.selector {
                read = read.selector(selector);
            }
            for (key, value) in [
                ("job-name", &object.metadata.name),
                ("batch.kubernetes.io/job-name", &object.metadata.name),
                ("controller-uid", &object.metadata.uid),
                ("batch.kubernetes.io/controller-uid", &object.metadata.uid),
            ] {
                if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                    read.pod_labels.insert(key.to_owned(), value.clone());
                }
            }
            read.adds(added_by_jobs(indexed))
        }
        TypedObject::CronJob(object) => {
            let job = object
                .spec
                .unwrap_or_default()
                .job_template
                .spec
                .unwrap_or_default();
            let indexed = job.completion_mode.as_deref() == Some("Indexed");
            from_template(&object.metadata, Some(job.template)).adds(added_by_jobs(indexed))
        }
        TypedObject::OtherWorkload {
            kind,
            metadata,
            replicas,
            template,
        } => {
            let mut read = from_template(&metadata, Some(*template)).replicas(replicas);
            read.added_labels = added_by_other_controllers(&kind);
            read
        }
        other => return Err(other),
    })
}

fn from_template(metadata: &ObjectMeta, template: Option<PodTemplateSpec>) -> WorkloadObject {
    let template = template.unwrap_or_default();
    WorkloadObject {
        controller: controller_of(metadata).cloned(),
        pod_labels: template
            .metadata
            .and_then(|metadata| metadata.labels)
            .unwrap_or_default(),
        pod: Described::new(template.spec, None),
        replicas: None,
        selector: None,
        added_labels: UnknownKeys::None,
    }
}

/// Where the pod template is in an object of this kind.
pub(super) fn path(kind: &str) -> KeyPath {
    let spec = KeyPath::root().key("spec");
    match kind {
        "CronJob" => spec.key("jobTemplate").key("spec").key("template"),
        _ => spec.key("template"),
    }
}

/// The owner that manages the object, if one does.
pub(super) fn controller_of(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata
        .owner_references
        .iter()
        .flatten()
        .find(|owner| owner.controller == Some(true))
}

impl WorkloadObject {
    fn replicas(mut self, replicas: Option<i32>) -> Self {
        self.replicas = replicas;
        self
    }

    fn selector(mut self, selector: LabelSelector) -> Self {
        self.selector = selector.match_labels;
        self
    }

    fn adds(mut self, keys: &'static [&'static str]) -> Self {
        self.added_labels = UnknownKeys::These(keys);
        self
    }
}

fn added_by_jobs(indexed: bool) -> &'static [&'static str] {
    const PLAIN: &[&str] = &[
        "batch.kubernetes.io/controller-uid",
        "batch.kubernetes.io/job-name",
        "controller-uid",
        "job-name",
    ];
    const INDEXED: &[&str] = &[
        "batch.kubernetes.io/controller-uid",
        "batch.kubernetes.io/job-completion-index",
        "batch.kubernetes.io/job-name",
        "controller-uid",
        "job-name",
    ];
    if indexed { INDEXED } else { PLAIN }
}

/// A controller that we do not know may add any label.
fn added_by_other_controllers(kind: &str) -> UnknownKeys {
    match kind {
        "Rollout" => UnknownKeys::These(&["rollouts-pod-template-hash"]),
        "DeploymentConfig" => UnknownKeys::These(&["deployment", "deploymentconfig"]),
        _ => UnknownKeys::All,
    }
}
