//! Kustomizations that were not built: what they change is not in the files beside them.

use std::collections::BTreeSet;

use super::Limits;
use super::document::{Outcome, read_tree};
use super::node::{Entry, Extent, Node};
use super::report::Reporter;
use super::sources::SourceFile;
use super::tree::Tree;
use crate::diagnostic::{Diagnostic, Severity};
use crate::source::FileId;

/// The group of files that kustomize reads; Flux has objects of the same kind in another.
const GROUP: &str = "kustomize.config.k8s.io/";

/// The names under which kustomize looks for its file.
const FILE_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// What lists the files that a kustomization is about.
const LISTS: [&str; 2] = ["resources", "bases"];

/// The keys that change nothing that a verdict rests on: what the file is, what it lists,
/// how the others are read, and ConfigMaps and Secrets with their names.
const CHANGES_NOTHING: [&str; 12] = [
    "apiVersion",
    "kind",
    "metadata",
    "bases",
    "buildMetadata",
    "commonAnnotations",
    "configMapGenerator",
    "generatorOptions",
    "openapi",
    "resources",
    "secretGenerator",
    "sortOptions",
];

/// Reads a document that is a kustomization, which has no objects: `None` for any other.
pub(crate) fn read(file: &SourceFile, tree: &Tree<'_>) -> Option<Outcome> {
    let root = &tree.root;
    let text = |key| root.get(key).and_then(Node::text).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let base_name = |name: &str| name.rsplit(['/', '\\']).next().unwrap_or(name).to_owned();
    let is_kustomization = match (api_version, kind) {
        ("", "") => root.is_mapping() && FILE_NAMES.contains(&&*base_name(file.name())),
        _ => api_version.starts_with(GROUP) && matches!(kind, "Kustomization" | "Component"),
    };
    if !is_kustomization {
        return None;
    }
    let mut reporter = Reporter::new(Some(file));
    let changes: Vec<&Entry<'_>> = root.entries().iter().filter(|e| changes(e)).collect();
    let listed = LISTS.iter().filter_map(|key| root.get(key));
    let mut listed = listed.flat_map(Node::items);
    let remote = listed.find(|path| path.text().is_some_and(is_remote));
    let help = format!(
        "build it first: `kustomize build {} | ringfence ... -f -`",
        directory(file.name()).unwrap_or("DIR")
    );
    if let Some(first) = changes.first() {
        let keys: Vec<String> = changes.iter().map(|e| format!("`{}`", e.key)).collect();
        reporter
            .error(
                "unbuilt-kustomization",
                first.key_extent,
                "this is a kustomization that was not built",
            )
            .label(format!("{} would change what it lists", keys.join(", ")))
            .help(help)
            .left_out(format!("what `{}` changes was left out", file.name()));
    } else if let Some(path) = remote {
        reporter
            .error(
                "unbuilt-kustomization",
                path.head(),
                "this is a kustomization that was not built",
            )
            .label("this is fetched when it is built")
            .help(help)
            .left_out(format!("what `{}` fetches was left out", file.name()));
    } else if kind.is_empty() {
        let name = base_name(file.name());
        reporter
            .report(
                Severity::Note,
                "not-kubernetes",
                root.head(),
                format!("`{name}` is not a manifest and was not read"),
            )
            .left_out("this document was left out");
    }
    Some(reporter.into())
}

/// A kustomization of the input, for what is beside it.
struct Kustomization<'f> {
    file: &'f SourceFile,
    /// The directory that it is in.
    directory: String,
    /// The files and directories that it lists.
    listed: BTreeSet<String>,
    /// Where it lists them.
    list: Extent,
    /// Whether it is told anyway that it must be built.
    is_unbuilt: bool,
}

/// Says of kustomizations that do not list what lies beside them, and of several that have
/// nothing to do with each other: what is applied is less than what is in the input then.
/// `has_objects` are the files in which objects are.
pub(crate) fn beside(
    files: &[SourceFile],
    has_objects: &BTreeSet<FileId>,
    limits: &Limits,
) -> Vec<Diagnostic> {
    let all: Vec<Kustomization<'_>> = files
        .iter()
        .filter_map(|file| Kustomization::read(file, limits))
        .collect();
    let mut diagnostics = Vec::new();
    for kustomization in all.iter().filter(|k| !k.is_unbuilt) {
        let is_listed = |path: &String| all.iter().any(|k| k.listed.contains(path));
        let with_objects = has_objects.iter();
        let names = with_objects.filter_map(|id| Some(files.get(id.0 as usize)?.name()));
        let paths = names.map(normal).filter(|path| {
            let (directory, _) = split(path);
            directory == kustomization.directory && !is_listed(path)
        });
        let names: Vec<String> = paths.map(|path| split(&path).1.to_owned()).collect();
        if !names.is_empty() {
            diagnostics.extend(kustomization.leaves_out(&names));
        }
    }
    let of_another = |one: &Kustomization<'_>| {
        let listed = |k: &Kustomization<'_>| {
            k.listed.contains(&one.directory) || k.listed.contains(&normal(one.file.name()))
        };
        all.iter().any(listed)
    };
    let roots: Vec<&Kustomization<'_>> = all.iter().filter(|one| !of_another(one)).collect();
    if let [_, second, ..] = roots.as_slice()
        && roots.iter().all(|root| !root.is_unbuilt)
    {
        let names: Vec<String> = roots.iter().map(|root| shown(root.file.name())).collect();
        diagnostics.extend(second.is_one_of(&names));
    }
    diagnostics
}

impl<'f> Kustomization<'f> {
    fn read(file: &'f SourceFile, limits: &Limits) -> Option<Self> {
        let path = normal(file.name());
        let (directory, name) = split(&path);
        if !FILE_NAMES.contains(&name) {
            return None;
        }
        let document = file.documents.first()?;
        let tree = read_tree(file, &document.range, limits).ok()?;
        let mut outcome = read(file, &tree)?;
        let root = &tree.root;
        let lists = || LISTS.iter().filter_map(|key| root.entry(key));
        let items = lists().flat_map(|entry| entry.value.items());
        let listed = items.filter_map(Node::text);
        let listed = listed.map(|path| match directory {
            "" => normal(path),
            _ => normal(&format!("{directory}/{path}")),
        });
        let diagnostics = std::mem::take(&mut outcome.diagnostics).into_vec();
        Some(Self {
            file,
            directory: directory.to_owned(),
            listed: listed.collect(),
            list: lists()
                .next()
                .map_or_else(|| root.head(), |entry| entry.key_extent),
            is_unbuilt: diagnostics.iter().any(|d| d.severity == Severity::Error),
        })
    }

    fn leaves_out(&self, names: &[String]) -> Vec<Diagnostic> {
        const MOST: usize = 5;
        let mut reporter = Reporter::new(Some(self.file));
        let mut listed: Vec<String> = names.iter().take(MOST).map(|n| format!("`{n}`")).collect();
        if names.len() > MOST {
            listed.push(format!("{} more", names.len() - MOST));
        }
        let listed = listed.join(", ");
        let (are, them) = match names.len() {
            1 => ("is", "it"),
            _ => ("are", "them"),
        };
        let directory = directory(self.file.name()).unwrap_or("DIR");
        reporter
            .error(
                "unlisted-resource",
                self.list,
                format!(
                    "{listed} {are} not in `resources` of `{}`",
                    self.file.name()
                ),
            )
            .label(format!("`kustomize build` would leave {them} out"))
            .help(format!(
                "list {them}, or check what is built: `kustomize build {directory} | ringfence \
                 ... -f -`"
            ))
            .left_out(format!("{listed} {are} counted, and would not be built"));
        reporter.finish()
    }

    fn is_one_of(&self, names: &[String]) -> Vec<Diagnostic> {
        let mut reporter = Reporter::new(Some(self.file));
        let directory = directory(self.file.name()).unwrap_or("DIR");
        reporter
            .warning(
                "several-kustomizations",
                self.list,
                format!(
                    "the input has {} kustomizations of which none lists the others: {}",
                    names.len(),
                    names.join(", ")
                ),
            )
            .label("what the others list is not in what this builds")
            .help(format!(
                "check what is applied together: `kustomize build {directory} | ringfence ... -f -`"
            ))
            .left_out("whether they are applied together is not known; all were counted");
        reporter.finish()
    }
}

/// The directory of a file as it is named in messages.
fn shown(name: &str) -> String {
    format!("`{}`", directory(name).unwrap_or("DIR"))
}

/// A path without `.` and, where that can be told, without `..`.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for (index, part) in path.split(['/', '\\']).enumerate() {
        match part {
            "." => {}
            "" if index > 0 => {}
            ".." if parts.last().is_some_and(|last| !matches!(*last, "" | "..")) => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The directory of a normal path, empty for the one that we are in, and the name there.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Whether an entry changes what the kustomization lists.
fn changes(entry: &Entry<'_>) -> bool {
    let value = &entry.value;
    let is_empty = match value.resolved() {
        Some(_) => value.is_null() || value.written().is_empty(),
        None => value.entries().is_empty() && value.items().is_empty(),
    };
    !CHANGES_NOTHING.contains(&&*entry.key) && !is_empty
}

/// Whether a path is not one of this file system.
fn is_remote(path: &str) -> bool {
    let begins = ["git@", "github.com/"].iter().any(|b| path.starts_with(b));
    begins || path.contains("://") || path.contains("?ref=")
}

/// The directory of a file; `None` for standard input.
fn directory(name: &str) -> Option<&str> {
    match name.rsplit_once(['/', '\\']) {
        Some((directory, _)) => Some(directory),
        None => (!name.starts_with('<')).then_some("."),
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Diagnostic;
    use crate::parse::{Input, Limits, load};

    fn diagnostics(name: &str, text: &str) -> Vec<Diagnostic> {
        let input = Input {
            name: name.to_owned(),
            bytes: text.as_bytes().to_vec(),
        };
        load(vec![input], &Limits::default()).diagnostics
    }

    const HEADER: &str = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n";

    #[test]
    fn a_kustomization_that_changes_nothing_is_no_problem() {
        for text in [
            "resources: [a.yaml, ../base]",
            "resources: [a.yaml]\nimages: []\nnamePrefix: ''\npatches:",
            "resources: [a.yaml]\nconfigMapGenerator: [{name: c, literals: [a=b]}]",
        ] {
            let text = format!("{HEADER}{text}");
            assert_eq!(diagnostics("k/kustomization.yaml", &text), []);
        }
    }

    #[test]
    fn a_kustomization_that_changes_something_must_be_built() {
        for text in [
            "namespace: prod",
            "patches: [{path: p.yaml}]",
            "components: [../c]",
            "helmCharts: [{name: c}]",
            "resources: [git@example.com/a]",
        ] {
            for name in ["k/kustomization.yml", "<stdin>"] {
                let found = diagnostics(name, &format!("{HEADER}{text}"));
                assert_eq!(found[0].code, "unbuilt-kustomization", "{name}: {text}");
                let help = found[0].help.as_ref().unwrap();
                let directory = if name == "<stdin>" { "DIR" } else { "k" };
                assert!(
                    help.contains(&format!("kustomize build {directory} ")),
                    "{help}"
                );
            }
        }
        // Old ones need no header, where the file has the name.
        assert_eq!(diagnostics("kustomization.yaml", "namePrefix: a-").len(), 1);
    }

    fn of_files(files: &[(&str, &str)]) -> Vec<Diagnostic> {
        let inputs = files.iter().map(|(name, text)| Input {
            name: (*name).to_owned(),
            bytes: text.as_bytes().to_vec(),
        });
        load(inputs.collect(), &Limits::default()).diagnostics
    }

    const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n";

    #[test]
    fn what_lies_beside_a_kustomization_and_is_not_listed_would_not_be_built() {
        let files = |listed: &str| {
            let text = format!("{HEADER}resources: [{listed}]");
            let files = [
                ("./k/kustomization.yaml", &*text),
                ("./k/a.yaml", NAMESPACE),
                ("./k/b.yaml", NAMESPACE),
                ("./k/values.yaml", "a: 1"),
            ];
            let mut found = of_files(&files);
            found.retain(|d| d.code != "not-kubernetes");
            found
        };
        assert_eq!(files("a.yaml, ./b.yaml"), []);
        let found = files("a.yaml");
        assert_eq!(found[0].code, "unlisted-resource");
        let says = "`b.yaml` is not in `resources` of `./k/kustomization.yaml`";
        assert_eq!(found[0].message, says);
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn kustomizations_that_have_nothing_to_do_with_each_other_are_not_one_input() {
        let files = |of_dev: &str| {
            let text = format!("{HEADER}resources: [{of_dev}]");
            of_files(&[
                ("kv/dev/kustomization.yaml", &text),
                ("kv/dev/a.yaml", NAMESPACE),
                ("kv/prod/kustomization.yaml", "resources: [b.yaml]"),
                ("kv/prod/b.yaml", NAMESPACE),
            ])
        };
        let of = |found: Vec<Diagnostic>| {
            let codes = found.into_iter().map(|d| d.code);
            codes.filter(|c| *c != "not-kubernetes").collect::<Vec<_>>()
        };
        assert_eq!(of(files("a.yaml")), ["several-kustomizations"]);
        // The one lists the other.
        assert_eq!(of(files("a.yaml, ../prod")), [""; 0]);
    }

    #[test]
    fn what_flux_calls_a_kustomization_is_an_object() {
        let text = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n\
                    metadata: {name: apps, namespace: flux-system}\nspec: {patches: [{patch: x}]}";
        let codes = diagnostics("kustomization.yaml", text);
        let codes: Vec<_> = codes.iter().map(|d| d.code).collect();
        assert_eq!(codes, [crate::custom::MAY_MAKE_PODS]);
    }
}
