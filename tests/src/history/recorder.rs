//! Writes histories, and reads them again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use super::{Event, Record, now};

/// Appends to the history of one process.
#[derive(Debug)]
pub struct Recorder {
    process: u32,
    file: File,
}

impl Recorder {
    /// Opens `<dir>/<process>.history`.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn create(dir: &Path, process: u32) -> io::Result<Self> {
        let path = dir.join(format!("{process}.history"));
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { process, file })
    }

    /// Records an event that happens now.
    ///
    /// # Panics
    ///
    /// When the file cannot be written: without a history there is nothing to judge.
    pub fn record(&self, call: u64, event: Event) {
        self.record_at(now(), self.process, call, event);
    }

    /// Records an event of another process.
    ///
    /// # Panics
    ///
    /// As [`record`](Self::record).
    pub fn record_of(&self, process: u32, event: Event) {
        self.record_at(now(), process, 0, event);
    }

    fn record_at(&self, at: u64, process: u32, call: u64, event: Event) {
        let record = Record {
            at,
            process,
            call,
            event,
        };
        // In one system call, so that a kill leaves no partial record.
        (&self.file)
            .write_all(format!("{record}\n").as_bytes())
            .expect("the history is written");
    }
}

/// Reads all histories of a folder, in the order of time.
///
/// # Errors
///
/// When a file cannot be read, or holds a line that is not a record.
pub fn read_all(dir: &Path) -> io::Result<Vec<Record>> {
    let mut records = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_none_or(|ending| ending != "history") {
            continue;
        }
        for line in fs::read_to_string(&path)?.lines() {
            let record = line
                .parse()
                .map_err(|_| io::Error::other(format!("{}: no record: {line}", path.display())))?;
            records.push(record);
        }
    }
    // Stable, so records of one process stay in their order.
    records.sort_by_key(|record: &Record| record.at);
    Ok(records)
}
