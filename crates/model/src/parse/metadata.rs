//! What every object has, whatever its kind: a name, a namespace, labels.

use super::kinds::{Class, Typed};
use super::masks;
use super::names::{self, Expected};
use super::node::{Extent, Node, abbreviated};
use super::place::Place;
use super::report::Reporter;
use super::suggest::one_slip;
use super::syntax_help;

/// Whether an object comes from an API server, which has accepted it as it is.
pub(crate) fn is_live(object: &Node<'_>) -> bool {
    object.at(&["metadata", "uid"]).is_some()
}

/// Checks what every object must have: a name that is a name. `false` after an error.
///
/// What the API server would refuse in a name or a label is a warning: the object is
/// read as it is written.
pub(crate) fn check(root: &Place<'_, '_, '_>, class: Class, reporter: &mut Reporter<'_>) -> bool {
    let Some(metadata) = root.get("metadata") else {
        let help = if root.node.entry("name").is_some() {
            Some("`name` belongs under `metadata:`; check the indentation")
        } else {
            misspelt(root.node, &["metadata"]).map(|_| "did you mean `metadata`?")
        };
        missing_name(root, help, reporter);
        return false;
    };
    let name = metadata.get("name");
    let namespace = metadata.get("namespace");
    for field in [&name, &namespace].into_iter().flatten() {
        if field
            .node
            .text()
            .is_some_and(syntax_help::has_template_action)
        {
            let error = syntax_help::unrendered_template(field.value_extent());
            reporter
                .error(error.code, error.extent, error.message)
                .maybe_help(error.help);
            return false;
        }
    }
    if metadata.node.is_mapping() && name.is_none() && metadata.get("generateName").is_none() {
        let help = misspelt(metadata.node, &["name", "generateName"])
            .map(|right| format!("did you mean `{right}`?"));
        missing_name(&metadata, help, reporter);
        return false;
    }
    check_annotations(&metadata, reporter);
    if !is_live(root.node) {
        if let Some(name) = name {
            check_text(&name, "invalid-name", name_syntax(class), reporter);
        }
        if let Some(namespace) = namespace.filter(|_| !class.is_cluster_wide())
            && namespace.node.text() != Some("")
        {
            check_text(&namespace, "invalid-name", names::label, reporter);
        }
        for path in masks::label_maps(class) {
            check_labels_at(root, path, reporter);
        }
    }
    true
}

fn missing_name(
    place: &Place<'_, '_, '_>,
    help: Option<impl Into<String>>,
    reporter: &mut Reporter<'_>,
) {
    reporter
        .error(
            "missing-field",
            place.key_or_head(),
            "this object has no `metadata.name`",
        )
        .maybe_help(help);
}

/// The field that one of the keys of `node` is nearly called.
fn misspelt(node: &Node<'_>, fields: &'static [&'static str]) -> Option<&'static str> {
    node.entries()
        .iter()
        .find_map(|entry| one_slip(&entry.key, fields.iter().copied()))
}

fn name_syntax(class: Class) -> fn(&str) -> Result<(), Expected> {
    match class {
        // Their names are parts of domain names.
        Class::Typed(Typed::Namespace | Typed::Service) => names::label,
        Class::Typed(_) | Class::Policy(_) | Class::OtherWorkload | Class::NestedTemplates => {
            names::subdomain
        }
    }
}

fn check_annotations(metadata: &Place<'_, '_, '_>, reporter: &mut Reporter<'_>) {
    let Some(annotations) = metadata.get("annotations") else {
        return;
    };
    for annotation in annotations.entries() {
        let is_fine = annotation.node.is_null() || annotation.node.text().is_some();
        if !is_fine && !annotation.node.is_mapping() && !annotation.node.is_sequence() {
            reporter
                .warning(
                    "wrong-type",
                    annotation.value_extent(),
                    format!(
                        "`{}`: expected a string, found {}",
                        annotation.at,
                        annotation.node.describe()
                    ),
                )
                .help("quote it: the API server refuses it as it is");
        }
    }
}

/// Checks the labels at the end of a way of keys, if there are any.
fn check_labels_at(place: &Place<'_, '_, '_>, path: &[&str], reporter: &mut Reporter<'_>) {
    if let Some((key, rest)) = path.split_first() {
        if let Some(place) = place.get(key) {
            check_labels_at(&place, rest, reporter);
        }
        return;
    }
    for label in place.entries() {
        let key = label.name();
        if let Err(expected) = names::qualified(key) {
            let shown = format!("`{}` is not a valid key", abbreviated(key));
            refused(
                "invalid-label",
                label.key_or_head(),
                shown,
                expected,
                reporter,
            );
        }
        check_text(&label, "invalid-label", names::label_value, reporter);
    }
}

fn check_text(
    place: &Place<'_, '_, '_>,
    code: &'static str,
    check: fn(&str) -> Result<(), Expected>,
    reporter: &mut Reporter<'_>,
) {
    if let Some(text) = place.node.text()
        && let Err(expected) = check(text)
    {
        let message = format!("`{}`: {} is not valid", place.at, place.node.describe());
        refused(code, place.value_extent(), message, expected, reporter);
    }
}

fn refused(
    code: &'static str,
    extent: Extent,
    message: String,
    expected: Expected,
    reporter: &mut Reporter<'_>,
) {
    reporter
        .warning(code, extent, message)
        .help(format!("the API server refuses it: expected {expected}"));
}
