//! Settings that may be left out.

/// Sets what was given, and leaves what was not at its default.
pub(crate) fn given<B, T>(builder: B, value: Option<T>, set: impl FnOnce(B, T) -> B) -> B {
    match value {
        Some(value) => set(builder, value),
        None => builder,
    }
}
