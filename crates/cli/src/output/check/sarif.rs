//! SARIF 2.1.0, for code scanning.

mod fingerprint;
mod format;

use std::collections::BTreeMap;

use ringfence_advisor::{Code, Finding, Fix, NotVerified, Rule, Suppressed, rules};
use ringfence_model::diagnostic::{Diagnostic, Severity};
use ringfence_model::object::ObjectRef;
use ringfence_model::parse::Part;
use ringfence_model::source::{KeyPath, Location};

use super::patch::Change;
use super::{Printed, patch, words};
use crate::diagnostics::{is_incomplete, is_problem};
use crate::output::{Names, incomplete, uri};
use fingerprint::Fingerprints;
use format::{
    ArtifactChange, ArtifactLocation, Configuration, Descriptor, DescriptorProperties, Driver,
    Help, Invocation, Located, Log, LogicalLocation, Notification, PhysicalLocation, Reference,
    Region, Replacement, ResultProperties, Run, SarifFix, SarifResult, Suppression, Text, Tool,
};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The name under which our fingerprints are compared, with the version of the recipe.
const FINGERPRINT: &str = "ringfence/v1";

/// The whole report.
pub(super) fn log(printed: &Printed<'_>) -> Log {
    let report = printed.report;
    let spoken_of = spoken_of(printed);
    let writer = Writer {
        printed,
        names: Names::new(printed.snapshot),
        rules: &spoken_of,
    };
    let mut fingerprints = Fingerprints::default();
    let mut results: Vec<SarifResult> = Vec::new();
    for finding in &report.findings {
        results.push(writer.result(finding, None, &mut fingerprints));
    }
    for suppressed in &report.suppressed {
        let finding = &suppressed.finding;
        results.push(writer.result(finding, Some(suppressed), &mut fingerprints));
    }
    let problems = printed.diagnostics.iter().filter(|d| is_problem(d));
    let notifications = problems
        .map(problem)
        .chain(report.not_verified.iter().map(not_verified));
    let invocation = Invocation {
        execution_successful: !is_incomplete(printed.diagnostics),
        tool_execution_notifications: notifications.collect(),
    };
    Log {
        schema: SCHEMA,
        version: "2.1.0",
        runs: [Run {
            tool: Tool {
                driver: Driver {
                    name: "ringfence",
                    semantic_version: env!("CARGO_PKG_VERSION"),
                    information_uri: "https://ringfence.dev",
                    rules: spoken_of.iter().map(|rule| descriptor(rule)).collect(),
                },
            },
            invocations: [invocation],
            results,
            column_kind: "unicodeCodePoints",
        }],
    }
}

/// The rules that the log speaks of, by code.
fn spoken_of(printed: &Printed<'_>) -> Vec<&'static Rule> {
    let report = printed.report;
    let mut codes: Vec<Code> = words::codes(report);
    codes.extend(report.suppressed.iter().map(|s| s.finding.rule.code));
    codes.extend(report.not_verified.iter().map(|question| question.code));
    codes.sort_unstable();
    codes.dedup();
    codes.into_iter().filter_map(rules::find).collect()
}

fn descriptor(rule: &Rule) -> Descriptor {
    Descriptor {
        id: rule.code.to_string(),
        name: rule.name,
        short_description: Text {
            text: rule.summary.to_owned(),
        },
        help: Help {
            text: format!("{}: see {}", rule.summary, words::page(rule.code)),
            markdown: rule.page,
        },
        help_uri: words::page(rule.code),
        default_configuration: Configuration {
            level: words::severity(rule.severity),
        },
        properties: DescriptorProperties {
            tags: vec!["security", "kubernetes", rule.code.section().title()],
        },
    }
}

/// What was wrong with the input.
fn problem(diagnostic: &Diagnostic) -> Notification {
    let location = diagnostic.primary.as_ref().map(|at| &at.location);
    Notification {
        descriptor: Reference {
            id: diagnostic.code.to_owned(),
        },
        level: match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning | Severity::Note => "warning",
        },
        message: Text {
            text: incomplete::sentence(diagnostic),
        },
        locations: location
            .map(|location| Located {
                physical_location: Some(physical(location)),
                ..Located::default()
            })
            .into_iter()
            .collect(),
    }
}

/// What cannot be told is neither a result nor silence.
fn not_verified(question: &NotVerified) -> Notification {
    let (what, why, how) = (&question.what, &question.why, &question.how);
    Notification {
        descriptor: Reference {
            id: question.code.to_string(),
        },
        level: "note",
        message: Text {
            text: format!("not verified: {what}: {why}; {how}"),
        },
        locations: Vec::new(),
    }
}

struct Writer<'a> {
    printed: &'a Printed<'a>,
    names: Names<'a>,
    rules: &'a [&'static Rule],
}

impl Writer<'_> {
    fn result(
        &self,
        finding: &Finding,
        suppressed: Option<&Suppressed>,
        fingerprints: &mut Fingerprints,
    ) -> SarifResult {
        let printed = self.printed;
        let code = finding.rule.code;
        let index = self.rules.iter().position(|rule| rule.code == code);
        let related = finding.related.iter().filter_map(|place| {
            let location = place.locate(printed.sources)?;
            Some((location, place.label.clone()))
        });
        let label = finding.primary.as_ref().map(|place| place.label.clone());
        let physical_location = self.physical_location(finding);
        SarifResult {
            rule_id: code.to_string(),
            rule_index: index.unwrap_or_default(),
            level: words::severity(finding.severity),
            message: Text {
                text: words::explanation(printed, finding),
            },
            locations: [Located {
                physical_location,
                logical_locations: vec![logical(&finding.object)],
                message: label
                    .filter(|text| !text.is_empty())
                    .map(|text| Text { text }),
                ..Located::default()
            }],
            related_locations: related
                .enumerate()
                .map(|(position, (location, text))| Located {
                    id: Some(position + 1),
                    physical_location: Some(physical(&location)),
                    message: (!text.is_empty()).then_some(Text { text }),
                    ..Located::default()
                })
                .collect(),
            partial_fingerprints: [(FINGERPRINT, fingerprints.next(finding))].into(),
            fixes: finding.fix.iter().filter_map(|fix| self.fix(fix)).collect(),
            suppressions: suppressed.map(suppression).into_iter().collect(),
            properties: ResultProperties {
                witness: words::witness(printed, finding),
                affected: finding
                    .affected
                    .iter()
                    .map(|id| self.names.workload(*id))
                    .collect(),
                fix: finding.fix.as_ref().map(|fix| fix.title.clone()),
            },
        }
    }

    /// What can be written instead, if it can be written mechanically.
    fn fix(&self, fix: &Fix) -> Option<SarifFix> {
        let changes = patch::changes(self.printed.sources, fix).ok()?;
        let mut by_file: BTreeMap<String, Vec<Change>> = BTreeMap::new();
        for change in changes {
            let of_file = by_file.entry(change.location.file.clone()).or_default();
            of_file.push(change);
        }
        let of_file = |(file, changes): (String, Vec<Change>)| ArtifactChange {
            artifact_location: artifact(&file),
            replacements: changes
                .into_iter()
                .map(|change| Replacement {
                    deleted_region: region(&change.location),
                    inserted_content: Text { text: change.text },
                })
                .collect(),
        };
        Some(SarifFix {
            description: Text {
                text: fix.title.clone(),
            },
            artifact_changes: by_file.into_iter().map(of_file).collect(),
        })
    }

    /// Where it is written. Code scanners refuse a whole log for one result without a
    /// file, so that what is written nowhere stands at the first workload concerned.
    fn physical_location(&self, finding: &Finding) -> Option<PhysicalLocation> {
        let printed = self.printed;
        let of_workload = || {
            let mut workloads = finding.affected.iter();
            workloads.find_map(|id| {
                let origin = printed.snapshot.workload(*id).origin.as_ref()?;
                let name = KeyPath::root().key("metadata").key("name");
                printed.sources.locate(origin, &name, Part::Value)
            })
        };
        let location = words::location(printed, finding).or_else(of_workload);
        location.as_ref().map(physical)
    }
}

fn suppression(suppressed: &Suppressed) -> Suppression {
    Suppression {
        kind: if suppressed.by.starts_with("annotation") {
            "inSource"
        } else {
            "external"
        },
        status: "accepted",
        justification: format!("{} ({})", suppressed.reason, suppressed.by),
    }
}

fn physical(location: &Location) -> PhysicalLocation {
    PhysicalLocation {
        artifact_location: artifact(&location.file),
        region: Some(region(location)),
    }
}

fn artifact(file: &str) -> ArtifactLocation {
    let is_relative = !file.starts_with('/');
    ArtifactLocation {
        uri: uri::path(file),
        uri_base_id: is_relative.then_some("%SRCROOT%"),
    }
}

fn region(location: &Location) -> Region {
    let (start, end) = (location.span.start, location.span.end);
    Region {
        start_line: start.line,
        start_column: start.column,
        end_line: end.line,
        end_column: end.column,
    }
}

fn logical(object: &ObjectRef) -> LogicalLocation {
    LogicalLocation {
        name: object.name.to_string(),
        fully_qualified_name: object.to_string(),
        kind: object.kind.to_string(),
    }
}
