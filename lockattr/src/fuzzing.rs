//! Access to private items for the fuzz targets; not in an ordinary build.

pub use crate::backend::redis::fuzzing::{POOL, batch, life, lock_name};

use crate::service_url::ServiceUrl;

/// Returns the URL as it may be shown, and the error in it.
pub fn url(text: &str) -> (String, Option<String>) {
    let url = ServiceUrl::new(text);
    let error = url.service().err().map(|error| error.to_string());
    (url.to_string(), error)
}

/// Reads the settings of a pool.
///
/// # Errors
///
/// The error's text.
pub fn variables(read: impl Fn(&str) -> Option<String>) -> Result<(), String> {
    crate::LockPoolBuilder::from_variables(read)
        .map(drop)
        .map_err(|error| error.to_string())
}
