//! What is checked: how many processes, which faults, and what must hold.

use stateright::{Model, Property};

use super::world::{Action, World};
use crate::model_check;

/// A fleet whose every behaviour is visited.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "a list of what may happen")]
pub(super) struct Fleet {
    /// The last token of each server.
    pub(super) counters: [u64; 3],
    pub(super) processes: usize,
    /// Whether they wait for the key.
    pub(super) waits: bool,
    /// Whether a waiter may leave.
    pub(super) leaves: bool,
    /// How long a run lasts; a ttl is five ticks.
    pub(super) ticks: u8,
    /// Whether an answer arrives when its request does: requests take as long as they like, so what is lost by it
    /// are the answers that are late.
    pub(super) answers_at_once: bool,
    /// Connections that end.
    pub(super) broken: u8,
    /// Processes that are killed.
    pub(super) crashes: u8,
    /// Servers that lose their data.
    pub(super) forgets: u8,
    /// Whether such a server is away for longer than a ttl.
    pub(super) delays_restarts: bool,
}

const EXCLUSION: &str = "at most one holder within its validity";
const TOKENS: &str = "tokens grow in the order of the grants";
const ENDS: &str = "each waiter is served, and nothing is left";
const IN_TURN: &str = "both processes have it in turn";
const RAISED: &str = "counters are raised";
const GIVEN_BACK: &str = "votes are given back";
const TWO: &str = "two holders within their validity";

impl Fleet {
    fn excludes(&self) -> bool {
        self.forgets == 0 || self.delays_restarts
    }
}

impl model_check::Fleet for Fleet {
    fn is_breach(property: &str) -> bool {
        [EXCLUSION, TOKENS, ENDS].contains(&property)
    }

    fn expected(&self) -> Vec<&'static str> {
        let mut expected = vec![IN_TURN, RAISED];
        if self.waits {
            expected.push(GIVEN_BACK);
        }
        if !self.excludes() {
            expected.push(TWO);
        }
        expected
    }

    fn describe(world: &World, action: Option<&Action>) -> String {
        action.map_or_else(|| world.finding(), |action| format!("{action:?}"))
    }
}

impl Model for Fleet {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        world.actions(self, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut world = world.clone();
        world.act(action);
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(ENDS, |fleet: &Fleet, world: &World| {
                world.ticks() < fleet.ticks || !world.is_still() || world.drains()
            }),
            Property::sometimes(IN_TURN, |_, world: &World| world.seen.grants > 1),
            Property::sometimes(RAISED, |_, world: &World| world.seen.raised),
            Property::sometimes(GIVEN_BACK, |_, world: &World| world.seen.given_back),
        ];
        if self.excludes() {
            properties.push(Property::always(EXCLUSION, |_, world: &World| {
                world.valid_holders() <= 1
            }));
            properties.push(Property::always(TOKENS, |_, world: &World| {
                !world.seen.regressed
            }));
        } else {
            properties.push(Property::sometimes(TWO, |_, world: &World| {
                world.valid_holders() > 1
            }));
        }
        properties
    }
}
