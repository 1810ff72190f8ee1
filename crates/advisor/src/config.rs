//! `ringfence.toml`: what somebody who checks has decided once and for all.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use jiff::civil::Date;
use ringfence_model::diagnostic::Severity;
use serde::{Deserialize, Deserializer};
use wildmatch::WildMatch;

use crate::provider::Provider;
use crate::rule::{Code, CodePrefix};

/// The name of the file.
pub const FILE_NAME: &str = "ringfence.toml";

/// A configuration file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// `[check]`.
    #[serde(default)]
    pub check: CheckConfig,
}

/// `[check]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct CheckConfig {
    /// The rules to look for; all unless said.
    #[serde(deserialize_with = "prefixes")]
    pub select: Vec<CodePrefix>,
    /// Rules not to look for, of those.
    #[serde(deserialize_with = "prefixes")]
    pub ignore: Vec<CodePrefix>,
    /// How bad a finding must be for exit code 1: `error`, `warning`, `note` or `never`.
    pub fail_on: Option<FailOn>,
    /// The cloud providers whose metadata endpoints count; all unless said.
    #[serde(deserialize_with = "providers")]
    pub provider: Vec<Provider>,
    /// Other severities than the rules have: `RF501 = "error"`.
    #[serde(deserialize_with = "severities")]
    pub severity: BTreeMap<Code, Severity>,
    /// The annotations that justify a policy which allows something (RF601).
    pub justification: Justification,
    /// `[[check.suppress]]`: findings to live with.
    pub suppress: Vec<Suppression>,
}

/// The annotations that justify a policy.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Justification {
    /// Keys that must all be there, with a text.
    pub required: Vec<String>,
    /// Keys whose value is a date (`2026-11-21`) after which the policy is due for a
    /// review.
    pub expires: Vec<String>,
}

impl Default for Justification {
    fn default() -> Self {
        Self {
            required: vec!["description".to_owned()],
            expires: vec!["expires".to_owned(), "expires-on".to_owned()],
        }
    }
}

/// Findings to live with, and why.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Suppression {
    /// The rules.
    #[serde(deserialize_with = "some_prefixes")]
    pub codes: Vec<CodePrefix>,
    /// The namespaces, with `*` for any text; all unless said.
    #[serde(default)]
    pub namespaces: Vec<Pattern>,
    /// The names of the objects that findings are about, with `*` for any text; all unless
    /// said.
    #[serde(default)]
    pub objects: Vec<Pattern>,
    /// Why. A suppression without a reason is an error.
    #[serde(deserialize_with = "reason")]
    pub reason: String,
    /// The last day on which it holds.
    #[serde(default, deserialize_with = "date")]
    pub expires: Option<Date>,
}

/// A text in which `*` stands for any text and `?` for any character.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "String")]
pub struct Pattern(WildMatch);

impl From<String> for Pattern {
    fn from(text: String) -> Self {
        Self(WildMatch::new(&text))
    }
}

impl Pattern {
    /// Whether a text is covered.
    #[must_use]
    pub fn covers(&self, text: &str) -> bool {
        self.0.matches(text)
    }
}

impl Suppression {
    /// Whether it is about a finding of this rule, on an object of this name.
    #[must_use]
    pub fn covers(&self, code: Code, namespace: Option<&str>, name: &str) -> bool {
        let any = |patterns: &[Pattern], text: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| pattern.covers(text))
        };
        self.codes.iter().any(|prefix| prefix.covers(code))
            && any(&self.namespaces, namespace.unwrap_or_default())
            && any(&self.objects, name)
    }
}

/// How bad a finding must be for a run to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailOn {
    /// Errors.
    #[default]
    Error,
    /// Warnings, and errors.
    Warning,
    /// Any finding.
    Note,
    /// Findings do not matter.
    Never,
}

impl FailOn {
    /// The mildest finding that makes a run fail.
    #[must_use]
    pub fn severity(self) -> Option<Severity> {
        match self {
            Self::Error => Some(Severity::Error),
            Self::Warning => Some(Severity::Warning),
            Self::Note => Some(Severity::Note),
            Self::Never => None,
        }
    }

    /// Whether a finding of this severity makes a run fail.
    #[must_use]
    pub fn fails(self, worst: Severity) -> bool {
        self.severity().is_some_and(|mildest| worst >= mildest)
    }
}

/// A configuration file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// What is wrong.
    pub message: String,
    /// Where, as bytes of the text.
    pub span: Option<Range<usize>>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads the text of a configuration file.
    ///
    /// # Errors
    /// If it is no TOML, or says something that is not known here.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error: toml::de::Error| ConfigError {
            message: error.message().to_owned(),
            span: error.span(),
        })
    }
}

fn providers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Provider>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let read = texts.iter().map(|text| text.parse());
    read.collect::<Result<_, _>>()
        .map_err(serde::de::Error::custom)
}

fn prefixes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<CodePrefix>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let read = texts.iter().map(|text| text.parse());
    read.collect::<Result<_, _>>()
        .map_err(serde::de::Error::custom)
}

fn some_prefixes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<CodePrefix>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    if texts.is_empty() {
        let message = "`codes` is empty: it says which findings to live with, such as [\"RF501\"]";
        return Err(serde::de::Error::custom(message));
    }
    let read = texts.iter().map(|text| text.parse());
    read.collect::<Result<_, _>>()
        .map_err(serde::de::Error::custom)
}

fn severities<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<Code, Severity>, D::Error> {
    let texts = BTreeMap::<String, String>::deserialize(deserializer)?;
    let mut read = BTreeMap::new();
    for (code, severity) in texts {
        let code: Code = code.parse().map_err(serde::de::Error::custom)?;
        if crate::rules::find(code).is_none() {
            let message = format!("there is no rule {code}: `ringfence check --list` shows all");
            return Err(serde::de::Error::custom(message));
        }
        let severity = match severity.as_str() {
            "error" => Severity::Error,
            "warning" => Severity::Warning,
            "note" => Severity::Note,
            other => {
                let message = format!("`{other}` is no severity: error, warning or note");
                return Err(serde::de::Error::custom(message));
            }
        };
        read.insert(code, severity);
    }
    Ok(read)
}

fn reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.trim().is_empty() {
        return Err(serde::de::Error::custom("a suppression needs a reason"));
    }
    Ok(text)
}

fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    // TOML has dates of its own; people quote them as often.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Date(toml::value::Datetime),
    }
    let text = match Written::deserialize(deserializer)? {
        Written::Text(text) => text,
        Written::Date(date) => date.to_string(),
    };
    let date = text
        .parse()
        .map_err(|_| serde::de::Error::custom(format!("`{text}` is no date: write 2026-11-21")))?;
    Ok(Some(date))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_can_be_said_is_read() {
        let config = Config::parse(
            r#"
            [check]
            select = ["RF2", "RF4"]
            ignore = ["RF202"]
            fail-on = "warning"
            provider = ["aws"]
            [check.severity]
            RF401 = "warning"
            [check.justification]
            required = ["description", "ticket"]
            [[check.suppress]]
            codes = ["RF201"]
            namespaces = ["legacy-*"]
            reason = "closed next quarter"
            expires = 2026-12-31
            [[check.suppress]]
            codes = ["RF4"]
            objects = ["web"]
            reason = "x"
            expires = "2026-12-31"
            "#,
        )
        .unwrap()
        .check;
        assert_eq!(config.fail_on, Some(FailOn::Warning));
        assert_eq!(config.severity[&Code(401)], Severity::Warning);
        assert_eq!(config.justification.required.len(), 2);
        assert_eq!(config.justification.expires.len(), 2);
        let [legacy, web] = config.suppress.as_slice() else {
            panic!("{config:?}");
        };
        assert!(legacy.covers(Code(201), Some("legacy-shop"), "x"));
        assert!(!legacy.covers(Code(201), Some("shop"), "x"));
        assert!(!legacy.covers(Code(401), Some("legacy-shop"), "x"));
        assert!(web.covers(Code(401), None, "web"));
        assert_eq!(legacy.expires, web.expires);
    }

    #[test]
    fn what_is_not_known_is_an_error_with_its_place() {
        for (text, message, at) in [
            ("[check]\nselct = []", "unknown field `selct`", "selct"),
            (
                "[check]\nselect = [\"RF9\"]",
                "`RF9` is no code",
                "[\"RF9\"]",
            ),
            (
                "[check]\nfail-on = \"none\"",
                "unknown variant `none`",
                "\"none\"",
            ),
            (
                "[check.severity]\nRF401 = \"bad\"",
                "`bad` is no severity",
                "[check.severity]",
            ),
            (
                "[check.severity]\nRF999 = \"note\"",
                "there is no rule RF999",
                "[check.severity]",
            ),
            (
                "[[check.suppress]]\ncodes = [\"RF4\"]",
                "missing field `reason`",
                "[[",
            ),
            (
                "[[check.suppress]]\ncodes = [\"RF4\"]\nreason = \" \"",
                "needs a reason",
                "\" \"",
            ),
            (
                "[[check.suppress]]\ncodes = [\"RF4\"]\nreason = \"x\"\nexpires = \"soon\"",
                "`soon` is no date",
                "\"soon\"",
            ),
            ("check = [", "", ""),
        ] {
            let error = Config::parse(text).unwrap_err();
            assert!(error.message.contains(message), "{text}: {error}");
            let marked = &text[error.span.unwrap()];
            assert!(marked.starts_with(at), "{text}: {marked}");
        }
    }
}
