//! Files, directories and standard input, as bytes with names.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::output::visible;
use ringfence_model::diagnostic::{Diagnostic, Severity};
use ringfence_model::parse::{Input, Limits};

/// The name shown for standard input.
pub(crate) const STDIN: &str = "<stdin>";

/// An input that could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    #[error(
        "no input: say where the manifests are, with `-f PATH` (a file, a directory, or `-` for standard input). Reading a live cluster is not part of this version"
    )]
    NoInput,
    #[error("`{0}` does not exist")]
    Missing(String),
    #[error("`{name}` cannot be read: {error}")]
    Unreadable { name: String, error: io::Error },
    #[error("`{name}` is larger than the limit of {limit} bytes")]
    TooLarge { name: String, limit: usize },
    #[error("no *.yaml, *.yml or *.json file in directory `{0}`")]
    EmptyDirectory(String),
    #[error(
        "`{0}` is a URL, and only files are read: pipe it in, as in `curl -fsS URL | ringfence ... -f -`"
    )]
    Url(String),
    #[error("standard input can be read only once: `-` was given {0} times")]
    StdinTwice(usize),
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) inputs: Vec<Input>,
    /// Where each of them is.
    pub(crate) places: Vec<Place>,
    /// Files of directories that could not be read, and so are missing.
    pub(crate) problems: Vec<Diagnostic>,
}

/// Where an input is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Stdin,
    File {
        /// Its path.
        path: PathBuf,
        /// The path on the command line that led to it.
        named: PathBuf,
    },
}

/// Files that a directory is read from.
#[derive(Debug, Default)]
struct Found {
    files: Vec<PathBuf>,
    problems: Vec<Diagnostic>,
}

/// Reads everything that `paths` name, in the order given; the files of a directory
/// in the order of their paths. A file that is named twice is read once.
pub(crate) fn read(paths: &[PathBuf], limits: &Limits) -> Result<Files, Vec<InputError>> {
    if paths.is_empty() {
        return Err(vec![InputError::NoInput]);
    }
    let from_stdin = paths.iter().filter(|path| is_stdin(path)).count();
    if from_stdin > 1 {
        return Err(vec![InputError::StdinTwice(from_stdin)]);
    }
    let Files {
        mut inputs,
        mut places,
        mut problems,
    } = Files::default();
    let mut errors = Vec::new();
    let mut seen = BTreeSet::new();
    for path in paths {
        if is_stdin(path) {
            match read_limited(io::stdin().lock(), STDIN, limits) {
                Ok(input) => {
                    inputs.push(input);
                    places.push(Place::Stdin);
                }
                Err(error) => errors.push(error),
            }
            continue;
        }
        match files_below(path) {
            Ok(found) => {
                problems.extend(found.problems);
                for file in found.files {
                    if fs::canonicalize(&file).is_ok_and(|real| !seen.insert(real)) {
                        continue;
                    }
                    match read_file(&file, limits) {
                        Ok(input) => {
                            inputs.push(input);
                            places.push(Place::File {
                                path: file,
                                named: path.clone(),
                            });
                        }
                        Err(error) if file == *path => errors.push(error),
                        Err(error) => problems.push(left_out(&file, &error)),
                    }
                }
            }
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(Files {
            inputs,
            places,
            problems,
        })
    } else {
        Err(errors)
    }
}

/// Whether the file name is one that is read from a directory.
pub(crate) fn is_manifest_name(path: &Path) -> bool {
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .map(str::to_ascii_lowercase);
    !is_hidden(path) && matches!(extension.as_deref(), Some("yaml" | "yml" | "json"))
}

/// Whether a path means standard input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// One file of a directory that cannot be read: the others still are.
fn left_out(path: &Path, error: &InputError) -> Diagnostic {
    let left_out = format!("`{}` was left out", path.display());
    problem(Severity::Error, error.to_string(), Some(left_out))
}

fn problem(severity: Severity, message: String, left_out: Option<String>) -> Diagnostic {
    Diagnostic {
        severity,
        code: "unreadable-file",
        message,
        object: None,
        primary: None,
        related: Vec::new(),
        help: None,
        replacement: None,
        left_out,
    }
}

/// Whether a path is a directory without manifests.
pub(crate) fn is_empty_directory(path: &Path) -> bool {
    matches!(files_below(path), Err(InputError::EmptyDirectory(_)))
}

fn unreadable(path: &Path, error: io::Error) -> InputError {
    let name = path.display().to_string();
    if error.kind() != io::ErrorKind::NotFound {
        return InputError::Unreadable { name, error };
    }
    if name.starts_with("http://") || name.starts_with("https://") {
        return InputError::Url(name);
    }
    InputError::Missing(name)
}

/// The file itself, or the manifests below a directory, sorted by path.
fn files_below(path: &Path) -> Result<Found, InputError> {
    let kind = fs::metadata(path).map_err(|error| unreadable(path, error))?;
    let mut found = Found::default();
    if !kind.is_dir() {
        found.files.push(path.to_path_buf());
        return Ok(found);
    }
    walk(path, &mut BTreeSet::new(), &mut found)?;
    if found.files.is_empty() && found.problems.is_empty() {
        return Err(InputError::EmptyDirectory(path.display().to_string()));
    }
    found.files.sort();
    Ok(found)
}

/// Adds the manifests below `directory`. `visited` holds real paths: a directory that
/// several links lead to, or a link back to a parent, is walked once.
fn walk(
    directory: &Path,
    visited: &mut BTreeSet<PathBuf>,
    found: &mut Found,
) -> Result<(), InputError> {
    let failed = |error| unreadable(directory, error);
    if !visited.insert(fs::canonicalize(directory).map_err(failed)?) {
        return Ok(());
    }
    // Sorted, so that it is always the same link that a file is found through.
    let mut paths = fs::read_dir(directory)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    paths.sort();
    for path in paths.into_iter().filter(|path| !is_hidden(path)) {
        match fs::metadata(&path) {
            Ok(kind) if kind.is_dir() => {
                if let Err(error) = walk(&path, visited, found) {
                    found.problems.push(left_out(&path, &error));
                }
            }
            // A link that leads nowhere matters only where it would have been read.
            _ if !is_manifest_name(&path) => {}
            Ok(kind) if kind.is_file() => found.files.push(path),
            // A pipe may have no writer: reading it could wait for ever.
            Ok(_) => found.problems.push(problem(
                Severity::Warning,
                format!("`{}` is not a regular file and is skipped", path.display()),
                None,
            )),
            Err(error) => {
                let error = unreadable(&path, error);
                found.problems.push(left_out(&path, &error));
            }
        }
    }
    Ok(())
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn read_file(path: &Path, limits: &Limits) -> Result<Input, InputError> {
    let file = File::open(path).map_err(|error| unreadable(path, error))?;
    read_limited(file, &visible::line(&path.display().to_string()), limits)
}

/// Reads to the end, and one byte past the limit at most.
fn read_limited(from: impl Read, name: &str, limits: &Limits) -> Result<Input, InputError> {
    let limit = limits.input_bytes;
    let mut bytes = Vec::new();
    let read = from
        .take(u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| InputError::Unreadable {
            name: name.to_owned(),
            error,
        })?;
    if read > limit {
        return Err(InputError::TooLarge {
            name: name.to_owned(),
            limit,
        });
    }
    Ok(Input {
        name: name.to_owned(),
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("ringfence-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str, text: &str) {
            let path = self.0.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn read(&self, limits: &Limits) -> Result<Vec<String>, Vec<InputError>> {
            let prefix = format!("{}/", self.0.display());
            let read = read(std::slice::from_ref(&self.0), limits)?;
            let names = read.inputs.iter().map(|i| &i.name);
            let problems = read.problems.iter().map(|p| &p.message);
            Ok(names
                .chain(problems)
                .map(|i| i.replace(&prefix, ""))
                .collect())
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn directories_are_read_recursively_sorted_and_without_hidden_files() {
        let directory = Directory::new("walk");
        for name in [
            "b.yml",
            "a.yaml",
            "sub/c.JSON",
            "sub/d.txt",
            ".git/e.yaml",
            ".f.yaml",
        ] {
            directory.file(name, "x");
        }
        assert_eq!(
            directory.read(&Limits::default()).unwrap(),
            ["a.yaml", "b.yml", "sub/c.JSON"]
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_parent_directory_does_not_loop_and_nothing_is_read_twice() {
        let directory = Directory::new("loop");
        directory.file("sub/a.yaml", "x");
        std::os::unix::fs::symlink(&directory.0, directory.0.join("sub/up")).unwrap();
        std::os::unix::fs::symlink(directory.0.join("sub"), directory.0.join("twin")).unwrap();
        assert_eq!(directory.read(&Limits::default()).unwrap(), ["sub/a.yaml"]);
    }

    #[test]
    fn every_path_that_is_missing_is_named() {
        let errors = read(
            &[
                "/nowhere/a.yaml".into(),
                "/nowhere/b.yaml".into(),
                "https://example.com/c.yaml".into(),
            ],
            &Limits::default(),
        )
        .unwrap_err();
        let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(shown[0], "`/nowhere/a.yaml` does not exist");
        assert_eq!(shown[1], "`/nowhere/b.yaml` does not exist");
        assert!(shown[2].contains("is a URL"));
    }

    #[test]
    fn a_directory_without_manifests_and_a_file_over_the_limit_are_errors() {
        let directory = Directory::new("limits");
        directory.file("readme.txt", "x");
        assert!(matches!(
            directory.read(&Limits::default()).unwrap_err()[..],
            [InputError::EmptyDirectory(_)]
        ));
        directory.file("big.yaml", "0123456789");
        let limits = Limits {
            input_bytes: 9,
            ..Limits::default()
        };
        assert_eq!(
            directory.read(&limits).unwrap(),
            ["`big.yaml` is larger than the limit of 9 bytes"]
        );
        assert!(matches!(
            read(&[directory.0.join("big.yaml")], &limits).unwrap_err()[..],
            [InputError::TooLarge { limit: 9, .. }]
        ));
    }

    #[test]
    fn nothing_to_read_says_what_to_pass() {
        let errors = read(&[], &Limits::default()).unwrap_err();
        assert!(errors[0].to_string().contains("-f PATH"));
    }
}
