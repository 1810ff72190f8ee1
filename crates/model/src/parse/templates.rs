//! Pod templates inside objects of kinds that nothing here knows, wherever they are.

use super::node::{Node, Value};
use crate::source::{KeyPath, PathSegment};

/// Deeper ones are not looked for.
const DEEPEST: usize = 24;
/// So many of one object are read.
const MOST: usize = 64;
/// Keys that tell nothing about which template it is.
const EVERYWHERE: [&str; 5] = ["template", "spec", "podTemplate", "jobTemplate", "podSpec"];

/// A pod template inside an object.
pub(crate) struct Nested<'n, 't> {
    /// The way to it from the object.
    pub(crate) path: KeyPath,
    /// What tells it from the others of the object.
    pub(crate) label: String,
    /// The template.
    pub(crate) node: &'n Node<'t>,
}

/// The pod templates below an object, in the order of the text. What is a whole object
/// inside is somewhere else once it is applied, and is left out.
pub(crate) fn nested<'n, 't>(object: &'n Node<'t>) -> Vec<Nested<'n, 't>> {
    let mut search = Search {
        found: Vec::new(),
        path: Vec::new(),
    };
    for entry in object.entries() {
        if !matches!(&*entry.key, "metadata" | "status") {
            search.path.push(PathSegment::Key((&*entry.key).into()));
            search.walk(&entry.value, &label_of(&entry.key, ""));
            search.path.pop();
        }
    }
    let mut found = search.found;
    let labels: Vec<String> = found.iter().map(|nested| nested.label.clone()).collect();
    for (index, nested) in found.iter_mut().enumerate() {
        let before = labels.get(..index).unwrap_or_default();
        if nested.label.is_empty() || before.contains(&nested.label) {
            nested.label = format!("{}-{}", nested.label, index + 1);
            nested.label = nested.label.trim_start_matches('-').to_owned();
        }
    }
    found
}

struct Search<'n, 't> {
    found: Vec<Nested<'n, 't>>,
    path: Vec<PathSegment>,
}

impl<'n, 't> Search<'n, 't> {
    fn walk(&mut self, node: &'n Node<'t>, label: &str) {
        if self.path.len() > DEEPEST || self.found.len() >= MOST {
            return;
        }
        match &node.value {
            Value::Scalar(_) => {}
            Value::Mapping(_) if is_object(node) => {}
            Value::Mapping(_) if is_template(node) => self.found.push(Nested {
                path: KeyPath(self.path.clone()),
                label: label.to_owned(),
                node,
            }),
            Value::Mapping(entries) => {
                for entry in entries {
                    self.path.push(PathSegment::Key((&*entry.key).into()));
                    self.walk(&entry.value, &label_of(&entry.key, label));
                    self.path.pop();
                }
            }
            Value::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    let name = item.get("name").and_then(Node::text);
                    let label = name.map_or_else(|| label.to_owned(), plain);
                    self.path.push(PathSegment::Index(index));
                    self.walk(item, &label);
                    self.path.pop();
                }
            }
        }
    }
}

fn is_object(node: &Node<'_>) -> bool {
    node.get("apiVersion").is_some() && node.get("kind").is_some()
}

fn is_template(node: &Node<'_>) -> bool {
    let containers = node.at(&["spec", "containers"]);
    let mut containers = containers.into_iter().flat_map(Node::items);
    containers.any(|container| container.get("image").is_some())
}

/// What a key adds to what is known of a template.
fn label_of(key: &str, label: &str) -> String {
    if EVERYWHERE.contains(&key) {
        return label.to_owned();
    }
    plain(key.strip_suffix("Template").unwrap_or(key))
}

/// A text as part of a name.
fn plain(text: &str) -> String {
    let characters = text.chars().map(|c| match c.to_ascii_lowercase() {
        c if c.is_ascii_alphanumeric() => c,
        _ => '-',
    });
    let plain: String = characters.collect();
    plain.trim_matches('-').to_owned()
}
