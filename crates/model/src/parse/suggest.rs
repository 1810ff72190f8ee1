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

/// The candidate that is `found` but for the case of letters, or but for one letter:
/// missing, added, changed, or swapped with its neighbour. Never `found` itself.
///
/// Stricter than [`nearest`], for where what is not known may well be meant.
pub(crate) fn one_slip<'c>(
    found: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    /// In shorter words one letter makes a difference.
    const SHORTEST: usize = 4;
    let mut best = None;
    for candidate in candidates {
        if candidate == found {
            return None;
        }
        // The common case, that they have nothing in common, must cost nothing.
        if candidate.len().abs_diff(found.len()) > 1 {
            continue;
        }
        if candidate.eq_ignore_ascii_case(found) {
            return Some(candidate);
        }
        if best.is_none()
            && candidate.len().min(found.len()) >= SHORTEST
            && strsim::osa_distance(&candidate.to_ascii_lowercase(), &found.to_ascii_lowercase())
                == 1
        {
            best = Some(candidate);
        }
    }
    best
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

    #[test]
    fn one_slip_is_one_letter_or_the_case_of_any() {
        for (found, right) in [
            ("lables", "labels"),
            ("hostnetwork", "hostNetwork"),
            ("host-network", "hostNetwork"),
            ("tmplate", "template"),
            ("podIP", "podIPs"),
        ] {
            assert_eq!(one_slip(found, [right]), Some(right));
        }
        for (found, other) in [
            ("labelled", "labels"),
            ("ips", "ip"),
            ("to", "from"),
            ("labels", "labels"),
            ("ipFamily", "ipFamilies"),
        ] {
            assert_eq!(one_slip(found, [other]), None, "{found}");
        }
        // The right case is nearer than the right letters.
        assert_eq!(one_slip("podips", ["podIP", "podIPs"]), Some("podIPs"));
    }
}
