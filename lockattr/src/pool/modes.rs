//! Which modes a call may ask for.

use crate::Error;
use crate::mode::Mode;

/// # Errors
///
/// [`Error::Config`] for a mode that makes no sense, or that the lock service does not have.
pub(super) fn check(mode: Mode, has_modes: bool) -> Result<(), Error> {
    let setting = match mode {
        Mode::Exclusive => return Ok(()),
        Mode::Shared => "shared",
        Mode::Permits { permits: 0, .. } => {
            return Err(Error::config(
                "permits",
                "there is none: the call could never run; set `permits` to 1 or more",
            ));
        }
        Mode::Permits { weight: 0, .. } => {
            return Err(Error::config(
                "weight",
                "it is zero: the call would take no permit",
            ));
        }
        Mode::Permits { permits, weight } if weight > permits => {
            return Err(Error::config(
                "weight",
                format!(
                    "{weight} is more than the {permits} permits that there are: the call could never run"
                ),
            ));
        }
        Mode::Permits { .. } => "permits",
    };
    if has_modes {
        return Ok(());
    }
    Err(Error::config(
        setting,
        "the lock service of this pool lets one holder have a key at a time; use a Redis or Valkey server, a \
         cluster or sentinels, or `memory://`",
    ))
}
