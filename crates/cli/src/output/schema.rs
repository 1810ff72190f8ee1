//! The JSON schemas in `docs/schema/`, generated from the types of the contract.

use std::path::Path;

use schemars::{JsonSchema, schema_for};

use super::assert::AssertReportOut;
use super::check::CheckReportOut;
use super::diff::DiffOut;
use super::explain::ExplanationOut;
use super::lab::LabReportOut;
use super::reach::ReachabilityOut;
use super::standards::ComplianceReportOut;
use super::why_open::WhyOpenOut;

/// Set to write the files instead of comparing them.
const UPDATE: &str = "RINGFENCE_UPDATE_SCHEMAS";

fn is_current<T: JsonSchema>(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/schema/{name}.json"));
    let generated = serde_json::to_string_pretty(&schema_for!(T)).unwrap() + "\n";
    if std::env::var_os(UPDATE).is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &generated).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == generated,
        "docs/schema/{name}.json is not what the types say; if the change is meant, run the tests \
         with {UPDATE}=1"
    );
}

#[test]
fn the_schema_of_reach_is_current() {
    is_current::<ReachabilityOut<'static>>("reachability");
}

#[test]
fn the_schema_of_explain_is_current() {
    is_current::<ExplanationOut>("explanation");
}

#[test]
fn the_schema_of_diff_is_current() {
    is_current::<DiffOut>("diff");
}

#[test]
fn the_schema_of_assert_is_current() {
    is_current::<AssertReportOut>("assert-report");
}

#[test]
fn the_schema_of_check_is_current() {
    is_current::<CheckReportOut>("check-report");
}

#[test]
fn the_schema_of_why_open_is_current() {
    is_current::<WhyOpenOut>("why-open");
}

#[test]
fn the_schema_of_standards_is_current() {
    is_current::<ComplianceReportOut>("compliance-report");
}

#[test]
fn the_schema_of_lab_is_current() {
    is_current::<LabReportOut>("lab-report");
}
