//! Every fix does what it says, on every manifest that makes a rule fire: the finding is
//! gone, comments and everything else are as before, and there is nothing left to do.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test panics where it does not find what it expects"
)]

mod loading;

use std::collections::BTreeMap;
use std::path::Path;

use ringfence_advisor::fix::{Checked, Refusal, Repair, apply, plan, repair};
use ringfence_advisor::{Edit, Finding, Fix, Safety, rules};
use ringfence_model::parse::{Input, Limits, load};
use ringfence_model::snapshot::builder::BuildOptions;
use ringfence_model::source::FileId;
use serde_json::{Value, json};

use crate::loading::{Loaded, manifests_below, words_of};

const FILE: FileId = FileId(0);

/// A manifest that makes a rule fire.
struct Firing {
    name: String,
    text: String,
    words: String,
}

fn firing() -> Vec<Firing> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules");
    let mut all = Vec::new();
    for rule in rules::ALL {
        for path in manifests_below(&folder.join(rule.code.to_string())) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("fires") {
                all.push(Firing {
                    name: format!("{}/{name}", rule.code),
                    text: std::fs::read_to_string(&path).unwrap(),
                    words: words_of(&path),
                });
            }
        }
    }
    all
}

fn checked(inputs: Vec<Input>, words: &str) -> Checked {
    let loaded = Loaded::of(inputs, words, BuildOptions::default());
    Checked {
        report: loaded.report(),
        sources: loaded.sources,
    }
}

fn input(name: &str, text: &str) -> Vec<Input> {
    vec![Input {
        name: name.to_owned(),
        bytes: text.as_bytes().to_vec(),
    }]
}

fn check_text(firing: &Firing, text: &str) -> Checked {
    checked(input(&firing.name, text), &firing.words)
}

fn repaired(firing: &Firing, text: &str) -> Repair {
    repair(
        input(&firing.name, text),
        Safety::Unsafe,
        |_| true,
        |inputs| checked(inputs, &firing.words),
    )
}

fn occurrences(checked: &Checked, finding: &Finding) -> usize {
    // Wherever it is said: of a policy that the fix has added it would be no better.
    let same = checked.report.findings.iter().filter(|other| {
        other.rule.code == finding.rule.code
            && other.object.namespace == finding.object.namespace
            && other.message == finding.message
    });
    same.count()
}

/// Whole-line and trailing comments; fixtures have no `#` in texts.
fn comments(text: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for line in text.lines() {
        if let Some(at) = line.find("# ") {
            *found.entry(line[at..].trim_end().to_owned()).or_default() += 1;
        }
    }
    found
}

fn removes(fix: &Fix) -> bool {
    let mut edits = fix.edits.iter();
    edits.any(|edit| matches!(edit, Edit::Remove { .. } | Edit::RemoveObject { .. }))
}

/// Makes each fix of a text by itself and says how many there were.
fn make_each(firing: &Firing, text: &str, wrong: &mut Vec<String>) -> (usize, usize) {
    let before = check_text(firing, text);
    let (mut made, mut refused) = (0, 0);
    for finding in &before.report.findings {
        let Some(fix) = &finding.fix else { continue };
        let what = format!("{}: {}: {}", firing.name, finding.rule.code, fix.title);
        let planned = match plan(&before.sources, fix) {
            Ok(planned) => planned,
            Err(why) => {
                refused += 1;
                if !matches!(why, Refusal::OneObjectInJson | Refusal::OnlyObject) {
                    wrong.push(format!("{what}: refused: {why}"));
                }
                continue;
            }
        };
        made += 1;
        let fixed = apply(text, &planned).unwrap();
        let after = check_text(firing, &fixed);
        if occurrences(&after, finding) >= occurrences(&before, finding) {
            wrong.push(format!("{what}: still there\n{fixed}"));
        }
        if !removes(fix) {
            let kept = comments(&fixed);
            for (comment, count) in comments(text) {
                if kept.get(&comment).is_none_or(|kept| *kept < count) {
                    wrong.push(format!("{what}: lost {comment:?}"));
                }
            }
        }
        // Every line that no replacement touches is there, in order.
        let mut untouched = text.to_owned();
        for replacement in planned.iter().rev() {
            untouched.replace_range(replacement.bytes.clone(), "\u{0}");
        }
        let mut rest = fixed.as_str();
        for part in untouched.split('\u{0}') {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => wrong.push(format!("{what}: something else changed")),
            }
        }
    }
    (made, refused)
}

#[test]
fn each_fix_removes_its_finding_and_keeps_everything_else() {
    let mut wrong = Vec::new();
    let mut made = 0;
    for firing in firing() {
        made += make_each(&firing, &firing.text, &mut wrong).0;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(made > 30, "only {made} fixes were made");
}

#[test]
fn fixes_keep_the_line_breaks_of_windows() {
    let mut wrong = Vec::new();
    for firing in firing() {
        let text = firing.text.replace('\n', "\r\n");
        make_each(&firing, &text, &mut wrong);
        for text in repaired(&firing, &text).changed.values() {
            if text.replace("\r\n", "").contains('\n') {
                wrong.push(format!("{}: mixed line breaks", firing.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The documents of a YAML text as one JSON list.
fn as_json(text: &str, compact: bool) -> String {
    let loaded = load(input("any.yaml", text), &Limits::default());
    let items: Vec<Value> = (0..loaded.sources.documents(FILE))
        .filter_map(|index| loaded.sources.meaning(FILE, u32::try_from(index).unwrap()))
        .filter(|document| !document.is_null())
        .collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    match compact {
        true => list.to_string(),
        false => serde_json::to_string_pretty(&list).unwrap() + "\n",
    }
}

#[test]
fn fixes_are_made_in_json_too() {
    let mut wrong = Vec::new();
    let mut all = 0;
    for firing in firing() {
        for compact in [false, true] {
            let text = as_json(&firing.text, compact);
            all += make_each(&firing, &text, &mut wrong).0;
            for after in repaired(&firing, &text).changed.values() {
                let Ok(read) = serde_json::from_str::<Value>(after) else {
                    wrong.push(format!("{}: no longer JSON", firing.name));
                    continue;
                };
                // As a formatter writes it, so that the diff is of what changed only.
                let pretty = || serde_json::to_string_pretty(&read).unwrap() + "\n";
                let lines = |text: &str| -> Vec<String> {
                    let mut lines: Vec<String> = text
                        .lines()
                        .map(|line| line.trim_end_matches(',').to_owned())
                        .collect();
                    lines.sort();
                    lines
                };
                if !compact && lines(&pretty()) != lines(after) {
                    wrong.push(format!("{}: laid out in another way\n{after}", firing.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(all > 60, "only {all} fixes were made");
}

#[test]
fn repairing_ends_with_nothing_left_to_do() {
    let mut wrong = Vec::new();
    for firing in firing() {
        let first = repaired(&firing, &firing.text);
        let Some(text) = first.changed.get(&0) else {
            continue;
        };
        if std::env::var_os("RINGFENCE_SHOW_FIXES").is_some() {
            println!("=== {}\n{text}", firing.name);
        }
        let second = repaired(&firing, text);
        if second.fixed > 0 || !second.changed.is_empty() {
            wrong.push(format!("{}: fixes again", firing.name));
        }
        for refused in &first.refused {
            let (code, title, why) = (refused.code, &refused.title, &refused.why);
            if !matches!(why, Refusal::OnlyObject) {
                wrong.push(format!("{}: {code}: {title}: {why}", firing.name));
            }
        }
        // The rule of the manifest has nothing more to offer.
        let code = firing.name.split('/').next().unwrap();
        for finding in &first.after.report.findings {
            let is_its = finding.rule.code.to_string() == code;
            if is_its && finding.fix.is_some() && first.refused.is_empty() {
                wrong.push(format!("{}: left: {}", firing.name, finding.message));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_finding_that_comes_back_about_what_the_fix_has_added_is_not_fixed() {
    let open = firing().into_iter().find(|f| f.name == "RF201/fires.yaml");
    let firing = open.unwrap();
    let original = check_text(&firing, &firing.text).report.findings;
    let finding = original.iter().find(|f| f.rule.code.0 == 201).unwrap();
    let done = repair(
        input(&firing.name, &firing.text),
        Safety::Unsafe,
        |_| true,
        |inputs| {
            let mut checked = checked(inputs, &firing.words);
            let documents = checked.sources.documents(FILE);
            // The same is said as before, of something else.
            let mut again = finding.clone();
            again.object.kind = "NetworkPolicy".into();
            again.object.namespace = Some("production".into());
            again.object.name = format!("policy-{documents}").into();
            checked.report.findings = vec![again];
            checked
        },
    );
    assert_eq!(done.fixed, 0);
    assert!(done.changed.is_empty());
    let why: Vec<&Refusal> = done.refused.iter().map(|refused| &refused.why).collect();
    assert_eq!(why, [&Refusal::NoEffect]);
}
