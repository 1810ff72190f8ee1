//! What the checks of all families share: how they report.

use super::cidr::HostBits;
use super::schema::{Field, Walk};
use crate::diagnostic::Severity;
use crate::parse::names::Expected;
use crate::parse::node::Extent;
use crate::parse::place::Place;
use crate::parse::report::{Reported, Reporter};
use crate::parse::suggest::nearest;
use crate::policy::PolicyFamily;

/// Reports what is wrong with one policy.
pub(super) struct Checker<'r, 'f> {
    reporter: &'r mut Reporter<'f>,
    family: PolicyFamily,
    host_bits: HostBits,
    is_live: bool,
}

impl<'r, 'f> Checker<'r, 'f> {
    pub(super) fn new(
        reporter: &'r mut Reporter<'f>,
        family: PolicyFamily,
        api_version: &str,
        is_live: bool,
    ) -> Self {
        Self {
            reporter,
            family,
            host_bits: HostBits::of(family, api_version),
            is_live,
        }
    }

    pub(super) fn family(&self) -> PolicyFamily {
        self.family
    }

    /// What API servers say to CIDRs with bits beyond the prefix length.
    pub(super) fn host_bits(&self) -> HostBits {
        self.host_bits
    }

    /// Whether an API server has accepted the policy as it is.
    pub(super) fn is_live(&self) -> bool {
        self.is_live
    }

    pub(super) fn schema(&mut self, root: &Place<'_, '_, '_>, schema: &'static [Field]) {
        Walk {
            checker: self,
            root: schema,
        }
        .record(root, schema);
    }

    pub(super) fn error(
        &mut self,
        code: &'static str,
        extent: Extent,
        message: impl Into<String>,
    ) -> Reported<'_, 'f> {
        self.reporter.error(code, extent, message)
    }

    pub(super) fn warning(
        &mut self,
        code: &'static str,
        extent: Extent,
        message: impl Into<String>,
    ) -> Reported<'_, 'f> {
        self.reporter.warning(code, extent, message)
    }

    pub(super) fn report(
        &mut self,
        severity: Severity,
        code: &'static str,
        extent: Extent,
        message: impl Into<String>,
    ) -> Reported<'_, 'f> {
        self.reporter.report(severity, code, extent, message)
    }

    /// An error, unless an API server has accepted the policy: then it may know better.
    pub(super) fn unless_live(
        &mut self,
        code: &'static str,
        extent: Extent,
        message: impl Into<String>,
    ) -> Reported<'_, 'f> {
        let severity = if self.is_live {
            Severity::Warning
        } else {
            Severity::Error
        };
        self.reporter.report(severity, code, extent, message)
    }

    pub(super) fn missing(&mut self, place: &Place<'_, '_, '_>, field: &str) {
        let at = place.at.to_string();
        let message = if at.is_empty() || field.starts_with(&at) {
            format!("`{field}` is missing")
        } else {
            format!("`{at}`: `{field}` is missing")
        };
        self.error("missing-field", place.key_or_head(), message);
    }

    /// A text that has to follow some syntax.
    pub(super) fn syntax(
        &mut self,
        place: &Place<'_, '_, '_>,
        code: &'static str,
        check: fn(&str) -> Result<(), Expected>,
    ) {
        let Some(text) = place.node.text() else {
            return;
        };
        if let Err(expected) = check(text) {
            self.unless_live(
                code,
                place.value_extent(),
                format!("`{}`: {} is not valid", place.at, place.node.describe()),
            )
            .help(format!("expected {expected}"));
        }
    }

    /// A text that has to be one of a few words.
    pub(super) fn one_of(&mut self, place: &Place<'_, '_, '_>, words: &[&'static str]) {
        let Some(text) = place.node.text() else {
            return;
        };
        if words.contains(&text) {
            return;
        }
        let listed: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        let listed = listed.join(", ");
        let right = nearest(text, words.iter().copied());
        let help = match right {
            Some(right) => format!("did you mean `{right}`? Expected one of {listed}"),
            None => format!("expected one of {listed}"),
        };
        self.error(
            "unknown-value",
            place.value_extent(),
            format!("`{}`: {} is not valid", place.at, place.node.describe()),
        )
        .help(help)
        .instead(right);
    }

    /// A list or text with a length between two bounds.
    pub(super) fn length(
        &mut self,
        place: &Place<'_, '_, '_>,
        found: usize,
        (least, most): (usize, usize),
        what: &str,
    ) {
        if found < least {
            self.error(
                "too-few",
                place.key_or_head(),
                format!("`{}` must not be empty", place.at),
            );
        } else if found > most {
            self.error(
                "too-many",
                place.key_or_head(),
                format!(
                    "`{}`: at most {most} {what} are allowed, found {found}",
                    place.at
                ),
            );
        }
    }

    /// A whole number between two bounds.
    pub(super) fn range(&mut self, place: &Place<'_, '_, '_>, (least, most): (i64, i64)) -> bool {
        let Some(number) = place.node.whole() else {
            return false;
        };
        if (least..=most).contains(&number) {
            return true;
        }
        self.error(
            "out-of-range",
            place.value_extent(),
            format!("`{}`: {number} is not between {least} and {most}", place.at),
        );
        false
    }

    /// A mapping in which exactly one of some fields must be set. A live object may
    /// have none, when what it has is newer than we are; then it fails closed.
    pub(super) fn exactly_one(
        &mut self,
        place: &Place<'_, '_, '_>,
        fields: &[&str],
        empty_code: &'static str,
    ) {
        if !place.node.is_mapping() && !place.node.is_null() {
            return;
        }
        let set: Vec<&str> = fields
            .iter()
            .copied()
            .filter(|field| place.get(field).is_some())
            .collect();
        let listed: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
        let listed = listed.join(", ");
        match set.as_slice() {
            [_] => {}
            [] => {
                // With a misspelt field in it, it has its error already.
                let is_reported = place.entries().any(|entry| !fields.contains(&entry.name()));
                if is_reported {
                    return;
                }
                if self.is_live {
                    self.warning(
                        "unrecognized",
                        place.key_or_head(),
                        format!("`{}`: this has no field that is known here", place.at),
                    )
                    .help("it may be of a later version of the API; the rule fails closed");
                    return;
                }
                let message = if fields.len() == 1 {
                    format!("`{}`: {listed} is missing", place.at)
                } else {
                    format!("`{}`: one of {listed} is needed", place.at)
                };
                self.error(empty_code, place.key_or_head(), message);
            }
            [first, second, ..] => {
                let related = place.get(first).and_then(|place| place.key);
                let extent = place
                    .get(second)
                    .map_or_else(|| place.key_or_head(), |p| p.key_or_head());
                let reported = self.error(
                    "exactly-one-field",
                    extent,
                    format!("`{}`: only one of {listed} can be set", place.at),
                );
                if let Some(related) = related {
                    reported.related(related, "already set here");
                }
            }
        }
    }
}
