//! Which lock service is asked: the options and variables that the library has too.

use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command};
use lockattr::{LockPool, LockPoolBuilder, RedisOptions};

use crate::engines::{Engine, with_engines};
use crate::failure::{Failure, say};
use crate::given::given;
use crate::span::parse_span;

/// How long the connection may take. A login takes several round trips, and the machine may be busy.
const CONNECTING: Duration = Duration::from_secs(5);

/// How long the end of the program waits for releases that are under way.
const CLOSING: Duration = Duration::from_secs(2);

/// Above the options that no other lock service has.
const OF_REDIS: &str = "Redis and Valkey";

/// The settings of `LockPool::from_env`, under the same names.
#[derive(Args)]
#[command(next_help_heading = "Lock service")]
pub(crate) struct Connection {
    /// The lock service: `redis://user:password@host/`, and likewise `postgres://…/database`, `etcd://…` and
    /// `zookeeper://…`. Prefer the variable: other users of the machine can see the arguments of a program
    #[arg(
        long,
        global = true,
        env = "LOCKATTR_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    url: Option<String>,
    /// Refuses a lock service that can lose locks
    #[arg(
        long,
        global = true,
        env = "LOCKATTR_STRICT",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_short_help = true
    )]
    strict: Option<bool>,
    /// What every name on the server begins with [default: lockattr]
    #[arg(long, global = true, env = "LOCKATTR_PREFIX", value_name = "TEXT", help_heading = OF_REDIS)]
    prefix: Option<String>,
    /// How many connections carry the locks
    #[arg(
        long,
        global = true,
        env = "LOCKATTR_CONNECTIONS",
        help_heading = OF_REDIS,
        value_name = "NUMBER",
        hide_short_help = true
    )]
    connections: Option<usize>,
    /// How many replicas must have a grant before it counts
    #[arg(
        long,
        global = true,
        env = "LOCKATTR_CONFIRM_REPLICAS",
        help_heading = OF_REDIS,
        value_name = "NUMBER",
        hide_short_help = true
    )]
    confirm_replicas: Option<u8>,
    /// Whether a grant must be on the server's disk before it counts
    #[arg(
        long,
        global = true,
        env = "LOCKATTR_CONFIRM_FSYNC",
        help_heading = OF_REDIS,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_short_help = true
    )]
    confirm_fsync: Option<bool>,
    /// How long such a confirmation may take
    #[arg(long, global = true, env = "LOCKATTR_CONFIRM_WITHIN", help_heading = OF_REDIS, value_name = "TIME", value_parser = parse_span, hide_short_help = true)]
    confirm_within: Option<Duration>,
    /// How long one server of a quorum may take for an answer
    #[arg(long, global = true, env = "LOCKATTR_MEMBER_TIMEOUT", help_heading = OF_REDIS, value_name = "TIME", value_parser = parse_span, hide_short_help = true)]
    member_timeout: Option<Duration>,
    /// How long a server of a quorum has no vote after its start
    #[arg(long, global = true, env = "LOCKATTR_RESTART_DELAY", help_heading = OF_REDIS, value_name = "TIME", value_parser = parse_span, hide_short_help = true)]
    restart_delay: Option<Duration>,
    /// The options for Redis alone that stand on the command line.
    #[arg(skip)]
    of_redis: Vec<String>,
}

impl Connection {
    /// Notes which of the options for Redis stand on the command line.
    pub(crate) fn note_written(&mut self, command: &Command, matches: &ArgMatches) {
        let options = command.get_arguments();
        let written = options.filter(|option| {
            let source = matches.value_source(option.get_id().as_str());
            option.get_help_heading() == Some(OF_REDIS) && source == Some(ValueSource::CommandLine)
        });
        let names = written.filter_map(|option| option.get_long());
        self.of_redis = names.map(|name| format!("--{name}")).collect();
    }

    /// Connects.
    pub(crate) async fn open(&self) -> Result<LockPool, Failure> {
        Ok(self.builder(self.strict)?.build().await?)
    }

    /// Connects also where locks can be lost.
    pub(crate) async fn open_to_examine(&self, ttl: Option<Duration>) -> Result<LockPool, Failure> {
        let builder = self.builder(None)?;
        Ok(given(builder, ttl, LockPoolBuilder::default_ttl)
            .build()
            .await?)
    }

    fn builder(&self, strict: Option<bool>) -> Result<LockPoolBuilder, Failure> {
        let Some(url) = &self.url else {
            let reason = "no lock service is named; set LOCKATTR_URL, or give --url, to redis://host:port/, \
                          postgres://…, etcd://… or zookeeper://…";
            return Err(Failure::usage(reason));
        };
        if url.trim_start().starts_with("memory:") {
            let reason = "the locks of memory:// are those of one process, and end with it; name the server \
                          that the others use, redis://host:port/";
            return Err(Failure::usage(reason));
        }
        let engine = Engine::of(url);
        if let Some(engine) = engine {
            engine.check(&self.of_redis)?;
        }
        let redis = RedisOptions::new();
        let redis = given(redis, self.prefix.as_deref(), RedisOptions::prefix);
        let redis = given(redis, self.connections, RedisOptions::connections);
        let redis = given(redis, strict, RedisOptions::strict);
        let redis = given(redis, self.confirm_replicas, RedisOptions::confirm_replicas);
        let redis = given(redis, self.confirm_fsync, RedisOptions::confirm_fsync);
        let redis = given(redis, self.confirm_within, RedisOptions::confirm_within);
        let redis = given(redis, self.member_timeout, RedisOptions::member_timeout);
        let redis = given(redis, self.restart_delay, RedisOptions::restart_delay);
        let builder = with_engines(LockPool::builder()).connect_timeout(CONNECTING);
        let ttl = engine.and_then(Engine::default_ttl);
        let builder = given(builder, ttl, LockPoolBuilder::default_ttl);
        Ok(builder.url(url).redis(redis))
    }
}

/// Waits until everything is released, and says so if it is not.
pub(crate) async fn close(pool: &LockPool) {
    if let Err(error) = pool.shutdown(CLOSING).await {
        say(&error.to_string());
    }
}
