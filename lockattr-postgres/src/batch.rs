//! Attempts as the arguments of one call, and its rows as their outcomes.

use std::time::Duration;

use lockattr::Mode;
use lockattr::backend::{
    Attempt, BackendError, BackendErrorKind, Failure, IfHeld, Op, Outcome, Reply,
};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row, Statement};

use crate::failure;
use crate::notice::granted;
use crate::schema::quoted;

/// A batch runs as one transaction, and keeps the rows of its keys locked until it is over.
pub(crate) const LARGEST: usize = 128;

const TYPES: [Type; 13] = [
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::INT8_ARRAY,
    Type::INT4_ARRAY,
    Type::INT4_ARRAY,
    Type::INT4_ARRAY,
    Type::INT4_ARRAY,
    Type::TEXT_ARRAY,
    Type::INT8_ARRAY,
    Type::INT8_ARRAY,
    Type::TEXT,
    Type::INT8,
];

/// How a batch is called.
#[derive(Clone)]
pub(crate) enum Call {
    /// On a connection with a server process of its own.
    Prepared(Statement),
    /// Behind a pooler, which may give each batch another process.
    Plain(String),
}

impl Call {
    pub(crate) async fn new(client: &Client, schema: &str, is_pooled: bool) -> Result<Self, Error> {
        let text = format!(
            "select * from {}.attempts_v1($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13)",
            quoted(schema)
        );
        if is_pooled {
            return Ok(Self::Plain(text));
        }
        Ok(Self::Prepared(client.prepare_typed(&text, &TYPES).await?))
    }
}

/// Where handoffs are told, in the server's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ear {
    pub(crate) channel: String,
    /// The advisory lock of the session that listens.
    pub(crate) live: i64,
}

/// The arguments of a call, by their columns.
#[derive(Default)]
pub(crate) struct Arguments {
    ops: Vec<&'static str>,
    keys: Vec<String>,
    owners: Vec<String>,
    millis: Vec<i64>,
    claims: Vec<i32>,
    tokens: Vec<i32>,
    permits: Vec<i32>,
    weights: Vec<i32>,
    names: Vec<String>,
    tombs: Vec<Option<i64>>,
    keeps: Vec<Option<i64>>,
}

impl Arguments {
    pub(crate) fn of(attempts: &[Attempt]) -> Self {
        let mut all = Self::default();
        for attempt in attempts {
            all.add(attempt);
        }
        all
    }

    fn add(&mut self, attempt: &Attempt) {
        let claim = attempt.claim();
        let mut tokens = claim.tokens;
        let (mut millis, mut tomb, mut kept) = (0, None, None);
        self.ops.push(match *attempt.op() {
            Op::Acquire { ttl, if_held } => {
                millis = at_least_millis(ttl);
                match if_held {
                    IfHeld::Queue => "q",
                    IfHeld::Refuse => "a",
                }
            }
            Op::Renew { ttl } => {
                millis = at_least_millis(ttl);
                "n"
            }
            Op::Reserve { tokens: wanted } => {
                tokens = wanted;
                "v"
            }
            Op::Release {
                leave_queue,
                tombstone,
                keep,
            } => {
                tomb = tombstone.map(at_least_millis);
                kept = keep.map(at_least_millis);
                if leave_queue { "l" } else { "r" }
            }
            // Checked before.
            _ => "",
        });
        let (permits, weight) = match attempt.mode() {
            Mode::Shared => (0, 1),
            Mode::Permits {
                permits, weight, ..
            } => (number(permits), number(weight)),
            _ => (-1, 1),
        };
        self.keys.push(attempt.key().to_owned());
        self.owners.push(attempt.owner().to_string());
        self.millis.push(millis);
        self.claims.push(
            i32::try_from(claim.ttl.as_millis())
                .unwrap_or(i32::MAX)
                .max(1),
        );
        self.tokens.push(number(tokens).max(1));
        self.permits.push(permits);
        self.weights.push(weight);
        self.names.push(attempt.who().to_string());
        self.tombs.push(tomb);
        self.keeps.push(kept);
    }

    pub(crate) async fn call(
        self,
        client: &Client,
        call: &Call,
        ear: Option<&Ear>,
    ) -> Result<Vec<Row>, Error> {
        let (channel, live) = (ear.map(|it| &it.channel), ear.map(|it| it.live));
        let values: [&(dyn ToSql + Sync); 13] = [
            &self.ops,
            &self.keys,
            &self.owners,
            &self.millis,
            &self.claims,
            &self.tokens,
            &self.permits,
            &self.weights,
            &self.names,
            &self.tombs,
            &self.keeps,
            &channel,
            &live,
        ];
        match call {
            Call::Prepared(statement) => client.query(statement, &values).await,
            Call::Plain(text) => {
                let typed: Vec<_> = values.into_iter().zip(TYPES).collect();
                client.query_typed(text, &typed).await
            }
        }
    }
}

/// The server's lease must not end sooner than what is counted here.
fn at_least_millis(span: Duration) -> i64 {
    const CENTURY: u128 = 100 * 365 * 24 * 3_600_000;
    let millis = span.as_micros().div_ceil(1000).min(CENTURY);
    i64::try_from(millis).expect("a century is short")
}

fn number(it: u32) -> i32 {
    i32::try_from(it).unwrap_or(i32::MAX)
}

/// Why an attempt is not sent: it is of a newer kind than this version.
pub(crate) fn unknown(attempt: &Attempt) -> Option<Failure> {
    let is_known = matches!(
        attempt.op(),
        Op::Acquire { .. } | Op::Renew { .. } | Op::Reserve { .. } | Op::Release { .. }
    ) && matches!(
        attempt.mode(),
        Mode::Exclusive | Mode::Shared | Mode::Permits { .. }
    ) && attempt.confirmation().is_none();
    let refused = || {
        let text = "lockattr-postgres is older than lockattr, and does not know this operation";
        Failure::not_executed(BackendError::new(BackendErrorKind::Refused, text)).lasting()
    };
    (!is_known).then(refused)
}

/// One row of an answer.
pub(crate) struct Answered {
    /// Which attempt of the batch it answers.
    pub(crate) place: usize,
    pub(crate) outcome: Outcome,
    /// The server's clock, in microseconds.
    pub(crate) at: i64,
}

impl Answered {
    /// # Errors
    ///
    /// If it is not a row of such an answer.
    pub(crate) fn read(row: &Row) -> Result<Self, BackendError> {
        Self::try_read(row).map_err(|error| failure::malformed(&error.to_string()))
    }

    fn try_read(row: &Row) -> Result<Self, Error> {
        let place: i32 = row.try_get(0)?;
        let letter: &str = row.try_get(1)?;
        let (first, count): (i64, i32) = (row.try_get(2)?, row.try_get(3)?);
        let (left, who): (i64, Option<&str>) = (row.try_get(4)?, row.try_get(5)?);
        let contended: bool = row.try_get(6)?;
        let tokens = || granted(first, count.into(), contended);
        let reply = match letter {
            "g" => tokens().map(Reply::Granted),
            "v" => tokens().map(Reply::Reserved),
            "h" => Some(Reply::Held {
                ends_in: Duration::from_millis(left.try_into().unwrap_or(0)),
                holder: who.map(Into::into),
            }),
            "o" => Some(Reply::OtherMode(mode(count, 1))),
            "t" => Some(Reply::Tombstoned),
            "r" => Some(Reply::Renewed { contended }),
            "x" => Some(Reply::Gone),
            "d" => Some(Reply::Released),
            _ => None,
        };
        let nonsense = || Failure::outcome_unknown(failure::malformed(letter));
        Ok(Self {
            // The server counts from 1.
            place: usize::try_from(place).unwrap_or(0).wrapping_sub(1),
            outcome: reply.ok_or_else(nonsense),
            at: row.try_get(7)?,
        })
    }
}

/// Returns the mode that is kept as a number: -1 for alone, 0 for shared, else the number of permits.
pub(crate) fn mode(permits: i32, weight: i32) -> Mode {
    match u32::try_from(permits) {
        Err(_) => Mode::Exclusive,
        Ok(0) => Mode::Shared,
        Ok(permits) => Mode::permits(permits, u32::try_from(weight).unwrap_or(1)),
    }
}
