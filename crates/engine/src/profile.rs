//! Where implementations differ.

use std::fmt;
use std::str::FromStr;

/// How one implementation reads what the specification leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Profile {
    /// Its name.
    pub name: ProfileName,
    /// Whether `ipBlock` and `networks` match the addresses of pods and nodes of the
    /// cluster.
    pub blocks_match_cluster_addresses: bool,
    /// Whether a pod reaches its own node whatever its policies say.
    pub pod_reaches_own_node: bool,
    /// Whether egress rules see a Service's address and port (`true`) or the endpoint's.
    /// Then a selector means the Services whose own selector it matches, too, and a port
    /// of a rule the port of the Service that leads to it.
    pub judges_before_dnat: bool,
}

/// The named profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum ProfileName {
    /// What the upstream documentation and end-to-end tests expect.
    #[default]
    Upstream,
    /// Calico.
    Calico,
    /// Cilium.
    Cilium,
    /// The network policy agent of the AWS VPC CNI.
    Aws,
}

impl ProfileName {
    /// Every profile, default first.
    pub const ALL: [Self; 4] = [Self::Upstream, Self::Calico, Self::Cilium, Self::Aws];

    /// The name as typed on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Calico => "calico",
            Self::Cilium => "cilium",
            Self::Aws => "aws",
        }
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is not the name of a profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a profile: expected upstream, calico, cilium or aws")]
pub struct ParseProfileError(pub String);

impl FromStr for ProfileName {
    type Err = ParseProfileError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|name| name.as_str() == text)
            .ok_or_else(|| ParseProfileError(text.to_owned()))
    }
}

impl Profile {
    /// The profile with this name.
    #[must_use]
    pub fn named(name: ProfileName) -> Self {
        Self {
            name,
            blocks_match_cluster_addresses: name != ProfileName::Cilium,
            pod_reaches_own_node: true,
            judges_before_dnat: name == ProfileName::Aws,
        }
    }

    /// The same profile, with traffic from a pod to its own node judged by its
    /// policies like any other.
    #[must_use]
    pub fn strict_own_node(mut self) -> Self {
        self.pod_reaches_own_node = false;
        self
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::named(ProfileName::Upstream)
    }
}
