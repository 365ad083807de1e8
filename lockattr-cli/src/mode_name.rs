//! Modes, in words.

use lockattr::Mode;

/// Returns the mode as `shared`, `exclusive`, or `permits`.
pub(crate) fn name(mode: Mode) -> &'static str {
    match mode {
        Mode::Exclusive => "exclusive",
        Mode::Shared => "shared",
        Mode::Permits { .. } => "permits",
        _ => "unknown",
    }
}

/// Returns the mode, with how many permits there are and how many of them are taken.
pub(crate) fn description(mode: Mode) -> String {
    match mode {
        Mode::Permits {
            permits, weight, ..
        } => format!("{weight} of {permits} permits"),
        other => name(other).to_owned(),
    }
}
