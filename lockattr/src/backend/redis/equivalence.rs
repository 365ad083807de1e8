//! The script on a real server and the memory server do the same: so what the simulation and the
//! model show with the memory server holds for the script.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redis::Value;
use redis::aio::MultiplexedConnection;

use super::RedisServer;
use super::names::{Names, bucket};
use super::reply::{Question, read_answer, read_handoff};
use super::scripts::{Call, Caller, Known};
use crate::backend::memory::{Handoff, Server};
use crate::backend::{
    Attempt, AttemptId, Claim, Granted, IfHeld, LeaseId, Op, OwnerId, OwnerIds, Reply,
};
use crate::clock::Time;
use crate::key::Key;
use crate::label::Label;
use crate::mode::Mode;

/// All so long that nothing ends by itself, and so different that they cannot be confused.
const TTL: Duration = Duration::from_secs(200);
const RENEWED_TTL: Duration = Duration::from_secs(300);
const CLAIM: Claim = Claim {
    ttl: Duration::from_secs(100),
    tokens: 3,
};
const KEPT: Duration = Duration::from_secs(50);
const TOMBSTONE: Duration = Duration::from_secs(24 * 60 * 60);
const ACQUIRE: Op = Op::Acquire {
    ttl: TTL,
    if_held: IfHeld::Queue,
};
/// This owner asks, but no message reaches it.
const UNREACHABLE: u8 = 3;
/// The channel that notifies the others of their leases.
const CHANNEL: &str = "p:wake:here";

#[derive(Debug, Clone)]
enum Step {
    /// The attempts of one call: a single attempt has other scripts than several have. Some ask for tokens that
    /// are ahead of the clock.
    Do(Vec<(u8, Op, bool)>),
    /// From now on the key is used so, by this owner.
    Use(u8, Mode),
    /// The lease ends by its ttl, and then this owner asks.
    Lapse(u8),
    /// The owner goes on under a new identity.
    Rename(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let release = |(leave_queue, tombstone, keeps): (bool, bool, bool)| Op::Release {
        leave_queue,
        tombstone: tombstone.then_some(TOMBSTONE),
        keep: keeps.then_some(KEPT),
    };
    let op = prop_oneof![
        4 => Just(ACQUIRE),
        1 => Just(Op::Acquire { ttl: TTL, if_held: IfHeld::Refuse }),
        1 => Just(Op::Renew { ttl: RENEWED_TTL }),
        1 => (1..3_u32).prop_map(|tokens| Op::Reserve { tokens }),
        3 => (any::<bool>(), any::<bool>(), prop::bool::weighted(0.2)).prop_map(release),
    ];
    let permits = |(permits, weight)| Mode::Permits { permits, weight };
    let mode = prop_oneof![
        2 => Just(Mode::Exclusive),
        3 => Just(Mode::Shared),
        2 => (2..4_u32, 1..3_u32).prop_map(permits),
    ];
    let is_ahead = prop::bool::weighted(0.2);
    let step = prop_oneof![
        8 => prop::collection::vec((0..UNREACHABLE, op.clone(), is_ahead), 1..4)
            .prop_map(Step::Do),
        3 => prop::collection::vec((Just(UNREACHABLE), op, is_ahead), 1..3).prop_map(Step::Do),
        1 => (0..UNREACHABLE).prop_map(Step::Lapse),
        1 => (0..=UNREACHABLE).prop_map(Step::Rename),
        2 => (0..=UNREACHABLE, mode).prop_map(|(owner, mode)| Step::Use(owner, mode)),
    ];
    prop::collection::vec(step, 1..40)
}

#[test]
fn the_script_and_the_server_in_memory_do_the_same() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let redis = RedisServer::start();
    let connect = redis.client.get_multiplexed_async_connection();
    let connection = runtime.block_on(connect).unwrap();
    let mut listener = redis.client.get_connection().unwrap();
    listener
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    let mut listener = listener.as_pubsub();
    listener.subscribe(CHANNEL).unwrap();
    let both = RefCell::new((connection, listener));
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(1024)
    };
    let outcome = TestRunner::new(config).run(&steps(), |steps| {
        let (connection, listener) = &mut *both.borrow_mut();
        runtime.block_on(async {
            let mut pair = Pair::new(connection, listener).await;
            for step in &steps {
                pair.take(step).await;
            }
            assert!(!pair.told_until_now().await, "more was told");
        });
        Ok(())
    });
    outcome.unwrap();
}

/// Both servers, with the same history.
struct Pair<'a, 'b> {
    connection: &'a mut MultiplexedConnection,
    known: Known,
    listener: &'a mut redis::PubSub<'b>,
    names: Names,
    memory: Server<bool>,
    owners: Vec<OwnerId>,
    modes: Vec<Mode>,
    begun: Instant,
    now: Time,
    /// Maps a token of the memory server to the token of the real server.
    tokens: BTreeMap<u64, u64>,
}

impl<'a, 'b> Pair<'a, 'b> {
    async fn new(
        connection: &'a mut MultiplexedConnection,
        listener: &'a mut redis::PubSub<'b>,
    ) -> Self {
        let flush = redis::cmd("FLUSHALL").exec_async(connection).await;
        flush.unwrap();
        let ids = OwnerIds::from_bits([7; 16]);
        let mut pair = Self {
            connection,
            known: Known::default(),
            listener,
            names: Names::new("p".to_owned()),
            memory: Server::new(0),
            owners: (0..=UNREACHABLE)
                .map(|n| ids.first(LeaseId(n.into())))
                .collect(),
            modes: vec![Mode::Exclusive; usize::from(UNREACHABLE) + 1],
            begun: Instant::now(),
            now: Time::from_nanos(1),
            tokens: BTreeMap::new(),
        };
        // Messages left by an earlier history that failed.
        while pair.told_until_now().await {}
        pair
    }

    fn key() -> Key {
        Key::new("k").unwrap()
    }

    async fn take(&mut self, step: &Step) {
        match step {
            Step::Do(attempts) => self.execute(attempts).await,
            Step::Lapse(owner) => {
                let lock = self.names.lock(bucket("k"), &Self::key());
                let lapse = redis::cmd("DEL").arg(lock).to_owned();
                lapse.exec_async(self.connection).await.unwrap();
                self.now = self.now + RENEWED_TTL;
                self.execute(&[(*owner, ACQUIRE, false)]).await;
            }
            Step::Use(owner, mode) => {
                // An owner has one mode.
                let owner = usize::from(*owner);
                self.owners[owner] = self.owners[owner].renamed();
                self.modes[owner] = *mode;
            }
            Step::Rename(owner) => {
                let owner = &mut self.owners[usize::from(*owner)];
                *owner = owner.renamed();
            }
        }
    }

    async fn execute(&mut self, attempts: &[(u8, Op, bool)]) {
        let ahead = self.ahead();
        let mut attempts: Vec<Attempt> = attempts
            .iter()
            .filter(|(owner, op, _)| {
                // A share has one token.
                let mode = self.modes[usize::from(*owner)];
                mode.is_exclusive() || !matches!(op, Op::Reserve { .. })
            })
            .map(|(owner, op, is_ahead)| Attempt {
                id: AttemptId {
                    lease: LeaseId((*owner).into()),
                    number: 0,
                },
                key: Self::key(),
                owner: self.owners[usize::from(*owner)].clone(),
                claim: match self.modes[usize::from(*owner)] {
                    Mode::Exclusive => CLAIM,
                    _ => Claim { tokens: 1, ..CLAIM },
                },
                mode: self.modes[usize::from(*owner)],
                label: Label::here(),
                op: *op,
                confirmation: None,
                least_token: match self.modes[usize::from(*owner)] {
                    Mode::Exclusive if *is_ahead => ahead,
                    _ => 0,
                },
            })
            .collect();
        let is_reachable = attempts
            .iter()
            .all(|attempt| attempt.id.lease < LeaseId(UNREACHABLE.into()));
        let caller = Caller {
            names: &self.names,
            channel: if is_reachable { "here" } else { "nowhere" },
            voice: crate::backend::redis::voice::Voice::Messages,
            is_node: false,
        };
        let call = Call::new(&caller, &mut attempts, 0, &mut self.known);
        let answer = call.invoke(self.connection, false).await.unwrap();
        let questions: Vec<Question> = attempts.iter().map(Question::of).collect();
        let answer =
            read_answer(questions.into_iter(), &answer).unwrap_or_else(|| panic!("{answer:?}"));
        // In the order of the call.
        for (attempt, outcome) in attempts.iter().zip(answer.outcomes) {
            let mut told = Vec::new();
            let mut attempt = attempt.clone();
            if attempt.least_token > 0 {
                attempt.least_token = self.memory.last_token() + 100;
            }
            let expected = self.memory.execute(
                self.now,
                &attempt,
                is_reachable,
                |handoff: Handoff<bool>| {
                    let is_there = handoff.waiter;
                    told.extend(is_there.then_some(handoff));
                    is_there
                },
            );
            for handoff in told {
                self.is_told(&handoff);
            }
            self.is_same(&expected, &outcome.unwrap());
        }
    }

    /// Returns a token that is greater than the clock and all tokens of the real server.
    fn ahead(&self) -> u64 {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let clock = u64::try_from(clock.as_micros()).unwrap();
        let last = self.tokens.last_key_value().map_or(0, |(_, real)| *real);
        last.max(clock) + 10_000_000
    }

    fn is_same(&mut self, expected: &Reply, reply: &Reply) {
        match (expected, reply) {
            (Reply::Granted(expected), Reply::Granted(granted))
            | (Reply::Reserved(expected), Reply::Reserved(granted)) => {
                self.is_same_grant(expected, granted);
            }
            (
                Reply::Held {
                    ends_in: expected, ..
                },
                Reply::Held { ends_in, .. },
            ) => {
                let passed = self.begun.elapsed() + Duration::from_millis(1);
                assert!(ends_in <= expected && *ends_in + passed >= *expected);
            }
            // The weights of those that have it do not matter.
            (Reply::OtherMode(expected), Reply::OtherMode(held)) => {
                assert_eq!(held.to_string(), expected.to_string());
            }
            _ => assert_eq!(reply, expected),
        }
    }

    /// The tokens differ, but grow in the same order.
    fn is_same_grant(&mut self, expected: &Granted, granted: &Granted) {
        assert_eq!(granted.contended, expected.contended);
        assert_eq!(granted.tokens.is_empty(), expected.tokens.is_empty());
        if expected.tokens.is_empty() {
            return;
        }
        let (memorys, reals) = (expected.tokens.start, granted.tokens.start);
        assert_eq!(*self.tokens.entry(memorys).or_insert(reals), reals);
        let is_greater = self
            .tokens
            .range(..memorys)
            .next_back()
            .is_none_or(|(_, before)| *before < reals);
        let is_smaller = self
            .tokens
            .range(memorys + 1..)
            .next()
            .is_none_or(|(_, after)| *after > reals);
        assert!(is_greater && is_smaller, "{:?}", self.tokens);
    }

    fn is_told(&mut self, expected: &Handoff<bool>) {
        let message = self.listener.get_message().unwrap();
        assert_eq!(message.get_channel_name(), CHANNEL);
        let payload = Value::BulkString(message.get_payload_bytes().to_vec());
        let pool = OwnerIds::from_bits([7; 16]);
        let handoff = read_handoff(&payload, &pool).unwrap();
        let (owner, ttl) = (&expected.owner, expected.ttl);
        assert_eq!((&handoff.owner, handoff.ttl), (owner, ttl));
        self.is_same_grant(&expected.granted, &handoff.granted);
    }

    /// Whether another message comes before the one that is published now.
    async fn told_until_now(&mut self) -> bool {
        let end = redis::cmd("PUBLISH").arg(CHANNEL).arg("end").to_owned();
        end.exec_async(self.connection).await.unwrap();
        self.listener.get_message().unwrap().get_payload_bytes() != b"end"
    }
}
