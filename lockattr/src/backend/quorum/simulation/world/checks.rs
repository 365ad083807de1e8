//! What has to hold.

use std::time::Duration;

use super::super::client::{Call, Client, State};
use super::{KEYS, TTL, Weather, World};
use crate::key::Key;

impl World {
    pub(super) fn check(&mut self, place: usize) {
        let excludes = self.weather.restart_delay.is_some();
        for call in &self.clients[place].1.calls {
            let State::Holding { token, valid_until } = call.state else {
                continue;
            };
            if self.holders.get(&call.key) == Some(&(place, token)) || valid_until <= self.now {
                continue;
            }
            let before = self.holders.insert(call.key.clone(), (place, token));
            self.granted += 1;
            let others = self
                .clients
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != place);
            let others = others.flat_map(|(_, (_, client))| &client.calls);
            let is_held = |other: &&Call| {
                matches!(other.state, State::Holding { valid_until, .. } if valid_until > self.now)
                    && other.key == call.key
            };
            let overlaps = others.filter(is_held).count();
            self.overlaps += overlaps as u64;
            let last = self.last_token.insert(call.key.clone(), token).unwrap_or(0);
            if excludes {
                assert_eq!(
                    overlaps,
                    0,
                    "two holders of {}, {before:?}",
                    call.key.as_str()
                );
                assert!(token > last, "token {token} after {last}");
            }
        }
    }

    /// The weather becomes good: all who wait are served or give up, and nothing is left.
    pub(in super::super) fn end(&mut self) {
        self.weather = Weather {
            broken: 0,
            slow: 0,
            away: 0,
            crashes: 0,
            steps: 0,
            ..self.weather
        };
        self.drain();
        // Places of processes that were killed, and of releases that did not arrive, go with the next calls.
        for _ in 0..3 {
            for key in KEYS {
                let granted = self.granted;
                let done_at = self.now + TTL * 10;
                self.clients[0]
                    .1
                    .call(self.now, Key::new(key).unwrap(), false, done_at);
                self.settle(0);
                while self.granted == granted {
                    assert!(self.now < done_at, "the key {key} is not to be had");
                    self.run_until(self.now + Duration::from_millis(1));
                }
                for call in &mut self.clients[0].1.calls {
                    call.done_at = self.now;
                }
                self.drain();
            }
            self.run_until(self.now + TTL * 2);
        }
        for (_, client) in &mut self.clients {
            self.handed_over += client.handed_over;
            self.lost += client.lost;
        }
        for key in KEYS {
            let key = Key::new(key).unwrap();
            for machine in &self.machines {
                assert!(
                    machine.server.is_free(self.now, &key),
                    "{key:?} is left on {:?}",
                    machine.server
                );
            }
        }
    }

    fn drain(&mut self) {
        let most = self.now + Duration::from_secs(20);
        let is_busy =
            |(_, client): &(u32, Client)| !client.calls.is_empty() || !client.ballots.is_idle();
        while self.clients.iter().any(is_busy) {
            assert!(self.now < most, "a waiter is not served");
            self.run_until(self.now + Duration::from_millis(20));
        }
    }
}
