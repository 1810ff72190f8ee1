//! Label selectors and labels.

use super::checker::Checker;
use crate::parse::names;
use crate::parse::place::Place;

const OPERATORS: &[&str] = &["In", "NotIn", "Exists", "DoesNotExist"];

/// Checks a label selector.
pub(super) fn check(selector: &Place<'_, '_, '_>, checker: &mut Checker<'_, '_>) {
    if let Some(labels) = selector.get("matchLabels") {
        check_labels(&labels, checker);
    }
    let Some(expressions) = selector.get("matchExpressions") else {
        return;
    };
    for expression in expressions.items() {
        check_expression(&expression, checker);
    }
}

fn check_expression(expression: &Place<'_, '_, '_>, checker: &mut Checker<'_, '_>) {
    if let Some(key) = expression.get("key")
        && let Some(text) = key.node.text()
    {
        check_key(&key, text, checker);
    }
    let values = expression.get("values");
    for value in values.iter().flat_map(Place::items) {
        checker.syntax(&value, "invalid-label", names::label_value);
    }
    let Some(operator) = expression.get("operator") else {
        return;
    };
    checker.one_of(&operator, OPERATORS);
    let count = values.map_or(0, |values| values.node.items().len());
    let Some(word) = operator.node.text() else {
        return;
    };
    match word {
        "In" | "NotIn" if count == 0 => {
            checker.error(
                "selector-values",
                operator.value_extent(),
                format!("`{}`: `{word}` needs `values`", expression.at),
            );
        }
        "Exists" | "DoesNotExist" if count > 0 => {
            let extent = values.map_or_else(|| operator.value_extent(), |v| v.key_or_head());
            checker
                .error(
                    "selector-values",
                    extent,
                    format!("`{}`: `{word}` takes no `values`", expression.at),
                )
                .help("remove `values`, or use `In` or `NotIn`");
        }
        _ => {}
    }
}

/// Checks a mapping of labels.
pub(super) fn check_labels(labels: &Place<'_, '_, '_>, checker: &mut Checker<'_, '_>) {
    for label in labels.entries() {
        check_key(&label, label.name(), checker);
        checker.syntax(&label, "invalid-label", names::label_value);
    }
}

/// Checks the key of a label, which is written at `place` or is its key.
fn check_key(place: &Place<'_, '_, '_>, key: &str, checker: &mut Checker<'_, '_>) {
    check_key_as(key, place, key, checker);
}

/// Checks the key of an annotation, which the API server looks at in lower case.
pub(super) fn check_annotation_key(place: &Place<'_, '_, '_>, checker: &mut Checker<'_, '_>) {
    let key = place.name();
    check_key_as(&key.to_lowercase(), place, key, checker);
}

fn check_key_as(
    checked: &str,
    place: &Place<'_, '_, '_>,
    key: &str,
    checker: &mut Checker<'_, '_>,
) {
    if let Err(expected) = names::qualified(checked) {
        let shown = crate::parse::node::abbreviated(key);
        checker
            .unless_live(
                "invalid-label",
                if place.name() == key {
                    place.key_or_head()
                } else {
                    place.value_extent()
                },
                format!("`{shown}` is not a valid key"),
            )
            .help(format!("expected {expected}"));
    }
}
