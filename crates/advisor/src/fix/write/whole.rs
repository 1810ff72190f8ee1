//! Words, entries and documents as wholes: other names for them, and taking them out.

use ringfence_model::parse::Written;
use ringfence_model::source::{KeyPath, Location};
use serde_json::{Map, Value};

use super::{Done, Writer};
use crate::fix::Refusal;
use crate::fix::emit::{block, quoted_like};
use crate::fix::place::comments;

impl Writer<'_> {
    pub(super) fn rename(&mut self, path: &KeyPath, name: &str) -> Done {
        let unusual = || Refusal::Unusual(path.clone());
        let key = self.written(path)?.key.ok_or_else(unusual)?;
        let text = quoted_like(name, self.slice(key.clone()));
        self.splice(key, text);
        Ok(())
    }

    pub(super) fn respell(&mut self, location: &Location, word: &str) -> Done {
        let start = location.span.start.offset;
        let shown = self.slice(start..location.span.end.offset).trim_end();
        let length = match shown.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let close = shown.get(1..).and_then(|rest| rest.find(quote));
                close.ok_or(Refusal::NotAWord)? + 2
            }
            _ => shown.len(),
        };
        let shown = shown.get(..length).unwrap_or_default();
        if shown.is_empty() || shown.contains(['\n', '\r']) {
            return Err(Refusal::NotAWord);
        }
        self.splice(start..start + length, quoted_like(word, shown));
        Ok(())
    }

    /// Removes a key with its value, or an item, and the comments on its lines.
    pub(super) fn remove(&mut self, path: &KeyPath) -> Done {
        let unusual = || Refusal::Unusual(path.clone());
        let parent = path.parent();
        let written = self.written(path)?;
        let empty = match self.value(&parent) {
            _ if path.0.is_empty() => return Err(unusual()),
            Some(Value::Object(fields)) if fields.len() == 1 => Some(Value::Object(Map::new())),
            Some(Value::Array(items)) if items.len() == 1 => Some(Value::Array(Vec::new())),
            _ => None,
        };
        if let Some(empty) = empty {
            return self.rewrite(&parent, self.value(&parent), &empty);
        }
        let start = |written: &Written| {
            let key = written.key.as_ref();
            key.map_or(written.value.start, |key| key.start)
        };
        let siblings = self.children(&parent);
        let at = siblings.iter().position(|(sibling, _)| sibling == path);
        let at = at.ok_or_else(unusual)?;
        let before = at.checked_sub(1).and_then(|at| siblings.get(at));
        let after = siblings.get(at + 1);
        if self.is_flow(&parent)? {
            let bytes = match (before, after) {
                (Some((_, before)), _) => before.value.end..written.value.end,
                (None, Some((_, after))) => start(&written)..start(after),
                (None, None) => return Err(unusual()),
            };
            self.splice(bytes, "");
            return Ok(());
        }
        if written.has_own_lines {
            self.splice(written.lines, "");
            return Ok(());
        }
        // The first key behind a dash: the next one takes its place.
        let (_, next) = after.filter(|_| before.is_none()).ok_or_else(unusual)?;
        let bytes = start(&written)..start(next);
        if !comments(self.text, written.lines.end..bytes.end).is_empty() {
            return Err(unusual());
        }
        self.splice(bytes, "");
        Ok(())
    }

    /// Removes the document. Comments at the beginning of the file that a blank line sets
    /// apart are about the file.
    pub(super) fn remove_document(&mut self) -> Done {
        let is_only = self.sources.documents(self.root.file) < 2;
        if is_only {
            return Err(Refusal::OnlyObject);
        }
        let mut start = self.document.start;
        if start == 0 {
            let mut at = 0;
            for line in self.slice(self.document.clone()).split_inclusive('\n') {
                let content = line.trim();
                if !content.is_empty() && !content.starts_with('#') {
                    break;
                }
                at += line.len();
                if content.is_empty() {
                    start = at;
                }
            }
        }
        self.splice(start..self.document.end, "");
        Ok(())
    }

    /// Adds a document behind this one.
    pub(super) fn add_document(&mut self, manifest: &Value) -> Done {
        let document = self.slice(self.document.clone());
        let is_json = |text: &str| {
            let inner = text.trim_start().strip_prefix('{');
            inner.is_some_and(|inner| inner.trim_start().starts_with('"'))
        };
        if is_json(document) {
            return Err(Refusal::OneObjectInJson);
        }
        let line_break = self.style.line_break;
        let lines = self.joined(&block(manifest, 0, self.style));
        let gap = match document.ends_with(['\n', '\r']) {
            true => "",
            false => line_break,
        };
        let at = self.document.end;
        self.splice(at..at, format!("{gap}---{line_break}{lines}{line_break}"));
        Ok(())
    }
}
