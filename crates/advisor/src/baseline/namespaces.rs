use std::sync::Arc;

use ringfence_model::parse::names;
use ringfence_model::snapshot::NamespaceId;

use super::request::{BaselineError, Request};
use crate::context::{Context, Group, Role};

/// A namespace that policies are written for.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// Its name.
    pub(super) name: Arc<str>,
    /// Its number in the snapshot, if it is in the input.
    pub(super) id: Option<NamespaceId>,
}

impl Target {
    /// Its pods that policies apply to.
    pub(super) fn groups<'c>(
        &self,
        context: &'c Context<'_>,
    ) -> impl Iterator<Item = (usize, &'c Group)> + use<'c> {
        let id = self.id;
        let groups = context.groups().iter().enumerate();
        groups.filter(move |(_, group)| Some(group.namespace) == id && !group.host_network)
    }
}

/// The namespaces that are named, or all of the input that run workloads. What is left
/// out is noted.
pub(super) fn choose(
    context: &Context<'_>,
    request: &Request,
    notes: &mut Vec<String>,
) -> Result<Vec<Target>, BaselineError> {
    let mut targets = Vec::new();
    if request.namespaces.is_empty() {
        for (id, namespace) in context.snapshot.namespace_ids() {
            let name = Arc::clone(&namespace.name);
            let target = Target { name, id: Some(id) };
            if target.groups(context).next().is_some() && is_for_workloads(context, &target, notes)
            {
                targets.push(target);
            }
        }
        if targets.is_empty() {
            return Err(BaselineError::NoNamespace);
        }
        return Ok(targets);
    }
    let mut named: Vec<&String> = request.namespaces.iter().collect();
    named.sort_unstable();
    named.dedup();
    for name in named {
        let id = context.snapshot.find_namespace(name);
        let target = Target {
            name: name.as_str().into(),
            id,
        };
        if may_be_closed(context, &target, request.force, notes) {
            targets.push(target);
        }
    }
    Ok(targets)
}

/// Whether a default deny in a namespace that nobody named breaks nothing but what is in
/// it.
fn is_for_workloads(context: &Context<'_>, target: &Target, notes: &mut Vec<String>) -> bool {
    let Some(id) = target.id else {
        return true;
    };
    let name = &target.name;
    let role = context.role(id);
    let why = if !context.snapshot.namespace(id).identity_known {
        // A stand-in for something outside the input.
        return false;
    } else if names::label(name).is_err() {
        "no namespace can be called so".to_owned()
    } else if role != Role::Workloads {
        let force = match role.is_protected() {
            true => " with --force",
            false => "",
        };
        let role = role.describe();
        format!("it is {role}, which needs rules of its own first: name it{force} to include it")
    } else {
        return true;
    };
    notes.push(format!("`{name}` was left out: {why}"));
    false
}

/// Whether a namespace that was named is written for.
fn may_be_closed(
    context: &Context<'_>,
    target: &Target,
    force: bool,
    notes: &mut Vec<String>,
) -> bool {
    let name = &target.name;
    let role = match target.id {
        Some(id) => context.role(id),
        None => Role::of_name(name),
    };
    if role.is_protected() && !force {
        notes.push(format!(
            "`{name}` was left out: it is {}, and a default deny there can break the cluster; \
             --force includes it",
            role.describe()
        ));
        return false;
    }
    if role != Role::Workloads {
        notes.push(format!(
            "`{name}` is {}: allow what it needs before these policies are applied",
            role.describe()
        ));
    }
    let is_known = target.id.is_some_and(|id| has_objects(context, id));
    if !is_known && has_input(context) {
        notes.push(format!(
            "`{name}` is not in the input: its policies are written without knowing its pods"
        ));
    }
    true
}

/// Whether anything was read at all.
fn has_input(context: &Context<'_>) -> bool {
    let ids = context.snapshot.namespace_ids();
    let mut ids = ids.map(|(id, _)| id);
    ids.any(|id| has_objects(context, id))
}

/// Whether something of the input is in the namespace, or declares it.
fn has_objects(context: &Context<'_>, id: NamespaceId) -> bool {
    let snapshot = context.snapshot;
    let name = &snapshot.namespace(id).name;
    snapshot.namespace(id).origin.is_some()
        || snapshot
            .workloads
            .iter()
            .any(|workload| workload.namespace == id && workload.origin.is_some())
        || snapshot.services.iter().any(|s| s.namespace == id)
        || snapshot
            .policies
            .iter()
            .any(|policy| policy.namespace.as_ref() == Some(name))
}

/// Notes the namespaces in which name servers are: what does not let queries in there keeps
/// every namespace from resolving names.
pub(super) fn note_name_servers(
    context: &Context<'_>,
    targets: &[Target],
    notes: &mut Vec<String>,
) {
    for target in targets {
        let servers = context.dns.servers.iter();
        let mut ports: Vec<String> = servers
            .filter(|(pod, _)| Some(context.snapshot.pod(*pod).namespace) == target.id)
            .filter(|(pod, _)| !context.dns.is_assumed(*pod))
            .map(|(_, port)| port.to_string())
            .collect();
        ports.sort_unstable();
        ports.dedup();
        if !ports.is_empty() {
            notes.push(format!(
                "the name servers of the cluster are in `{}`: let queries in there, to port {} \
                 over UDP and TCP from every namespace, before its default deny is applied",
                target.name,
                ports.join(" and ")
            ));
        }
    }
}
