//! What is checked: how many processes, which faults, and what must hold.

use stateright::{Model, Property};

use super::actions::Action;
use super::world::World;
use crate::mode::{self, Mode};
use crate::model_check;

/// How many faults may happen in one run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Faults {
    /// Connections that end: the process notices it, the server may still execute its requests.
    pub(super) broken: u8,
    /// Processes that are killed.
    pub(super) crashes: u8,
    /// Times at which the server loses its data.
    pub(super) forgets: u8,
    /// Steps of the server's clock forward.
    pub(super) steps: u8,
    /// The first process' clock is slow by the 1 % that is allowed for.
    pub(super) slow_clock: bool,
}

impl Faults {
    pub(super) const NONE: Self = Self {
        broken: 0,
        crashes: 0,
        forgets: 0,
        steps: 0,
        slow_clock: false,
    };
}

/// A fleet whose every behaviour is visited.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fleet {
    pub(super) processes: usize,
    /// How often each process wants the key.
    pub(super) calls: u8,
    /// How many ticks a run lasts; a ttl is two ticks.
    pub(super) ticks: u8,
    /// The mode of each process, in turn.
    pub(super) modes: &'static [Mode],
    pub(super) faults: Faults,
}

const EXCLUSION: &str = "the holders within their validity may have the key together";
const TOGETHER: &str = "several have it at the same time";
const TOKENS: &str = "tokens grow in the order of the grants, and the resource keeps to them";
const ENDS: &str = "whoever waits is served, and nothing is left, once the weather is good";
const CLEAN: &str = "after clean releases nothing is left even at once";
const IN_TURN: &str = "both have it in turn";
const LOST: &str = "a lease is lost";
const RETURNED: &str = "a grant comes too late and is given back";
const REFUSED: &str = "a tombstone refuses";
const TWO: &str = "two holders within their validity";
const STALE: &str = "the resource refuses a write";

impl Fleet {
    /// Whether two processes may have the key together.
    fn is_shared(&self) -> bool {
        let modes = (0..self.processes).map(|n| self.modes[n % self.modes.len()]);
        let shared = modes.filter(|mode| !mode.is_exclusive());
        shared.count() > 1
    }

    /// Whether exclusion holds: as long as the server keeps its data and its clock.
    pub(super) fn excludes(&self) -> bool {
        self.faults.forgets == 0 && self.faults.steps == 0
    }
}

impl model_check::Fleet for Fleet {
    fn is_breach(property: &str) -> bool {
        [EXCLUSION, TOKENS, ENDS, CLEAN].contains(&property)
    }

    fn expected(&self) -> Vec<&'static str> {
        let mut expected = vec![IN_TURN];
        if self.ticks > 1 {
            expected.push(LOST);
        }
        if !self.excludes() {
            expected.extend([TWO, STALE]);
        }
        if self.is_shared() {
            expected.push(TOGETHER);
        }
        if self.faults.broken > 0 {
            expected.extend([RETURNED, REFUSED]);
        }
        expected
    }

    fn describe(world: &World, action: Option<&Action>) -> String {
        match action {
            Some(action) => format!("{:>5?}  {action:?}", world.now()),
            None => format!("{:>5?}  {}", world.now(), world.finding()),
        }
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
            Property::always(TOKENS, |_, world: &World| world.tokens_grow()),
            Property::always(ENDS, |fleet: &Fleet, world: &World| {
                world.ticks < fleet.ticks || world.drains()
            }),
            Property::sometimes(IN_TURN, |_, world: &World| world.seen.in_turn),
            Property::sometimes(LOST, |_, world: &World| world.seen.lost),
            Property::sometimes(RETURNED, |_, world: &World| world.seen.returned),
            Property::sometimes(REFUSED, |_, world: &World| world.seen.refused),
            Property::sometimes(STALE, |_, world: &World| world.seen.stale_write),
        ];
        if self.is_shared() {
            properties.push(Property::sometimes(TOGETHER, |_, world: &World| {
                world.valid_holders().len() > 1
            }));
        }
        if self.excludes() {
            properties.push(Property::always(EXCLUSION, |_, world: &World| {
                mode::are_compatible(&world.valid_holders())
            }));
            properties.push(Property::always(CLEAN, |_, world: &World| {
                !world.is_quiet() || world.is_free()
            }));
        } else {
            properties.push(Property::sometimes(TWO, |_, world: &World| {
                !mode::are_compatible(&world.valid_holders())
            }));
        }
        properties
    }
}
