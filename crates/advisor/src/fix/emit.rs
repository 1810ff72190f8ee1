//! Values as text, in the style of what is around them.

use ringfence_model::parse::is_text;
use serde_json::{Map, Value};

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    /// How much deeper the keys of a mapping are indented than its own key.
    pub(super) step: usize,
    /// How much deeper the dashes of a list are indented than its key.
    pub(super) dash: usize,
    /// Whether short lists stand in brackets.
    pub(super) short_lists: bool,
    /// What ends a line.
    pub(super) line_break: &'static str,
}

impl Style {
    /// The style of a document, or of the file that it is in where it shows none.
    pub(super) fn of(document: &str, file: &str) -> Self {
        /// Nobody writes the beginning of a file in another style than the rest.
        const ENOUGH: usize = 256;
        let mut shown = Shown::default();
        shown.read(document.lines());
        shown.read(file.lines().take(ENOUGH));
        Self {
            step: shown.step.unwrap_or(2),
            dash: shown.dash.unwrap_or(2),
            short_lists: has_short_lists(document) || shown.dash.is_none() && has_short_lists(file),
            line_break: match document.contains("\r\n") || file.contains("\r\n") {
                true => "\r\n",
                false => "\n",
            },
        }
    }
}

/// Whether a list that is not empty stands in brackets behind its key.
fn has_short_lists(text: &str) -> bool {
    let mut lists = text.match_indices(": [");
    lists.any(|(at, open)| {
        let inside = text.get(at + open.len()..).unwrap_or_default();
        !inside.starts_with(']')
    })
}

/// What lines show of a style.
#[derive(Debug, Default)]
struct Shown {
    step: Option<usize>,
    dash: Option<usize>,
}

impl Shown {
    fn read<'t>(&mut self, lines: impl Iterator<Item = &'t str>) {
        let mut above: Option<&str> = None;
        for line in lines {
            if self.step.is_some() && self.dash.is_some() {
                return;
            }
            let content = line.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let opens = above.filter(|above| above.ends_with(':'));
            let column = line.len() - line.trim_start_matches(' ').len();
            if let Some(deeper) = opens.and_then(|above| column.checked_sub(key_column(above))) {
                if content.starts_with("- ") {
                    self.dash.get_or_insert(deeper);
                } else if deeper > 0 {
                    self.step.get_or_insert(deeper);
                }
            }
            above = Some(line.trim_end());
        }
    }
}

/// Where the first key of a line stands, behind dashes.
fn key_column(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '-']).len()
}

/// How a collection in brackets is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    /// Whether it is JSON: keys and texts in double quotes.
    pub(super) is_json: bool,
    /// Whether there is a space behind colons and commas.
    pub(super) is_spaced: bool,
    /// Whether every entry stands on a line of its own, and then how far the closing
    /// bracket is indented and how much deeper the entries.
    pub(super) lines: Option<(usize, usize)>,
}

impl Flow {
    /// `{a: [b, c]}`.
    pub(super) const YAML: Self = Self {
        is_json: false,
        is_spaced: true,
        lines: None,
    };

    pub(super) fn colon(self) -> &'static str {
        if self.is_spaced { ": " } else { ":" }
    }

    /// A value in brackets, or a scalar.
    pub(super) fn value(self, value: &Value, line_break: &str) -> String {
        let entries: Vec<String> = match value {
            Value::Object(fields) => ordered(fields)
                .into_iter()
                .map(|(key, value)| {
                    let value = self.deeper().value(value, line_break);
                    format!("{}{}{value}", self.scalar_text(key), self.colon())
                })
                .collect(),
            Value::Array(items) => items
                .iter()
                .map(|item| self.deeper().value(item, line_break))
                .collect(),
            Value::String(text) => return self.scalar_text(text),
            other => return other.to_string(),
        };
        let (open, close) = match value {
            Value::Object(_) => ('{', '}'),
            _ => ('[', ']'),
        };
        match self.lines.filter(|_| !entries.is_empty()) {
            Some((indent, step)) => {
                let inner = format!("{line_break}{}", " ".repeat(indent + step));
                let entries = entries.join(&format!(",{inner}"));
                let outer = " ".repeat(indent);
                format!("{open}{inner}{entries}{line_break}{outer}{close}")
            }
            None => {
                let comma = if self.is_spaced { ", " } else { "," };
                format!("{open}{}{close}", entries.join(comma))
            }
        }
    }

    fn deeper(self) -> Self {
        Self {
            lines: self.lines.map(|(indent, step)| (indent + step, step)),
            ..self
        }
    }

    pub(super) fn scalar_text(self, text: &str) -> String {
        match self.is_json {
            true => double_quoted(text),
            false => plain(text),
        }
    }
}

/// A text without quotes where that means the same anywhere in YAML.
pub(super) fn plain(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
    let is_network = text.contains(':') && text.parse::<ipnet::IpNet>().is_ok();
    let begins_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins_well && (text.chars().all(is_plain) || is_network) && is_text(text) {
        text.to_owned()
    } else {
        double_quoted(text)
    }
}

/// A text in double quotes, as JSON and YAML both read it.
pub(super) fn double_quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A text in the quotes that another one has, or without.
pub(super) fn quoted_like(text: &str, written: &str) -> String {
    match written.chars().next() {
        Some('"') => double_quoted(text),
        Some('\'') if !text.chars().any(char::is_control) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        _ => plain(text),
    }
}

/// The lines of a mapping or list that is not empty, written as a block. Dashes and keys
/// stand at `column`; the first line has no indentation.
pub(super) fn block(value: &Value, column: usize, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    match value {
        Value::Object(fields) => {
            for (key, value) in ordered(fields) {
                entry(&plain(key), value, column, style, &mut lines);
            }
        }
        Value::Array(items) => {
            for item in items {
                let mut inner = match is_block(item, style) && !item.is_array() {
                    true => block(item, column + 2, style),
                    false => vec![Flow::YAML.value(item, style.line_break)],
                };
                if let Some(first) = inner.first_mut() {
                    first.insert_str(0, "- ");
                }
                if let Some(first) = inner.first_mut() {
                    first.insert_str(0, &" ".repeat(column));
                }
                lines.append(&mut inner);
            }
        }
        scalar => lines.push(Flow::YAML.value(scalar, style.line_break)),
    }
    if let Some(first) = lines.first_mut() {
        *first = first.trim_start_matches(' ').to_owned();
    }
    lines
}

/// The lines of one entry of a mapping, indented.
pub(super) fn entry(
    key: &str,
    value: &Value,
    column: usize,
    style: Style,
    lines: &mut Vec<String>,
) {
    let pad = " ".repeat(column);
    if !is_block(value, style) {
        let value = Flow::YAML.value(value, style.line_break);
        lines.push(format!("{pad}{key}: {value}"));
        return;
    }
    lines.push(format!("{pad}{key}:"));
    lines.append(&mut below(value, column, style));
}

/// The lines of a value below its key at `column`, all indented.
pub(super) fn below(value: &Value, column: usize, style: Style) -> Vec<String> {
    let deeper = match value {
        Value::Array(_) => column + style.dash,
        _ => column + style.step,
    };
    let mut lines = block(value, deeper, style);
    if let Some(first) = lines.first_mut() {
        first.insert_str(0, &" ".repeat(deeper));
    }
    lines
}

/// Whether a value takes lines of its own.
pub(super) fn is_block(value: &Value, style: Style) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) if items.is_empty() => false,
        Value::Array(items) => !style.short_lists || !is_short(items),
        _ => false,
    }
}

/// Whether a list is short enough for brackets on the line of its key.
fn is_short(items: &[Value]) -> bool {
    const MOST: usize = 3;
    items.len() <= MOST
        && items
            .iter()
            .all(|item| !item.is_object() && !item.is_array())
}

/// The order that people write keys in; others follow by name.
const ORDER: [&str; 19] = [
    "apiVersion",
    "kind",
    "metadata",
    "name",
    "namespace",
    "labels",
    "annotations",
    "spec",
    "podSelector",
    "policyTypes",
    "ingress",
    "egress",
    "from",
    "to",
    "protocol",
    "port",
    "ports",
    "cidr",
    "except",
];

pub(super) fn ordered(fields: &Map<String, Value>) -> Vec<(&str, &Value)> {
    let rank = |key: &str| ORDER.iter().position(|known| *known == key);
    let mut fields: Vec<(&str, &Value)> = fields.iter().map(|(k, v)| (k.as_str(), v)).collect();
    fields.sort_by_key(|(key, _)| {
        // `namespaceSelector` is written before `podSelector` in a peer.
        let rank = match *key {
            "namespaceSelector" => rank("podSelector"),
            key => rank(key),
        };
        (rank.unwrap_or(ORDER.len()), *key)
    });
    fields
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_style_is_read_from_the_text() {
        let text = "a:\n    b:\n    - c\n";
        let style = Style::of(text, "");
        assert_eq!((style.step, style.dash), (4, 0));
        let style = Style::of("", "a:\n- b:\n  - c\n");
        assert_eq!((style.step, style.dash), (2, 0));
        let style = Style::of("a:\r\n  - b:\r\n    - c: [x]\r\n", "");
        assert_eq!((style.step, style.dash), (2, 2));
        assert!(style.short_lists);
        assert_eq!(style.line_break, "\r\n");
    }

    #[test]
    fn texts_that_would_mean_something_else_are_quoted() {
        for text in ["a", "10.0.0.0/8", "fd00:ec2::254/128", "a.b/c-d"] {
            assert_eq!(plain(text), text);
        }
        for text in [
            "", "yes", "8080", "1e3", "::/0", "a: b", "-", "~", "é", "0x1", "a#",
        ] {
            assert_eq!(plain(text), format!("\"{text}\""));
        }
        assert_eq!(quoted_like("it's", "'x'"), "'it''s'");
        assert_eq!(quoted_like("a", "\"x\""), "\"a\"");
    }

    #[test]
    fn values_are_written_in_brackets_or_as_blocks() {
        let value = json!({"spec": {"egress": [{"to": [], "ports": [{"port": 53}]}], "a": [1]}});
        let style = Style::of("", "");
        assert_eq!(
            block(&value, 0, style).join("\n"),
            "spec:\n  egress:\n    - to: []\n      ports:\n        - port: 53\n  a:\n    - 1"
        );
        assert_eq!(
            Flow::YAML.value(&value, "\n"),
            "{spec: {egress: [{to: [], ports: [{port: 53}]}], a: [1]}}"
        );
        let json = Flow {
            is_json: true,
            is_spaced: true,
            lines: Some((0, 2)),
        };
        assert_eq!(
            json.value(&json!({"a": ["b"]}), "\n"),
            "{\n  \"a\": [\n    \"b\"\n  ]\n}"
        );
    }
}
