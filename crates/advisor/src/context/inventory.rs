use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ringfence_model::k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::labels::Labels;
use ringfence_model::object::ObjectRef;
use ringfence_model::parse::{Object, TypedObject};
use ringfence_model::selector::matches;
use ringfence_model::source::Origin;
use ringfence_model::tri::Tri;

/// What objects say that no verdict depends on: annotations, images, arguments. Taken
/// from the objects before a snapshot is made of them.
#[derive(Debug, Default)]
pub struct Inventory {
    objects: BTreeMap<Key, ObjectFacts>,
    /// The labels of pods that have ended, by namespace.
    ended: BTreeMap<Arc<str>, Vec<Labels>>,
}

/// Kind, namespace (empty for none) and name.
type Key = (Arc<str>, Arc<str>, Arc<str>);

/// What one object says.
#[derive(Debug, Default)]
struct ObjectFacts {
    annotations: BTreeMap<String, String>,
    /// Of the pod template, or of the pod.
    pod_annotations: BTreeMap<String, String>,
    containers: Vec<ContainerFacts>,
    resolver: Resolver,
    origin: Option<Origin>,
}

/// Whom pods ask for names: their `dnsPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Resolver {
    /// The name servers of the cluster.
    #[default]
    Cluster,
    /// Those that their node asks.
    Node,
    /// Those that `dnsConfig` names.
    Named(Vec<IpAddr>),
}

impl Resolver {
    fn of(spec: &PodSpec) -> Self {
        match spec.dns_policy.as_deref() {
            Some("None") => {
                let config = spec.dns_config.as_ref();
                let named = config.and_then(|config| config.nameservers.as_ref());
                let named = named.into_iter().flatten();
                Self::Named(named.filter_map(|text| text.parse().ok()).collect())
            }
            Some("Default") => Self::Node,
            Some("ClusterFirstWithHostNet") => Self::Cluster,
            // The default; with their node's network, pods have its resolver, too.
            _ if spec.host_network == Some(true) => Self::Node,
            _ => Self::Cluster,
        }
    }
}

/// What a container runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerFacts {
    /// Its name.
    pub name: String,
    /// Its image, as written.
    pub image: String,
    /// Its command and arguments.
    pub arguments: Vec<String>,
    /// Whether it runs before the others and ends.
    pub init: bool,
    /// Its index in its list in the manifest.
    pub index: usize,
}

impl ContainerFacts {
    /// The image without registry, folders, tag and digest: `node` of
    /// `docker.io/calico/node:v3.28.1`.
    #[must_use]
    pub fn image_name(&self) -> &str {
        let repository = self.repository();
        repository.rsplit('/').next().unwrap_or(repository)
    }

    /// The image without tag and digest.
    #[must_use]
    pub fn repository(&self) -> &str {
        let image = self.image.split('@').next().unwrap_or_default();
        // A colon before the last slash is the one of a registry's port.
        match image.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => repository,
            _ => image,
        }
    }

    /// The tag of the image; `None` where there is none.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        let image = self.image.split('@').next().unwrap_or_default();
        let (_, tag) = image.rsplit_once(':')?;
        (!tag.contains('/')).then_some(tag)
    }
}

impl Inventory {
    /// Reads what rules need of objects, before they are made into a snapshot.
    #[must_use]
    pub fn of(objects: &[Object], default_namespace: &str) -> Self {
        let mut inventory = Self::default();
        for object in objects {
            let Some(metadata) = object.typed.metadata() else {
                // A policy keeps its annotations itself.
                continue;
            };
            let Some(name) = metadata.name.as_deref() else {
                continue;
            };
            let namespace = match (object.typed.is_namespaced(), metadata.namespace.as_deref()) {
                (false, _) => "",
                (true, Some(namespace)) => namespace,
                (true, None) => default_namespace,
            };
            if let TypedObject::Pod(pod) = &object.typed
                && has_ended(pod)
            {
                let labels = metadata.labels.clone().unwrap_or_default();
                let of_namespace = inventory.ended.entry(namespace.into()).or_default();
                of_namespace.push(labels.into_iter().collect());
            }
            let facts = ObjectFacts {
                annotations: metadata.annotations.clone().unwrap_or_default(),
                pod_annotations: object.typed.pod_annotations().cloned().unwrap_or_default(),
                containers: object.typed.pod_spec().map_or_else(Vec::new, containers),
                resolver: object
                    .typed
                    .pod_spec()
                    .map(Resolver::of)
                    .unwrap_or_default(),
                origin: object.origin.clone(),
            };
            let key = (object.typed.kind().into(), namespace.into(), name.into());
            inventory.objects.insert(key, facts);
        }
        inventory
    }

    /// Whether a pod that has ended, such as that of a Job, was selected in a namespace.
    /// The snapshot has none of them: nothing can be sent to one. That there was one shows
    /// what the selector is for.
    #[must_use]
    pub fn has_ended_pod(&self, namespace: &str, selector: &LabelSelector) -> bool {
        let ended = self.ended.get(namespace).into_iter().flatten();
        ended
            .into_iter()
            .any(|labels| matches(selector, labels) == Tri::Yes)
    }

    /// The objects, by kind, namespace and name, with their places; without policies,
    /// which the snapshot has.
    pub fn objects(&self) -> impl Iterator<Item = (ObjectRef, Option<&Origin>)> {
        self.objects.iter().map(|((kind, namespace, name), facts)| {
            let object = ObjectRef {
                api_version: Arc::default(),
                kind: kind.clone(),
                namespace: (!namespace.is_empty()).then(|| namespace.clone()),
                name: name.clone(),
            };
            (object, facts.origin.as_ref())
        })
    }

    /// The annotations of an object.
    #[must_use]
    pub fn annotations(&self, object: &ObjectRef) -> Option<&BTreeMap<String, String>> {
        self.get(object).map(|facts| &facts.annotations)
    }

    /// The annotations of the pods of a workload, as its template has them.
    #[must_use]
    pub fn pod_annotations(&self, object: &ObjectRef) -> Option<&BTreeMap<String, String>> {
        self.get(object).map(|facts| &facts.pod_annotations)
    }

    /// The containers of a workload; empty for anything else.
    #[must_use]
    pub fn containers(&self, object: &ObjectRef) -> &[ContainerFacts] {
        self.get(object).map_or(&[], |facts| &facts.containers)
    }

    /// Whom the pods of a workload ask for names; `None` of what is not in the input.
    #[must_use]
    pub fn resolver(&self, object: &ObjectRef) -> Option<&Resolver> {
        self.get(object).map(|facts| &facts.resolver)
    }

    /// Every object that runs containers: its kind, namespace and name, its containers,
    /// and where it was read from. By kind, then namespace, then name.
    pub fn workloads(
        &self,
    ) -> impl Iterator<Item = ((&str, &str, &str), &[ContainerFacts], Option<&Origin>)> {
        let with_containers = self
            .objects
            .iter()
            .filter(|(_, f)| !f.containers.is_empty());
        with_containers.map(|((kind, namespace, name), facts)| {
            let containers = facts.containers.as_slice();
            (
                (&**kind, &**namespace, &**name),
                containers,
                facts.origin.as_ref(),
            )
        })
    }

    /// Where an object was read from.
    #[must_use]
    pub fn origin(&self, object: &ObjectRef) -> Option<&Origin> {
        self.get(object)?.origin.as_ref()
    }

    fn get(&self, object: &ObjectRef) -> Option<&ObjectFacts> {
        let namespace = object.namespace.clone().unwrap_or_default();
        let key = (object.kind.clone(), namespace, object.name.clone());
        self.objects.get(&key)
    }
}

fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

fn containers(spec: &PodSpec) -> Vec<ContainerFacts> {
    let init = spec.init_containers.iter().flatten();
    let init = init.enumerate().map(|(index, c)| facts(c, index, true));
    let rest = spec.containers.iter().enumerate();
    let rest = rest.map(|(index, c)| facts(c, index, false));
    rest.chain(init).collect()
}

fn facts(container: &Container, index: usize, init: bool) -> ContainerFacts {
    let command = container.command.iter().flatten();
    let arguments = container.args.iter().flatten();
    ContainerFacts {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        arguments: command.chain(arguments).cloned().collect(),
        init,
        index,
    }
}
