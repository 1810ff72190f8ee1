//! What a document must mean after its edits.

use ringfence_model::source::{KeyPath, PathSegment};
use serde_json::{Map, Value};

use crate::finding::Edit;

/// The meaning of a document, to be changed by edits.
#[derive(Clone, Debug)]
pub(super) struct Intent<'e> {
    before: Value,
    edits: Vec<&'e Edit>,
}

impl<'e> Intent<'e> {
    pub(super) fn new(before: Value) -> Self {
        Self {
            before,
            edits: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, edit: &'e Edit) {
        self.edits.push(edit);
    }

    /// Whether these are the meanings of the document and of those added to it.
    pub(super) fn is_met(&self, after: &[Option<Value>]) -> bool {
        let words: Vec<&str> = self.edits.iter().filter_map(|edit| word_of(edit)).collect();
        if !words.is_empty() {
            let is_all = words.len() == self.edits.len();
            return match after {
                [Some(after)] => is_all && is_respelt(&self.before, after, &words),
                _ => false,
            };
        }
        let Some(wanted) = self.wanted() else {
            return false;
        };
        // A document of comments only is none.
        let after = after.iter().filter(|after| **after != Some(Value::Null));
        after.eq(wanted.into_iter().map(Some).collect::<Vec<_>>().iter())
    }

    /// The document as it should be, unless it is removed, and then what is added. Paths
    /// of edits are those before any of them, so that what moves others comes last.
    fn wanted(&self) -> Option<Vec<Value>> {
        let mut document = Some(self.before.clone());
        let mut added = Vec::new();
        let mut renamed: Vec<(KeyPath, &str)> = Vec::new();
        let mut removed: Vec<KeyPath> = Vec::new();
        for edit in &self.edits {
            match edit {
                Edit::Set {
                    origin,
                    path,
                    value,
                } => *reach(document.as_mut()?, &origin.path.join(path))? = value.clone(),
                Edit::Append {
                    origin,
                    path,
                    value,
                } => match reach(document.as_mut()?, &origin.path.join(path))? {
                    Value::Array(items) => items.push(value.clone()),
                    empty @ Value::Null => *empty = Value::Array(vec![value.clone()]),
                    _ => return None,
                },
                Edit::Rename { origin, path, name } => {
                    renamed.push((origin.path.join(path), name));
                }
                Edit::Remove { origin, path } => removed.push(origin.path.join(path)),
                Edit::RemoveObject { origin } if origin.path.0.is_empty() => document = None,
                Edit::RemoveObject { origin } => removed.push(origin.path.clone()),
                Edit::AddObject { beside, manifest } if beside.path.0.is_empty() => {
                    added.push(manifest.clone());
                }
                Edit::AddObject { beside, manifest } => {
                    match get(document.as_mut()?, &beside.path.parent())? {
                        Value::Array(items) => items.push(manifest.clone()),
                        _ => return None,
                    }
                }
                Edit::Respell { .. } => return None,
            }
        }
        removed.sort_unstable();
        removed.dedup();
        for path in removed.iter().rev() {
            remove(document.as_mut()?, path)?;
        }
        renamed.sort_by(|(a, _), (b, _)| b.cmp(a));
        for (path, name) in renamed {
            let value = remove(document.as_mut()?, &path)?;
            let fields = get(document.as_mut()?, &path.parent())?.as_object_mut()?;
            if fields.insert(name.to_owned(), value).is_some() {
                return None;
            }
        }
        Some(document.into_iter().chain(added).collect())
    }
}

/// The value at a path.
fn get<'v>(root: &'v mut Value, path: &KeyPath) -> Option<&'v mut Value> {
    path.0.iter().try_fold(root, |value, step| match step {
        PathSegment::Key(key) => value.as_object_mut()?.get_mut(&**key),
        PathSegment::Index(index) => value.as_array_mut()?.get_mut(*index),
    })
}

/// The value at a path, with the mappings on the way made if they are missing.
fn reach<'v>(root: &'v mut Value, path: &KeyPath) -> Option<&'v mut Value> {
    path.0.iter().try_fold(root, |value, step| match step {
        PathSegment::Key(key) => {
            if value.is_null() {
                *value = Value::Object(Map::new());
            }
            let fields = value.as_object_mut()?;
            Some(fields.entry(&**key).or_insert(Value::Null))
        }
        PathSegment::Index(index) => value.as_array_mut()?.get_mut(*index),
    })
}

fn remove(root: &mut Value, path: &KeyPath) -> Option<Value> {
    let parent = get(root, &path.parent())?;
    match path.0.last()? {
        PathSegment::Key(key) => parent.as_object_mut()?.remove(&**key),
        PathSegment::Index(index) => {
            let items = parent.as_array_mut()?;
            (*index < items.len()).then(|| items.remove(*index))
        }
    }
}

fn word_of(edit: &Edit) -> Option<&str> {
    match edit {
        Edit::Respell { word, .. } => Some(word),
        _ => None,
    }
}

/// Whether two values are the same but for keys and texts that became one of these words,
/// at least one of them.
fn is_respelt(before: &Value, after: &Value, words: &[&str]) -> bool {
    before != after && is_like(before, after, words)
}

fn is_like(before: &Value, after: &Value, words: &[&str]) -> bool {
    match (before, after) {
        (Value::Array(before), Value::Array(after)) => {
            let mut pairs = before.iter().zip(after);
            before.len() == after.len() && pairs.all(|(b, a)| is_like(b, a, words))
        }
        (Value::Object(before), Value::Object(after)) => {
            let mut new = after.iter().filter(|(key, _)| !before.contains_key(*key));
            let mut left = before.iter().filter(|(key, _)| !after.contains_key(*key));
            let same = before.iter().all(|(key, value)| {
                let kept = after.get(key);
                kept.is_none_or(|kept| is_like(value, kept, words))
            });
            let respelt = match (left.next(), new.next()) {
                (None, None) => true,
                (Some((_, b)), Some((key, a))) => {
                    words.contains(&key.as_str()) && is_like(b, a, words)
                }
                _ => false,
            };
            same && respelt && left.next().is_none() && new.next().is_none()
        }
        (_, Value::String(word)) => before == after || words.contains(&word.as_str()),
        _ => before == after,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_words_may_differ() {
        let before = json!({"a": {"ingres": [1, "egress"]}, "b": 2});
        let after = json!({"a": {"ingress": [1, "egress"]}, "b": 2});
        assert!(is_respelt(&before, &after, &["ingress"]));
        assert!(!is_respelt(&before, &before, &["ingress"]));
        assert!(!is_respelt(&before, &after, &["egress"]));
        let more = json!({"a": {"ingress": [2, "egress"]}, "b": 2});
        assert!(!is_respelt(&before, &more, &["ingress"]));
        let less = json!({"a": {"ingress": [1, "egress"]}});
        assert!(!is_respelt(&before, &less, &["ingress"]));
    }
}
