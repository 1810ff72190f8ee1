//! Text made safe for Markdown tables.

use super::visible;

/// Text in code font.
pub(crate) fn code(text: &str) -> String {
    format!("`{}`", one_line(text).replace('|', "\\|").replace('`', "'"))
}

/// Plain text in a cell.
pub(crate) fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in one_line(text).chars() {
        match c {
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' => {
                safe.push('\\');
                safe.push(c);
            }
            '<' => safe.push_str("&lt;"),
            '&' => safe.push_str("&amp;"),
            c => safe.push(c),
        }
    }
    safe
}

/// A sentence in a cell, in which backticks stand for code.
pub(crate) fn sentence(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    // A lone backtick is a backtick, and code of nothing is nothing.
    let is_paired = parts.len() % 2 == 1 && parts.iter().skip(1).step_by(2).all(|p| !p.is_empty());
    if !is_paired {
        return cell(text);
    }
    let shown = parts.iter().enumerate();
    shown
        .map(|(position, part)| {
            if position % 2 == 1 {
                code(part)
            } else {
                cell(part)
            }
        })
        .collect()
}

fn one_line(text: &str) -> String {
    visible::line(&text.replace(['\n', '\r'], " ")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::sentence;

    #[test]
    fn backticks_in_sentences_are_code() {
        assert_eq!(sentence("take `a|b_` out_"), "take `a\\|b_` out\\_");
        assert_eq!(sentence("a ` b"), "a \\` b");
        assert_eq!(sentence("a `` b"), "a \\`\\` b");
    }
}
