//! Schemas as data, and the walk that compares a tree with one.

use super::checker::Checker;
use crate::diagnostic::Severity;
use crate::parse::node::{Node, Value};
use crate::parse::place::Place;
use crate::parse::scalar::Resolved;
use crate::parse::suggest::nearest;
use crate::policy::PolicyFamily;

/// What may stand somewhere.
#[derive(Debug)]
pub(super) enum Shape {
    /// Not looked at.
    Anything,
    Text,
    Whole,
    WholeOrText,
    /// A mapping of texts, such as labels.
    TextMap,
    List(&'static Shape),
    Record(&'static [Field]),
}

/// A field of a record.
#[derive(Debug)]
pub(super) struct Field {
    name: &'static str,
    shape: Shape,
    is_required: bool,
}

impl Field {
    pub(super) const fn optional(name: &'static str, shape: Shape) -> Self {
        Self {
            name,
            shape,
            is_required: false,
        }
    }

    pub(super) const fn required(name: &'static str, shape: Shape) -> Self {
        Self {
            name,
            shape,
            is_required: true,
        }
    }
}

pub(super) const LABEL_SELECTOR: Shape = Shape::Record(&[
    Field::optional("matchLabels", Shape::TextMap),
    Field::optional(
        "matchExpressions",
        Shape::List(&Shape::Record(&[
            Field::required("key", Shape::Text),
            Field::required("operator", Shape::Text),
            Field::optional("values", Shape::List(&Shape::Text)),
        ])),
    ),
]);

/// Whether `fields` has a field of this name.
pub(super) fn knows(fields: &[Field], name: &str) -> bool {
    fields.iter().any(|field| field.name == name)
}

/// Compares a tree with a schema.
pub(super) struct Walk<'w, 'r, 'f> {
    pub(super) checker: &'w mut Checker<'r, 'f>,
    /// The schema of the whole object, to say where a stray field belongs.
    pub(super) root: &'static [Field],
}

impl Walk<'_, '_, '_> {
    pub(super) fn record(&mut self, place: &Place<'_, '_, '_>, fields: &'static [Field]) {
        for entry in place.entries() {
            let name = entry.name();
            match fields.iter().find(|field| field.name == name) {
                Some(field) if !entry.node.is_null() => self.shape(&entry, &field.shape),
                Some(_) => {}
                None => self.unknown(&entry, name, fields),
            }
        }
        for field in fields.iter().filter(|field| field.is_required) {
            if place.get(field.name).is_none() {
                self.checker.missing(place, field.name);
            }
        }
    }

    fn shape(&mut self, place: &Place<'_, '_, '_>, shape: &'static Shape) {
        match (shape, &place.node.value) {
            (Shape::Anything, _) => {}
            (Shape::Record(fields), Value::Mapping(_)) => self.record(place, fields),
            (Shape::TextMap, Value::Mapping(_)) => {
                for entry in place.entries().filter(|entry| !entry.node.is_null()) {
                    self.shape(&entry, &Shape::Text);
                }
            }
            (Shape::List(of), Value::Sequence(_)) => {
                for item in place.items() {
                    self.item(&item, of);
                }
            }
            (Shape::Text | Shape::Whole | Shape::WholeOrText, Value::Scalar(scalar)) => {
                let is_right = match scalar.resolve() {
                    Resolved::Text(_) => !matches!(shape, Shape::Whole),
                    Resolved::Whole(_) => !matches!(shape, Shape::Text),
                    Resolved::Null | Resolved::Bool(_) | Resolved::Float(_) => false,
                };
                if !is_right {
                    self.wrong_type(place, shape);
                }
            }
            _ => self.wrong_type(place, shape),
        }
    }

    /// An element of a list. `-` with nothing after it is null, which the API server
    /// reads as `{}` in its own types and refuses in custom ones.
    fn item(&mut self, place: &Place<'_, '_, '_>, shape: &'static Shape) {
        let is_builtin = self.checker.family() == PolicyFamily::NetworkPolicy;
        if place.node.is_null() && is_builtin && matches!(shape, Shape::Record(_)) {
            // An empty peer is an error of its own.
            if matches!(place.name(), "from" | "to") {
                return;
            }
            self.checker
                .warning(
                    "empty-item",
                    place.value_extent(),
                    format!(
                        "`{}`: a list item with nothing in it counts as `{{}}`",
                        place.at
                    ),
                )
                .help("write `{}` if that is meant, or remove the `-`");
            return;
        }
        self.shape(place, shape);
    }

    fn wrong_type(&mut self, place: &Place<'_, '_, '_>, shape: &Shape) {
        let (what, help) = expectation(place.node, shape);
        let name = place.name();
        self.checker
            .error(
                "wrong-type",
                place.value_extent(),
                format!(
                    "`{}`: expected {what}, found {}",
                    place.at,
                    place.node.describe()
                ),
            )
            .maybe_help(help.map(|help| help.replace("NAME", name)));
    }

    fn unknown(&mut self, place: &Place<'_, '_, '_>, name: &str, fields: &'static [Field]) {
        let at = place.at.to_string();
        let here = pattern(&at);
        let right = nearest(name, fields.iter().map(|field| field.name));
        let help = right
            .map(|right| format!("did you mean `{right}`?"))
            .or_else(|| {
                home_of(name, self.root, &here)
                    .map(|home| format!("`{name}` is a field of {home}: check the indentation"))
            })
            .or_else(|| {
                let known: Vec<String> = fields
                    .iter()
                    .map(|field| format!("`{}`", field.name))
                    .collect();
                (known.len() <= MOST_NAMED)
                    .then(|| format!("the fields here are {}", known.join(", ")))
            });
        let effect = Effect::of(&at, place.node, self.checker);
        let severity = match effect {
            Effect::Wrong | Effect::NotUnderstood => Severity::Error,
            Effect::None | Effect::RuleFailsClosed => Severity::Warning,
        };
        let is_misspelt = matches!(effect, Effect::Wrong | Effect::None);
        let help = match effect {
            Effect::Wrong | Effect::None => help,
            Effect::NotUnderstood => Some(
                "it may be of a later version of the API; what the policy means with it is not known"
                    .to_owned(),
            ),
            Effect::RuleFailsClosed => {
                Some("it may be of a later version of the API; the rule fails closed".to_owned())
            }
        };
        self.checker
            .report(
                severity,
                "unknown-field",
                place.key_or_head(),
                format!("unknown field `{at}`"),
            )
            .maybe_help(help)
            .instead(right.filter(|_| is_misspelt));
    }
}

/// What an unknown field does to a policy.
enum Effect {
    /// It is a mistake in a manifest.
    Wrong,
    /// It is of a live object, and can be ignored.
    None,
    /// It is in a rule of a live object that may mean less than it seems to.
    RuleFailsClosed,
    /// It is of a live object, which may mean less, or more, than it seems to.
    NotUnderstood,
}

impl Effect {
    fn of(at: &str, node: &Node<'_>, checker: &Checker<'_, '_>) -> Self {
        if !checker.is_live() {
            return Self::Wrong;
        }
        let Some(in_spec) = at.strip_prefix("spec") else {
            return Self::None;
        };
        let is_in_rule = in_spec.starts_with(".egress[") || in_spec.starts_with(".ingress[");
        if node.is_null() || !in_spec.starts_with(['.', '[']) {
            Self::None
        } else if is_in_rule && checker.family() != PolicyFamily::NetworkPolicy {
            Self::RuleFailsClosed
        } else {
            Self::NotUnderstood
        }
    }
}

/// Whether every field that is set in `node`, at whatever depth, is one of `shape`.
pub(super) fn is_known(node: &Node<'_>, shape: &Shape) -> bool {
    match shape {
        Shape::Record(fields) => node.entries().iter().all(|entry| {
            let field = fields.iter().find(|field| field.name == entry.key);
            entry.value.is_null() || field.is_some_and(|field| is_known(&entry.value, &field.shape))
        }),
        Shape::List(of) => node.items().iter().all(|item| is_known(item, of)),
        Shape::Anything | Shape::Text | Shape::Whole | Shape::WholeOrText | Shape::TextMap => true,
    }
}

/// The shape of what is at `path` in an object with these fields.
pub(super) fn shape_at<'s>(fields: &'s [Field], path: &[&str]) -> Option<&'s Shape> {
    let (name, rest) = path.split_first()?;
    let field = fields.iter().find(|field| field.name == *name)?;
    match (&field.shape, rest) {
        (shape, []) => Some(shape),
        (Shape::Record(fields), _) => shape_at(fields, rest),
        _ => None,
    }
}

/// More fields than this are not listed in a help text.
const MOST_NAMED: usize = 8;

/// What is expected of a shape, in words, and what helps when it is not there.
fn expectation(node: &Node<'_>, shape: &Shape) -> (&'static str, Option<&'static str>) {
    let is_scalar = matches!(node.value, Value::Scalar(_));
    match shape {
        // A field that is null is absent; this is an element of a list.
        Shape::Text if node.is_null() => ("a string", Some("write something here, or remove it")),
        Shape::Anything => ("anything", None),
        Shape::Text => ("a string", is_scalar.then_some("quote it")),
        Shape::Whole => (
            "a whole number",
            node.text()
                .is_some_and(|text| text.parse::<i64>().is_ok())
                .then_some("remove the quotes"),
        ),
        Shape::WholeOrText => ("a number or a name", None),
        Shape::TextMap => ("a mapping of strings", None),
        Shape::List(_) if node.is_mapping() => (
            "a list",
            Some("`NAME` is a list: put `- ` before the first key of each item"),
        ),
        Shape::List(_) => (
            "a list",
            Some("`NAME` is a list: put each item on a line with `- `"),
        ),
        Shape::Record(_) if node.is_sequence() => {
            ("a mapping", Some("`NAME` is not a list: remove the `- `"))
        }
        Shape::Record(_) => ("a mapping", None),
    }
}

/// `spec.egress[0].to` as `spec.egress[].to`.
fn pattern(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    let mut in_index = false;
    for character in path.chars() {
        in_index = in_index && character != ']';
        if !in_index {
            pattern.push(character);
        }
        in_index = in_index || character == '[';
    }
    pattern
}

/// The record of the schema that has a field of this name, nearest to `here`.
fn home_of(name: &str, root: &'static [Field], here: &str) -> Option<String> {
    let mut homes = Vec::new();
    collect_homes(name, root, "", &mut homes);
    let shared = |home: &str| {
        let pairs = home.bytes().zip(here.bytes());
        pairs.take_while(|(left, right)| left == right).count()
    };
    // Of equally near ones the first, so that the answer is always the same.
    let best = homes.into_iter().rev().max_by_key(|home| shared(home))?;
    Some(if best.is_empty() {
        "the object itself".to_owned()
    } else {
        format!("`{best}`")
    })
}

fn collect_homes(name: &str, fields: &'static [Field], path: &str, homes: &mut Vec<String>) {
    if knows(fields, name) {
        homes.push(path.to_owned());
    }
    for field in fields {
        let mut below = if path.is_empty() {
            field.name.to_owned()
        } else {
            format!("{path}.{}", field.name)
        };
        let mut shape = &field.shape;
        while let Shape::List(of) = shape {
            below.push_str("[]");
            shape = of;
        }
        if let Shape::Record(fields) = shape {
            collect_homes(name, fields, &below, homes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_path_without_its_indices() {
        assert_eq!(pattern("spec.egress[12].to[0].x"), "spec.egress[].to[].x");
    }

    #[test]
    fn a_stray_field_is_sent_to_the_nearest_record_that_has_it() {
        let root = super::super::network_policy::SCHEMA;
        assert_eq!(
            home_of("ports", root, "spec.egress[].to[].ports").as_deref(),
            Some("`spec.egress[]`")
        );
        assert_eq!(
            home_of("policyTypes", root, "policyTypes").as_deref(),
            Some("`spec`")
        );
        assert_eq!(home_of("nonsense", root, "spec"), None);
    }
}
