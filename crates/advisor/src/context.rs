//! What every rule may ask: the engine, and facts about the cluster that several rules
//! need, each computed once.

mod backstop;
mod cni;
mod denial;
mod dns;
mod dns_clients;
mod dns_elsewhere;
mod dns_rules;
mod ends;
mod exceptions;
mod exposure;
mod groups;
mod internet;
mod inventory;
mod manifest_paths;
mod namespace_width;
mod node_agents;
mod objects;
mod openings;
mod other_networks;
mod out_of_blocks;
mod policies_alone;
mod port_width;
mod roles;
mod service_ports;
mod unlooked;
mod unseen_pods;
mod unseen_ways;
mod written;

pub use cni::{Cni, CniPart, Enforcement, Plugin, Version};
pub(crate) use dns::{CACHE_ADDRESS, has_labelled_name_servers, name_server_labels};
pub use dns::{
    Dns, DnsFlavour, DnsReach, NAME_SERVER_LABELS, NAME_SERVER_SERVICES, assumed_name_servers,
};
pub use dns_clients::Asked;
pub use dns_rules::{DnsFault, DnsProblem, DnsRule};
pub use ends::port_text;
pub use exceptions::Exceptions;
pub(crate) use exceptions::{append as append_exceptions, listed as list_exceptions};
pub use exposure::{Exposure, InternetReach};
pub use groups::Group;
pub use internet::InternetInParts;
pub(crate) use internet::{is_the_internet, is_whole_internet, share_in_words};
pub use inventory::{ContainerFacts, Inventory, Resolver};
pub use manifest_paths::{pod_spec_path, pod_template_path};
pub(crate) use namespace_width::NearlyEvery;
pub use node_agents::node_agent;
pub use openings::{Cause, Opening, address_text};
pub(crate) use other_networks::NETWORKS;
pub(crate) use out_of_blocks::{NOT_BY_BLOCK, is_out_of_blocks};
pub use policies_alone::{DnsAlone, PoliciesAlone};
pub(crate) use port_width::{PortWidth, WidePorts};
pub use roles::Role;
pub use service_ports::{ServicePorts, Translated};
pub use unlooked::Unlooked;
pub use unseen_pods::UnseenPods;
pub(crate) use unseen_ways::{End, Unseen};
pub use written::{WrittenBlock, WrittenRule, numbers_of, rule_path};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use jiff::civil::Date;
use ringfence_engine::explain::{Explanation, explain};
use ringfence_engine::{Engine, Packet, Peer, RuleRef, Verdict};
use ringfence_model::diagnostic::{Diagnostic, Severity};
use ringfence_model::metadata::{ENDPOINTS, MetadataEndpoint};
use ringfence_model::parse::Sources;
use ringfence_model::policy::Policy;
use ringfence_model::snapshot::{NamespaceId, PodId, PolicyId, Snapshot, WorkloadId};

use crate::check::Input;
use crate::config::{Justification, Suppression};
use crate::finding::Witness;
use crate::not_counted::{Limits, NotCounted};
use crate::provider::Provider;
use crate::rule::{Code, CodePrefix};

/// What somebody who checks can choose.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The cloud providers whose metadata endpoints count; empty for all.
    pub providers: Vec<Provider>,
    /// The rules to look for; empty for all.
    pub select: Vec<CodePrefix>,
    /// Rules not to look for, of those.
    pub ignore: Vec<CodePrefix>,
    /// Other severities than the rules have.
    pub severities: BTreeMap<Code, Severity>,
    /// The annotations that justify a policy.
    pub justification: Justification,
    /// Findings to live with.
    pub suppressions: Vec<Suppression>,
    /// The namespace that the objects are applied to, if one was named (`-n`).
    pub applied_to: Option<String>,
    /// The day on which it is checked, for what expires; without it nothing does.
    pub today: Option<Date>,
}

impl Options {
    /// Whether a rule is looked for.
    #[must_use]
    pub fn wants(&self, code: Code) -> bool {
        let covered = |prefixes: &[CodePrefix]| prefixes.iter().any(|p| p.covers(code));
        (self.select.is_empty() || covered(&self.select)) && !covered(&self.ignore)
    }

    /// The namespace of objects that name none.
    #[must_use]
    pub fn default_namespace(&self) -> &str {
        self.applied_to.as_deref().unwrap_or("default")
    }

    /// Whether the endpoint is one of the chosen providers', and gives secrets away.
    #[must_use]
    pub fn counts(&self, endpoint: &MetadataEndpoint) -> bool {
        let mut chosen = self.providers.iter();
        endpoint.gives_secrets
            && (self.providers.is_empty() || chosen.any(|provider| provider.serves(endpoint)))
    }
}

/// What a rule may ask.
#[derive(Debug)]
pub struct Context<'a> {
    /// The engine that answers.
    pub engine: &'a Engine,
    /// The cluster, including what was assumed.
    pub snapshot: &'a Snapshot,
    /// The texts it was read from.
    pub sources: &'a Sources,
    /// What the reader of the input found wrong.
    pub diagnostics: &'a [Diagnostic],
    /// What the snapshot leaves out of the objects.
    pub inventory: &'a Inventory,
    /// What was chosen.
    pub options: &'a Options,
    /// The name servers.
    pub dns: Dns,
    /// The network plugins.
    pub cni: Cni,
    /// The policies of the input that no verdict counts.
    pub not_counted: NotCounted,
    groups: Vec<Group>,
    roles: Vec<Role>,
    /// Pod by pod.
    first_in_group: Vec<PodId>,
    service_ports: OnceLock<ServicePorts>,
    exposures: OnceLock<Vec<Vec<Exposure>>>,
    internet: OnceLock<Vec<InternetReach>>,
    internet_in_parts: OnceLock<Vec<InternetInParts>>,
    deny_all: OnceLock<Vec<backstop::DenyAll>>,
    openings: OnceLock<BTreeMap<Cause, Vec<Opening>>>,
    written: OnceLock<Vec<WrittenRule<'a>>>,
    dns_clients: OnceLock<Vec<Group>>,
    dns_problems: OnceLock<Vec<DnsProblem>>,
    policies_alone: OnceLock<Vec<PoliciesAlone>>,
    limits: OnceLock<Limits>,
    unseen_ways: OnceLock<Vec<Vec<Unseen>>>,
    unseen_pods: OnceLock<Vec<UnseenPods>>,
    unlooked: OnceLock<Vec<Unlooked>>,
    in_other_networks: OnceLock<Vec<WorkloadId>>,
    unseen_in: OnceLock<BTreeSet<NamespaceId>>,
}

impl<'a> Context<'a> {
    /// The context for one input.
    #[must_use]
    pub fn new(input: &Input<'a>) -> Self {
        let snapshot = &**input.engine.snapshot();
        let dns = Dns::find(snapshot, input.inventory, input.assumed_dns);
        let groups = groups::of(input.engine, &dns);
        let roles = roles::of(snapshot, &dns);
        let first_in_group = ends::first_in_group(snapshot.pods.len(), &groups);
        Self {
            engine: input.engine,
            snapshot,
            sources: input.sources,
            diagnostics: input.diagnostics,
            inventory: input.inventory,
            options: input.options,
            dns,
            cni: Cni::find(input.inventory),
            not_counted: NotCounted::new(input.diagnostics, input.options.default_namespace()),
            groups,
            roles,
            first_in_group,
            service_ports: OnceLock::new(),
            exposures: OnceLock::new(),
            internet: OnceLock::new(),
            internet_in_parts: OnceLock::new(),
            deny_all: OnceLock::new(),
            openings: OnceLock::new(),
            written: OnceLock::new(),
            dns_clients: OnceLock::new(),
            dns_problems: OnceLock::new(),
            policies_alone: OnceLock::new(),
            limits: OnceLock::new(),
            unseen_ways: OnceLock::new(),
            unseen_pods: OnceLock::new(),
            unlooked: OnceLock::new(),
            in_other_networks: OnceLock::new(),
            unseen_in: OnceLock::new(),
        }
    }

    /// The pods of the input, those together that no policy can tell apart. Stand-ins for
    /// what is outside the input and what was assumed are left out.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The cluster-wide policy that denies a group all egress which nothing else allows,
    /// if there is one.
    #[must_use]
    pub fn cluster_wide_deny(&self, group: &Group) -> Option<PolicyId> {
        let candidates = self.deny_all.get_or_init(|| backstop::candidates(self));
        backstop::of(self, candidates, group)
    }

    /// The groups of a namespace, in the order of their first pods.
    pub fn groups_in(&self, namespace: NamespaceId) -> impl Iterator<Item = &Group> {
        // Pods are sorted by namespace, so groups are as well.
        let start = self.groups.partition_point(|g| g.namespace < namespace);
        let groups = self.groups.get(start..).unwrap_or_default();
        groups.iter().take_while(move |g| g.namespace == namespace)
    }

    /// The rules of network policies that are in effect, as they are written, in the order
    /// of the policies; none of another kind of policy.
    #[must_use]
    pub fn written_rules(&self) -> &[WrittenRule<'a>] {
        self.written.get_or_init(|| written::rules(self))
    }

    /// Those of one policy.
    #[must_use]
    pub fn written_rules_of(&self, policy: PolicyId) -> &[WrittenRule<'a>] {
        let all = self.written_rules();
        let start = all.partition_point(|rule| rule.id.policy < policy);
        let rest = all.get(start..).unwrap_or_default();
        let end = rest.partition_point(|rule| rule.id.policy == policy);
        rest.get(..end).unwrap_or_default()
    }

    /// One of them.
    #[must_use]
    pub fn written_rule(&self, id: RuleRef) -> Option<&WrittenRule<'a>> {
        let mut rules = self.written_rules_of(id.policy).iter();
        rules.find(|rule| rule.id == id)
    }

    /// What Services do with ports.
    #[must_use]
    pub fn service_ports(&self) -> &ServicePorts {
        self.service_ports.get_or_init(|| service_ports::of(self))
    }

    /// What a namespace is for.
    #[must_use]
    pub fn role(&self, namespace: NamespaceId) -> Role {
        let role = self.roles.get(namespace.0 as usize);
        role.copied().unwrap_or(Role::Workloads)
    }

    /// The metadata endpoints that count, by provider.
    pub fn metadata_endpoints(&self) -> impl Iterator<Item = &'static MetadataEndpoint> {
        ENDPOINTS.iter().filter(|e| self.options.counts(e))
    }

    /// What each of [`groups`](Self::groups) can open to metadata endpoints; nothing that
    /// is closed.
    #[must_use]
    pub fn exposures(&self) -> &[Vec<Exposure>] {
        self.exposures
            .get_or_init(|| self.exposures_under(self.engine))
    }

    /// What each of [`groups`](Self::groups) can open to the public internet.
    #[must_use]
    pub fn internet(&self) -> &[InternetReach] {
        self.internet
            .get_or_init(|| self.internet_under(self.engine))
    }

    /// What [`exposures`](Self::exposures) would be with other policies.
    pub(crate) fn exposures_under(&self, engine: &Engine) -> Vec<Vec<Exposure>> {
        exposure::metadata(self, engine)
    }

    /// What [`internet`](Self::internet) would be with other policies.
    pub(crate) fn internet_under(&self, engine: &Engine) -> Vec<InternetReach> {
        exposure::internet(self, engine)
    }

    /// For each of [`groups`](Self::groups), what rules open that the pods may have a way to.
    pub(crate) fn unseen_ways(&self) -> &[Vec<Unseen>] {
        self.unseen_ways.get_or_init(|| unseen_ways::of(self))
    }

    /// What groups reach outside at least and at most, whatever policies say that could
    /// not be read.
    pub(crate) fn limits(&self) -> &Limits {
        self.limits.get_or_init(|| Limits::of(self))
    }

    /// The rules that open the public internet together, and none of them alone.
    #[must_use]
    pub fn internet_in_parts(&self) -> &[InternetInParts] {
        self.internet_in_parts
            .get_or_init(|| internet::in_parts(self))
    }

    /// What is open to metadata endpoints, by the rule that opens it.
    #[must_use]
    pub fn openings(&self) -> &BTreeMap<Cause, Vec<Opening>> {
        self.openings.get_or_init(|| openings::of(self))
    }

    /// The namespaces of which the input has policies and no pods, in the order of names.
    #[must_use]
    pub fn policies_alone(&self) -> &[PoliciesAlone] {
        self.policies_alone.get_or_init(|| policies_alone::of(self))
    }

    /// The [clients](Self::dns_clients) that can ask name servers neither over UDP nor over
    /// TCP for certain.
    #[must_use]
    pub fn dns_problems(&self) -> &[DnsProblem] {
        self.dns_problems.get_or_init(|| dns_rules::problems(self))
    }

    /// Whether the input has pods in the namespace of a policy.
    #[must_use]
    pub fn has_pods_beside(&self, policy: &Policy) -> bool {
        let namespace = policy.namespace.as_deref();
        let id = namespace.and_then(|name| self.snapshot.find_namespace(name));
        id.is_some_and(|id| self.groups_in(id).next().is_some())
    }

    /// Why a packet has its verdict.
    #[must_use]
    pub fn explain(&self, packet: &Packet) -> Explanation {
        explain(self.snapshot, &self.engine.profile(), packet)
    }

    /// A packet with its verdict.
    #[must_use]
    pub fn witness(&self, packet: Packet) -> Witness {
        Witness {
            packet,
            verdict: self.engine.can(&packet),
            is_certain: true,
        }
    }

    /// A packet with its verdict, if whoever reads it can ask for it: not if it goes to a
    /// name server that was assumed.
    #[must_use]
    pub fn witness_to_show(&self, packet: Packet) -> Option<Witness> {
        self.is_in_input(packet.destination)
            .then(|| self.witness(packet))
    }

    /// Whether one end of a connection is something that whoever reads a finding can ask
    /// for: not a name server that was assumed.
    #[must_use]
    pub fn is_in_input(&self, peer: Peer) -> bool {
        match peer {
            Peer::Pod(pod) => !self.dns.is_assumed(pod),
            Peer::Address(_) => true,
        }
    }

    /// Whether a verdict is one that a finding may rest on.
    #[must_use]
    pub fn is_open(&self, packet: &Packet) -> bool {
        self.engine.can(packet) == Verdict::Allowed
    }
}
