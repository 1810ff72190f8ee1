//! `KEY=VALUE`, as labels and annotations are typed.

use ringfence_model::parse::names;

/// A key and a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    key: String,
    value: String,
}

impl Pair {
    /// As an entry of a map.
    pub(super) fn into_entry(self) -> (String, String) {
        (self.key, self.value)
    }
}

/// An annotation: any text may be its value.
pub(super) fn annotation(text: &str) -> Result<Pair, String> {
    let Some((key, value)) = text.split_once('=') else {
        return Err("expected KEY=VALUE".to_owned());
    };
    match names::qualified(key) {
        Ok(()) => Ok(Pair {
            key: key.to_owned(),
            value: value.to_owned(),
        }),
        Err(expected) => Err(format!("the key `{key}` should be {expected}")),
    }
}

/// A label.
pub(super) fn label(text: &str) -> Result<Pair, String> {
    let pair = annotation(text)?;
    match names::label_value(&pair.value) {
        Ok(()) => Ok(pair),
        Err(expected) => Err(format!("the value `{}` should be {expected}", pair.value)),
    }
}
