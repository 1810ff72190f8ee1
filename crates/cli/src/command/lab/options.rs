//! What `run` and `up` have in common.

use clap::{Args, ValueEnum};
use ringfence_lab::schedule::Options;
use ringfence_lab::session::Policies;
use ringfence_lab::topology::Cni;
use ringfence_model::address::IpFamily;

use crate::args::InputOptions;

/// What is built of the manifests.
#[derive(Clone, Debug, Args)]
pub(crate) struct BuildOptions {
    /// How many nodes there are; more if the manifests name more
    #[arg(long, value_name = "N", default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=32))]
    pub(crate) nodes: u16,

    /// How pods are connected to their nodes
    #[arg(long, value_name = "KIND", default_value = "routed")]
    pub(crate) cni: CniChoice,

    /// How many pods of one workload run at most
    #[arg(long, value_name = "N", default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) replicas: u32,

    /// Give every node a name server of its own at 169.254.20.10, as NodeLocal DNSCache does;
    /// pods ask it instead of the cluster DNS
    #[arg(long)]
    pub(crate) node_local_dns: bool,

    /// Deny nothing: show what would be denied
    #[arg(long, conflicts_with = "no_enforce")]
    pub(crate) audit: bool,

    /// Enforce nothing, as a network plugin does that knows no policies
    #[arg(long)]
    pub(crate) no_enforce: bool,

    #[command(flatten)]
    pub(crate) input: InputOptions,
}

/// `--cni`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CniChoice {
    /// Each pod has a link of its own to the node, which routes
    Routed,
    /// The pods of a node are on one bridge
    Bridge,
}

impl BuildOptions {
    /// The families that were asked for.
    pub(crate) fn families(&self) -> Option<Vec<IpFamily>> {
        self.input.reading.families()
    }

    pub(crate) fn cni(&self) -> Cni {
        match self.cni {
            CniChoice::Routed => Cni::Routed,
            CniChoice::Bridge => Cni::Bridge,
        }
    }

    pub(crate) fn policies(&self) -> Policies {
        match (self.audit, self.no_enforce) {
            (true, _) => Policies::Audited,
            (_, true) => Policies::Ignored,
            _ => Policies::Enforced,
        }
    }

    pub(crate) fn schedule(&self) -> Options {
        Options {
            nodes: usize::from(self.nodes),
            families: self.families(),
            replicas: self.replicas,
            node_local_dns: self.node_local_dns,
            ..Options::default()
        }
    }
}
