//! Writing a changed text back to where it was read from.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::input::Place;

/// Where a changed text goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Stdout,
    /// A file, by its real path.
    File(PathBuf),
}

/// Where the text of an input goes, or why it may not be changed.
pub(crate) fn target(place: &Place) -> Result<Target, String> {
    let Place::File { path, named } = place else {
        return Ok(Target::Stdout);
    };
    let unreadable = |error: io::Error| error.to_string();
    let real = fs::canonicalize(path).map_err(unreadable)?;
    let root = fs::canonicalize(named).map_err(unreadable)?;
    if !real.starts_with(&root) {
        return Err(format!(
            "a link leads to it, out of `{}`: name it with `-f` if it is meant",
            named.display()
        ));
    }
    let kind = fs::metadata(&real).map_err(unreadable)?;
    if !kind.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    if kind.permissions().readonly() {
        return Err("it may not be written".to_owned());
    }
    Ok(Target::File(real))
}

/// Writes a file anew, all of it or nothing, with the permissions that it had.
///
/// # Errors
/// If it cannot be written, or is no more as it was read.
pub(crate) fn replace(path: &Path, before: &str, after: &str) -> io::Result<()> {
    if fs::read(path)? != before.as_bytes() {
        let message = "it was changed by somebody else in the meantime";
        return Err(io::Error::other(message));
    }
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".ringfence-")
        .tempfile_in(directory)?;
    file.write_all(after.as_bytes())?;
    let permissions = fs::metadata(path)?.permissions();
    file.as_file().set_permissions(permissions)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
