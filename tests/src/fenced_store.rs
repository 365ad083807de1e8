//! A resource that refuses a smaller token than it has seen.
//!
//! It stands for the database behind the lock: counters in files, shared by processes. A read
//! counts as seeing a token too; otherwise another reader could overtake a reader between its read
//! and its write.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// The counters of a folder.
#[derive(Debug, Clone)]
pub struct FencedStore {
    dir: PathBuf,
}

/// The content of a counter.
#[derive(Debug, Default, Clone, Copy)]
struct Cell {
    token: u64,
    value: u64,
}

impl FencedStore {
    /// Opens the counters of this folder, which start at zero.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    /// Returns the value, unless the store has seen a greater token.
    ///
    /// # Errors
    ///
    /// When the file fails.
    pub fn read(&self, key: u32, token: u64) -> io::Result<Option<u64>> {
        self.with(key, token, |_| {})
    }

    /// Sets the value, unless the store has seen a greater token. Returns whether it did.
    ///
    /// # Errors
    ///
    /// When the file fails.
    pub fn write(&self, key: u32, token: u64, value: u64) -> io::Result<bool> {
        let set = self.with(key, token, |cell| cell.value = value)?;
        Ok(set.is_some())
    }

    /// Returns the value, for the check at the end.
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
        // With a fixed length and in one call, so that a kill leaves the old content or the new.
        file.write_all(format!("{:020} {:020}\n", cell.token, cell.value).as_bytes())?;
        Ok(Some(cell.value))
    }

    /// Opens and locks the file; closing it ends the lock.
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
