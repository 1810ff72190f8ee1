//! What `check -o sarif` writes, against the schema of the standard.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::check::{HOSTILE, SHOP};
use crate::{Run, SMALL, ringfence, ringfence_with, root};

fn log(stdin: &str) -> Value {
    ringfence_with("check -f - -o sarif", stdin).json()
}

fn results(log: &Value) -> &[Value] {
    log["runs"][0]["results"].as_array().unwrap()
}

fn fingerprints(log: &Value) -> Vec<&str> {
    let prints = results(log).iter();
    prints
        .map(|result| {
            result["partialFingerprints"]["ringfence/v1"]
                .as_str()
                .unwrap()
        })
        .collect()
}

/// The schema of the standard, as the package `serde-sarif` ships it.
fn standard() -> Value {
    // For this platform alone: what others would need has not been downloaded.
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            host,
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut packages = metadata["packages"].as_array().unwrap().iter();
    let package = packages
        .find(|package| package["name"] == "serde-sarif")
        .unwrap();
    let manifest = Path::new(package["manifest_path"].as_str().unwrap());
    let schema = manifest.with_file_name("src").join("schema.json");
    serde_json::from_str(&std::fs::read_to_string(schema).unwrap()).unwrap()
}

#[test]
fn a_log_is_what_the_standard_says() {
    let schema = standard();
    let broken = format!("{SMALL}---\nkind: [\n");
    let mut runs: Vec<Run> = vec![ringfence(&format!("{SHOP} -o sarif"))];
    for input in [SMALL, HOSTILE, &broken] {
        runs.push(ringfence_with("check -f - -o sarif", input));
    }
    for run in runs {
        let mut problems = Vec::new();
        check(&run.json(), &schema, &schema, "$", &mut problems);
        assert!(problems.is_empty(), "{problems:#?}");
        serde_json::from_value::<serde_sarif::sarif::Sarif>(run.json()).unwrap();
    }
    // The check itself finds what is wrong.
    for wrong in [
        r#"{"version": "2.1.0"}"#,
        r#"{"version": "2.0.0", "runs": []}"#,
        r#"{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": 1}}}]}"#,
        r#"{"version": "2.1.0", "runs": [], "unknown": 1}"#,
    ] {
        let mut problems = Vec::new();
        let wrong: Value = serde_json::from_str(wrong).unwrap();
        check(&wrong, &schema, &schema, "$", &mut problems);
        assert!(!problems.is_empty(), "{wrong}");
    }
}

#[test]
fn a_fingerprint_survives_moved_lines_and_files() {
    let before = log(SMALL);
    assert!(!fingerprints(&before).is_empty());
    let moved = format!(
        "# one\n# two\n\n{}",
        SMALL.replace("---\n", "---\n# more\n\n")
    );
    assert_eq!(fingerprints(&before), fingerprints(&log(&moved)));
    let renamed = SMALL.replace("namespace: web", "namespace: www");
    assert_ne!(fingerprints(&before), fingerprints(&log(&renamed)));
    let shop = ringfence(&format!("{SHOP} -o sarif")).json();
    let mut prints = fingerprints(&shop);
    let all = prints.len();
    prints.sort_unstable();
    prints.dedup();
    assert_eq!(prints.len(), all, "no two findings have the same");
}

#[test]
fn every_result_has_a_rule_and_a_file() {
    let log = ringfence(&format!("{SHOP} -o sarif")).json();
    let rules = &log["runs"][0]["tool"]["driver"]["rules"];
    for result in results(&log) {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(
            rules[index]["help"]["markdown"]
                .as_str()
                .unwrap()
                .starts_with("# RF")
        );
        let place = &result["locations"][0]["physicalLocation"];
        let file = place["artifactLocation"]["uri"].as_str().unwrap();
        assert!(root().join(file).exists(), "{file}");
        assert!(place["region"]["startLine"].as_u64().unwrap() > 0);
    }
}

/// What the standard's schema uses; a keyword that is not known here is a failure, so
/// that nothing goes unchecked.
fn check(value: &Value, schema: &Value, root: &Value, at: &str, problems: &mut Vec<String>) {
    for (keyword, argument) in schema.as_object().unwrap() {
        let is_right = match keyword.as_str() {
            "$ref" => {
                let name = argument
                    .as_str()
                    .unwrap()
                    .strip_prefix("#/definitions/")
                    .unwrap();
                check(value, &root["definitions"][name], root, at, problems);
                true
            }
            "type" => match argument.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "integer" => value.is_u64() || value.is_i64(),
                "number" => value.is_number(),
                "boolean" => value.is_boolean(),
                other => panic!("type {other}"),
            },
            "enum" => argument.as_array().unwrap().contains(value),
            "required" => argument
                .as_array()
                .unwrap()
                .iter()
                .all(|key| value.get(key.as_str().unwrap()).is_some()),
            "properties" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    if let Some(schema) = argument.get(key) {
                        check(value, schema, root, &format!("{at}.{key}"), problems);
                    }
                }
                true
            }
            "additionalProperties" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    let is_known = schema["properties"].get(key).is_some();
                    if argument == &Value::Bool(false) && !is_known {
                        problems.push(format!("{at}.{key} is not in the standard"));
                    } else if argument.is_object() && !is_known {
                        check(value, argument, root, &format!("{at}.{key}"), problems);
                    }
                }
                true
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(item, argument, root, &format!("{at}[{index}]"), problems);
                }
                true
            }
            "minItems" => length(value) >= argument.as_u64().unwrap(),
            "uniqueItems" => argument == &Value::Bool(false) || all_differ(value),
            "minimum" => value
                .as_f64()
                .is_none_or(|n| n >= argument.as_f64().unwrap()),
            "maximum" => value
                .as_f64()
                .is_none_or(|n| n <= argument.as_f64().unwrap()),
            "anyOf" | "oneOf" => {
                let fits = |choice: &&Value| {
                    let mut found = Vec::new();
                    check(value, choice, root, at, &mut found);
                    found.is_empty()
                };
                let fitting = argument.as_array().unwrap().iter().filter(fits).count();
                fitting == 1 || (fitting > 1 && keyword == "anyOf")
            }
            "format" => is_formatted(value, argument.as_str().unwrap()),
            // None of what is written has a pattern.
            "pattern" => panic!("{at} has a pattern: {argument}"),
            "$schema" | "$id" | "title" | "description" | "default" | "definitions" => true,
            other => panic!("keyword {other} is not known to this test"),
        };
        if !is_right {
            problems.push(format!("{at}: {keyword} {argument} does not fit {value}"));
        }
    }
}

fn length(value: &Value) -> u64 {
    value
        .as_array()
        .map_or(u64::MAX, |items| u64::try_from(items.len()).unwrap())
}

fn all_differ(value: &Value) -> bool {
    let items = value.as_array().map_or(&[][..], Vec::as_slice);
    let mut rest = items.iter();
    while let Some(item) = rest.next() {
        if rest.as_slice().contains(item) {
            return false;
        }
    }
    true
}

/// Addresses have only the characters that addresses may have.
fn is_formatted(value: &Value, format: &str) -> bool {
    let text = value.as_str().unwrap_or_default();
    match format {
        "uri" => text.contains(':') && is_formatted(value, "uri-reference"),
        "uri-reference" => text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&b)),
        other => panic!("format {other} is not known to this test"),
    }
}
