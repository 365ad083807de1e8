//! Hashes of unordered collections, for the model of the protocol.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Hashes maps of the same content alike, whatever their order.
pub(crate) fn hash_unordered<T: Hash>(items: impl IntoIterator<Item = T>, state: &mut impl Hasher) {
    let hashes = items.into_iter().map(|item| {
        let mut hasher = DefaultHasher::new();
        item.hash(&mut hasher);
        hasher.finish()
    });
    state.write_u64(hashes.fold(0, u64::wrapping_add));
}
