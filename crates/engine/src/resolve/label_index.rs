use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    LabelSelector, LabelSelectorRequirement,
};
use ringfence_model::labels::{Labels, METADATA_NAME, UnknownKeys};
use roaring::RoaringBitmap;
use rustc_hash::FxHashMap;

use crate::sets::TriSet;

/// Which objects carry a label: answers a selector with a few bitmap operations.
#[derive(Clone, Debug, Default)]
pub(crate) struct LabelIndex {
    all: RoaringBitmap,
    /// key -> value -> objects.
    with_value: FxHashMap<String, FxHashMap<String, RoaringBitmap>>,
    /// key -> objects that have it, with any value.
    with_key: FxHashMap<String, RoaringBitmap>,
    /// key -> objects of which it is not known whether they have it.
    maybe_key: FxHashMap<&'static str, RoaringBitmap>,
    /// Objects that may have any key.
    maybe_any: RoaringBitmap,
    /// Objects that may have any key but the namespace's name.
    maybe_any_but_name: RoaringBitmap,
}

impl LabelIndex {
    pub(crate) fn insert(&mut self, id: u32, labels: &Labels) {
        self.all.insert(id);
        for (key, value) in labels.known.iter() {
            if !self.with_key.contains_key(key) {
                self.with_key.insert(key.clone(), RoaringBitmap::new());
                self.with_value.insert(key.clone(), FxHashMap::default());
            }
            if let Some(objects) = self.with_key.get_mut(key) {
                objects.insert(id);
            }
            if let Some(values) = self.with_value.get_mut(key) {
                values.entry(value.clone()).or_default().insert(id);
            }
        }
        match labels.unknown {
            UnknownKeys::None => {}
            UnknownKeys::These(keys) => {
                for key in keys {
                    self.maybe_key.entry(key).or_default().insert(id);
                }
            }
            UnknownKeys::AllButName => {
                self.maybe_any_but_name.insert(id);
            }
            UnknownKeys::All => {
                self.maybe_any.insert(id);
            }
        }
    }

    /// The objects that a selector selects.
    pub(crate) fn select(&self, selector: &LabelSelector) -> TriSet {
        let mut selected: Option<TriSet> = None;
        let mut narrow = |set: TriSet| match &mut selected {
            Some(selected) => selected.intersect_with(&set),
            None => selected = Some(set),
        };
        for (key, value) in selector.match_labels.iter().flatten() {
            narrow(self.is_in(key, std::slice::from_ref(value)));
        }
        for requirement in selector.match_expressions.iter().flatten() {
            narrow(self.requirement(requirement));
        }
        selected.unwrap_or_else(|| TriSet::exactly(self.all.clone()))
    }

    fn requirement(&self, requirement: &LabelSelectorRequirement) -> TriSet {
        let key = &requirement.key;
        let values = requirement.values.as_deref().unwrap_or_default();
        match requirement.operator.as_str() {
            "In" => self.is_in(key, values),
            "NotIn" => self.negate(&self.is_in(key, values)),
            "Exists" => self.exists(key),
            "DoesNotExist" => self.negate(&self.exists(key)),
            _ => TriSet::default(),
        }
    }

    fn is_in(&self, key: &str, values: &[String]) -> TriSet {
        let mut certain = RoaringBitmap::new();
        if let Some(by_value) = self.with_value.get(key) {
            for objects in values.iter().filter_map(|value| by_value.get(value)) {
                certain |= objects;
            }
        }
        let possible = &certain | self.not_known(key);
        TriSet { certain, possible }
    }

    fn exists(&self, key: &str) -> TriSet {
        let certain = self.with_key.get(key).cloned().unwrap_or_default();
        let possible = &certain | self.not_known(key);
        TriSet { certain, possible }
    }

    fn negate(&self, set: &TriSet) -> TriSet {
        TriSet {
            certain: &self.all - &set.possible,
            possible: &self.all - &set.certain,
        }
    }

    /// The objects of which it is not known whether they have the key.
    fn not_known(&self, key: &str) -> RoaringBitmap {
        let mut open = self.maybe_any.clone();
        if key != METADATA_NAME {
            open |= &self.maybe_any_but_name;
        }
        if let Some(objects) = self.maybe_key.get(key) {
            open |= objects;
        }
        if let (false, Some(known)) = (open.is_empty(), self.with_key.get(key)) {
            open -= known;
        }
        open
    }
}

#[cfg(test)]
mod tests {
    use ringfence_model::selector;

    use super::*;

    fn labels(pairs: &[(&str, &str)], unknown: UnknownKeys) -> Labels {
        Labels {
            unknown,
            ..pairs.iter().copied().collect()
        }
    }

    #[test]
    fn the_index_answers_what_reading_the_selector_answers() {
        let objects = [
            labels(&[], UnknownKeys::None),
            labels(&[("a", "1")], UnknownKeys::None),
            labels(&[("a", "2"), ("b", "1")], UnknownKeys::None),
            labels(&[("a", "1")], UnknownKeys::These(&["b", "c"])),
            labels(&[(METADATA_NAME, "n")], UnknownKeys::AllButName),
            labels(&[], UnknownKeys::AllButName),
            labels(&[], UnknownKeys::All),
        ];
        let mut index = LabelIndex::default();
        for (id, labels) in (0u32..).zip(&objects) {
            index.insert(id, labels);
        }
        let mut selectors = vec![LabelSelector::default()];
        for key in ["a", "b", "c", METADATA_NAME] {
            for operator in ["In", "NotIn", "Exists", "DoesNotExist", "Nonsense"] {
                for value in ["1", "n"] {
                    selectors.push(LabelSelector {
                        match_labels: None,
                        match_expressions: Some(vec![LabelSelectorRequirement {
                            key: key.into(),
                            operator: operator.into(),
                            values: Some(vec![value.into()]),
                        }]),
                    });
                }
            }
        }
        let mut both = selectors.clone();
        for selector in &mut both {
            selector.match_labels = Some([("a".to_owned(), "1".to_owned())].into());
        }
        for selector in selectors.iter().chain(&both) {
            let selected = index.select(selector);
            for (id, labels) in (0u32..).zip(&objects) {
                let expected = selector::matches(selector, labels);
                assert_eq!(
                    selected.contains(id),
                    expected,
                    "{selector:?} on {labels:?}"
                );
            }
        }
    }
}
