//! Kustomizations that were not built: what they change is not in the files beside them.

use super::document::Outcome;
use super::node::{Entry, Node};
use super::report::Reporter;
use super::sources::SourceFile;
use super::tree::Tree;
use crate::diagnostic::Severity;

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

    #[test]
    fn what_flux_calls_a_kustomization_is_an_object() {
        let text = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n\
                    metadata: {name: apps, namespace: flux-system}\nspec: {patches: [{patch: x}]}";
        assert_eq!(diagnostics("kustomization.yaml", text), []);
    }
}
