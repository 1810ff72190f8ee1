use std::collections::BTreeMap;

use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    LabelSelector, LabelSelectorRequirement,
};
use ringfence_model::labels::METADATA_NAME;

use super::{Dice, NAMESPACES};

/// A label key and the values it may have.
type Key = (&'static str, &'static [&'static str]);

const POD_KEYS: [Key; 2] = [("app", &["web", "db", "api"]), ("tier", &["front", "back"])];
const NAMESPACE_KEYS: [Key; 2] = [("team", &["a", "b"]), ("env", &["prod", "dev"])];
/// Keys whose values templates do not tell, and one that nothing carries.
const RARE_POD_KEYS: [Key; 4] = [
    ("pod-template-hash", &["5d4f", "77c9"]),
    ("statefulset.kubernetes.io/pod-name", &["db-0", "web-0"]),
    ("job-name", &["w0", "w1"]),
    ("absent", &["yes"]),
];

/// What a selector selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Pods,
    Namespaces,
    Nodes,
}

fn key(dice: &mut Dice, of: Of) -> Key {
    match of {
        Of::Pods if dice.chance(15) => dice.pick(&RARE_POD_KEYS),
        Of::Pods => dice.pick(&POD_KEYS),
        Of::Namespaces if dice.chance(30) => (METADATA_NAME, &NAMESPACES),
        Of::Namespaces => dice.pick(&NAMESPACE_KEYS),
        Of::Nodes => ("role", &["worker", "gateway"]),
    }
}

/// Labels that an object carries.
pub(super) fn labels(dice: &mut Dice, of: Of) -> BTreeMap<String, String> {
    let keys: &[Key] = match of {
        Of::Pods => &POD_KEYS,
        Of::Namespaces => &NAMESPACE_KEYS,
        Of::Nodes => &[("role", &["worker", "gateway"])],
    };
    let mut labels = BTreeMap::new();
    for (key, values) in keys {
        if dice.chance(75) {
            labels.insert((*key).to_owned(), dice.pick(values).to_owned());
        }
    }
    labels
}

/// A selector of any shape; about one in three selects everything.
pub(super) fn selector(dice: &mut Dice, of: Of) -> LabelSelector {
    let (labels, expressions) = match dice.below(10) {
        0..=2 => (0, 0),
        3..=5 => (1, 0),
        6 => (2, 0),
        7 | 8 => (0, 1),
        _ => (dice.below(2), dice.between(1, 2)),
    };
    let match_labels: BTreeMap<String, String> = (0..labels)
        .map(|_| {
            let (key, values) = key(dice, of);
            (key.to_owned(), dice.pick(values).to_owned())
        })
        .collect();
    let match_expressions: Vec<_> = (0..expressions).map(|_| expression(dice, of)).collect();
    LabelSelector {
        match_labels: written(dice, match_labels, BTreeMap::is_empty),
        match_expressions: written(dice, match_expressions, Vec::is_empty),
    }
}

/// An empty value is written half of the time, and left out the other half.
pub(super) fn written<T>(dice: &mut Dice, value: T, is_empty: fn(&T) -> bool) -> Option<T> {
    (!is_empty(&value) || dice.chance(50)).then_some(value)
}

fn expression(dice: &mut Dice, of: Of) -> LabelSelectorRequirement {
    let (key, values) = key(dice, of);
    let operator = dice.pick(&["In", "NotIn", "Exists", "DoesNotExist"]);
    let values = match operator {
        "In" | "NotIn" => Some(dice.several(1, 2, |dice| dice.pick(values).to_owned())),
        _ => None,
    };
    LabelSelectorRequirement {
        key: key.to_owned(),
        operator: operator.to_owned(),
        values,
    }
}
