//! stub
/// Stub.
#[derive(Debug, Clone, thiserror::Error)]
#[error("stub")]
pub struct BackendError;
