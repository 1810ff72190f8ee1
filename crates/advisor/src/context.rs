//! What every rule may ask: the engine, and facts about the cluster that several rules
//! need, each computed once.

mod dns;
mod exposure;
mod groups;
mod inventory;
mod roles;

pub(crate) use dns::{CACHE_ADDRESS, has_labelled_name_servers, name_server_labels};
pub use dns::{Dns, DnsFlavour, DnsReach, assumed_name_servers};
pub use exposure::{Exposure, InternetReach};
pub use groups::Group;
pub use inventory::{ContainerFacts, Inventory};
pub use roles::Role;

use std::sync::OnceLock;

use ringfence_engine::Engine;
use ringfence_engine::explain::{Explanation, explain};
use ringfence_engine::{Packet, Verdict};
use ringfence_model::diagnostic::Diagnostic;
use ringfence_model::metadata::{ENDPOINTS, MetadataEndpoint};
use ringfence_model::object::ObjectRef;
use ringfence_model::parse::Sources;
use ringfence_model::policy::Policy;
use ringfence_model::snapshot::{NamespaceId, PodId, PolicyId, Snapshot, WorkloadId};

use crate::check::Input;
use crate::finding::Witness;
use crate::rule::{Code, CodePrefix};

/// What somebody who checks can choose.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The cloud providers whose metadata endpoints count, by the names of the table or
    /// the beginnings of them, in any case (`aws`, `azure`); empty for all.
    pub providers: Vec<String>,
    /// The rules to look for; empty for all.
    pub select: Vec<CodePrefix>,
    /// Rules not to look for, of those.
    pub ignore: Vec<CodePrefix>,
}

impl Options {
    /// Whether a rule is looked for.
    #[must_use]
    pub fn wants(&self, code: Code) -> bool {
        let covered = |prefixes: &[CodePrefix]| prefixes.iter().any(|p| p.covers(code));
        (self.select.is_empty() || covered(&self.select)) && !covered(&self.ignore)
    }

    /// Whether the endpoint is one of the chosen providers', and gives secrets away.
    #[must_use]
    pub fn counts(&self, endpoint: &MetadataEndpoint) -> bool {
        let provider = endpoint.provider.to_ascii_lowercase();
        endpoint.gives_secrets
            && (self.providers.is_empty()
                || self
                    .providers
                    .iter()
                    .any(|chosen| provider.starts_with(&chosen.to_ascii_lowercase())))
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
    groups: Vec<Group>,
    roles: Vec<Role>,
    exposures: OnceLock<Vec<Vec<Exposure>>>,
    internet: OnceLock<Vec<InternetReach>>,
}

impl<'a> Context<'a> {
    /// The context for one input.
    #[must_use]
    pub fn new(input: &Input<'a>) -> Self {
        let snapshot = &**input.engine.snapshot();
        let dns = Dns::find(snapshot, input.inventory, input.assumed_dns);
        let groups = groups::of(input.engine, &dns);
        Self {
            engine: input.engine,
            snapshot,
            sources: input.sources,
            diagnostics: input.diagnostics,
            inventory: input.inventory,
            options: input.options,
            dns,
            groups,
            roles: roles::of(snapshot),
            exposures: OnceLock::new(),
            internet: OnceLock::new(),
        }
    }

    /// The pods of the input, those together that no policy can tell apart. Stand-ins for
    /// what is outside the input and what was assumed are left out.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
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
        self.exposures.get_or_init(|| exposure::metadata(self))
    }

    /// What each of [`groups`](Self::groups) can open to the public internet.
    #[must_use]
    pub fn internet(&self) -> &[InternetReach] {
        self.internet.get_or_init(|| exposure::internet(self))
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
        }
    }

    /// Whether a verdict is one that a finding may rest on.
    #[must_use]
    pub fn is_open(&self, packet: &Packet) -> bool {
        self.engine.can(packet) == Verdict::Allowed
    }

    /// A policy by its name.
    #[must_use]
    pub fn policy_ref(&self, id: PolicyId) -> ObjectRef {
        object_of(self.snapshot.policy(id))
    }

    /// A workload by its name.
    #[must_use]
    pub fn workload_ref(&self, id: WorkloadId) -> ObjectRef {
        let workload = self.snapshot.workload(id);
        ObjectRef {
            api_version: api_version_of(&workload.kind).into(),
            kind: workload.kind.clone(),
            namespace: Some(self.snapshot.namespace(workload.namespace).name.clone()),
            name: workload.name.clone(),
        }
    }

    /// A namespace by its name.
    #[must_use]
    pub fn namespace_ref(&self, id: NamespaceId) -> ObjectRef {
        ObjectRef {
            api_version: "v1".into(),
            kind: "Namespace".into(),
            namespace: None,
            name: self.snapshot.namespace(id).name.clone(),
        }
    }

    /// `ns/name` of the workload of a pod.
    #[must_use]
    pub fn name_of(&self, pod: PodId) -> String {
        let pod = self.snapshot.pod(pod);
        let workload = self.snapshot.workload(pod.workload);
        let namespace = &self.snapshot.namespace(workload.namespace).name;
        format!("{namespace}/{}", workload.name)
    }

    /// The workloads of some pods, ascending, each once.
    #[must_use]
    pub fn workloads(&self, pods: impl IntoIterator<Item = PodId>) -> Vec<WorkloadId> {
        let mut workloads: Vec<WorkloadId> = pods
            .into_iter()
            .map(|pod| self.snapshot.pod(pod).workload)
            .collect();
        workloads.sort_unstable();
        workloads.dedup();
        workloads
    }

    /// Some workloads for a sentence: `shop/cart`, `shop/cart and shop/db`, or
    /// `shop/cart, shop/db and 7 more workloads`.
    #[must_use]
    pub fn list(&self, workloads: &[WorkloadId]) -> String {
        const SHOWN: usize = 3;
        let name = |id: &WorkloadId| {
            let workload = self.snapshot.workload(*id);
            let namespace = &self.snapshot.namespace(workload.namespace).name;
            format!("{namespace}/{}", workload.name)
        };
        let names: Vec<String> = workloads.iter().take(SHOWN).map(name).collect();
        match (names.as_slice(), workloads.len().saturating_sub(SHOWN)) {
            ([], _) => "no workload".to_owned(),
            ([one], 0) => one.clone(),
            ([first @ .., last], 0) => format!("{} and {last}", first.join(", ")),
            (all, 1) => format!("{} and one more workload", all.join(", ")),
            (all, more) => format!("{} and {more} more workloads", all.join(", ")),
        }
    }
}

/// A policy by its name.
pub(crate) fn object_of(policy: &Policy) -> ObjectRef {
    ObjectRef {
        api_version: policy.family.api_version().into(),
        kind: policy.family.kind().into(),
        namespace: policy.namespace.clone(),
        name: policy.name.clone(),
    }
}

fn api_version_of(kind: &str) -> &'static str {
    match kind {
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" => "apps/v1",
        "Job" | "CronJob" => "batch/v1",
        "Pod" | "ReplicationController" => "v1",
        _ => "",
    }
}
