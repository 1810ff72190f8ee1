//! JUnit XML, for CI systems that show test results.

use std::io::{self, Write};

use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};
use ringfence_lab::run::{Agreement, Row};
use ringfence_lab::session::Policies;

use super::{Report, agreement, port, predicted, would_be_denied};

pub(super) fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut junit = Junit::new("ringfence lab run");
    let mut suites: Vec<(&str, TestSuite)> = Vec::new();
    for row in &report.result.rows {
        let purpose = row.question.purpose.as_str();
        let name = format!(
            "{} -> {} {} {}",
            row.question.from.name,
            row.question.to.name,
            row.question.probe.to,
            port(row)
        );
        let mut case = TestCase::new(name, status(report, row));
        case.set_classname(purpose);
        let position = suites.iter().position(|(name, _)| *name == purpose);
        let position = position.unwrap_or_else(|| {
            suites.push((purpose, TestSuite::new(purpose)));
            suites.len() - 1
        });
        if let Some((_, suite)) = suites.get_mut(position) {
            suite.add_test_case(case);
        }
    }
    junit.add_test_suites(suites.into_iter().map(|(_, suite)| suite));
    let mut controls = TestSuite::new("controls");
    for control in &report.result.failed_controls {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message("a connection that no policy denies failed");
        controls.add_test_case(TestCase::new(control.clone(), status));
    }
    if !controls.test_cases.is_empty() {
        junit.add_test_suite(controls);
    }
    let forged = forged(report);
    if !forged.test_cases.is_empty() {
        junit.add_test_suite(forged);
    }
    junit.serialize(out).map_err(io::Error::other)
}

/// Frames that no pod may send: a case for each that arrived or was not seen, or one for all.
fn forged(report: &Report<'_>) -> TestSuite {
    let mut suite = TestSuite::new("forged");
    let forged = &report.result.forged;
    if forged.tried == 0 || report.policies == Policies::Ignored {
        return suite;
    }
    let bad = [
        (NonSuccessKind::Failure, "arrived", &forged.arrived),
        (NonSuccessKind::Error, "not seen to be sent", &forged.unseen),
    ];
    for (kind, message, frames) in bad {
        for frame in frames {
            let mut status = TestCaseStatus::non_success(kind);
            status.set_message(message);
            let name = format!("{} -> {} {}", frame.from, frame.to, frame.what);
            suite.add_test_case(TestCase::new(name, status));
        }
    }
    if suite.test_cases.is_empty() {
        let name = format!("{} frames that no pod may send", forged.tried);
        suite.add_test_case(TestCase::new(name, TestCaseStatus::success()));
    }
    suite
}

fn status(report: &Report<'_>, row: &Row) -> TestCaseStatus {
    let kind = match row.agreement() {
        Agreement::Same => return TestCaseStatus::success(),
        Agreement::Differ if would_be_denied(report.policies, row) => {
            return TestCaseStatus::success();
        }
        Agreement::NotPredicted => return TestCaseStatus::skipped(),
        Agreement::Differ => NonSuccessKind::Failure,
        Agreement::NotObserved => NonSuccessKind::Error,
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(agreement(report.policies, row));
    status.set_message(format!(
        "predicted {}, {}",
        predicted(row.predicted),
        row.observation.observed
    ));
    if let Some(detail) = &row.observation.detail {
        status.set_description(detail.clone());
    }
    status
}
