//! What an unquoted scalar means.
//!
//! Not YAML 1.2's core schema but what `kubectl` and `helm` do (the YAML 1.1
//! heritage of `sigs.k8s.io/yaml`), since a manifest means what they send to the API
//! server: `yes`, `on` and even `y` are booleans, `010` is eight, `0x1F` and `1_000`
//! are numbers. Sexagesimal numbers and dates stay text there, and here.

/// What a scalar means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Resolved<'s> {
    Null,
    Bool(bool),
    Whole(i64),
    /// Any number that is not a whole one of 64 bits.
    Float(f64),
    Text(&'s str),
}

/// Whether an unquoted scalar means its own text, and no number or the like.
#[must_use]
pub fn is_text(plain: &str) -> bool {
    matches!(resolve(plain), Resolved::Text(_))
}

/// Reads an unquoted scalar.
pub(crate) fn resolve(text: &str) -> Resolved<'_> {
    let Some(first) = text.as_bytes().first() else {
        return Resolved::Null;
    };
    match first {
        b'0'..=b'9' | b'+' | b'-' | b'.' => number(text).unwrap_or(Resolved::Text(text)),
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' => word(text),
        _ => Resolved::Text(text),
    }
}

fn word(text: &str) -> Resolved<'_> {
    match text {
        "~" | "null" | "Null" | "NULL" => Resolved::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => {
            Resolved::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => {
            Resolved::Bool(false)
        }
        _ => Resolved::Text(text),
    }
}

fn number(text: &str) -> Option<Resolved<'static>> {
    match text {
        ".nan" | ".NaN" | ".NAN" => return Some(Resolved::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Some(Resolved::Float(f64::INFINITY));
        }
        "-.inf" | "-.Inf" | "-.INF" => return Some(Resolved::Float(f64::NEG_INFINITY)),
        _ => {}
    }
    if let Ok(whole) = text.parse::<i64>()
        && !has_leading_zero(text)
    {
        return Some(Resolved::Whole(whole));
    }
    let plain;
    let digits = if text.contains('_') {
        plain = text.replace('_', "");
        plain.as_str()
    } else {
        text
    };
    if let Some(whole) = whole(digits) {
        return Some(Resolved::Whole(whole));
    }
    is_float(digits)
        .then(|| digits.parse::<f64>().ok())
        .flatten()
        .map(Resolved::Float)
}

fn has_leading_zero(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']);
    digits.len() > 1 && digits.starts_with('0')
}

/// A whole number with an optional sign and an optional base prefix; a leading zero
/// alone makes it octal.
fn whole(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let (digits, radix) = if let Some(hex) = strip(digits, "0x", "0X") {
        (hex, 16)
    } else if let Some(octal) = strip(digits, "0o", "0O") {
        (octal, 8)
    } else if let Some(binary) = strip(digits, "0b", "0B") {
        (binary, 2)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (digits, 8)
    } else {
        (digits, 10)
    };
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = i128::from(u64::from_str_radix(digits, radix).ok()?);
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

fn strip<'s>(text: &'s str, lower: &str, upper: &str) -> Option<&'s str> {
    text.strip_prefix(lower)
        .or_else(|| text.strip_prefix(upper))
}

/// Digits with at most one point and an exponent; not `Infinity` or `1e`.
fn is_float(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_is_fine = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && all_digits(digits)
    });
    all_digits(before)
        && all_digits(after)
        && !(before.is_empty() && after.is_empty())
        && exponent_is_fine
}

#[cfg(test)]
mod tests {
    use super::Resolved::{Bool, Float, Null, Text, Whole};
    use super::*;

    #[test]
    fn words_that_kubectl_reads_as_booleans_are_booleans() {
        for yes in ["y", "Yes", "on", "true", "TRUE"] {
            assert_eq!(resolve(yes), Bool(true), "{yes}");
        }
        for no in ["n", "No", "OFF", "false"] {
            assert_eq!(resolve(no), Bool(false), "{no}");
        }
        assert_eq!(resolve("yEs"), Text("yEs"));
        assert_eq!(resolve("nginx"), Text("nginx"));
    }

    #[test]
    fn numbers_are_read_in_every_base_and_with_underscores() {
        assert_eq!(resolve("80"), Whole(80));
        assert_eq!(resolve("+80"), Whole(80));
        assert_eq!(resolve("-1"), Whole(-1));
        assert_eq!(resolve("010"), Whole(8));
        assert_eq!(resolve("0o17"), Whole(15));
        assert_eq!(resolve("0x1F"), Whole(31));
        assert_eq!(resolve("0b11"), Whole(3));
        assert_eq!(resolve("1_000"), Whole(1000));
        assert_eq!(resolve("0"), Whole(0));
        assert_eq!(resolve("-9223372036854775808"), Whole(i64::MIN));
    }

    #[test]
    fn a_commit_id_that_looks_like_a_power_of_ten_is_a_number() {
        assert_eq!(resolve("12e4"), Float(120_000.0));
        assert_eq!(resolve("1.5"), Float(1.5));
        assert_eq!(resolve(".5"), Float(0.5));
        assert_eq!(resolve("09"), Float(9.0));
        assert_eq!(
            resolve("18446744073709551615"),
            Float(18_446_744_073_709_551_615.0)
        );
    }

    #[test]
    fn addresses_versions_dates_and_times_are_text() {
        for text in [
            "10.0.0.0/8",
            "1.2.3",
            "2001-12-14",
            "1:30",
            "-",
            "+",
            ".",
            "--",
            "0x",
            "0xg",
            "1e",
            "e5",
            "-foo",
            "...",
            "8080/tcp",
            "1-2",
            "0b2",
            "+-1",
            "1.2e",
            "inf",
            "NaN",
        ] {
            assert_eq!(resolve(text), Text(text));
        }
    }

    #[test]
    fn nothing_is_null() {
        for null in ["", "~", "null", "NULL"] {
            assert_eq!(resolve(null), Null);
        }
    }
}
