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

fn one_line(text: &str) -> String {
    visible::line(&text.replace(['\n', '\r'], " ")).into_owned()
}
