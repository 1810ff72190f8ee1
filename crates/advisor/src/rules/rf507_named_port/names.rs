//! What the names of ports say.

/// Names that everybody gives to one number.
const WELL_KNOWN: [(&str, u16); 16] = [
    ("amqp", 5672),
    ("amqps", 5671),
    ("dns", 53),
    ("domain", 53),
    ("http", 80),
    ("https", 443),
    ("kafka", 9092),
    ("ldap", 389),
    ("ldaps", 636),
    ("mongodb", 27017),
    ("mysql", 3306),
    ("ntp", 123),
    ("postgres", 5432),
    ("redis", 6379),
    ("smtp", 25),
    ("ssh", 22),
];

/// The number that a name stands for everywhere.
pub(super) fn well_known(name: &str) -> Option<u16> {
    let mut known = WELL_KNOWN.iter();
    known.find(|(n, _)| *n == name).map(|(_, number)| *number)
}

/// How many letters a slip adds or leaves out.
const SLIP: usize = 2;

/// Whether a name that is written and one that is declared are alike and those of two
/// ports, and not one and a slip of it: `https` and `http`, `metrics` and `http-metrics`,
/// `web-1` and `web-2`.
pub(super) fn are_two_ports(written: &str, declared: &str) -> bool {
    let (a, b) = (written, declared);
    let without_digits =
        |name: &str| -> String { name.chars().filter(|c| !c.is_ascii_digit()).collect() };
    let extends = |long: &str, short: &str| {
        let suffix = long.strip_prefix(short).unwrap_or_default();
        let prefix = long.strip_suffix(short).unwrap_or_default();
        suffix == "s" || suffix.starts_with('-') || prefix.ends_with('-')
    };
    // What everybody knows is no slip of something else.
    well_known(a).is_some()
        || a.len().abs_diff(b.len()) > SLIP
        || without_digits(a) == without_digits(b)
        || extends(a, b)
        || extends(b, a)
}

#[cfg(test)]
mod tests {
    use super::are_two_ports;

    #[test]
    fn a_slip_is_not_another_port() {
        for (a, b) in [("htpp", "http"), ("metrcis", "metrics"), ("htps", "https")] {
            assert!(!are_two_ports(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("http", "https"),
            ("http", "http-metrics"),
            ("metrics", "http-metrics"),
            ("web-1", "web-2"),
            ("ldap", "ldaps"),
            ("grpc", "grpcs"),
        ] {
            assert!(are_two_ports(a, b) && are_two_ports(b, a), "{a} {b}");
            assert!(are_two_ports("https", b), "{b}");
        }
    }
}
