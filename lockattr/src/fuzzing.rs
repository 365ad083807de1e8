//! Ways for the fuzz targets into what is private; not there in an ordinary build.

pub use crate::backend::redis::fuzzing::{POOL, batch, life, lock_name};

use crate::service_url::ServiceUrl;

/// A URL as it may be shown, and what is wrong with it.
pub fn url(text: &str) -> (String, Option<String>) {
    let url = ServiceUrl::new(text);
    let error = url.service().err().map(|error| error.to_string());
    (url.to_string(), error)
}

/// Reads the settings of a pool.
///
/// # Errors
///
/// What is wrong with them, in words.
pub fn variables(read: impl Fn(&str) -> Option<String>) -> Result<(), String> {
    crate::LockPoolBuilder::from_variables(read)
        .map(drop)
        .map_err(|error| error.to_string())
}
