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
        let parts: [&str; 7] = [
            &code,
            &object.api_version,
            &object.kind,
            object.namespace.as_deref().unwrap_or_default(),
            &object.name,
            path.as_deref().unwrap_or_default(),
            &message,
        ];
        let hash = fnv1a(parts.into_iter().flat_map(apart));
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

/// The bytes of a part, with an end, so that parts do not run together.
fn apart(part: &str) -> impl Iterator<Item = u8> {
    part.bytes().chain(std::iter::once(0))
}

/// FNV-1a with 128 bits. It must be the same in every version, on every machine; it is no
/// secret.
fn fnv1a(bytes: impl Iterator<Item = u8>) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
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
        // Published test vectors.
        assert_eq!(
            fnv1a(b"".iter().copied()),
            0x6c62_272e_07bb_0142_62b8_2175_6295_c58d
        );
        assert_eq!(
            fnv1a(b"a".iter().copied()),
            0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964
        );
        let of = |parts: [&'static str; 2]| fnv1a(parts.into_iter().flat_map(apart));
        assert_ne!(of(["ab", "c"]), of(["a", "bc"]), "parts are kept apart");
    }
}
