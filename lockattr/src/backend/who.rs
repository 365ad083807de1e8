//! Who asks, as text for people.

use std::sync::LazyLock;
use std::{env, fmt, fs, process};

use crate::label::Label;

/// Host and process.
static PLACE: LazyLock<String> = LazyLock::new(|| {
    let host = fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| env::var("HOSTNAME").ok())
        .unwrap_or_default();
    format!("{}/{}", host.trim(), process::id())
});

/// Host, process and function.
pub(crate) struct Who(pub(super) Label);

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", *PLACE, self.0)
    }
}
