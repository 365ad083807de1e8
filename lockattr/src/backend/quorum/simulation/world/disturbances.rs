//! What goes wrong.

use std::time::Duration;

use super::{CLIENTS, Weather, World};
use crate::backend::memory::Server;

impl World {
    pub(super) fn disturb(&mut self, place: usize) {
        let machine = self.random.usize(..self.machines.len());
        let luck = self.random.u32(..100);
        let Weather {
            broken,
            slow,
            away,
            crashes,
            steps,
            restart_delay,
        } = self.weather;
        let a_while = Duration::from_millis(self.random.u64(..150));
        if luck < broken {
            self.cut(place, machine);
        } else if luck < broken + slow {
            self.machines[machine].slow_until = self.now + a_while;
        } else if luck < broken + slow + away {
            // One that was away has to be back for a ttl before the next one goes, or the majority forgets.
            if self.machines.iter().all(|it| it.away_until.is_none()) {
                let delay = restart_delay.unwrap_or(a_while / 10);
                let until = self.now
                    + delay
                    + if self.random.bool() {
                        a_while
                    } else {
                        Duration::ZERO
                    };
                self.machines[machine].away_until = Some(until);
                for place in 0..CLIENTS {
                    self.cut(place, machine);
                }
            }
        } else if luck < broken + slow + away + steps {
            self.machines[machine].ahead = ahead(&mut self.random);
        } else if luck < broken + slow + away + steps + crashes {
            let (generation, old) = &mut self.clients[place];
            *generation += 1;
            self.handed_over += old.handed_over;
            self.lost += old.lost;
            let generation = *generation;
            self.holders.retain(|_, (holder, _)| *holder != place);
            self.clients[place].1 = self.client(place, generation);
        }
    }

    /// Servers whose time is over come back without their data. The counter begins from the clock.
    pub(super) fn come_back(&mut self) {
        for machine in &mut self.machines {
            if machine
                .away_until
                .take_if(|until| *until <= self.now)
                .is_some()
            {
                machine.server = Server::new(0);
                self.restarts += 1;
            }
        }
    }
}

/// Mostly clocks are in step.
pub(super) fn ahead(random: &mut fastrand::Rng) -> Duration {
    if random.u32(..4) == 0 {
        Duration::from_secs(random.u64(..86_400))
    } else {
        Duration::from_micros(random.u64(..3000))
    }
}
