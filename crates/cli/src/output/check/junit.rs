//! JUnit XML, for CI systems that show test results: a suite for each rule that looked,
//! a case for each finding. What fails the run is a failure; what does not is skipped,
//! with the reason.

use std::io::{self, Write};

use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};
use ringfence_advisor::{Finding, rules};

use super::{Printed, human, words};
use crate::diagnostics::is_problem;
use crate::output::incomplete::sentence;
use crate::output::visible;

/// Lines of source are cut to this: nobody reads them on a terminal.
const WIDTH: usize = 120;

pub(super) fn write(printed: &Printed<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut junit = Junit::new("ringfence check");
    let report = printed.report;
    for rule in rules::ALL {
        let suppressed = report.suppressed.iter();
        let suppressed = suppressed.filter(|s| s.finding.rule.code == rule.code);
        let mut cases: Vec<TestCase> = report
            .findings
            .iter()
            .filter(|finding| finding.rule.code == rule.code)
            .map(|finding| case(printed, finding, status(printed, finding)))
            .collect();
        cases.extend(suppressed.map(|suppressed| {
            let mut status = TestCaseStatus::skipped();
            let (reason, by) = (&suppressed.reason, &suppressed.by);
            let message = format!("suppressed: {reason} ({by})");
            status.set_message(&*visible::line(&message));
            case(printed, &suppressed.finding, status)
        }));
        // What is not known, of which the last suite tells, has not passed.
        let mut questions = report.not_verified.iter();
        let is_open = questions.any(|question| question.code == rule.code);
        if cases.is_empty() && (is_open || !printed.options.wants(rule.code)) {
            continue;
        }
        let mut suite = TestSuite::new(format!("{} {}", rule.code, rule.name));
        if cases.is_empty() {
            // A rule that finds nothing has passed.
            let mut case = TestCase::new(rule.summary, TestCaseStatus::success());
            case.set_classname(rule.code.to_string());
            cases.push(case);
        }
        suite.add_test_cases(cases);
        junit.add_test_suite(suite);
    }
    if let Some(suite) = not_verified(printed) {
        junit.add_test_suite(suite);
    }
    if let Some(suite) = incomplete(printed) {
        junit.add_test_suite(suite);
    }
    junit.serialize(out).map_err(io::Error::other)
}

fn case(printed: &Printed<'_>, finding: &Finding, status: TestCaseStatus) -> TestCase {
    let name = format!("{}: {}", finding.object, finding.message);
    let mut case = TestCase::new(&*visible::line(&name), status);
    let location = words::location(printed, finding);
    case.set_classname(match &location {
        Some(location) => location.file.clone(),
        None => finding.rule.code.to_string(),
    });
    if let Some(location) = location {
        case.extra.insert("file".into(), location.file.into());
        let line = location.span.start.line.to_string();
        case.extra.insert("line".into(), line.into());
    }
    case
}

fn status(printed: &Printed<'_>, finding: &Finding) -> TestCaseStatus {
    let severity = words::severity(finding.severity);
    let fails = printed.fail_on.is_some_and(|from| finding.severity >= from);
    if !fails {
        let mut status = TestCaseStatus::skipped();
        status.set_type(severity);
        let explanation = words::explanation(printed, finding);
        status.set_message(format!("{severity}: {explanation}"));
        return status;
    }
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type(severity);
    status.set_message(&*visible::line(&finding.message));
    status.set_description(human::rendered(printed, finding, false, WIDTH));
    status
}

/// What nobody knows has neither failed nor passed.
fn not_verified(printed: &Printed<'_>) -> Option<TestSuite> {
    let questions = &printed.report.not_verified;
    let mut suite = TestSuite::new("not verified");
    for question in questions {
        let mut status = TestCaseStatus::skipped();
        let message = format!("{}; {}", question.why, question.how);
        status.set_message(&*visible::line(&message));
        let mut case = TestCase::new(&*visible::line(&question.what), status);
        case.set_classname(question.code.to_string());
        suite.add_test_case(case);
    }
    (!questions.is_empty()).then_some(suite)
}

fn incomplete(printed: &Printed<'_>) -> Option<TestSuite> {
    let mut suite = TestSuite::new("input");
    for diagnostic in printed.diagnostics.iter().filter(|d| is_problem(d)) {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(&*visible::line(&sentence(diagnostic)));
        status.set_type(diagnostic.code);
        let name = match &diagnostic.object {
            Some(object) => format!("{object} is read"),
            None => "the input is read".to_owned(),
        };
        let mut case = TestCase::new(&*visible::line(&name), status);
        if let Some(at) = &diagnostic.primary {
            case.set_classname(at.location.file.clone());
        }
        suite.add_test_case(case);
    }
    (!suite.test_cases.is_empty()).then_some(suite)
}
