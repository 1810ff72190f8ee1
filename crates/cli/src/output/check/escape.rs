//! Text of manifests inside HTML: it is shown, whatever it says.

use crate::output::visible;

/// Text of one line.
pub(super) fn text(text: &str) -> String {
    escaped(&visible::line(text))
}

/// Text that may have several lines and tabs.
pub(super) fn lines(text: &str) -> String {
    escaped(&visible::lines(text))
}

/// A sentence in which backticks stand for code.
pub(super) fn sentence(sentence: &str) -> String {
    let text = text(sentence);
    let parts: Vec<&str> = text.split('`').collect();
    // A lone backtick is a backtick.
    if parts.len().is_multiple_of(2) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    for (position, part) in parts.into_iter().enumerate() {
        if position % 2 == 1 {
            out.push_str(&format!("<code>{part}</code>"));
        } else {
            out.push_str(part);
        }
    }
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_names_is_text() {
        assert_eq!(text("<b a='\"'>&\n"), "&lt;b a=&#39;&quot;&#39;&gt;&amp;␊");
        assert_eq!(
            sentence("see `a <b>` now"),
            "see <code>a &lt;b&gt;</code> now"
        );
        assert_eq!(sentence("a ` b"), "a ` b");
    }
}
