//! The lock services beside Redis: each is a crate of its own, and a feature of this program.

use std::time::Duration;

use lockattr::LockPoolBuilder;

use crate::failure::Failure;

/// A lock service that this program works with if it was built with the feature.
pub(crate) struct Engine {
    schemes: [&'static str; 2],
    feature: &'static str,
    is_here: bool,
    /// What says instead of `--prefix` which locks are meant.
    place: &'static str,
}

const ENGINES: [Engine; 3] = [
    Engine {
        schemes: ["postgres", "postgresql"],
        feature: "postgres",
        is_here: cfg!(feature = "postgres"),
        place: "the schema of the locks is in the URL, postgres://…/database?schema=lockattr",
    },
    Engine {
        schemes: ["etcd", "etcds"],
        feature: "etcd",
        is_here: cfg!(feature = "etcd"),
        place: "what the names begin with is in the URL, etcd://…/lockattr",
    },
    Engine {
        schemes: ["zookeeper", "zk"],
        feature: "zookeeper",
        is_here: cfg!(feature = "zookeeper"),
        place: "the node above the locks is in the URL, zookeeper://…/lockattr",
    },
];

impl Engine {
    /// Returns the one that knows this URL.
    pub(crate) fn of(url: &str) -> Option<&'static Self> {
        let (scheme, _) = url.trim_start().split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let mut engines = ENGINES.iter();
        engines.find(|engine| engine.schemes.contains(&scheme.as_str()))
    }

    /// Returns what the default ttl is instead of the pool's. `ZooKeeper` as it is installed keeps no lease for
    /// as long as that, and a pool says so at its start.
    pub(crate) fn default_ttl(&self) -> Option<Duration> {
        (self.feature == "zookeeper").then_some(Duration::from_secs(10))
    }

    /// `of_redis` are the options for Redis alone that stand on the command line.
    ///
    /// # Errors
    ///
    /// [`Failure::Usage`] if the program has not this engine, or if there are such options: what was looked at
    /// would not be what was asked for. Such a variable is ignored, as the library does.
    pub(crate) fn check(&self, of_redis: &[String]) -> Result<(), Failure> {
        let (feature, [scheme, _]) = (self.feature, self.schemes);
        if !self.is_here {
            let reason = format!(
                "{scheme}:// needs the feature `{feature}` of lockattr-cli, and this program was built without it: \
                 cargo install lockattr-cli --features {feature}"
            );
            return Err(Failure::usage(reason));
        }
        let Some(option) = of_redis.first() else {
            return Ok(());
        };
        let instead = if option == "--prefix" {
            self.place
        } else {
            "leave it out"
        };
        let reason =
            format!("{option} is for Redis and Valkey, and not for {scheme}://: {instead}");
        Err(Failure::usage(reason))
    }
}

/// Lets a URL name those that this program was built with.
pub(crate) fn with_engines(builder: LockPoolBuilder) -> LockPoolBuilder {
    #[cfg(feature = "postgres")]
    let builder = builder.engine(lockattr_postgres::Postgres::new());
    #[cfg(feature = "etcd")]
    let builder = builder.engine(lockattr_etcd::Etcd::new());
    #[cfg(feature = "zookeeper")]
    let builder = builder.engine(lockattr_zookeeper::ZooKeeper::new());
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_that_is_missing_is_named() {
        for known in &ENGINES {
            let missing = Engine {
                is_here: false,
                ..*known
            };
            let line = missing.check(&[]).unwrap_err().line();
            assert!(
                line.contains(&format!("--features {}", known.feature)),
                "{line}"
            );
        }
        assert!(Engine::of("PostgreSQL://h/d").is_some());
        assert!(Engine::of("redis://h").is_none() && Engine::of("postgres").is_none());
    }
}
