//! What fails a control and is no finding.

use ringfence_model::diagnostic::Severity;
use ringfence_model::policy::{Direction, Tier};
use ringfence_model::snapshot::NamespaceId;
use ringfence_model::source::KeyPath;
use ringfence_model::tri::Tri;

use super::assess::{Accepted, Objection, Open};
use crate::context::{Context, Group, NETWORKS};
use crate::finding::Place;
use crate::report::Report;
use crate::rule::Code;
use crate::why_open::ingress;

/// What is looked for in each namespace that has pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fact {
    /// It has no `NetworkPolicy`.
    NoPolicy,
    /// It has pods that accept connections from everywhere, for no policy isolates them.
    IngressOpen,
}

/// What is to be said about a fact.
#[derive(Default)]
pub(super) struct Said {
    pub(super) failing: Vec<Objection>,
    pub(super) accepted: Vec<Accepted>,
    pub(super) open: Vec<Open>,
}

impl Fact {
    /// What is meant, in words.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::NoPolicy => "a namespace with pods and without a NetworkPolicy",
            Self::IngressOpen => "pods whose ingress no policy isolates",
        }
    }

    /// The rule whose suppression for a namespace accepts this as well.
    fn accepted_with(self) -> Option<Code> {
        match self {
            Self::NoPolicy => Some(Code(201)),
            Self::IngressOpen => None,
        }
    }

    pub(super) fn look(self, context: &Context<'_>, report: &Report) -> Said {
        let mut said = Said::default();
        for (id, namespace) in context.snapshot.namespace_ids() {
            let mut groups = context.groups_in(id).filter(|group| !group.host_network);
            let has_unseen = context.has_unseen_pods(id);
            let has_some = groups.next().is_some() || context.has_operated_pods(id);
            if !has_some && !has_unseen {
                continue;
            }
            let name = &namespace.name;
            let found = match self {
                Self::NoPolicy => no_policy(context, id),
                Self::IngressOpen => ingress_open(context, id),
            };
            match found {
                Found::Nothing if self == Self::IngressOpen && context.has_other_networks(id) => {
                    said.open.push(Open {
                        code: None,
                        what: format!(
                            "whether pods of namespace `{name}` are isolated in other networks"
                        ),
                        why: format!(
                            "the annotation `{NETWORKS}` adds interfaces, to which no \
                             NetworkPolicy applies"
                        ),
                        how: "look at the NetworkAttachmentDefinitions".to_owned(),
                    });
                }
                // What isolates the pods that an operator makes is not known.
                Found::Nothing if !has_unseen || self == Self::NoPolicy => {}
                Found::True(_) if !has_some => said.open.push(Open {
                    code: None,
                    what: format!("whether namespace `{name}` has pods, and needs a NetworkPolicy"),
                    why: "the input has objects of which pods may be made, and no pods".to_owned(),
                    how: "give the pods that are missing".to_owned(),
                }),
                Found::Nothing | Found::Unknown => said.open.push(Open {
                    code: None,
                    what: format!("whether policies isolate the ingress of namespace `{name}`"),
                    why: "it depends on pods, labels or policies that the input does not have"
                        .to_owned(),
                    how: "give the objects that are missing".to_owned(),
                }),
                Found::True(objection) => match self.acceptance(context, report, id) {
                    Some((reason, by)) => said.accepted.push(Accepted {
                        objection: *objection,
                        reason,
                        by,
                    }),
                    None => said.failing.push(*objection),
                },
            }
        }
        said
    }

    /// Why it is as it should be in a namespace, and who says so.
    fn acceptance(
        self,
        context: &Context<'_>,
        report: &Report,
        id: NamespaceId,
    ) -> Option<(String, String)> {
        let name = &*context.snapshot.namespace(id).name;
        let role = context.role(id);
        if role.is_protected() {
            let by = format!("`{name}` is {}", role.describe());
            return Some(("a default deny there breaks the cluster".to_owned(), by));
        }
        let code = self.accepted_with()?;
        let suppressed = report.suppressed.iter().find(|suppressed| {
            let finding = &suppressed.finding;
            let is_namespace = &*finding.object.kind == "Namespace";
            finding.rule.code == code && is_namespace && &*finding.object.name == name
        })?;
        Some((suppressed.reason.clone(), suppressed.by.clone()))
    }
}

enum Found {
    Nothing,
    Unknown,
    True(Box<Objection>),
}

fn no_policy(context: &Context<'_>, id: NamespaceId) -> Found {
    let name = &context.snapshot.namespace(id).name;
    let mut policies = context.snapshot.policies.iter();
    match policies.any(|policy| policy.namespace.as_ref() == Some(name)) {
        true => Found::Nothing,
        false => Found::True(objection(
            context,
            id,
            format!("namespace `{name}` has no NetworkPolicy"),
            Vec::new(),
        )),
    }
}

fn ingress_open(context: &Context<'_>, id: NamespaceId) -> Found {
    let name = &context.snapshot.namespace(id).name;
    let groups = || context.groups_in(id).filter(|group| !group.host_network);
    let open: Vec<&Group> = groups()
        .filter(|g| is_open(context, g) == Tri::Yes)
        .collect();
    if !open.is_empty() {
        let is_all = open.len() == groups().count();
        let affected = context.workloads(open.iter().flat_map(|g| g.pods.iter().copied()));
        let message = match is_all {
            true => format!("no policy isolates the ingress of namespace `{name}`"),
            false => format!(
                "no policy isolates the ingress of {}",
                context.list(&affected)
            ),
        };
        return Found::True(objection(context, id, message, affected));
    }
    match groups().any(|group| is_open(context, group) == Tri::Unknown) {
        true => Found::Unknown,
        false => Found::Nothing,
    }
}

/// Whether nothing isolates the ingress of a group; a cluster-wide policy may.
fn is_open(context: &Context<'_>, group: &Group) -> Tri {
    if group.ingress_isolated == Tri::Yes {
        return Tri::No;
    }
    let mut policies = context.engine.policies_for(group.first, Direction::Ingress);
    let has_cluster_wide =
        policies.any(|(id, _)| context.snapshot.policy(id).tier() != Tier::NetworkPolicy);
    match (has_cluster_wide, group.ingress_isolated) {
        (true, _) => ingress(context, group.first),
        (false, Tri::No) => Tri::Yes,
        (false, _) => Tri::Unknown,
    }
}

fn objection(
    context: &Context<'_>,
    id: NamespaceId,
    message: String,
    affected: Vec<ringfence_model::snapshot::WorkloadId>,
) -> Box<Objection> {
    let origin = context.snapshot.namespace(id).origin.as_ref();
    let path = KeyPath::root().key("metadata").key("name");
    Box::new(Objection {
        code: None,
        severity: Severity::Error,
        message,
        object: context.namespace_ref(id),
        place: origin.map(|origin| Place::value(origin, path, "")),
        affected,
    })
}
