use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::str::FromStr;

use ipnet::IpNet;
use ringfence_engine::profile::ProfileName;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::WorkloadId;

/// Which policies to propose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Preset {
    /// What a namespace of workloads needs: a default deny in both directions, DNS, and
    /// what is asked for besides.
    Production,
    /// A default deny in both directions.
    DenyAll,
    /// A default deny for egress, which closes DNS too.
    DefaultDenyAllEgress,
    /// DNS.
    AllowDns,
    /// The Kubernetes API.
    AllowKubeApi,
    /// HTTPS to the public internet.
    AllowInternetHttps,
    /// The production set, and connections inside the namespace.
    InternalOnly,
    /// Connections from one workload to another: both sides.
    WorkloadToWorkload,
    /// Connections from one workload to addresses.
    WorkloadToCidr,
    /// No cloud metadata.
    DenyMetadata,
}

impl Preset {
    /// Every preset, the default first.
    pub const ALL: [Self; 10] = [
        Self::Production,
        Self::DenyAll,
        Self::DefaultDenyAllEgress,
        Self::AllowDns,
        Self::AllowKubeApi,
        Self::AllowInternetHttps,
        Self::InternalOnly,
        Self::WorkloadToWorkload,
        Self::WorkloadToCidr,
        Self::DenyMetadata,
    ];

    /// The name that it is asked for by.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::DenyAll => "deny-all",
            Self::DefaultDenyAllEgress => "default-deny-all-egress",
            Self::AllowDns => "allow-dns",
            Self::AllowKubeApi => "allow-kube-api",
            Self::AllowInternetHttps => "allow-internet-https",
            Self::InternalOnly => "internal-only",
            Self::WorkloadToWorkload => "workload-to-workload",
            Self::WorkloadToCidr => "workload-to-cidr",
            Self::DenyMetadata => "deny-metadata",
        }
    }

    /// Whether it has a policy for DNS, so that it matters which name servers there are.
    #[must_use]
    pub fn needs_name_servers(self) -> bool {
        matches!(self, Self::Production | Self::InternalOnly | Self::AllowDns)
    }

    /// Whether it is about a connection between two ends.
    #[must_use]
    pub fn is_connection(self) -> bool {
        matches!(self, Self::WorkloadToWorkload | Self::WorkloadToCidr)
    }

    /// Whether after it nothing is open that another policy does not open.
    pub(super) fn closes(self) -> bool {
        matches!(self, Self::Production | Self::InternalOnly | Self::DenyAll)
    }
}

/// There is no preset of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a preset: expected one of {known}", known = Preset::ALL.map(Preset::as_str).join(", "))]
pub struct ParsePresetError(pub String);

impl FromStr for Preset {
    type Err = ParsePresetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|preset| preset.as_str() == text)
            .ok_or_else(|| ParsePresetError(text.to_owned()))
    }
}

/// Which name servers the cluster has, where the input does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DnsChoice {
    /// CoreDNS or kube-dns in `kube-system`.
    KubeDns,
    /// The same, behind a cache on every node.
    NodeLocal,
    /// The DNS operator of OpenShift.
    OpenShift,
}

impl DnsChoice {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::KubeDns, Self::NodeLocal, Self::OpenShift];

    /// The name that it is asked for by.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KubeDns => "kube-dns",
            Self::NodeLocal => "nodelocal",
            Self::OpenShift => "openshift",
        }
    }

    /// What it is, in words.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::KubeDns => "CoreDNS or kube-dns in kube-system",
            Self::NodeLocal => "The same, behind NodeLocal DNSCache",
            Self::OpenShift => "The DNS operator of OpenShift",
        }
    }
}

/// These name servers are not among the choices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no choice of name servers: expected one of {known}", known = DnsChoice::ALL.map(DnsChoice::as_str).join(", "))]
pub struct ParseDnsChoiceError(pub String);

impl FromStr for DnsChoice {
    type Err = ParseDnsChoiceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|choice| choice.as_str() == text)
            .ok_or_else(|| ParseDnsChoiceError(text.to_owned()))
    }
}

/// Where the API server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KubeApi {
    /// Where the endpoints of `default/kubernetes` in the input say.
    FromInput,
    /// There.
    At(Vec<SocketAddr>),
}

/// A connection between a workload and something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Who opens it.
    pub from: WorkloadId,
    /// Who accepts it.
    pub to: Destination,
    /// On which ports, those of pods; not empty.
    pub ports: Vec<PortRange>,
}

/// The other end of a [`Flow`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A workload.
    Workload(WorkloadId),
    /// Addresses outside the cluster.
    Block(IpNet),
}

/// Ports of one protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRange {
    /// The protocol.
    pub protocol: Protocol,
    /// The first port.
    pub start: u16,
    /// The last port, inclusive.
    pub end: u16,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which policies.
    pub preset: Preset,
    /// For which namespaces; empty for all of the input that run workloads.
    pub namespaces: Vec<String>,
    /// Also for namespaces of the control plane that are named.
    pub force: bool,
    /// The name servers; `None` for those of the input.
    pub dns: Option<DnsChoice>,
    /// Whether the set opens the API server, and where it is.
    pub kube_api: Option<KubeApi>,
    /// Whether the set opens HTTPS to the internet.
    pub internet: bool,
    /// Whether the set opens the namespace to itself.
    pub intra_namespace: bool,
    /// The labels of the pods that the API server and the internet are opened for; empty
    /// for all.
    pub pods: BTreeMap<String, String>,
    /// Annotations for every policy.
    pub annotations: BTreeMap<String, String>,
    /// The ranges of Services, which are not the internet.
    pub service_cidrs: Vec<IpNet>,
    /// Whether [`Preset::DenyMetadata`] is written as a `ClusterNetworkPolicy`.
    pub cluster_policy: bool,
    /// The connection of [`Preset::WorkloadToWorkload`] and [`Preset::WorkloadToCidr`].
    pub flow: Option<Flow>,
    /// Whether what is in place already is left out.
    pub patch: bool,
}

impl Request {
    /// A request for a preset with nothing else chosen.
    #[must_use]
    pub fn new(preset: Preset) -> Self {
        Self {
            preset,
            namespaces: Vec::new(),
            force: false,
            dns: None,
            kube_api: None,
            internet: false,
            intra_namespace: false,
            pods: BTreeMap::new(),
            annotations: BTreeMap::new(),
            service_cidrs: Vec::new(),
            cluster_policy: false,
            flow: None,
            patch: false,
        }
    }
}

/// Why nothing can be proposed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaselineError {
    /// The input has no namespace to write policies for.
    #[error("no namespace of the input has pods that policies apply to: name the namespaces")]
    NoNamespace,
    /// The API server is not in the input.
    #[error(
        "the input does not say where the API server is: add the endpoints of default/kubernetes \
         to it (`kubectl get endpointslice -n default -o yaml`), or give their address and port, \
         as in --kube-api=10.0.0.1:6443 (not the address of the Service: policies see where a \
         connection ends)"
    )]
    NoApiServer,
    /// The API server is at an address of a node, which no block matches in this profile.
    #[error(
        "the API server answers at {0}, an address of a node, which no `ipBlock` matches under \
         profile {1}: {2}"
    )]
    ApiServerOnNode(SocketAddr, ProfileName, &'static str),
    /// The name servers use their node's network, and no address of it is known.
    #[error(
        "the name servers use their node's network, where no selector means them, and the input \
         does not say at which addresses: add the nodes to it (`kubectl get nodes -o yaml`)"
    )]
    NameServersOnNodes,
    /// Pod and service ranges cover everything public.
    #[error("the pod and service ranges leave nothing of the internet: {0}")]
    NoInternet(String),
    /// The workload cannot be selected.
    #[error("`{0}` has no labels, so that no selector can mean it alone: label its pods")]
    NoLabels(String),
    /// The workload is not selected by policies.
    #[error("`{0}` uses its node's network: no policy applies to it")]
    HostNetwork(String),
    /// The addresses are a metadata service.
    #[error(
        "`{0}` is the metadata service of {1}, which hands out credentials: no policy should \
             allow it"
    )]
    Metadata(IpNet, &'static str),
    /// The policies would isolate what every pod needs.
    #[error(
        "`{0}` is {1}, and a policy that selects it closes it for everybody whom no policy allows: \
         add the rules that it needs first, or --force"
    )]
    ClosesCluster(String, String),
    /// There is no metadata endpoint to deny.
    #[error("no metadata endpoint is known for the chosen providers")]
    NoMetadata,
    /// The policy would open what is closed.
    #[error(
        "policies isolate the egress of {0} already: a NetworkPolicy cannot deny, and one that \
         allows all but metadata would open what they close; `ringfence check` names the rules \
         that reach metadata, and --cluster-policy writes a denial that no NetworkPolicy undoes"
    )]
    WouldOpen(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_asked_for_is_found_by_its_name() {
        for preset in Preset::ALL {
            assert_eq!(preset.as_str().parse(), Ok(preset));
        }
        for choice in DnsChoice::ALL {
            assert_eq!(choice.as_str().parse(), Ok(choice));
        }
    }

    #[test]
    fn another_name_is_an_error_that_lists_the_names() {
        let error = "deny".parse::<Preset>().unwrap_err().to_string();
        assert!(
            error.contains("deny-all, default-deny-all-egress"),
            "{error}"
        );
        let error = "coredns".parse::<DnsChoice>().unwrap_err().to_string();
        assert!(error.contains("kube-dns, nodelocal, openshift"), "{error}");
    }
}
