//! Commands that somebody will copy.

use super::visible;

/// A word of a command: a name in a manifest, or a path, must not become another command.
pub(crate) fn word(word: &str) -> String {
    let word = visible::line(word);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._/:[]%,@+=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn a_name_does_not_become_a_command() {
        assert_eq!(word("web/shop:8080/udp"), "web/shop:8080/udp");
        assert_eq!(word("[fd00::1]:80"), "[fd00::1]:80");
        assert_eq!(word("web/x; rm"), "'web/x; rm'");
        assert_eq!(word("it's\n"), r"'it'\''s␊'");
        assert_eq!(word("~/my files"), "'~/my files'");
        assert_eq!(word(""), "''");
    }
}
