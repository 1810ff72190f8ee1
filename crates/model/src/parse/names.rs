//! The syntax of names, labels and the like. Each check gives what is expected when
//! the text is not that.
//!
//! Sources: RFC 1123 as `k8s.io/apimachinery/pkg/util/validation` reads it; the
//! patterns of the `policy.networking.k8s.io` resource definitions.

const LABEL_VALUE_LENGTH: usize = 63;
const SUBDOMAIN_LENGTH: usize = 253;
const PORT_NAME_LENGTH: usize = 15;

/// What a text should have been.
pub type Expected = &'static str;

fn is_lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// Whether all bytes are of `inner` or `edge`, and the first and the last of `edge`.
fn is_framed(text: &str, edge: fn(u8) -> bool, inner: fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => {
            edge(*first) && edge(*last) && bytes.iter().all(|byte| edge(*byte) || inner(*byte))
        }
        _ => false,
    }
}

fn is_label(text: &str) -> bool {
    text.len() <= LABEL_VALUE_LENGTH && is_framed(text, is_lower, |byte| byte == b'-')
}

fn is_subdomain(text: &str) -> bool {
    text.len() <= SUBDOMAIN_LENGTH
        && text
            .split('.')
            .all(|part| is_framed(part, is_lower, |byte| byte == b'-'))
}

fn is_qualified_part(text: &str) -> bool {
    text.len() <= LABEL_VALUE_LENGTH
        && is_framed(
            text,
            |byte| byte.is_ascii_alphanumeric(),
            |byte| matches!(byte, b'-' | b'_' | b'.'),
        )
}

/// The name of a namespace.
///
/// # Errors
/// What is expected, if the text is not that.
pub fn label(text: &str) -> Result<(), Expected> {
    is_label(text).then_some(()).ok_or(
        "lower-case letters, digits and `-`, at most 63, beginning and ending with a letter or digit",
    )
}

/// The name of most objects.
pub(crate) fn subdomain(text: &str) -> Result<(), Expected> {
    is_subdomain(text).then_some(()).ok_or(
        "lower-case letters, digits, `-` and `.`, at most 253, beginning and ending with a letter or digit",
    )
}

/// The key of a label or annotation.
///
/// # Errors
/// What is expected, if the text is not that.
pub fn qualified(text: &str) -> Result<(), Expected> {
    let is_fine = match text.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_qualified_part(name),
        None => is_qualified_part(text),
    };
    is_fine.then_some(()).ok_or(
        "letters, digits, `-`, `_` and `.`, at most 63, beginning and ending with a letter or digit, optionally after a DNS name and `/`",
    )
}

/// The value of a label.
///
/// # Errors
/// What is expected, if the text is not that.
pub fn label_value(text: &str) -> Result<(), Expected> {
    (text.is_empty() || is_qualified_part(text)).then_some(()).ok_or(
        "letters, digits, `-`, `_` and `.`, at most 63, beginning and ending with a letter or digit",
    )
}

/// The name of a container port.
pub(crate) fn port_name(text: &str) -> Result<(), Expected> {
    let is_fine = text.len() <= PORT_NAME_LENGTH
        && is_framed(text, is_lower, |byte| byte == b'-')
        && !text.contains("--")
        && text.bytes().any(|byte| byte.is_ascii_lowercase());
    is_fine
        .then_some(())
        .ok_or("lower-case letters, digits and single `-`, at most 15, with at least one letter")
}

/// A domain name as a peer, with an optional `*.` before it.
pub(crate) fn domain(text: &str) -> Result<(), Expected> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let name = name.strip_suffix('.').unwrap_or(name);
    let labels = name.split('.').filter(|label| {
        is_framed(
            label,
            |byte| byte.is_ascii_alphanumeric(),
            |byte| matches!(byte, b'-' | b'_'),
        )
    });
    let is_fine = name.contains('.') && labels.count() == name.split('.').count();
    is_fine
        .then_some(())
        .ok_or("a name such as `example.com` or `*.example.com`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_names_are_lower_case_domain_names() {
        assert!(subdomain("allow-dns.v2").is_ok());
        for wrong in [
            "",
            "Allow",
            "allow_dns",
            "-a",
            "a-",
            "a..b",
            &"a".repeat(254),
        ] {
            assert!(subdomain(wrong).is_err(), "{wrong}");
        }
        assert!(label("kube-system").is_ok());
        assert!(label("kube.system").is_err());
    }

    #[test]
    fn label_keys_may_have_a_prefix_and_values_may_be_empty() {
        assert!(qualified("app.kubernetes.io/name").is_ok());
        assert!(qualified("App_1").is_ok());
        for wrong in ["", "/a", "a/", "a/b/c", "a b", "A_b.c/d", "-a"] {
            assert!(qualified(wrong).is_err(), "{wrong}");
        }
        assert!(label_value("").is_ok());
        assert!(label_value("v1.2_3").is_ok());
        assert!(label_value("a/b").is_err());
        assert!(label_value(&"a".repeat(64)).is_err());
    }

    #[test]
    fn port_names_are_short_and_have_a_letter() {
        assert!(port_name("http-2").is_ok());
        for wrong in ["", "80", "a--b", "HTTP", "-a", "abcdefghijklmnop"] {
            assert!(port_name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_domain_has_two_labels_and_may_begin_with_a_star() {
        for fine in [
            "example.com",
            "*.example.com",
            "example.com.",
            "a_b.example.com",
        ] {
            assert!(domain(fine).is_ok(), "{fine}");
        }
        for wrong in [
            "",
            "com",
            "*",
            "*.com",
            "a.*.com",
            "exa mple.com",
            ".com",
            "a..b",
        ] {
            assert!(domain(wrong).is_err(), "{wrong}");
        }
    }
}
