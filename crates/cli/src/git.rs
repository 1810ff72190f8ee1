//! Manifests as they were at a git revision, read with the `git` command.

use std::ffi::OsStr;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ringfence_model::parse::{Input, Limits};

use crate::input::{is_manifest_name, is_stdin};

/// Why a revision cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GitError {
    #[error("`git` cannot be run: {0}")]
    NotInstalled(io::Error),
    #[error("`{path}` is not in a git repository: {message}")]
    NoRepository { path: String, message: String },
    #[error("`{revision}` is not a revision of the repository `{repository}`: {message}")]
    NoRevision {
        revision: String,
        repository: String,
        message: String,
    },
    #[error("`git {command}` failed: {message}")]
    Failed { command: String, message: String },
    #[error("standard input has no history: with `--git`, name files or directories with `-f`")]
    Stdin,
    #[error("`{path}` at `{revision}` is larger than the limit of {limit} bytes")]
    TooLarge {
        path: String,
        revision: String,
        limit: usize,
    },
    #[error("no input: say with `-f PATH` which files to compare with `{0}`")]
    NoInput(String),
}

/// What was at a revision.
#[derive(Debug, Default)]
pub(crate) struct Past {
    pub(crate) inputs: Vec<Input>,
    /// The paths in which there was nothing to read.
    pub(crate) empty: Vec<PathBuf>,
}

/// What was in `paths` at a revision, in the order in which a directory is read.
pub(crate) fn read(paths: &[PathBuf], revision: &str, limits: &Limits) -> Result<Past, GitError> {
    if paths.is_empty() {
        return Err(GitError::NoInput(revision.to_owned()));
    }
    let Past {
        mut inputs,
        mut empty,
    } = Past::default();
    for path in paths {
        if is_stdin(path) {
            return Err(GitError::Stdin);
        }
        let repository = Repository::of(path)?;
        let commit = repository.commit(revision)?;
        let blobs = repository.blobs(&commit, path)?;
        if blobs.is_empty() {
            empty.push(path.clone());
        }
        for input in repository.contents(&blobs, revision, limits)? {
            if !inputs.iter().any(|known| known.name == input.name) {
                inputs.push(input);
            }
        }
    }
    Ok(Past { inputs, empty })
}

/// The work tree that a path belongs to.
struct Repository {
    root: PathBuf,
}

/// A file of a commit.
struct Blob {
    id: String,
    /// Below the root of the repository.
    path: String,
}

impl Repository {
    fn of(path: &Path) -> Result<Self, GitError> {
        let failed = |message: String| GitError::NoRepository {
            path: path.display().to_string(),
            message,
        };
        let absolute = std::path::absolute(path).map_err(|error| failed(error.to_string()))?;
        // The path itself may not exist any more: then its nearest parent that does.
        let directory = absolute
            .ancestors()
            .find(|ancestor| ancestor.is_dir())
            .unwrap_or(Path::new("/"));
        let output = run(
            directory,
            [OsStr::new("rev-parse"), OsStr::new("--show-toplevel")],
        )?;
        let root = output.map_err(failed)?;
        let root = String::from_utf8_lossy(&root)
            .trim_end_matches('\n')
            .to_owned();
        Ok(Self { root: root.into() })
    }

    fn commit(&self, revision: &str) -> Result<String, GitError> {
        let object = format!("{revision}^{{commit}}");
        let arguments = [
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &object,
        ];
        let output = run(&self.root, arguments.map(OsStr::new))?;
        let output = output.map_err(|message| GitError::NoRevision {
            revision: revision.to_owned(),
            repository: self.root.display().to_string(),
            message: if message.is_empty() {
                "git does not know it".to_owned()
            } else {
                message
            },
        })?;
        Ok(String::from_utf8_lossy(&output).trim().to_owned())
    }

    /// The file at `path`, or the manifests below it, in a commit.
    fn blobs(&self, commit: &str, path: &Path) -> Result<Vec<Blob>, GitError> {
        let below = self.relative(path);
        let spec = if below.is_empty() { "." } else { &below };
        let arguments = [
            "--literal-pathspecs",
            "ls-tree",
            "-r",
            "-z",
            "--full-tree",
            commit,
            "--",
            spec,
        ];
        let arguments = if below.is_empty() {
            &arguments[..6]
        } else {
            &arguments[..]
        };
        let output = run(&self.root, arguments.iter().map(OsStr::new))?;
        let output = output.map_err(|message| GitError::Failed {
            command: "ls-tree".to_owned(),
            message,
        })?;
        let text = String::from_utf8_lossy(&output);
        let mut blobs: Vec<Blob> = text
            .split('\0')
            .filter_map(|entry| {
                // Links (mode 120000) and submodules (commit) have no manifest in them.
                let (meta, path) = entry.split_once('\t')?;
                let mut fields = meta.split(' ');
                let (mode, kind, id) = (fields.next()?, fields.next()?, fields.next()?);
                let is_file = kind == "blob" && mode != "120000";
                is_file.then(|| Blob {
                    id: id.to_owned(),
                    path: path.to_owned(),
                })
            })
            .filter(|blob| blob.path == below || is_read_from_directory(&blob.path, &below))
            .collect();
        blobs.sort_by(|a, b| Path::new(&a.path).cmp(Path::new(&b.path)));
        Ok(blobs)
    }

    /// A path as the repository names it: below its root, with slashes.
    fn relative(&self, path: &Path) -> String {
        let real = real(path);
        let root = std::fs::canonicalize(&self.root).unwrap_or_else(|_| self.root.clone());
        let below = real.strip_prefix(&root).unwrap_or(Path::new(""));
        let parts: Vec<String> = below
            .components()
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .collect();
        parts.join("/")
    }

    /// The contents of blobs, all from one `git cat-file`.
    fn contents(
        &self,
        blobs: &[Blob],
        revision: &str,
        limits: &Limits,
    ) -> Result<Vec<Input>, GitError> {
        let failed = |message: String| GitError::Failed {
            command: "cat-file".to_owned(),
            message,
        };
        let mut child = Command::new("git")
            .arg("-C")
            .arg(&self.root)
            .args(["cat-file", "--batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(GitError::NotInstalled)?;
        let (Some(mut questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed("no pipe".to_owned()));
        };
        let mut answers = BufReader::new(answers);
        let mut inputs = Vec::new();
        let result = (|| {
            for blob in blobs {
                // One question at a time: neither pipe can fill up.
                writeln!(questions, "{}", blob.id)?;
                questions.flush()?;
                let mut header = String::new();
                answers.read_line(&mut header)?;
                let size = header.trim_end().rsplit(' ').next();
                let size: usize = size
                    .and_then(|size| size.parse().ok())
                    .ok_or_else(|| io::Error::other(header.trim_end().to_owned()))?;
                if size > limits.input_bytes {
                    return Ok(Some(blob.path.clone()));
                }
                let mut bytes = vec![0; size];
                answers.read_exact(&mut bytes)?;
                answers.read_exact(&mut [0])?;
                inputs.push(Input {
                    name: format!("{revision}:{}", blob.path),
                    bytes,
                });
            }
            io::Result::Ok(None)
        })();
        drop(questions);
        drop(answers);
        let _ = child.wait();
        match result {
            Ok(None) => Ok(inputs),
            Ok(Some(path)) => Err(GitError::TooLarge {
                path,
                revision: revision.to_owned(),
                limit: limits.input_bytes,
            }),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

/// The real path, also of what does not exist any more: below its nearest parent that
/// does.
fn real(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let found = absolute.ancestors().find_map(|ancestor| {
        let real = std::fs::canonicalize(ancestor).ok()?;
        let rest = absolute.strip_prefix(ancestor).ok()?;
        Some(match rest.as_os_str().is_empty() {
            true => real,
            false => real.join(rest),
        })
    });
    found.unwrap_or(absolute)
}

/// Whether reading the directory `below` reads this file: a manifest, and nothing on
/// the way to it is hidden.
fn is_read_from_directory(path: &str, below: &str) -> bool {
    let rest = path
        .strip_prefix(below)
        .unwrap_or(path)
        .trim_start_matches('/');
    let hidden = rest.split('/').any(|part| part.starts_with('.'));
    !hidden && is_manifest_name(Path::new(rest))
}

/// Runs git: its output, or what it said on stderr.
fn run<S: AsRef<OsStr>>(
    directory: &Path,
    arguments: impl IntoIterator<Item = S>,
) -> Result<Result<Vec<u8>, String>, GitError> {
    let output = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(GitError::NotInstalled)?;
    if output.status.success() {
        return Ok(Ok(output.stdout));
    }
    let message = String::from_utf8_lossy(&output.stderr);
    let message = message.trim().trim_start_matches("fatal: ");
    Ok(Err(message.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::is_read_from_directory;

    #[test]
    fn hidden_files_and_other_kinds_are_not_read_from_directories() {
        assert!(is_read_from_directory("deploy/a.yaml", "deploy"));
        assert!(is_read_from_directory("a/b.json", ""));
        assert!(!is_read_from_directory("deploy/.ci/a.yaml", "deploy"));
        assert!(!is_read_from_directory(".github/a.yaml", ""));
        assert!(!is_read_from_directory("deploy/README.md", "deploy"));
        // Hidden above what was asked for is not hidden.
        assert!(is_read_from_directory(".deploy/a.yaml", ".deploy"));
    }
}
