use ringfence_model::diagnostic::Severity;
use ringfence_model::object::ObjectRef;
use ringfence_model::snapshot::WorkloadId;

use super::{Control, Standard};
use crate::check::Input;
use crate::context::Context;
use crate::finding::{Finding, Place};
use crate::not_counted::{concerning_pods, how};
use crate::report::Report;
use crate::rule::Code;

/// How a cluster stands to one standard.
#[derive(Clone, Debug)]
pub struct StandardResult {
    /// The standard.
    pub standard: &'static Standard,
    /// In the order of the standard.
    pub controls: Vec<ControlResult>,
}

/// How it stands to one control.
#[derive(Clone, Debug)]
pub struct ControlResult {
    /// The control.
    pub control: &'static Control,
    /// The answer.
    pub status: Status,
    /// What fails it.
    pub failing: Vec<Objection>,
    /// What would, and somebody has decided to live with.
    pub accepted: Vec<Accepted>,
    /// What is good to know, and keeps it from passing.
    pub noted: Vec<Objection>,
    /// What is not known.
    pub open: Vec<Open>,
}

/// The answer to a control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// The manifests are as they should be, and no more is asked for.
    Pass,
    /// Nothing speaks against it, and manifests cannot show it.
    NotVerified,
    /// Something speaks against it.
    Fail,
}

/// Something that speaks against a control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// The rule that found it; `None` for a fact that is no finding.
    pub code: Option<Code>,
    /// How bad it is.
    pub severity: Severity,
    /// What is true, without a full stop.
    pub message: String,
    /// The object that it is about.
    pub object: ObjectRef,
    /// Where it is written.
    pub place: Option<Place>,
    /// The workloads concerned.
    pub affected: Vec<WorkloadId>,
}

/// A risk that somebody has accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The risk.
    pub objection: Objection,
    /// Why.
    pub reason: String,
    /// Who says so.
    pub by: String,
}

/// A question that manifests cannot answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Open {
    /// The rule that would find it, if there is one.
    pub code: Option<Code>,
    /// What is not known.
    pub what: String,
    /// Why; may be empty.
    pub why: String,
    /// How to find out.
    pub how: String,
}

/// Holds what a check has found against some standards.
#[must_use]
pub fn assess(
    input: &Input<'_>,
    report: &Report,
    standards: &[&'static Standard],
) -> Vec<StandardResult> {
    let context = Context::new(input);
    standards
        .iter()
        .map(|standard| StandardResult {
            standard,
            controls: standard
                .controls
                .iter()
                .map(|control| judge(&context, report, control))
                .collect(),
        })
        .collect()
}

impl ControlResult {
    /// How bad the worst is that fails it.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.failing.iter().map(|o| o.severity).max()
    }
}

fn judge(context: &Context<'_>, report: &Report, control: &'static Control) -> ControlResult {
    let mut result = ControlResult {
        control,
        status: Status::Pass,
        failing: Vec::new(),
        accepted: Vec::new(),
        noted: Vec::new(),
        open: Vec::new(),
    };
    let concerns = |finding: &Finding| control.rules.contains(&finding.rule.code);
    for finding in report.findings.iter().filter(|f| concerns(f)) {
        let configured = context.options.severities.contains_key(&finding.rule.code);
        let objection = objection(finding);
        // Rules that only ever note are named by a control on purpose.
        let is_lowered =
            finding.severity == Severity::Note && finding.rule.severity > Severity::Note;
        match (is_lowered, configured) {
            (false, _) => result.failing.push(objection),
            (true, false) => result.noted.push(objection),
            (true, true) => result.accepted.push(Accepted {
                objection,
                reason: "its severity is lowered to note".to_owned(),
                by: crate::config::FILE_NAME.to_owned(),
            }),
        }
    }
    for suppressed in report.suppressed.iter().filter(|s| concerns(&s.finding)) {
        result.accepted.push(Accepted {
            objection: objection(&suppressed.finding),
            reason: suppressed.reason.clone(),
            by: suppressed.by.clone(),
        });
    }
    for fact in control.facts {
        let said = fact.look(context, report);
        result.failing.extend(said.failing);
        result.accepted.extend(said.accepted);
        result.open.extend(said.open);
    }
    result.open.extend(questions(context, report, control));
    result.status = if !result.failing.is_empty() {
        Status::Fail
    } else if !result.open.is_empty() || !result.noted.is_empty() {
        Status::NotVerified
    } else {
        Status::Pass
    };
    result
}

/// What keeps a control from passing though nothing speaks against it.
fn questions(context: &Context<'_>, report: &Report, control: &Control) -> Vec<Open> {
    let mut open = Vec::new();
    if context.groups().is_empty() {
        open.push(Open {
            code: None,
            what: "what holds for the pods".to_owned(),
            why: "the input has none".to_owned(),
            how: "check policies and workloads together".to_owned(),
        });
    }
    let mut diagnostics = context.diagnostics.iter();
    if diagnostics.any(|d| d.severity == Severity::Error && d.left_out.is_some()) {
        open.push(Open {
            code: None,
            what: "what the objects say that could not be read".to_owned(),
            why: "the input is incomplete".to_owned(),
            how: "correct them: `ringfence check` shows where".to_owned(),
        });
    }
    let not_counted = concerning_pods(context);
    open.extend(not_counted.iter().map(|policy| Open {
        code: None,
        what: format!("what {} opens or closes", policy.name),
        why: format!("it {}", policy.why.says()),
        how: how(std::iter::once(policy.why)),
    }));
    for code in control.rules {
        if !context.options.wants(*code) {
            open.push(Open {
                code: Some(*code),
                what: format!("what {code} would find"),
                why: "it was not looked for".to_owned(),
                how: "leave it out of `--ignore`, and `--select` away".to_owned(),
            });
        }
    }
    let asked = report.not_verified.iter();
    let asked = asked.filter(|question| control.rules.contains(&question.code));
    open.extend(asked.map(|question| Open {
        code: Some(question.code),
        what: question.what.clone(),
        why: question.why.clone(),
        how: question.how.clone(),
    }));
    open.extend(control.live.map(|live| Open {
        code: None,
        what: live.what.to_owned(),
        why: String::new(),
        how: live.how.to_owned(),
    }));
    open
}

fn objection(finding: &Finding) -> Objection {
    Objection {
        code: Some(finding.rule.code),
        severity: finding.severity,
        message: finding.message.clone(),
        object: finding.object.clone(),
        place: finding.primary.clone(),
        affected: finding.affected.clone(),
    }
}
