//! Label selectors, read literally.
//!
//! This is the reference reading, used by the oracle. The engine answers the same
//! question from an inverted index and is tested against this.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use crate::labels::{LabelValue, Labels};
use crate::tri::Tri;

/// Whether `selector` selects an object with `labels`.
///
/// An empty selector selects everything. `NotIn` and `DoesNotExist` select objects
/// that lack the key. An operator that the API server would reject selects nothing.
///
/// Source: `k8s.io/apimachinery` `LabelSelector`: the requirements are ANDed.
#[must_use]
pub fn matches(selector: &LabelSelector, labels: &Labels) -> Tri {
    let pairs = selector.match_labels.iter().flatten();
    let equal = Tri::all(pairs.map(|(key, value)| match labels.get(key) {
        LabelValue::Present(found) => Tri::from(found == value),
        LabelValue::Absent => Tri::No,
        LabelValue::Unknown => Tri::Unknown,
    }));
    let requirements = selector.match_expressions.iter().flatten();
    equal.and(Tri::all(requirements.map(|r| requirement(r, labels))))
}

fn requirement(requirement: &LabelSelectorRequirement, labels: &Labels) -> Tri {
    let values = requirement.values.as_deref().unwrap_or_default();
    let found = labels.get(&requirement.key);
    let is_in = match found {
        LabelValue::Present(value) => Tri::from(values.iter().any(|v| v == value)),
        LabelValue::Absent => Tri::No,
        LabelValue::Unknown => Tri::Unknown,
    };
    let exists = match found {
        LabelValue::Present(_) => Tri::Yes,
        LabelValue::Absent => Tri::No,
        LabelValue::Unknown => Tri::Unknown,
    };
    match requirement.operator.as_str() {
        "In" => is_in,
        "NotIn" => is_in.negate(),
        "Exists" => exists,
        "DoesNotExist" => exists.negate(),
        _ => Tri::No,
    }
}

/// Whether the selector selects every object: no label and no expression in it.
#[must_use]
pub fn selects_everything(selector: &LabelSelector) -> bool {
    selector.match_labels.iter().flatten().next().is_none()
        && selector.match_expressions.iter().flatten().next().is_none()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::labels::UnknownKeys;

    fn expression(key: &str, operator: &str, values: &[&str]) -> LabelSelector {
        LabelSelector {
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: key.into(),
                operator: operator.into(),
                values: Some(values.iter().map(ToString::to_string).collect()),
            }]),
            match_labels: None,
        }
    }

    #[test]
    fn an_object_without_the_key_is_selected_by_not_in_and_does_not_exist() {
        let bare = Labels::default();
        assert_eq!(matches(&expression("a", "NotIn", &["b"]), &bare), Tri::Yes);
        assert_eq!(
            matches(&expression("a", "DoesNotExist", &[]), &bare),
            Tri::Yes
        );
        assert_eq!(matches(&expression("a", "In", &["b"]), &bare), Tri::No);
        assert_eq!(matches(&expression("a", "Exists", &[]), &bare), Tri::No);
    }

    #[test]
    fn a_key_that_is_not_known_makes_the_answer_unknown() {
        let labels = Labels {
            known: BTreeMap::new().into(),
            unknown: UnknownKeys::These(&["pod-template-hash"]),
        };
        let selector = expression("pod-template-hash", "In", &["x"]);
        assert_eq!(matches(&selector, &labels), Tri::Unknown);
        assert_eq!(matches(&expression("a", "Exists", &[]), &labels), Tri::No);
    }

    #[test]
    fn the_empty_selector_selects_everything() {
        assert_eq!(
            matches(&LabelSelector::default(), &Labels::default()),
            Tri::Yes
        );
        assert!(selects_everything(&LabelSelector::default()));
    }
}
