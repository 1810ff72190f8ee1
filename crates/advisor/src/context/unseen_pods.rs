//! Pods that an operator makes of an object of the input, and that the input does not have.

use ringfence_model::labels::LabelValue;
use ringfence_model::object::ObjectRef;
use ringfence_model::operators::{self, Operator, UNSEEN_PODS};
use ringfence_model::snapshot::NamespaceId;

use super::Context;

/// An object of which an operator makes pods, none of which are in the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnseenPods {
    /// The object, with its namespace.
    pub of: ObjectRef,
    /// Who makes them.
    pub operator: &'static Operator,
}

/// In the order of the input.
pub(super) fn of(context: &Context<'_>) -> Vec<UnseenPods> {
    let applied_to = context.options.default_namespace();
    let notes = context.diagnostics.iter();
    let notes = notes.filter(|diagnostic| diagnostic.code == UNSEEN_PODS);
    let objects = notes.filter_map(|diagnostic| diagnostic.object.clone());
    let mut unseen = Vec::new();
    for mut object in objects {
        let Some(operator) = operators::find(&object.api_version, &object.kind) else {
            continue;
        };
        let namespace = object.namespace.get_or_insert_with(|| applied_to.into());
        let id = context.snapshot.find_namespace(namespace);
        let mut pods = id.into_iter().flat_map(|id| context.snapshot.pods_in(id));
        let wanted = format!("{}{}", object.name, operator.suffix);
        let wanted = LabelValue::Present(&wanted);
        if !pods.any(|(_, pod)| pod.labels.get(operator.label) == wanted) {
            let of = object;
            unseen.push(UnseenPods { of, operator });
        }
    }
    unseen
}

impl Context<'_> {
    /// The objects of which an operator makes pods that the input does not have.
    #[must_use]
    pub fn unseen_pods(&self) -> &[UnseenPods] {
        self.unseen_pods.get_or_init(|| of(self))
    }

    /// Whether a namespace has pods that an operator makes, for certain, and that the input
    /// does not have.
    pub(crate) fn has_operated_pods(&self, namespace: NamespaceId) -> bool {
        let name = Some(&self.snapshot.namespace(namespace).name);
        let mut unseen = self.unseen_pods().iter();
        unseen.any(|unseen| unseen.of.namespace.as_ref() == name)
    }
}
