//! Text inside addresses.

/// A path as a relative reference, or `file://` and the path when it is absolute.
pub(crate) fn path(path: &str) -> String {
    let path = path.trim_start_matches("./");
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let encoded = encoded(path, is_plain);
    if path.starts_with('/') {
        format!("file://{encoded}")
    } else {
        encoded
    }
}

/// Text as an address that contains it.
pub(crate) fn data(media_type: &str, text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"%#\"'<>&".contains(&byte);
    format!("data:{media_type},{}", encoded(text, is_plain))
}

fn encoded(text: &str, is_plain: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_references() {
        assert_eq!(path("a/b.yaml"), "a/b.yaml");
        assert_eq!(path("./a b/ä#1?.yaml"), "a%20b/%C3%A4%231%3F.yaml");
        assert_eq!(path("/srv/a:b.yaml"), "file:///srv/a%3Ab.yaml");
        assert_eq!(path("<stdin>"), "%3Cstdin%3E");
    }

    #[test]
    fn data_cannot_leave_its_attribute() {
        let data = data("image/svg+xml", "<a b=\"#'&%\">ä\n</a>");
        assert_eq!(
            data,
            "data:image/svg+xml,%3Ca%20b=%22%23%27%26%25%22%3E%C3%A4%0A%3C/a%3E"
        );
    }
}
