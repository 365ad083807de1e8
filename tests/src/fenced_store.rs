//! A resource that refuses whoever comes with a smaller token than it has seen.
//!
//! It stands for the database behind the lock: counters in files, shared by processes. To read is
//! to be seen, too; otherwise somebody who has read could be overtaken between reading and writing
//! by another reader.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// The counters of a folder.
#[derive(Debug, Clone)]
pub struct FencedStore {
    dir: PathBuf,
}

/// What a counter holds.
#[derive(Debug, Default, Clone, Copy)]
struct Cell {
    token: u64,
    value: u64,
}

impl FencedStore {
    /// The counters of this folder, all zero at first.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    /// The value, unless somebody with a greater token was here.
    ///
    /// # Errors
    ///
    /// When the file fails.
    pub fn read(&self, key: u32, token: u64) -> io::Result<Option<u64>> {
        self.with(key, token, |_| {})
    }

    /// Sets the value, unless somebody with a greater token was here. Says whether it did.
    ///
    /// # Errors
    ///
    /// When the file fails.
    pub fn write(&self, key: u32, token: u64, value: u64) -> io::Result<bool> {
        let set = self.with(key, token, |cell| cell.value = value)?;
        Ok(set.is_some())
    }

    /// The value, for whoever judges in the end.
    ///
    /// # Errors
    ///
    /// When the file fails.
    pub fn value(&self, key: u32) -> io::Result<u64> {
        Ok(cell(&mut self.open(key)?)?.value)
    }

    fn with(
        &self,
        key: u32,
        token: u64,
        change: impl FnOnce(&mut Cell),
    ) -> io::Result<Option<u64>> {
        let mut file = self.open(key)?;
        let mut cell = cell(&mut file)?;
        if token < cell.token {
            return Ok(None);
        }
        cell.token = token;
        change(&mut cell);
        file.rewind()?;
        // Of one length and in one call, so that a kill leaves the old or the new.
        file.write_all(format!("{:020} {:020}\n", cell.token, cell.value).as_bytes())?;
        Ok(Some(cell.value))
    }

    /// The lock on the file ends with it.
    fn open(&self, key: u32) -> io::Result<File> {
        let path = self.dir.join(format!("{key}.counter"));
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)?;
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(file)
    }
}

fn cell(file: &mut File) -> io::Result<Cell> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(token)), Some(Ok(value))) => Ok(Cell { token, value }),
        (None, _) => Ok(Cell::default()),
        _ => Err(io::Error::other(format!("no counter: {text}"))),
    }
}
