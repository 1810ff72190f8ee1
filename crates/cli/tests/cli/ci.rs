//! The snippets of `docs/ci.md`, run as they stand there in a repository of their own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::root;

/// A repository with manifests in `manifests/`, and the binary in its `PATH`.
struct Repository {
    folder: PathBuf,
}

impl Repository {
    /// With the manifests of some folders of this one.
    fn with(name: &str, folders: &[&str]) -> Self {
        let folder = std::env::temp_dir().join(format!("ringfence-{name}-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("bin")).unwrap();
        let binary = Path::new(env!("CARGO_BIN_EXE_ringfence"));
        std::os::unix::fs::symlink(binary, folder.join("bin/ringfence")).unwrap();
        for from in folders {
            copy(&root().join(from), &folder.join("manifests"));
        }
        let repository = Self { folder };
        for command in ["git init -q .", "git add manifests"] {
            assert!(repository.run(command).status.success(), "{command}");
        }
        repository
    }

    fn run(&self, command: &str) -> Output {
        let path = std::env::var("PATH").unwrap();
        Command::new("sh")
            .args(["-eu", "-c", command])
            .current_dir(&self.folder)
            .env(
                "PATH",
                format!("{}:{path}", self.folder.join("bin").display()),
            )
            .output()
            .unwrap()
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.join(file)).unwrap()
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The YAML snippets of the page, by the file that their first line names.
fn snippets() -> BTreeMap<String, Value> {
    let page = std::fs::read_to_string(root().join("docs/ci.md")).unwrap();
    let blocks = page.split("```yaml\n").skip(1);
    blocks
        .map(|block| {
            let text = block.split("```").next().unwrap();
            let name = text.lines().next().unwrap().trim_start_matches("# ");
            (name.to_owned(), serde_saphyr::from_str(text).unwrap())
        })
        .collect()
}

fn step(snippets: &BTreeMap<String, Value>, name: &str) -> String {
    let workflow = &snippets[".github/workflows/ringfence.yml"];
    let steps = workflow["jobs"]["check"]["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["name"] == name).unwrap();
    step["run"].as_str().unwrap().to_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const OPEN: &[&str] = &["examples/shop/base"];
const CLOSED: &[&str] = &["crates/advisor/tests/trees/production-closed/manifests"];

#[test]
fn the_workflow_for_github_uploads_alerts_and_annotates() {
    let snippets = snippets();
    let repository = Repository::with("github", OPEN);
    let alerts = repository.run(&step(&snippets, "Alerts"));
    assert!(alerts.status.success(), "{}", text(&alerts.stderr));
    let workflow = &snippets[".github/workflows/ringfence.yml"];
    let steps = workflow["jobs"]["check"]["steps"].as_array().unwrap();
    let upload = steps.iter().find(|step| step["name"] == "Upload").unwrap();
    let sarif = repository.read(upload["with"]["sarif_file"].as_str().unwrap());
    let sarif: Value = serde_json::from_str(&sarif).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    assert!(!sarif["runs"][0]["results"].as_array().unwrap().is_empty());
    let first = &sarif["runs"][0]["results"][0];
    let file = first["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].as_str();
    assert!(file.unwrap().starts_with("manifests/"), "{first}");
    let annotations = repository.run(&step(&snippets, "Annotations"));
    assert_eq!(annotations.status.code(), Some(1));
    let printed = text(&annotations.stdout);
    assert!(printed.contains("::error file=manifests/"), "{printed}");
}

#[test]
fn the_job_for_gitlab_writes_the_report_that_it_names() {
    let job = &snippets()[".gitlab-ci.yml"]["ringfence"];
    let report = job["artifacts"]["reports"]["junit"].as_str().unwrap();
    for (name, folders, code) in [("open", OPEN, 1), ("closed", CLOSED, 0)] {
        let repository = Repository::with(&format!("gitlab-{name}"), folders);
        for command in job["script"].as_array().unwrap() {
            let run = repository.run(command.as_str().unwrap());
            assert_eq!(
                run.status.code(),
                Some(code),
                "{name}: {}",
                text(&run.stderr)
            );
        }
        let xml = repository.read(report);
        assert!(xml.starts_with("<?xml"), "{xml}");
        assert!(xml.contains("<testsuites"), "{xml}");
    }
}

#[test]
fn the_commands_for_any_other_system_run() {
    let page = std::fs::read_to_string(root().join("docs/ci.md")).unwrap();
    let repository = Repository::with("other", OPEN);
    let mut commands = 0;
    for line in page.lines().filter_map(|line| line.strip_prefix("$ ")) {
        // The last one's filter is a program that need not be here.
        let command = line.split(" | jq").next().unwrap();
        let run = repository.run(command);
        assert!(
            matches!(run.status.code(), Some(0 | 1)),
            "{command}: {}",
            text(&run.stderr)
        );
        commands += 1;
    }
    assert_eq!(commands, 3);
    assert!(repository.read("comment.md").contains("RF201"));
}

/// What pre-commit asks of a hook, by its documentation.
#[test]
fn the_hook_for_pre_commit_is_one_and_runs() {
    let text_of_hooks = std::fs::read_to_string(root().join(".pre-commit-hooks.yaml")).unwrap();
    let hooks: Value = serde_saphyr::from_str(&text_of_hooks).unwrap();
    let hooks = hooks.as_array().unwrap();
    for hook in hooks {
        for key in ["id", "name", "entry", "language"] {
            assert!(hook[key].is_string(), "{key} of {hook}");
        }
        for key in hook.as_object().unwrap().keys() {
            let known = [
                "id",
                "name",
                "entry",
                "language",
                "description",
                "types_or",
                "pass_filenames",
                "require_serial",
                "args",
            ];
            assert!(known.contains(&key.as_str()), "{key}");
        }
    }
    let snippets = snippets();
    let used = &snippets[".pre-commit-config.yaml"]["repos"][0]["hooks"][0];
    let hook = hooks.iter().find(|hook| hook["id"] == used["id"]).unwrap();
    assert_eq!(hook["pass_filenames"], false);
    let words = |list: &Value| -> Vec<String> {
        let words = list.as_array().unwrap().iter();
        words
            .map(|word| word.as_str().unwrap().to_owned())
            .collect()
    };
    for (name, folders, code) in [("open", OPEN, 1), ("closed", CLOSED, 0)] {
        let repository = Repository::with(&format!("hook-{name}"), folders);
        for arguments in [words(&hook["args"]), words(&used["args"])] {
            let entry = hook["entry"].as_str().unwrap();
            let run = repository.run(&format!("{entry} {}", arguments.join(" ")));
            assert_eq!(
                run.status.code(),
                Some(code),
                "{name}: {}",
                text(&run.stderr)
            );
        }
    }
}
