use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    LabelSelector, LabelSelectorRequirement,
};
use ringfence_model::labels::METADATA_NAME;
use ringfence_model::selector::matches;
use ringfence_model::snapshot::NamespaceId;

use super::Context;

/// With fewer namespaces beside the own one nobody can tell whether a selector is for
/// nearly all of them, or for the one that there happens to be.
const ENOUGH: usize = 3;

/// So many namespaces can be left out of "nearly all", those of the control plane aside.
const LEFT_OUT: usize = 2;

/// One of so many can lack a label that "nearly all" have.
const OF_A_LABEL: usize = 4;

/// Selectors of namespaces that leave few out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NearlyEvery {
    /// The namespaces of the input that are left out, by name.
    pub(crate) left_out: Vec<NamespaceId>,
    /// Whether namespaces that are made later are selected as well: whoever is not named.
    pub(crate) is_open_ended: bool,
}

/// What selectors say of whom they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// They say who it is not.
    AllBut,
    /// They ask that there be a label, whatever its value.
    AnyValue,
    /// They ask for values of labels.
    ByValue,
    /// They list names.
    ByName,
}

impl Context<'_> {
    /// Whether some selectors of namespaces select together all of the input's but `home`
    /// and a few; `None` too where there are too few to tell.
    pub(crate) fn nearly_every_namespace(
        &self,
        home: Option<NamespaceId>,
        selectors: &[&LabelSelector],
    ) -> Option<NearlyEvery> {
        let form = form_of(selectors)?;
        let is_selected = |id: NamespaceId| {
            let labels = &self.snapshot.namespace(id).labels;
            let mut selectors = selectors.iter();
            selectors.any(|selector| matches(selector, labels).certain())
        };
        // What can be reached, and what is there.
        [true, false].into_iter().find_map(|with_pods| {
            let others = self.namespaces_beside(home, with_pods);
            let others: Vec<(NamespaceId, bool)> =
                others.into_iter().map(|id| (id, is_selected(id))).collect();
            let left_out = self.few_left_out(&others)?;
            let selected = others.len() - left_out.len();
            let ordinary = self.ordinary(&left_out);
            let is_wide = match form {
                Form::AllBut => true,
                Form::AnyValue => ordinary * OF_A_LABEL <= others.len(),
                // One that does not have it makes it a distinction.
                Form::ByValue => ordinary == 0,
                // Two that are named are two.
                Form::ByName => ordinary == 0 && selected >= ENOUGH,
            };
            is_wide.then_some(NearlyEvery {
                left_out,
                is_open_ended: form == Form::AllBut,
            })
        })
    }

    /// Whether selectors are for everybody but those that they name, and the input has too
    /// few namespaces to tell how many that are.
    pub(crate) fn may_be_nearly_every_namespace(
        &self,
        home: Option<NamespaceId>,
        selectors: &[&LabelSelector],
    ) -> bool {
        form_of(selectors) == Some(Form::AllBut)
            && self.namespaces_beside(home, false).len() < ENOUGH
    }

    /// Those of some namespaces that are not open, if they are few and there are enough to
    /// tell.
    pub(crate) fn few_left_out(&self, others: &[(NamespaceId, bool)]) -> Option<Vec<NamespaceId>> {
        let closed = others.iter().filter(|(_, is_open)| !is_open);
        let left_out: Vec<NamespaceId> = closed.map(|(id, _)| *id).collect();
        let open = others.len() - left_out.len();
        let ordinary = self.ordinary(&left_out);
        let is_few = ordinary <= LEFT_OUT && ordinary < open && open > 1;
        (others.len() >= ENOUGH && is_few).then_some(left_out)
    }

    /// How many are not of the control plane.
    fn ordinary(&self, namespaces: &[NamespaceId]) -> usize {
        let is_ordinary = |id: &&NamespaceId| !self.role(**id).is_protected();
        namespaces.iter().filter(is_ordinary).count()
    }

    /// The namespaces of the input beside one that have pods of their own, or that have
    /// them or are declared.
    fn namespaces_beside(&self, home: Option<NamespaceId>, with_pods: bool) -> Vec<NamespaceId> {
        let has_pods = |id| self.groups_in(id).any(|group| !group.host_network);
        let namespaces = self.snapshot.namespace_ids().filter(|(id, namespace)| {
            let is_there = has_pods(*id) || !with_pods && namespace.origin.is_some();
            Some(*id) != home && namespace.identity_known && is_there
        });
        namespaces.map(|(id, _)| id).collect()
    }
}

/// `None` without selectors.
fn form_of(selectors: &[&LabelSelector]) -> Option<Form> {
    let is_any = |is: fn(&LabelSelector) -> bool| selectors.iter().any(|selector| is(selector));
    if selectors.is_empty() {
        None
    } else if is_any(says_who_not) {
        Some(Form::AllBut)
    } else if is_any(asks_for_any_value) {
        Some(Form::AnyValue)
    } else if is_any(|selector| !names(selector)) {
        Some(Form::ByValue)
    } else {
        Some(Form::ByName)
    }
}

/// Whether it selects whoever has none of some names or labels.
fn says_who_not(selector: &LabelSelector) -> bool {
    let excludes = |requirement: &LabelSelectorRequirement| {
        let has_each = requirement.key == METADATA_NAME && requirement.operator == "Exists";
        has_each || matches!(requirement.operator.as_str(), "NotIn" | "DoesNotExist")
    };
    selector.match_labels.iter().flatten().next().is_none()
        && selector.match_expressions.iter().flatten().all(excludes)
}

/// Whether it asks that there be labels, and for nothing else but what is left out.
fn asks_for_any_value(selector: &LabelSelector) -> bool {
    let mut requirements = selector.match_expressions.iter().flatten();
    selector.match_labels.iter().flatten().next().is_none()
        && requirements.all(|r| r.operator != "In")
}

/// Whether it lists names of namespaces.
fn names(selector: &LabelSelector) -> bool {
    let mut labels = selector.match_labels.iter().flatten();
    let mut requirements = selector.match_expressions.iter().flatten();
    labels.any(|(key, _)| key == METADATA_NAME)
        || requirements.any(|r| r.key == METADATA_NAME && r.operator == "In")
}
