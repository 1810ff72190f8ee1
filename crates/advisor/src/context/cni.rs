//! Which network plugin a cluster runs, and whether it enforces policies, from the
//! manifests of its agents.

mod plugin;

use ringfence_model::object::ObjectRef;
use ringfence_model::source::Origin;

pub use plugin::Plugin;

use super::{ContainerFacts, Inventory, pod_spec_path};
use crate::finding::Place;

/// The network plugins of the input.
#[derive(Clone, Debug, Default)]
pub struct Cni {
    /// What was found, in the order of the objects.
    pub parts: Vec<CniPart>,
}

/// One agent of a network plugin.
#[derive(Clone, Debug)]
pub struct CniPart {
    /// What it is.
    pub plugin: Plugin,
    /// Whether it enforces policies.
    pub enforcement: Enforcement,
    /// The object that runs it.
    pub object: ObjectRef,
    /// Its image, as written.
    pub image: String,
    /// The version, where the tag of the image is one.
    pub version: Option<Version>,
    /// What shows whether it enforces: an argument, an image, or the lack of one.
    pub evidence: String,
    /// What decides as well and is not in manifests of this kind; may be empty.
    pub caveat: &'static str,
    /// Where the image is written.
    pub place: Option<Place>,
}

/// Whether policies are enforced, as far as manifests tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Enforcement {
    /// It is made to, and not switched off.
    Enforces,
    /// It cannot, or is not switched on.
    DoesNot,
    /// The manifests do not say.
    Unclear,
}

/// Major and minor version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second.
    pub minor: u32,
}

impl Version {
    /// The version in a tag such as `v3.28.1` or `1.15.6-gke.2`; `None` for `latest`, a
    /// commit or a date.
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        let tag = tag.strip_prefix('v').unwrap_or(tag);
        let mut numbers = tag.split(['.', '-', '+']);
        let major = numbers.next()?.parse().ok()?;
        // `3.19`, and not `3-19`.
        tag.contains('.').then_some(())?;
        let minor = numbers.next()?.parse().ok()?;
        Some(Self { major, minor })
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Cni {
    /// Looks for the agents of network plugins.
    #[must_use]
    pub fn find(inventory: &Inventory) -> Self {
        let mut parts = Vec::new();
        for ((kind, namespace, name), containers, origin) in inventory.workloads() {
            // Agents run on every node; a Deployment counts for an operator alone.
            if !matches!(kind, "DaemonSet" | "Pod" | "Deployment") {
                continue;
            }
            for container in containers.iter().filter(|container| !container.init) {
                let Some(plugin) = Plugin::of(container, kind, name) else {
                    continue;
                };
                let (enforcement, evidence) = plugin.enforcement(container, containers);
                parts.push(CniPart {
                    plugin,
                    enforcement,
                    object: ObjectRef {
                        api_version: if kind == "Pod" { "v1" } else { "apps/v1" }.into(),
                        kind: kind.into(),
                        namespace: Some(namespace.into()),
                        name: name.into(),
                    },
                    image: container.image.clone(),
                    version: container.tag().and_then(Version::of_tag),
                    evidence,
                    caveat: plugin.caveat(),
                    place: origin.map(|origin| image_place(origin, kind, container, plugin)),
                });
            }
        }
        Self { parts }
    }

    /// Whether the cluster enforces policies. One agent that does is enough: Calico over
    /// the plugin of a cloud is a usual arrangement. `None` where the input has no
    /// network plugin.
    #[must_use]
    pub fn enforcement(&self) -> Option<Enforcement> {
        // `Enforces` is the least, and what does not is worth more than what is unclear
        // only where nothing is unclear.
        let says = |wanted| self.parts.iter().any(|part| part.enforcement == wanted);
        [
            Enforcement::Enforces,
            Enforcement::Unclear,
            Enforcement::DoesNot,
        ]
        .into_iter()
        .find(|wanted| says(*wanted))
    }

    /// The agents that decide [`enforcement`](Self::enforcement).
    pub fn deciding(&self) -> impl Iterator<Item = &CniPart> {
        let decided = self.enforcement();
        let parts = self.parts.iter();
        parts.filter(move |part| Some(part.enforcement) == decided)
    }
}

impl CniPart {
    /// What speaks for the plugin, and what could still speak against it.
    #[must_use]
    pub fn in_words(&self) -> String {
        let verb = match self.enforcement {
            Enforcement::Enforces => "is made to enforce them",
            Enforcement::DoesNot => "does not enforce them",
            Enforcement::Unclear => "may enforce them",
        };
        let caveat = match self.caveat {
            "" => String::new(),
            caveat => format!("; {caveat}"),
        };
        let (plugin, object, evidence) = (self.plugin, &self.object, &self.evidence);
        format!("{plugin} {verb} ({object}: {evidence}){caveat}")
    }
}

fn image_place(origin: &Origin, kind: &str, container: &ContainerFacts, plugin: Plugin) -> Place {
    let list = pod_spec_path(kind).key("containers");
    let path = list.index(container.index).key("image");
    Place::value(origin, path, format!("this is {plugin}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_version_only_where_it_reads_like_one() {
        let version = |major, minor| Some(Version { major, minor });
        for (tag, expected) in [
            ("v3.19.1", version(3, 19)),
            ("3.20", version(3, 20)),
            ("v1.9.18-gke.3", version(1, 9)),
            ("latest", None),
            ("release", None),
            ("v3", None),
            ("20240813-c6f155d6", None),
            ("", None),
        ] {
            assert_eq!(Version::of_tag(tag), expected, "{tag}");
        }
    }
}
