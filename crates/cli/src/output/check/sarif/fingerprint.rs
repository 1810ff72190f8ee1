//! What makes a finding the same finding after lines were moved.

use ringfence_advisor::Finding;
use ringfence_advisor::finding::At;
use rustc_hash::FxHashMap;

/// Gives out fingerprints; findings that are alike in everything are numbered.
#[derive(Debug, Default)]
pub(super) struct Fingerprints {
    seen: FxHashMap<u128, usize>,
}

impl Fingerprints {
    /// The fingerprint of the next finding, made from its rule, its object, the way to
    /// the key at fault, and its message. Neither the file nor the line is in it.
    pub(super) fn next(&mut self, finding: &Finding) -> String {
        let path = finding.primary.as_ref().and_then(|place| match &place.at {
            At::Path { path, .. } => Some(path.to_string()),
            At::Location(_) => None,
        });
        let object = &finding.object;
        let code = finding.rule.code.to_string();
        let message = without_lines(&finding.message);
        let hash = fnv1a(&[
            &code,
            &object.api_version,
            &object.kind,
            object.namespace.as_deref().unwrap_or_default(),
            &object.name,
            path.as_deref().unwrap_or_default(),
            &message,
        ]);
        let times = self.seen.entry(hash).or_default();
        *times += 1;
        format!("{hash:032x}:{times}")
    }
}

/// Text without the numbers of lines in it: `line 12`, `a.yaml:12:3`.
fn without_lines(text: &str) -> String {
    let words = text.split(' ').scan("", |before, word| {
        let is_line = matches!(*before, "line" | "lines");
        *before = word;
        let digits = |c: char| c.is_ascii_digit();
        Some(if is_line {
            word.trim_start_matches(digits)
        } else if word.contains(".yaml:") || word.contains(".yml:") || word.contains(".json:") {
            word.trim_end_matches(|c| digits(c) || c == ':')
        } else {
            word
        })
    });
    words.collect::<Vec<&str>>().join(" ")
}

/// FNV-1a with 128 bits, of parts that are kept apart. It must be the same in every
/// version, on every machine; it is no secret.
fn fnv1a(parts: &[&str]) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let bytes = parts
        .iter()
        .flat_map(|part| part.bytes().chain(std::iter::once(0)));
    bytes.fold(OFFSET, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_numbers_are_no_part_of_it() {
        for (a, b) in [
            ("see line 12, twice", "see line 9, twice"),
            ("also in a.yaml:12:3", "also in a.yaml:7:1"),
        ] {
            assert_eq!(without_lines(a), without_lines(b));
        }
        assert_ne!(without_lines("port :80 x"), without_lines("port :81 x"));
    }

    #[test]
    fn the_hash_is_what_it_always_was() {
        // Of the empty text and a separator: one round of the published algorithm.
        assert_eq!(fnv1a(&[]), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(
            fnv1a(&["ab", "c"]) == fnv1a(&["a", "bc"]),
            false,
            "parts are kept apart"
        );
    }
}
