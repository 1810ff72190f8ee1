//! The rendered findings of every rule, kept beside the manifests that make it fire.

use std::path::{Path, PathBuf};

use crate::{ringfence, root};

/// Set to write the files instead of comparing them.
const UPDATE: &str = "RINGFENCE_UPDATE_FINDINGS";

const FOLDER: &str = "crates/advisor/tests/rules";

/// Manifests that make a rule fire, with the code of the rule.
fn firing() -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join(FOLDER)).unwrap() {
        let folder = entry.unwrap();
        let code = folder.file_name().to_string_lossy().into_owned();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let name = file.unwrap().file_name().to_string_lossy().into_owned();
            if name.starts_with("fires") && name.ends_with(".yaml") {
                found.push((code.clone(), PathBuf::from(FOLDER).join(&code).join(name)));
            }
        }
    }
    found.sort();
    found
}

/// The options that a manifest asks for in its first line.
fn options(manifest: &Path) -> String {
    let text = std::fs::read_to_string(root().join(manifest)).unwrap();
    let first = text.lines().next().unwrap_or_default();
    first
        .strip_prefix("# ringfence: ")
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn findings_are_shown_as_they_were_approved() {
    let mut wrong = Vec::new();
    for (code, manifest) in firing() {
        let options = options(&manifest);
        let run = ringfence(&format!(
            "check --no-config --select {code} {options} -f {}",
            manifest.display()
        ));
        assert!(matches!(run.code, Some(0 | 1)), "{}", run.text());
        let rendered = root().join(&manifest).with_extension("rendered.txt");
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(&rendered, run.text()).unwrap();
        }
        if std::fs::read_to_string(&rendered).unwrap_or_default() != run.text() {
            wrong.push(rendered.display().to_string());
        }
    }
    assert!(
        wrong.is_empty(),
        "not as approved: {wrong:#?}; if the change is meant, run the tests with {UPDATE}=1"
    );
}

/// The arguments of an `explain` that a witness names.
fn explain_arguments(witness: &serde_json::Value) -> (String, &str) {
    let text = |key: &str| witness[key].as_str().unwrap().to_owned();
    (
        format!("{} {}", text("from"), text("to")),
        witness["verdict"].as_str().unwrap(),
    )
}

#[test]
fn explain_confirms_every_witness() {
    let mut confirmed = 0;
    for (code, manifest) in firing() {
        let manifest = manifest.display();
        let report = ringfence(&format!("check -f {manifest} -o json")).json();
        if !report["problems"].is_null() {
            // A policy was left out: what it may change is Unknown to `explain`, and the
            // finding about it says that the others do not count it.
            continue;
        }
        for finding in report["findings"].as_array().unwrap() {
            let witness = &finding["witness"];
            if witness.is_null() {
                continue;
            }
            let (arguments, verdict) = explain_arguments(witness);
            let explained = ringfence(&format!("explain {arguments} -f {manifest} -o json"));
            let said: Vec<String> = explained.json()["outcomes"]
                .as_array()
                .unwrap_or_else(|| panic!("{code} {arguments}: {}", explained.text()))
                .iter()
                .map(|outcome| outcome["verdict"].as_str().unwrap().to_owned())
                .collect();
            assert!(
                said.iter().any(|said| said == verdict),
                "{code}: explain {arguments} says {said:?}, the finding {verdict}"
            );
            confirmed += 1;
        }
    }
    assert!(confirmed > 0);
}
