//! Which crate may depend on which: the sentences of ARCHITECTURE.md about direction.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Crates with a file system, a network, processes or a runtime inside.
const IMPURE: [&str; 12] = [
    "async-std",
    "hyper",
    "kube",
    "kube-client",
    "mio",
    "nix",
    "reqwest",
    "rtnetlink",
    "socket2",
    "tempfile",
    "tokio",
    "walkdir",
];

struct Workspace {
    /// Package name -> names of its direct normal dependencies.
    dependencies: BTreeMap<String, BTreeSet<String>>,
}

impl Workspace {
    fn read() -> Self {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
        // For this platform alone: what others would need has not been downloaded.
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let version = Command::new(rustc).arg("-vV").output().expect("rustc runs");
        let version = String::from_utf8(version.stdout).expect("it prints text");
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let output = Command::new(env!("CARGO"))
            .args([
                "metadata",
                "--format-version",
                "1",
                "--locked",
                "--filter-platform",
            ])
            .arg(host.expect("rustc names its host"))
            .arg("--manifest-path")
            .arg(manifest)
            .output()
            .expect("cargo metadata runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
        let packages = metadata["packages"].as_array().expect("packages");
        let dependencies = packages
            .iter()
            .map(|package| {
                let name = package["name"].as_str().expect("a name").to_owned();
                let dependencies = package["dependencies"].as_array().expect("dependencies");
                let normal = dependencies
                    .iter()
                    .filter(|d| d["kind"].is_null() && d["optional"] == Value::Bool(false))
                    .map(|d| d["name"].as_str().expect("a name").to_owned())
                    .collect();
                (name, normal)
            })
            .collect();
        Self { dependencies }
    }

    fn ours(&self, package: &str) -> BTreeSet<&str> {
        self.dependencies[package]
            .iter()
            .map(String::as_str)
            .filter(|name| name.starts_with("ringfence"))
            .collect()
    }

    fn all_below(&self, package: &str) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut open = vec![package.to_owned()];
        while let Some(next) = open.pop() {
            for dependency in self.dependencies.get(&next).into_iter().flatten() {
                if seen.insert(dependency.clone()) {
                    open.push(dependency.clone());
                }
            }
        }
        seen
    }
}

#[test]
fn dependencies_point_one_way() {
    let workspace = Workspace::read();
    assert_eq!(workspace.ours("ringfence-model"), BTreeSet::new());
    assert_eq!(
        workspace.ours("ringfence-engine"),
        BTreeSet::from(["ringfence-model"])
    );
    assert_eq!(
        workspace.ours("ringfence-advisor"),
        BTreeSet::from(["ringfence-engine", "ringfence-model"])
    );
    assert_eq!(
        workspace.ours("ringfence-dataplane"),
        BTreeSet::from(["ringfence-engine", "ringfence-model"])
    );
    assert_eq!(
        workspace.ours("ringfence-lab"),
        BTreeSet::from(["ringfence-dataplane", "ringfence-engine", "ringfence-model"])
    );
    assert_eq!(
        workspace.ours("ringfence"),
        BTreeSet::from([
            "ringfence-advisor",
            "ringfence-engine",
            "ringfence-lab",
            "ringfence-model"
        ])
    );
}

#[test]
fn model_and_engine_are_pure() {
    let workspace = Workspace::read();
    for package in ["ringfence-model", "ringfence-engine", "ringfence-advisor"] {
        let below = workspace.all_below(package);
        for impure in IMPURE {
            assert!(!below.contains(impure), "{package} depends on {impure}");
        }
    }
}

/// No file system, no process, no network, no clock in the sources themselves.
#[test]
fn model_and_engine_use_no_impure_part_of_std() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut seen = 0;
    for package in ["model", "engine", "advisor"] {
        for file in sources(&root.join(package).join("src")) {
            seen += 1;
            let text = std::fs::read_to_string(&file).expect("a source file can be read");
            for forbidden in [
                "std::fs",
                "std::process",
                "std::env",
                "std::time",
                "TcpStream",
            ] {
                assert!(
                    !text.contains(forbidden),
                    "{} uses {forbidden}",
                    file.display()
                );
            }
        }
    }
    assert!(seen > 20, "only {seen} source files were found");
}

/// The oracle and the fast path share the model and the types of question and answer,
/// and nothing else.
#[test]
fn the_oracle_and_the_fast_path_do_not_call_each_other() {
    let engine = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/src");
    let fast = [
        "crate::resolve",
        "crate::side",
        "crate::sets",
        "crate::engine",
        "crate::reach",
    ];
    for file in sources(&engine.join("oracle"))
        .into_iter()
        .chain([engine.join("oracle.rs")])
    {
        let text = std::fs::read_to_string(&file).expect("a source file can be read");
        for module in fast {
            assert!(!text.contains(module), "{} uses {module}", file.display());
        }
    }
    for part in ["resolve", "side", "reach", "sets"] {
        for file in sources(&engine.join(part)) {
            let text = std::fs::read_to_string(&file).expect("a source file can be read");
            assert!(
                !text.contains("crate::oracle"),
                "{} uses the oracle",
                file.display()
            );
        }
    }
}

fn sources(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}
