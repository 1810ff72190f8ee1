use std::fmt;

use super::{Enforcement, Version};
use crate::context::ContainerFacts;

/// A network plugin, or the part of one that enforces policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each variant is the product it is named after")]
pub enum Plugin {
    Antrea,
    AwsVpcCni,
    AzureCni,
    AzureNpm,
    Calico,
    Cilium,
    Flannel,
    GkeDataplaneV2,
    GkeNetd,
    Kindnet,
    KubeNetworkPolicies,
    KubeOvn,
    KubeRouter,
    OvnKubernetes,
    TigeraOperator,
    Weave,
}

impl fmt::Display for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Antrea => "Antrea",
            Self::AwsVpcCni => "the AWS VPC CNI",
            Self::AzureCni => "the Azure CNI",
            Self::AzureNpm => "the Azure network policy manager",
            Self::Calico => "Calico",
            Self::Cilium => "Cilium",
            Self::Flannel => "Flannel",
            Self::GkeDataplaneV2 => "GKE Dataplane V2",
            Self::GkeNetd => "the network plugin of GKE",
            Self::Kindnet => "kindnet",
            Self::KubeNetworkPolicies => "kube-network-policies",
            Self::KubeOvn => "Kube-OVN",
            Self::KubeRouter => "kube-router",
            Self::OvnKubernetes => "OVN-Kubernetes",
            Self::TigeraOperator => "the operator that installs Calico",
            Self::Weave => "Weave Net",
        })
    }
}

/// The first kindnet release known to enforce policies, and the year before which none
/// did, as its tags write dates.
const KINDNET_ENFORCES: u32 = 20_240_813;
const KINDNET_BEFORE: u32 = 20_240_101;

impl Plugin {
    /// What a container runs, by its image; `None` for anything else.
    pub(super) fn of(container: &ContainerFacts, kind: &str, object: &str) -> Option<Self> {
        let repository = container.repository();
        let image = container.image_name();
        // Mirrors flatten folders into the name: `mirrored-calico-node`.
        let is = |name: &str| image == name || image.ends_with(&format!("-{name}"));
        if kind == "Deployment" {
            return (repository.ends_with("tigera/operator")).then_some(Self::TigeraOperator);
        }
        Some(
            if repository.ends_with("calico/node") || is("calico-node") {
                Self::Calico
            } else if image == "cilium" || is("cilium-cilium") {
                if object.starts_with("anetd") {
                    Self::GkeDataplaneV2
                } else {
                    Self::Cilium
                }
            } else if is("flannel") {
                Self::Flannel
            } else if image == "amazon-k8s-cni" {
                Self::AwsVpcCni
            } else if image == "azure-npm" {
                Self::AzureNpm
            } else if image == "azure-cns" {
                Self::AzureCni
            } else if image == "netd" || image == "netd-amd64" {
                Self::GkeNetd
            } else if image.starts_with("antrea-agent") || image.starts_with("antrea-ubuntu") {
                Self::Antrea
            } else if is("kube-router") {
                Self::KubeRouter
            } else if image.starts_with("ovn-kube") || object == "ovnkube-node" {
                Self::OvnKubernetes
            } else if image == "kube-ovn" && object.starts_with("kube-ovn-cni") {
                Self::KubeOvn
            } else if image == "weave-kube" {
                Self::Weave
            } else if image == "kindnetd" {
                Self::Kindnet
            } else if image == "kube-network-policies" {
                Self::KubeNetworkPolicies
            } else {
                return None;
            },
        )
    }

    /// Whether it enforces policies, and what shows it. `all` are the containers of the
    /// same pod.
    pub(super) fn enforcement(
        self,
        container: &ContainerFacts,
        all: &[ContainerFacts],
    ) -> (Enforcement, String) {
        let image = &container.image;
        let runs = format!("container `{}` runs {image}", container.name);
        match self {
            Self::Antrea
            | Self::AzureNpm
            | Self::Calico
            | Self::GkeDataplaneV2
            | Self::KubeNetworkPolicies
            | Self::KubeOvn
            | Self::OvnKubernetes => (Enforcement::Enforces, runs),
            Self::AzureCni | Self::Flannel | Self::GkeNetd => (
                Enforcement::DoesNot,
                format!("{runs}, which enforces no policies by itself"),
            ),
            Self::TigeraOperator => (Enforcement::Unclear, runs),
            Self::Cilium => match option(container, "enable-policy") {
                Some("never") => (
                    Enforcement::DoesNot,
                    format!("{runs} with `--enable-policy=never`"),
                ),
                _ => (Enforcement::Enforces, runs),
            },
            Self::KubeRouter => match option(container, "run-firewall") {
                Some("false") => (
                    Enforcement::DoesNot,
                    format!("{runs} with `--run-firewall=false`"),
                ),
                Some(_) => (
                    Enforcement::Enforces,
                    format!("{runs} with `--run-firewall=true`"),
                ),
                None => (
                    Enforcement::Enforces,
                    format!("{runs}, whose `--run-firewall` is true unless set"),
                ),
            },
            Self::AwsVpcCni => aws(&runs, all),
            Self::Weave => match all.iter().find(|c| c.image_name() == "weave-npc") {
                Some(npc) => (
                    Enforcement::Enforces,
                    format!("container `{}` runs {}", npc.name, npc.image),
                ),
                None => (
                    Enforcement::DoesNot,
                    format!("{runs}, and no container beside it runs weave-npc"),
                ),
            },
            Self::Kindnet => match container.tag().and_then(date) {
                Some(date) if date >= KINDNET_ENFORCES => (Enforcement::Enforces, runs),
                Some(date) if date < KINDNET_BEFORE => (
                    Enforcement::DoesNot,
                    format!("{runs}, from before kindnet enforced policies"),
                ),
                _ => (
                    Enforcement::Unclear,
                    format!("{runs}, whose tag does not tell whether it enforces policies"),
                ),
            },
        }
    }

    /// What else decides and is no manifest of a workload.
    pub(super) fn caveat(self) -> &'static str {
        match self {
            Self::Cilium | Self::GkeDataplaneV2 => {
                "`enable-policy` in the ConfigMap cilium-config, which is not read, can switch \
                 it off"
            }
            Self::AwsVpcCni => {
                "the controller that feeds the agent is switched on in the ConfigMap \
                 amazon-vpc-cni, which is not read"
            }
            Self::TigeraOperator => "what it installs is in an Installation object",
            _ => "",
        }
    }

    /// What makes it enforce policies.
    #[must_use]
    pub fn how_to_enforce(self) -> &'static str {
        match self {
            Self::AwsVpcCni => {
                "switch the network policy agent on: `enableNetworkPolicy: \"true\"` in the add-on's \
                 configuration"
            }
            Self::AzureCni => {
                "create the cluster with `--network-policy` (Cilium, Calico or Azure), or update it"
            }
            Self::GkeNetd => "enable network policy for the cluster, or use Dataplane V2",
            Self::Flannel => {
                "add what enforces: Calico in its policy-only mode (Canal), or \
                 kube-network-policies (`netpol.enabled` of Flannel's chart)"
            }
            Self::Cilium => "take `--enable-policy=never` out",
            Self::KubeRouter => "run it with `--run-firewall=true`",
            Self::Weave => "run its weave-npc container",
            Self::Kindnet => "use a kind release from August 2024 or later",
            _ => "use a network plugin that enforces policies",
        }
    }

    /// The first release without the known faults in egress enforcement; `None` where
    /// none are known.
    #[must_use]
    pub fn first_sound(self) -> Option<Version> {
        match self {
            Self::Calico => Some(Version {
                major: 3,
                minor: 20,
            }),
            Self::Cilium => Some(Version {
                major: 1,
                minor: 10,
            }),
            _ => None,
        }
    }
}

/// The AWS CNI enforces policies with an agent that is shipped beside it and is off unless
/// told otherwise.
fn aws(runs: &str, all: &[ContainerFacts]) -> (Enforcement, String) {
    let agent = all.iter().find(|container| {
        let is_agent = container.image_name() == "aws-network-policy-agent";
        is_agent || option(container, "enable-network-policy").is_some()
    });
    let Some(agent) = agent else {
        return (
            Enforcement::DoesNot,
            format!("{runs}, and no container beside it runs aws-network-policy-agent"),
        );
    };
    let name = &agent.name;
    match option(agent, "enable-network-policy") {
        Some("true") => (
            Enforcement::Enforces,
            format!("container `{name}` has `--enable-network-policy=true`"),
        ),
        Some(value) => (
            Enforcement::DoesNot,
            format!("container `{name}` has `--enable-network-policy={value}`"),
        ),
        None => (
            Enforcement::DoesNot,
            format!("container `{name}` lacks `--enable-network-policy=true`"),
        ),
    }
}

/// The value of `--name=value`, `--name value` or `--name` (which is `true`).
fn option<'a>(container: &'a ContainerFacts, name: &str) -> Option<&'a str> {
    let mut arguments = container.arguments.iter().peekable();
    while let Some(argument) = arguments.next() {
        let Some(rest) = argument.trim_start_matches('-').strip_prefix(name) else {
            continue;
        };
        if !argument.starts_with('-') {
            continue;
        }
        if let Some(value) = rest.strip_prefix('=') {
            return Some(value.trim_matches('"'));
        }
        if rest.is_empty() {
            let next = arguments.peek().filter(|next| !next.starts_with('-'));
            return Some(next.map_or("true", |next| next.as_str()));
        }
    }
    None
}

/// The date at the head of a tag: `v20240813-c6f155d6`.
fn date(tag: &str) -> Option<u32> {
    let digits = tag.strip_prefix('v').unwrap_or(tag).get(..8)?;
    digits.parse().ok().filter(|date| *date > 20_000_000)
}
