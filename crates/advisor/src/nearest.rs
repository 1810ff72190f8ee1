//! The labels that somebody probably meant.

use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::labels::{LabelValue, Labels};
use ringfence_model::selector::matches;
use ringfence_model::source::KeyPath;
use ringfence_model::tri::Tri;

/// How alike two texts must be to be taken for each other; 1 is equal.
const ALIKE: f64 = 0.84;

/// One pair of `matchLabels`, or one value of `matchExpressions`, as it was probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meant {
    /// Which value of which expression it is; `None` for a pair of `matchLabels`.
    pub(crate) value_of: Option<(usize, usize)>,
    /// The key as written.
    pub(crate) key: String,
    /// The key that was meant.
    pub(crate) meant_key: String,
    /// The value that was meant.
    pub(crate) meant_value: String,
}

impl Meant {
    /// `app: frontend`.
    pub(crate) fn pair(&self) -> String {
        format!("{}: {}", self.meant_key, self.meant_value)
    }

    /// Where it is written, in a selector at this path.
    pub(crate) fn path(&self, selector: &KeyPath) -> KeyPath {
        match self.value_of {
            None => selector.key("matchLabels").key(&self.key),
            Some((expression, value)) => selector
                .key("matchExpressions")
                .index(expression)
                .key("values")
                .index(value),
        }
    }
}

/// What a selector that selects none of these probably means: some pairs of
/// `matchLabels` and values of `In`, changed so that it selects one of them. The likeliest; among equals the
/// first in the order given.
pub(crate) fn nearest<'a>(
    selector: &LabelSelector,
    candidates: impl Iterator<Item = &'a Labels>,
) -> Option<Vec<Meant>> {
    let mut best: Option<(f64, Vec<Meant>)> = None;
    for labels in candidates {
        let Some((likeness, meant)) = correction(selector, labels) else {
            continue;
        };
        if best.as_ref().is_none_or(|(most, _)| likeness > *most) {
            best = Some((likeness, meant));
        }
    }
    best.map(|(_, meant)| meant)
}

/// How the selector must change to select an object with these labels, and how alike it
/// stays; `None` where that would be another selector.
fn correction(selector: &LabelSelector, labels: &Labels) -> Option<(f64, Vec<Meant>)> {
    let mut corrected = selector.clone();
    let pairs = corrected.match_labels.get_or_insert_default();
    let mut changes = Vec::new();
    let mut likeness = 0.0;
    for (key, value) in selector.match_labels.iter().flatten() {
        if labels.get(key) == LabelValue::Present(value) {
            likeness += 1.0;
            continue;
        }
        let (alike, meant) = replacement(key, value, labels)?;
        likeness += alike;
        pairs.remove(key);
        pairs.insert(meant.meant_key.clone(), meant.meant_value.clone());
        changes.push(meant);
    }
    let mut count = selector.match_labels.iter().flatten().count();
    let expressions = corrected.match_expressions.iter_mut().flatten();
    for (index, expression) in expressions.enumerate() {
        let (LabelValue::Present(found), "In") =
            (labels.get(&expression.key), &*expression.operator)
        else {
            continue;
        };
        count += 1;
        let values = expression.values.get_or_insert_default();
        if values.iter().any(|value| value == found) {
            likeness += 1.0;
            continue;
        }
        let alike = values.iter().map(|value| self::likeness(value, found));
        let best = alike.enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
        let (at, most) = best.filter(|(_, most)| *most >= ALIKE)?;
        likeness += most;
        if let Some(value) = values.get_mut(at) {
            found.clone_into(value);
        }
        changes.push(Meant {
            value_of: Some((index, at)),
            key: expression.key.clone(),
            meant_key: expression.key.clone(),
            meant_value: found.to_owned(),
        });
    }
    let is_it = !changes.is_empty() && matches(&corrected, labels) == Tri::Yes;
    let average = likeness / f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    is_it.then_some((average, changes))
}

/// The label of an object that a pair was probably meant to be.
fn replacement(key: &str, value: &str, labels: &Labels) -> Option<(f64, Meant)> {
    let meant = |meant_key: &str, meant_value: &str| Meant {
        value_of: None,
        key: key.to_owned(),
        meant_key: meant_key.to_owned(),
        meant_value: meant_value.to_owned(),
    };
    // A value that is nearly the one written, under the same key.
    if let LabelValue::Present(found) = labels.get(key) {
        let alike = likeness(value, found);
        return (alike >= ALIKE).then(|| (alike, meant(key, found)));
    }
    // The same value under another key: `app` and `app.kubernetes.io/name`. Values that
    // say nothing by themselves (`true`, `1`) do not count.
    if value.len() < 3 || value == "true" || value == "false" {
        return None;
    }
    let mut others: Vec<(f64, &String)> = labels
        .known
        .iter()
        .filter(|(_, found)| *found == value)
        .map(|(other, _)| (0.8 + 0.1 * likeness(key, other), other))
        .collect();
    others.sort_by(|(a, x), (b, y)| b.total_cmp(a).then_with(|| x.cmp(y)));
    let (alike, other) = others.first()?;
    Some((*alike, meant(other, value)))
}

/// How alike two texts are, letter case aside. Names that differ in a number are
/// different things: `shard-1` is not a misspelt `shard-2`.
pub(crate) fn likeness(a: &str, b: &str) -> f64 {
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    if digits(a) != digits(b) {
        return 0.0;
    }
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    let longest = a.chars().count().max(b.chars().count());
    // Of short words nearly every letter counts: `web` is not `api`, nor `app` `api`.
    if longest < 4 && a != b {
        return 0.0;
    }
    // Two neighbours swapped is a slip and no other word: `qoutes`.
    let mut letters = [a.as_str(), b.as_str()].map(|word| word.chars().collect::<Vec<_>>());
    letters.iter_mut().for_each(|word| word.sort_unstable());
    let [of_a, of_b] = letters;
    if longest >= 5 && of_a == of_b && strsim::damerau_levenshtein(&a, &b) == 1 {
        return 0.9;
    }
    strsim::normalized_damerau_levenshtein(&a, &b).max(if longest >= 6 {
        // `frontend` and `front-end`, `payment` and `payments`.
        strsim::normalized_damerau_levenshtein(&without_dashes(&a), &without_dashes(&b))
    } else {
        0.0
    })
}

fn without_dashes(text: &str) -> String {
    text.replace(['-', '_', '.'], "")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;

    use super::*;

    fn selector(pairs: &[(&str, &str)]) -> LabelSelector {
        let pairs = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        LabelSelector {
            match_labels: Some(pairs.collect::<BTreeMap<_, _>>()),
            match_expressions: None,
        }
    }

    fn meant(written: &[(&str, &str)], found: &[(&str, &str)]) -> Option<Vec<String>> {
        let labels: Labels = found.iter().copied().collect();
        let meant = nearest(&selector(written), std::iter::once(&labels))?;
        Some(meant.iter().map(Meant::pair).collect())
    }

    #[test]
    fn a_typo_in_a_value_is_seen() {
        for typo in ["front-end", "frontned", "Frontend", "frontends", "forntend"] {
            let found = meant(&[("app", typo)], &[("app", "frontend")]);
            assert_eq!(found, Some(vec!["app: frontend".to_owned()]), "{typo}");
        }
    }

    #[test]
    fn two_letters_swapped_in_a_short_word_are_seen() {
        let found = meant(&[("app", "qoutes")], &[("app", "quotes")]);
        assert_eq!(found, Some(vec!["app: quotes".to_owned()]));
    }

    #[test]
    fn the_right_value_under_another_key_is_seen() {
        assert_eq!(
            meant(&[("app", "cart")], &[("app.kubernetes.io/name", "cart")]),
            Some(vec!["app.kubernetes.io/name: cart".to_owned()])
        );
    }

    #[test]
    fn a_typo_in_a_list_of_values_is_seen() {
        let expression = LabelSelectorRequirement {
            key: "app".to_owned(),
            operator: "In".to_owned(),
            values: Some(vec!["gateway".to_owned(), "wroker".to_owned()]),
        };
        let selector = LabelSelector {
            match_labels: None,
            match_expressions: Some(vec![expression]),
        };
        let found = |value: &str| {
            let labels: Labels = [("app", value)].into_iter().collect();
            nearest(&selector, std::iter::once(&labels))
        };
        let meant = found("worker").unwrap();
        assert_eq!(meant[0].pair(), "app: worker");
        let path = meant[0].path(&KeyPath::root().key("podSelector"));
        assert_eq!(
            path.to_string(),
            "podSelector.matchExpressions[0].values[1]"
        );
        assert_eq!(found("database"), None);
    }

    #[test]
    fn another_thing_is_not_taken_for_a_typo() {
        for (written, found) in [
            (("app", "api"), ("app", "app")),
            (("app", "postgres"), ("app", "redis")),
            (("app", "shard-1"), ("app", "shard-2")),
            (("public", "true"), ("internal", "true")),
        ] {
            assert_eq!(meant(&[written], &[found]), None, "{written:?}");
        }
        // One pair is near, the other is of something else.
        let both = [("app", "frontned"), ("tier", "backend")];
        assert_eq!(meant(&both, &[("app", "frontend"), ("tier", "web")]), None);
    }
}
