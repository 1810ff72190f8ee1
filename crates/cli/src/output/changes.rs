//! Two versions of a text as a unified diff, which `git apply` and `patch` take.

use std::io::{self, Write};

use similar::{ChangeTag, TextDiff};

use super::Theme;

/// Writes what changed in a file.
pub(crate) fn write(
    name: &str,
    before: &str,
    after: &str,
    theme: Theme,
    out: &mut dyn Write,
) -> io::Result<()> {
    let diff = TextDiff::from_lines(before, after);
    let strong = theme.strong;
    let name = name.trim_start_matches("./");
    let (old, new) = match name.starts_with('/') {
        true => (name.to_owned(), name.to_owned()),
        false => (format!("a/{name}"), format!("b/{name}")),
    };
    writeln!(out, "{strong}--- {old}{strong:#}")?;
    writeln!(out, "{strong}+++ {new}{strong:#}")?;
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        let dim = theme.dim;
        writeln!(out, "{dim}{}{dim:#}", hunk.header())?;
        for change in hunk.iter_changes() {
            let (sign, style) = match change.tag() {
                ChangeTag::Delete => ('-', theme.denied),
                ChangeTag::Insert => ('+', theme.allowed),
                ChangeTag::Equal => (' ', anstyle::Style::new()),
            };
            let line = change.value();
            let line_end = line.trim_end_matches(['\r', '\n']).len();
            let (content, line_break) = line.split_at(line_end);
            write!(out, "{style}{sign}{content}{style:#}{line_break}")?;
            if change.missing_newline() {
                writeln!(out, "\n\\ No newline at end of file")?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_shown_with_its_surroundings() {
        let mut out = Vec::new();
        write("./x.yaml", "a\nb\nc", "a\nB\nc", Theme::default(), &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "--- a/x.yaml\n+++ b/x.yaml\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n\\ No newline at end of file\n"
        );
    }
}
