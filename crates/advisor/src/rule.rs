use std::fmt;
use std::str::FromStr;

use ringfence_model::diagnostic::Severity;

use crate::context::Context;
use crate::report::Findings;

/// The stable name of a rule, such as `RF401`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub u16);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("RF{:03}", self.0))
    }
}

/// The text is not the code of a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a code: codes are written like RF401")]
pub struct ParseCodeError(pub String);

impl FromStr for Code {
    type Err = ParseCodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_prefix("RF").or_else(|| text.strip_prefix("rf"));
        number
            .filter(|digits| digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .map(Self)
            .ok_or_else(|| ParseCodeError(text.to_owned()))
    }
}

/// Some rules: those whose codes begin alike (`RF4`), or one (`RF401`), or all (`RF`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodePrefix(String);

impl CodePrefix {
    /// Whether it stands for all rules.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0 == "RF"
    }

    /// Whether the rule is one of them.
    #[must_use]
    pub fn covers(&self, code: Code) -> bool {
        code.to_string().starts_with(&self.0)
    }
}

impl fmt::Display for CodePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// No rule has a code that begins like this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no code, nor the beginning of one: codes are written like RF401 or RF4, and \
     `ringfence check --list` shows all"
)]
pub struct ParseCodePrefixError(pub String);

impl FromStr for CodePrefix {
    type Err = ParseCodePrefixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let prefix = Self(text.to_ascii_uppercase());
        if prefix.0.starts_with("RF") && crate::rules::ALL.iter().any(|r| prefix.covers(r.code)) {
            Ok(prefix)
        } else {
            Err(ParseCodePrefixError(text.to_owned()))
        }
    }
}

/// What goes wrong, by the first digit of the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Section {
    /// RF1xx: nothing is enforced.
    NotEnforced,
    /// RF2xx: pods are not isolated.
    NotIsolated,
    /// RF3xx: names cannot be resolved, or by too many.
    Dns,
    /// RF4xx: cloud metadata is open.
    Metadata,
    /// RF5xx: too wide, or one-sided.
    TooWide,
    /// RF6xx: hygiene.
    Hygiene,
    /// RF7xx: cluster-wide policies.
    ClusterWide,
}

impl Code {
    /// What goes wrong, by the first digit.
    #[must_use]
    pub fn section(self) -> Section {
        match self.0 / 100 {
            1 => Section::NotEnforced,
            2 => Section::NotIsolated,
            3 => Section::Dns,
            4 => Section::Metadata,
            5 => Section::TooWide,
            6 => Section::Hygiene,
            _ => Section::ClusterWide,
        }
    }
}

impl Section {
    /// The heading of the section in lists.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::NotEnforced => "nothing is enforced",
            Self::NotIsolated => "not isolated",
            Self::Dns => "DNS",
            Self::Metadata => "cloud metadata",
            Self::TooWide => "too wide, or one-sided",
            Self::Hygiene => "hygiene",
            Self::ClusterWide => "cluster-wide policies",
        }
    }
}

/// One kind of finding: its name, its page, and the function that looks for it.
///
/// A rule is one file under `rules/`, one page under `docs/findings/`, and one folder of
/// manifests under `tests/rules/`. Nothing else knows about it.
#[derive(Debug)]
pub struct Rule {
    /// The code.
    pub code: Code,
    /// The name in kebab case, such as `metadata-reachable`.
    pub name: &'static str,
    /// How bad it is unless configured otherwise.
    pub severity: Severity,
    /// What it finds, in one line.
    pub summary: &'static str,
    /// Its page, in Markdown: `docs/findings/RFnnn.md`.
    pub page: &'static str,
    /// Looks for it.
    pub check: fn(&Context<'_>, &mut Findings),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_reads_as_it_is_written() {
        assert_eq!("RF401".parse(), Ok(Code(401)));
        assert_eq!("rf101".parse(), Ok(Code(101)));
        assert_eq!(Code(604).to_string(), "RF604");
        for text in ["", "401", "RF", "RF4010", "RF4x1", "RF+41", "XX401"] {
            assert!(text.parse::<Code>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_prefix_stands_for_the_rules_that_begin_with_it() {
        let prefix: CodePrefix = "rf4".parse().unwrap();
        assert!(prefix.covers(Code(401)) && !prefix.covers(Code(201)));
        assert!("RF".parse::<CodePrefix>().unwrap().covers(Code(201)));
        for text in ["", "R", "4", "RF9", "RF4011", "RFx"] {
            assert!(text.parse::<CodePrefix>().is_err(), "{text}");
        }
    }
}
