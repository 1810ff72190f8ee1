//! JUnit XML, for CI systems that show test results.

use std::io::{self, Write};

use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};

use super::{Report, counterexample, message};
use crate::assertions::Demand;
use crate::diagnostics::is_problem;
use crate::output::Theme;
use crate::output::explain::words::Speaker;
use crate::output::explain::write_sides;
use crate::output::incomplete::sentence;

/// Lines of explanations are cut to this: nobody reads them on a terminal.
const WIDTH: usize = 120;

pub(super) fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let speaker = Speaker::new(report.snapshot);
    let mut junit = Junit::new("ringfence assert");
    for demand in [Demand::Permits, Demand::Forbids] {
        let mut suite = TestSuite::new(demand.as_str());
        let checked = report
            .checked
            .iter()
            .filter(|c| c.assertion.demand == demand);
        for checked in checked {
            let status = match message(&speaker, checked) {
                None => TestCaseStatus::success(),
                Some(message) => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_message(message);
                    status.set_type(demand.as_str());
                    if let Some(outcome) = counterexample(checked) {
                        let mut text = Vec::new();
                        write_sides(
                            (report.snapshot, report.sources),
                            report.profile,
                            &outcome.packet,
                            Theme::default(),
                            WIDTH,
                            &mut text,
                        )?;
                        status.set_description(String::from_utf8_lossy(&text).into_owned());
                    }
                    status
                }
            };
            let mut case = TestCase::new(checked.assertion.text(), status);
            case.set_classname(report.file);
            suite.add_test_case(case);
        }
        if !suite.test_cases.is_empty() {
            junit.add_test_suite(suite);
        }
    }
    let mut incomplete = TestSuite::new("input");
    for diagnostic in report.diagnostics.iter().filter(|d| is_problem(d)) {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(sentence(diagnostic));
        status.set_type(diagnostic.code);
        if let Some(at) = &diagnostic.primary {
            status.set_description(at.location.to_string());
        }
        let name = match &diagnostic.object {
            Some(object) => format!("{object} is read"),
            None => "the input is read".to_owned(),
        };
        let mut case = TestCase::new(name, status);
        let file = diagnostic.primary.as_ref().map(|at| &at.location.file);
        case.set_classname(file.map_or(report.file, String::as_str));
        incomplete.add_test_case(case);
    }
    if !incomplete.test_cases.is_empty() {
        junit.add_test_suite(incomplete);
    }
    junit.serialize(out).map_err(io::Error::other)
}
