use std::ops::Range;

/// Bytes of a text, and what to put in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Splice {
    pub(super) bytes: Range<usize>,
    pub(super) text: String,
}

/// Splices in the order of the text. Those that add text at one place become one, in the
/// order given. `None` if two of them are about the same bytes.
pub(super) fn merged(mut splices: Vec<Splice>) -> Option<Vec<Splice>> {
    splices.sort_by_key(|splice| (splice.bytes.start, splice.bytes.end));
    let mut merged: Vec<Splice> = Vec::with_capacity(splices.len());
    for splice in splices {
        match merged.last_mut() {
            Some(last) if last.bytes == splice.bytes && splice.bytes.is_empty() => {
                last.text.push_str(&splice.text);
            }
            Some(last) if last.bytes.end > splice.bytes.start => return None,
            _ => merged.push(splice),
        }
    }
    Some(merged)
}

/// A stretch of a text with splices made in it, which must be in order and within it.
pub(super) fn apply(text: &str, stretch: Range<usize>, splices: &[Splice]) -> Option<String> {
    let mut result = String::new();
    let mut at = stretch.start;
    for splice in splices {
        result.push_str(text.get(at..splice.bytes.start)?);
        result.push_str(&splice.text);
        at = splice.bytes.end;
    }
    result.push_str(text.get(at..stretch.end)?);
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splice(bytes: Range<usize>, text: &str) -> Splice {
        Splice {
            bytes,
            text: text.to_owned(),
        }
    }

    #[test]
    fn what_is_added_at_one_place_stays_in_order() {
        let splices = merged(vec![splice(3..4, ""), splice(1..1, "x"), splice(1..1, "y")]);
        let splices = splices.unwrap();
        assert_eq!(apply("abcde", 0..5, &splices).unwrap(), "axybce");
        assert_eq!(apply("abcde", 1..4, &splices).unwrap(), "xybc");
    }

    #[test]
    fn the_same_bytes_are_not_replaced_twice() {
        assert_eq!(merged(vec![splice(0..2, "x"), splice(1..3, "y")]), None);
        assert_eq!(merged(vec![splice(0..2, "x"), splice(0..2, "x")]), None);
        assert!(merged(vec![splice(0..2, "x"), splice(2..3, "y")]).is_some());
    }

    #[test]
    fn what_is_not_in_the_text_is_not_spliced() {
        assert_eq!(apply("ab", 0..2, &[splice(1..9, "")]), None);
        assert_eq!(apply("ä", 0..2, &[splice(1..1, "x")]), None);
    }
}
