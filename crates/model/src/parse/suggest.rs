//! "Did you mean ...?"

/// The candidate that `found` is probably a misspelling of, if there is one. Never
/// `found` itself.
pub(crate) fn nearest<'c>(
    found: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    /// Longer words than this are not compared letter by letter.
    const LONGEST: usize = 64;
    if found.len() > LONGEST {
        return None;
    }
    let mut best = None;
    for candidate in candidates {
        if candidate == found {
            return None;
        }
        let distance = if candidate.eq_ignore_ascii_case(found) {
            0
        } else {
            strsim::damerau_levenshtein(
                &candidate.to_ascii_lowercase(),
                &found.to_ascii_lowercase(),
            )
        };
        // About one slip in four letters; a short word allows one at most.
        let tolerated = (candidate.len().min(found.len()) / 4).clamp(1, 3);
        if distance <= tolerated && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_and_a_wrong_case_are_recognised() {
        assert_eq!(nearest("ingres", ["egress", "ingress"]), Some("ingress"));
        assert_eq!(nearest("podselector", ["podSelector"]), Some("podSelector"));
        assert_eq!(nearest("prot", ["port", "ports"]), Some("port"));
    }

    #[test]
    fn something_else_is_not() {
        assert_eq!(nearest("annotations", ["labels", "name"]), None);
        assert_eq!(nearest("Lease", ["Node", "Pod"]), None);
        assert_eq!(nearest("to", ["from", "ports"]), None);
        assert_eq!(nearest("name", ["name", "named"]), None);
    }
}
