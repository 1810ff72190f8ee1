//! Edits as splices of the text of their document.

mod whole;

use std::ops::Range;

use ringfence_model::parse::{Sources, Written};
use ringfence_model::source::{KeyPath, Origin, PathSegment};
use serde_json::{Map, Value};

use super::Refusal;
use super::emit::{Flow, Style, below, block, entry, is_block, plain, quoted_like};
use super::place::{column, comments, dash_before, is_in_brackets, line_start, space_before};
use super::splice::Splice;
use crate::finding::Edit;

/// Keys that people look for behind another one, and not at the end.
const BEHIND: [(&str, &str); 1] = [("policyTypes", "podSelector")];

/// Writes edits of one document.
pub(super) struct Writer<'a> {
    sources: &'a Sources,
    /// The root of the document.
    root: &'a Origin,
    /// The text of the whole file.
    text: &'a str,
    /// The document in it.
    document: Range<usize>,
    /// What it means.
    meaning: &'a Value,
    style: Style,
    splices: Vec<Splice>,
}

type Done = Result<(), Refusal>;

impl<'a> Writer<'a> {
    pub(super) fn new(
        sources: &'a Sources,
        root: &'a Origin,
        document: Range<usize>,
        meaning: &'a Value,
    ) -> Self {
        let text = sources.text(root.file);
        Self {
            sources,
            root,
            text,
            style: Style::of(text.get(document.clone()).unwrap_or_default(), text),
            document,
            meaning,
            splices: Vec::new(),
        }
    }

    pub(super) fn into_splices(self) -> Vec<Splice> {
        self.splices
    }

    pub(super) fn edit(&mut self, edit: &Edit) -> Done {
        match edit {
            Edit::Set {
                origin,
                path,
                value,
            } => self.set(&origin.path.join(path), value),
            Edit::Rename { origin, path, name } => self.rename(&origin.path.join(path), name),
            Edit::Append {
                origin,
                path,
                value,
            } => self.append(&origin.path.join(path), value),
            Edit::Remove { origin, path } => self.remove(&origin.path.join(path)),
            Edit::Respell { location, word } => self.respell(location, word),
            Edit::RemoveObject { origin } if origin.path.0.is_empty() => self.remove_document(),
            Edit::RemoveObject { origin } => self.remove(&origin.path),
            Edit::AddObject { beside, manifest } if beside.path.0.is_empty() => {
                self.add_document(manifest)
            }
            Edit::AddObject { beside, manifest } => self.append(&beside.path.parent(), manifest),
        }
    }

    fn splice(&mut self, bytes: Range<usize>, text: impl Into<String>) {
        let text = text.into();
        self.splices.push(Splice { bytes, text });
    }

    fn slice(&self, bytes: Range<usize>) -> &'a str {
        self.text.get(bytes).unwrap_or_default()
    }

    /// What is at a path of the document, be it written there or not.
    fn value(&self, path: &KeyPath) -> Option<&'a Value> {
        path.0
            .iter()
            .try_fold(self.meaning, |value, step| match step {
                PathSegment::Key(key) => value.get(&**key),
                PathSegment::Index(index) => value.get(*index),
            })
    }

    fn written(&self, path: &KeyPath) -> Result<Written, Refusal> {
        self.sources
            .written(self.root, path)
            .ok_or_else(|| Refusal::NotWrittenThere(path.clone()))
    }

    /// The children of a collection that are written in it, in the order of the text.
    fn children(&self, path: &KeyPath) -> Vec<(KeyPath, Written)> {
        let paths: Vec<KeyPath> = match self.value(path) {
            Some(Value::Object(fields)) => fields.keys().map(|key| path.key(key)).collect(),
            Some(Value::Array(items)) => (0..items.len()).map(|i| path.index(i)).collect(),
            _ => Vec::new(),
        };
        let mut children: Vec<(KeyPath, Written)> = paths
            .into_iter()
            .filter_map(|path| Some((path.clone(), self.written(&path).ok()?)))
            .collect();
        children.sort_by_key(|(_, written)| written.value.end);
        children
    }

    /// Whether what is at a path stands in brackets. A block list begins with its first
    /// item, which may be in brackets itself.
    fn is_flow(&self, path: &KeyPath) -> Result<bool, Refusal> {
        let start = self.written(path)?.value.start;
        let first = self.written(&path.index(0));
        let is_block_list = first.is_ok_and(|first| first.value.start == start);
        Ok(!is_block_list && is_in_brackets(self.text, start))
    }

    fn set(&mut self, path: &KeyPath, value: &Value) -> Done {
        if self.value(path).is_some() {
            return self.replace(path, value);
        }
        let parent = path.parent();
        let Some(PathSegment::Key(name)) = path.0.last() else {
            return Err(Refusal::NotWrittenThere(path.clone()));
        };
        match self.value(&parent) {
            Some(Value::Object(_)) => self.insert(&parent, name, value),
            Some(Value::Null) | None if !parent.0.is_empty() => {
                let fields = Map::from_iter([(name.to_string(), value.clone())]);
                self.set(&parent, &Value::Object(fields))
            }
            _ => Err(Refusal::Unusual(path.clone())),
        }
    }

    /// Writes another value, and no more of it than differs.
    fn replace(&mut self, path: &KeyPath, value: &Value) -> Done {
        match (self.value(path), value) {
            (Some(old), new) if old == new => Ok(()),
            (Some(Value::Object(old)), Value::Object(new))
                if old.keys().any(|key| new.contains_key(key)) =>
            {
                for key in old.keys().filter(|key| !new.contains_key(*key)) {
                    self.remove(&path.key(key))?;
                }
                for (key, value) in new {
                    self.set(&path.key(key), value)?;
                }
                Ok(())
            }
            (Some(Value::Array(old)), Value::Array(new)) if shares_items(old, new) => {
                for (index, value) in new.iter().enumerate() {
                    if index < old.len() {
                        self.replace(&path.index(index), value)?;
                    } else {
                        self.append(path, value)?;
                    }
                }
                for index in new.len()..old.len() {
                    self.remove(&path.index(index))?;
                }
                Ok(())
            }
            (old, new) => self.rewrite(path, old, new),
        }
    }

    /// Writes a value in the place of another one, as a whole.
    fn rewrite(&mut self, path: &KeyPath, old: Option<&Value>, value: &Value) -> Done {
        let written = self.written(path)?;
        let shown = self.slice(written.value.clone());
        let is_collection = |value: &Value| value.is_object() || value.is_array();
        let was_flow = self.is_flow(path)?;
        let was_block = old.is_some_and(is_collection) && !was_flow;
        if let Value::String(text) = value
            && !was_block
            && !shown.is_empty()
        {
            self.splice(written.value.clone(), quoted_like(text, shown));
            return Ok(());
        }
        let parent = path.parent();
        let in_flow = !path.0.is_empty() && self.is_flow(&parent)?;
        // What was in brackets stays in brackets, unless nothing was in them.
        let stays_flow = was_flow && shown.len() > 2;
        if in_flow || stays_flow || (!was_block && !is_block(value, self.style)) {
            let text = self
                .flow_at(&written.value)
                .value(value, self.style.line_break);
            let gap = match written.value.is_empty() {
                true => " ",
                false => "",
            };
            self.splice(written.value.clone(), format!("{gap}{text}"));
            return Ok(());
        }
        let start = match old {
            Some(Value::Array(_)) if was_block => dash_before(self.text, written.value.start)
                .ok_or_else(|| Refusal::Unusual(path.clone()))?,
            _ => written.value.start,
        };
        let Some(key) = &written.key else {
            return self.rewrite_item(start..written.value.end, value);
        };
        let key_column = column(self.text, key.start);
        let same_kind = matches!(
            (old, value),
            (Some(Value::Object(_)), Value::Object(_)) | (Some(Value::Array(_)), Value::Array(_))
        );
        let lost = comments(self.text, key.end..written.value.end);
        if was_block && same_kind && is_block(value, self.style) {
            let at = column(self.text, start);
            let comments = comments(self.text, start..written.value.end);
            let mut lines = block(value, at, self.style);
            add_comments(&mut lines, &comments, at);
            self.splice(start..written.value.end, self.joined(&lines));
            return Ok(());
        }
        // After the colon, with which the key ends.
        let colon = self.slice(key.end..written.value.end).find(':');
        let colon = key.end + colon.ok_or_else(|| Refusal::Unusual(path.clone()))? + 1;
        let shown = Flow::YAML.value(value, self.style.line_break);
        let mut lines = match is_block(value, self.style) {
            true => vec![String::new()],
            false => vec![format!(" {shown}")],
        };
        // What stood behind the key stays there.
        let mut lost = lost.into_iter();
        if let (Some(comment), Some(first)) = (lost.next(), lines.first_mut()) {
            first.push_str(&format!(" {comment}"));
        }
        if is_block(value, self.style) {
            lines.extend(below(value, key_column, self.style));
        }
        let lost: Vec<&str> = lost.collect();
        add_comments(&mut lines, &lost, key_column + self.style.step);
        self.splice(colon..written.value.end, self.joined(&lines));
        Ok(())
    }

    /// Writes another value behind the dash of a list item.
    fn rewrite_item(&mut self, bytes: Range<usize>, value: &Value) -> Done {
        let at = column(self.text, bytes.start);
        let lost = comments(self.text, bytes.clone());
        let mut lines = match is_block(value, self.style) {
            true => block(value, at, self.style),
            false => vec![Flow::YAML.value(value, self.style.line_break)],
        };
        add_comments(&mut lines, &lost, at);
        self.splice(bytes, self.joined(&lines));
        Ok(())
    }

    fn joined(&self, lines: &[String]) -> String {
        lines.join(self.style.line_break)
    }

    /// Adds an entry to the mapping at `path`.
    fn insert(&mut self, path: &KeyPath, name: &str, value: &Value) -> Done {
        let mapping = self.written(path)?;
        let children = self.children(path);
        let is_flow = self.is_flow(path)?;
        let Some((_, last)) = children.last() else {
            if !is_flow {
                return Err(Refusal::NotWrittenThere(path.clone()));
            }
            let fields = Map::from_iter([(name.to_owned(), value.clone())]);
            return self.rewrite(path, None, &Value::Object(fields));
        };
        if is_flow {
            let flow = self.flow_at(&mapping.value);
            let key = flow.scalar_text(name);
            return self.insert_in_brackets(
                path,
                last,
                flow,
                &format!("{key}{}", flow.colon()),
                value,
            );
        }
        let behind = BEHIND.iter().find(|(key, _)| *key == name);
        let behind = behind.and_then(|(_, before)| {
            let wanted = path.key(before);
            children.iter().find(|(path, _)| *path == wanted)
        });
        let last = behind.map_or(last, |(_, written)| written);
        let key = last.key.as_ref();
        let at = key.map_or(0, |key| column(self.text, key.start));
        let mut lines = Vec::new();
        entry(&plain(name), value, at, self.style, &mut lines);
        self.insert_lines(last, &lines);
        Ok(())
    }

    /// Adds an item to the list at `path`.
    fn append(&mut self, path: &KeyPath, value: &Value) -> Done {
        let items = match self.value(path) {
            Some(Value::Array(items)) => items.len(),
            Some(Value::Null) | None => 0,
            Some(_) => return Err(Refusal::Unusual(path.clone())),
        };
        let Some(last) = items.checked_sub(1) else {
            return self.set(path, &Value::Array(vec![value.clone()]));
        };
        let list = self.written(path)?;
        let last = self.written(&path.index(last))?;
        if self.is_flow(path)? {
            let flow = self.flow_at(&list.value);
            return self.insert_in_brackets(path, &last, flow, "", value);
        }
        let unusual = || Refusal::Unusual(path.clone());
        let dash = dash_before(self.text, last.value.start).ok_or_else(unusual)?;
        if !self
            .slice(line_start(self.text, dash)..dash)
            .trim()
            .is_empty()
            && items > 1
        {
            return Err(unusual());
        }
        let at = column(self.text, dash);
        let gap = column(self.text, last.value.start) - at - 1;
        let is_text_like = matches!(value, Value::String(_));
        let shown = self.slice(last.value.clone());
        let mut lines = match value {
            Value::String(text) if is_text_like => vec![quoted_like(text, shown)],
            // As the others: in brackets if they are.
            _ if is_block(value, self.style) && !shown.starts_with(['{', '[']) => {
                block(value, at + 1 + gap.max(1), self.style)
            }
            _ => vec![
                self.flow_at(&last.value)
                    .value(value, self.style.line_break),
            ],
        };
        let gap = " ".repeat(gap.max(1));
        if let Some(first) = lines.first_mut() {
            *first = format!("{}-{gap}{first}", " ".repeat(at));
        }
        self.insert_lines(&last, &lines);
        Ok(())
    }

    /// Adds lines below those of an entry.
    fn insert_lines(&mut self, entry: &Written, lines: &[String]) {
        let line_break = self.style.line_break;
        let at = entry.lines.end;
        let lines = self.joined(lines);
        let ends = self.slice(entry.lines.clone()).ends_with(['\n', '\r']);
        let text = match ends {
            true => format!("{lines}{line_break}"),
            false => format!("{line_break}{lines}"),
        };
        self.splice(at..at, text);
    }

    /// Adds an entry behind the last one of a collection in brackets.
    fn insert_in_brackets(
        &mut self,
        path: &KeyPath,
        last: &Written,
        flow: Flow,
        key: &str,
        value: &Value,
    ) -> Done {
        let start = last.key.as_ref().map_or(last.value.start, |key| key.start);
        let mut space = space_before(self.text, start);
        let follows_bracket = self.slice(0..start - space.len()).ends_with(['{', '[']);
        if !space.contains(['\n', '\r']) && follows_bracket {
            space = if flow.is_spaced { " " } else { "" };
        }
        let is_on_line = space.contains(['\n', '\r']);
        let flow = Flow {
            lines: is_on_line
                .then(|| (column(self.text, start), self.style.step))
                .filter(|_| flow.is_json),
            ..flow
        };
        let shown = self.slice(last.value.clone());
        let value = match value {
            Value::String(text) if key.is_empty() => quoted_like(text, shown),
            // As the others: on one line if they are.
            value if key.is_empty() && !shown.contains('\n') => {
                let flow = Flow {
                    lines: None,
                    ..flow
                };
                flow.value(value, self.style.line_break)
            }
            value => flow.value(value, self.style.line_break),
        };
        if space.contains('#') {
            return Err(Refusal::Unusual(path.clone()));
        }
        let at = last.value.end;
        self.splice(at..at, format!(",{space}{key}{value}"));
        Ok(())
    }

    /// How a collection in brackets in this stretch should be written.
    fn flow_at(&self, bytes: &Range<usize>) -> Flow {
        let shown = self.slice(bytes.clone());
        let document = self.slice(self.document.clone());
        let content = document.trim_start_matches("---").trim_start();
        let inner = shown.trim_start_matches(['{', '[']).trim_start();
        let is_json = content.starts_with('{') && content.contains('"')
            || shown.starts_with('{') && inner.starts_with('"');
        let first_colon = shown
            .find("\":")
            .or_else(|| document.find("\":").filter(|_| is_json));
        let whole = if shown.contains("\":") {
            shown
        } else {
            document
        };
        let is_spaced = !is_json
            || first_colon
                .and_then(|at| whole.get(at + 2..))
                .is_none_or(|rest| rest.starts_with(char::is_whitespace));
        let is_on_lines = is_json && content.contains('\n');
        let line = line_start(self.text, bytes.start);
        let before = self.slice(line..bytes.start);
        let indent = before.len() - before.trim_start_matches(' ').len();
        Flow {
            is_json,
            is_spaced,
            lines: is_on_lines.then_some((indent, self.json_step())),
        }
    }

    /// How much deeper each level of this JSON text is indented.
    fn json_step(&self) -> usize {
        let lines = self.slice(self.document.clone()).lines().skip(1);
        let indents = lines.map(|line| line.len() - line.trim_start_matches(' ').len());
        indents.into_iter().find(|indent| *indent > 0).unwrap_or(2)
    }
}

/// Whether a list is another one with some items changed, added at the end or removed
/// there: whether any item stands where it stood.
fn shares_items(old: &[Value], new: &[Value]) -> bool {
    let mut pairs = old.iter().zip(new);
    pairs.any(|(old, new)| match (old, new) {
        (Value::Object(old), Value::Object(new)) => old.keys().any(|key| new.contains_key(key)),
        (old, new) => old == new,
    })
}

/// Adds the comments of what is no more there, so that none is lost.
fn add_comments(lines: &mut Vec<String>, comments: &[&str], column: usize) {
    for comment in comments {
        lines.push(format!("{}{comment}", " ".repeat(column)));
    }
}
