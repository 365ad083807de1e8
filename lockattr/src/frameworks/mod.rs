//! Errors as the answers of web frameworks, and a lock around a service.

#[cfg(feature = "actix-web")]
mod actix_web;
#[cfg(feature = "axum")]
mod axum;
#[cfg(any(feature = "actix-web", feature = "axum", feature = "tonic"))]
mod cause;
#[cfg(any(feature = "actix-web", feature = "axum"))]
mod problem;
#[cfg(feature = "tonic")]
mod tonic;
#[cfg(feature = "tower")]
mod tower;

#[cfg(any(feature = "actix-web", feature = "axum"))]
pub use problem::Problem;
#[cfg(feature = "tower")]
pub use tower::{LockLayer, LockService};
