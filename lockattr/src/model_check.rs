//! Visits every state of a fleet.

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use stateright::{Checker, Model};

/// A fleet whose every behaviour is visited.
pub(crate) trait Fleet: Model {
    /// Whether the discovery of this property is a failure.
    fn is_breach(property: &str) -> bool;

    /// The properties that must be discovered, so that the check has covered something.
    fn expected(&self) -> Vec<&'static str>;

    /// Describes one step of a run, or the state in which it ended.
    fn describe(state: &Self::State, action: Option<&Self::Action>) -> String;
}

/// Visits all states, or stops after so many, and prints how many there were.
#[track_caller]
pub(crate) fn check<F>(name: &str, fleet: F, most: Option<usize>)
where
    F: Fleet + Send + Sync + 'static,
    F::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    F::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let start = Instant::now();
    let mut builder = fleet.checker().threads(2);
    if let Some(most) = most {
        builder = builder.target_state_count(most);
    }
    // Depth first: the states that wait to be visited would not fit into memory.
    let checker = builder.spawn_dfs().join();
    println!(
        "{name}: {} states, {} deep, {:.1?}",
        checker.unique_state_count(),
        checker.max_depth(),
        start.elapsed()
    );
    let mut wrong = Vec::new();
    for (property, path) in checker.discoveries() {
        if F::is_breach(property) {
            let steps = path.into_vec().into_iter();
            let steps: Vec<String> = steps
                .map(|(state, action)| F::describe(&state, action.as_ref()))
                .collect();
            wrong.push(format!("{property}:\n{}", steps.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{name}: {}", wrong.join("\n\n"));
    for expected in checker.model().expected() {
        let is_there = checker.discovery(expected).is_some();
        assert!(is_there, "{name}: it never came to pass: {expected}");
    }
    assert!(most.is_some() || checker.is_done());
}

/// Returns whether two states are equal, by the same fields that go into the hash, as the checker compares them.
pub(crate) fn is_same<T: Hash>(one: &T, other: &T) -> bool {
    let digest = |state: &T| {
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        hasher.finish()
    };
    digest(one) == digest(other)
}
