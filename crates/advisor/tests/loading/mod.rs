//! Reads manifests as the binary does, and checks them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringfence_advisor::context::{Inventory, assumed_name_servers};
use ringfence_advisor::{Input, Options, Report, check};
use ringfence_engine::{Engine, Profile};
use ringfence_model::diagnostic::{Diagnostic, Severity};
use ringfence_model::parse::{self, Limits, Sources};
use ringfence_model::snapshot::Snapshot;
use ringfence_model::snapshot::builder::{BuildOptions, SnapshotBuilder};

/// Manifests, ready to be checked.
#[allow(dead_code, reason = "not every test asks the engine")]
pub(crate) struct Loaded {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) engine: Engine,
    pub(crate) sources: Sources,
    diagnostics: Vec<Diagnostic>,
    inventory: Inventory,
    assumed_dns: bool,
    options: Options,
}

impl Loaded {
    /// Reads files, in this order.
    #[allow(dead_code, reason = "not every test reads files as they are")]
    pub(crate) fn read(files: &[PathBuf], words: &str) -> Self {
        let inputs = files.iter().map(|path| parse::Input {
            name: path.display().to_string(),
            bytes: std::fs::read(path).unwrap(),
        });
        Self::of(inputs.collect(), words, BuildOptions::default())
    }

    /// Takes texts, options as they are typed, and what the objects do not say.
    pub(crate) fn of(inputs: Vec<parse::Input>, words: &str, build: BuildOptions) -> Self {
        let mut loaded = parse::load(inputs, &Limits::default());
        let options = options(words);
        let default_namespace = options.applied_to.clone().unwrap_or("default".to_owned());
        let inventory = Inventory::of(&loaded.objects, &default_namespace);
        let assumed = assumed_name_servers(&loaded.objects);
        let assumed_dns = !assumed.is_empty();
        loaded.objects.extend(assumed);
        let mut builder = SnapshotBuilder::new(BuildOptions {
            default_namespace,
            ..build
        });
        builder.add(loaded.objects);
        let (snapshot, of_build) = builder.build(&loaded.sources);
        loaded.diagnostics.extend(of_build);
        let snapshot = Arc::new(snapshot);
        Self {
            engine: Engine::compile(&snapshot, Profile::default()),
            snapshot,
            sources: loaded.sources,
            diagnostics: loaded.diagnostics,
            inventory,
            assumed_dns,
            options,
        }
    }

    /// What `check` takes.
    pub(crate) fn input(&self) -> Input<'_> {
        Input {
            engine: &self.engine,
            sources: &self.sources,
            diagnostics: &self.diagnostics,
            inventory: &self.inventory,
            assumed_dns: self.assumed_dns,
            options: &self.options,
        }
    }

    pub(crate) fn report(&self) -> Report {
        check(&self.input())
    }
}

/// The options that a manifest asks for in a first line such as
/// `# ringfence: -n development`.
#[allow(dead_code, reason = "not every test has options in manifests")]
pub(crate) fn words_of(path: &Path) -> String {
    let text = std::fs::read(path).unwrap();
    let text = String::from_utf8_lossy(&text);
    let first = text.lines().next().unwrap_or_default();
    first
        .strip_prefix("# ringfence: ")
        .unwrap_or_default()
        .to_owned()
}

/// The options that are typed so.
fn options(words: &str) -> Options {
    let mut options = Options {
        today: "2026-11-21".parse().ok(),
        ..Options::default()
    };
    let mut words = words.split_whitespace();
    while let (Some(option), Some(value)) = (words.next(), words.next()) {
        match option {
            "-n" => options.applied_to = Some(value.to_owned()),
            "--provider" => options.providers.push(value.parse().unwrap()),
            "--note" => {
                let code = value.parse().unwrap();
                options.severities.insert(code, Severity::Note);
            }
            other => panic!("{other} is not understood here"),
        }
    }
    options
}

/// The manifests below a folder, sorted by path.
#[allow(dead_code, reason = "not every test reads folders")]
pub(crate) fn manifests_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.unwrap().path();
        let extension = path.extension().and_then(|e| e.to_str());
        if path.is_dir() {
            found.extend(manifests_below(&path));
        } else if matches!(extension, Some("yaml" | "yml" | "json")) {
            found.push(path);
        }
    }
    found.sort();
    found
}
