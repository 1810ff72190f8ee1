//! Whose the folder of a lab is: nobody writes to that of another, or removes it.
//!
//! Folders come and go under one lock, and with each comes a note of the process that it
//! is for. So there is no moment at which a lab that is only being built looks like one that
//! is gone, and who ends later than its name was given away leaves the next one alone.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::unistd::geteuid;

use super::{STATE, State, failed, folder, root, started};
use crate::error::LabError;

/// No name of a lab: it has a dot.
const LOCK: &str = ".lock";

/// What is to be done under the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Locking {
    /// Looking at what is noted.
    Reading,
    /// Making or removing folders.
    Writing,
}

/// The lock on all notes of this user, until it is dropped; `None` if nothing was ever
/// noted.
pub(super) fn lock(locking: Locking) -> Result<Option<File>, LabError> {
    let root = root();
    let owner = match fs::metadata(&root) {
        Ok(metadata) => metadata.uid(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&root, error)),
    };
    // In a folder that everybody may write to, somebody else may have been there first.
    if owner != geteuid().as_raw() {
        let shown = root.display();
        return Err(LabError::Unsupported(format!("{shown} is somebody else's")));
    }
    let path = root.join(LOCK);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| failed(&path, error))?;
    let locked = match locking {
        Locking::Reading => file.lock_shared(),
        Locking::Writing => file.lock(),
    };
    locked.map_err(|error| failed(&path, error))?;
    Ok(Some(file))
}

/// The name of a lab, which this process has.
#[derive(Debug)]
pub(crate) struct Claim(State);

impl Claim {
    /// Takes a name: from now on the lab is known, as one that is being built.
    ///
    /// # Errors
    /// If there is a lab with this name, or what is left of one.
    pub(crate) fn new(name: &str) -> Result<Self, LabError> {
        let folder = folder(name)?;
        let root = root();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&root)
            .map_err(|error| failed(&root, error))?;
        let _lock = lock(Locking::Writing)?;
        if let Some(known) = super::known(&folder)? {
            return Err(known.is_in_the_way_of(name));
        }
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(|error| failed(&folder, error))?;
        let pid = i32::try_from(std::process::id()).unwrap_or_default();
        let state = State {
            name: name.to_owned(),
            pid,
            started: started(pid).ok_or_else(|| LabError::Bug("we do not run".to_owned()))?,
            building: true,
            pods: Vec::new(),
            hosts: Vec::new(),
            name_servers: Vec::new(),
        };
        match write(&folder, &state) {
            Ok(()) => Ok(Self(state)),
            Err(error) => remove(&folder).and(Err(error)),
        }
    }

    /// Notes what there is now.
    ///
    /// # Errors
    /// If the folder is not ours any more, or cannot be written.
    pub(crate) fn note(&self, state: &State) -> Result<(), LabError> {
        let folder = folder(&self.0.name)?;
        let _lock = lock(Locking::Writing)?;
        match self.is_noted_in(&folder) {
            true => write(&folder, state),
            false => Err(failed(&folder, "it is not this lab's any more")),
        }
    }

    /// Gives the name back, and removes the folder if it is ours.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub(crate) fn give_back(self) -> Result<(), LabError> {
        let folder = folder(&self.0.name)?;
        let _lock = lock(Locking::Writing)?;
        match self.is_noted_in(&folder) {
            true => remove(&folder).map(|_| ()),
            false => Ok(()),
        }
    }

    fn is_noted_in(&self, folder: &Path) -> bool {
        let noted = super::noted(folder);
        noted.is_some_and(|noted| (noted.pid, noted.started) == (self.0.pid, self.0.started))
    }
}

/// Removes the folder of a lab whose process is gone: whether it was there.
pub(super) fn sweep(folder: &Path) -> Result<bool, LabError> {
    let _lock = lock(Locking::Writing)?;
    // Another may have taken the name in the meantime.
    match super::noted(folder).is_some_and(|noted| noted.is_there()) {
        true => Ok(false),
        false => remove(folder),
    }
}

fn remove(folder: &Path) -> Result<bool, LabError> {
    match fs::remove_dir_all(folder) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(folder, error)),
    }
}

fn write(folder: &Path, state: &State) -> Result<(), LabError> {
    let path = folder.join(STATE);
    let text = serde_json::to_vec_pretty(state).map_err(|error| failed(&path, error))?;
    // Who is killed while it writes leaves the old one.
    let new = folder.join("state.json.new");
    fs::write(&new, text).map_err(|error| failed(&new, error))?;
    fs::rename(&new, &path).map_err(|error| failed(&path, error))
}
