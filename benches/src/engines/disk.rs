//! The disk that the servers write to.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::time::Instant;
use std::{env, fs, process};

use crate::rounds::percentile;

/// As large as a page of `PostgreSQL`.
const BLOCK: [u8; 8192] = [1; 8192];

/// Returns how long it takes to write a block and to wait for the disk, in µs.
pub(super) fn micros_of_a_sync() -> f64 {
    let path = env::temp_dir().join(format!("lockattr-disk-{}", process::id()));
    let mut file = File::create(&path).expect("a file");
    let times = (0..200).map(|_| {
        let before = Instant::now();
        file.rewind().expect("a file");
        file.write_all(&BLOCK).expect("room on the disk");
        file.sync_data().expect("a disk");
        before.elapsed().as_secs_f64() * 1e6
    });
    let median = percentile(times.collect(), 50);
    fs::remove_file(path).expect("it is ours");
    median
}
