//! The URL of a lock service. Its password is never shown.

use std::fmt;

use crate::Error;

#[derive(Clone)]
pub(crate) struct ServiceUrl(String);

/// The service that a URL names.
pub(crate) enum Named<'a> {
    Memory {
        name: Option<&'a str>,
    },
    #[cfg(feature = "redis")]
    Redis {
        url: &'a str,
    },
    #[cfg(feature = "redis")]
    Quorum {
        url: &'a str,
    },
}

impl ServiceUrl {
    pub(crate) fn new(url: &str) -> Self {
        Self(url.trim().to_owned())
    }

    /// Returns the scheme in lower case, if there is one, and what follows it.
    pub(crate) fn scheme(&self) -> Option<(String, &str)> {
        let (scheme, rest) = self.0.split_once("://")?;
        is_scheme(scheme).then(|| (scheme.to_ascii_lowercase(), rest))
    }

    /// Returns the whole URL, with its credentials.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    #[cfg(feature = "redis")]
    pub(crate) fn is_memory(&self) -> bool {
        matches!(self.service(), Ok(Named::Memory { .. }))
    }

    /// # Errors
    ///
    /// [`Error::Config`] for a scheme that is unknown or needs a feature that is off.
    pub(crate) fn service(&self) -> Result<Named<'_>, Error> {
        if self.0.starts_with(['"', '\'', '`']) {
            return Err(Error::config("url", "it is in quotes; leave them out"));
        }
        let Some((scheme, rest)) = self.scheme() else {
            return Err(Error::config("url", without_scheme(&self.0)));
        };
        match scheme.as_str() {
            "memory" => Ok(Named::Memory {
                name: Some(rest).filter(|name| !name.is_empty()),
            }),
            #[cfg(feature = "redis")]
            "redis" | "valkey" | "redis+unix" | "valkey+unix" | "unix" | "redis+cluster"
            | "valkey+cluster" | "redis+sentinel" | "valkey+sentinel" => {
                Ok(Named::Redis { url: &self.0 })
            }
            #[cfg(feature = "redis")]
            "redis+quorum" | "valkey+quorum" => Ok(Named::Quorum { url: &self.0 }),
            #[cfg(feature = "tls")]
            "rediss+quorum" | "valkeys+quorum" => Ok(Named::Quorum { url: &self.0 }),
            #[cfg(feature = "tls")]
            "rediss" | "valkeys" | "rediss+cluster" | "valkeys+cluster" | "rediss+sentinel"
            | "valkeys+sentinel" => Ok(Named::Redis { url: &self.0 }),
            #[cfg(not(feature = "tls"))]
            "rediss" | "valkeys" | "rediss+cluster" | "valkeys+cluster" | "rediss+sentinel"
            | "valkeys+sentinel" | "rediss+quorum" | "valkeys+quorum" => Err(Error::config(
                "url",
                format!("{scheme}:// needs the feature `tls` of lockattr"),
            )),
            #[cfg(not(feature = "redis"))]
            "redis" | "valkey" | "redis+unix" | "valkey+unix" | "unix" | "redis+cluster"
            | "valkey+cluster" | "redis+sentinel" | "valkey+sentinel" | "redis+quorum"
            | "valkey+quorum" => Err(Error::config(
                "url",
                format!("{scheme}:// needs the feature `redis` of lockattr"),
            )),
            _ => Err(Error::config("url", unknown_scheme(&scheme))),
        }
    }
}

fn without_scheme(url: &str) -> String {
    // Only a known scheme is shown: any other text may be a password.
    let known = ["redis", "rediss", "valkey", "valkeys", "memory"];
    let scheme = url.split(':').next().unwrap_or_default();
    let scheme = scheme.to_ascii_lowercase();
    if known.contains(&scheme.as_str()) {
        format!("`{scheme}` is not followed by `://`; write redis://host:port/ or memory://")
    } else if scheme.ends_with("unix") {
        "the scheme is not followed by `://`; write redis+unix:///path".to_owned()
    } else {
        "it has no scheme; write redis://host:port/, memory:// or, with the engine, such as postgres://host/database"
            .to_owned()
    }
}

fn unknown_scheme(scheme: &str) -> String {
    let engine = match scheme {
        "postgres" | "postgresql" => Some(("lockattr-postgres", "lockattr_postgres::Postgres")),
        "etcd" | "etcds" => Some(("lockattr-etcd", "lockattr_etcd::Etcd")),
        "zookeeper" | "zk" => Some(("lockattr-zookeeper", "lockattr_zookeeper::ZooKeeper")),
        _ => None,
    };
    if let Some((package, engine)) = engine {
        return format!(
            "{scheme}:// needs the crate `{package}`: call `.engine({engine}::new())` before `build`"
        );
    }
    let hint = if scheme.contains("cluster") {
        "; for a cluster write redis+cluster://host:port/"
    } else if scheme.contains("sentinel") {
        "; for Sentinel write redis+sentinel://host:26379/master-name"
    } else if scheme.contains("quorum") || scheme.contains("redlock") {
        "; for a quorum of servers write redis+quorum://host1,host2,host3/"
    } else if scheme.contains("socket") {
        "; for a unix socket write redis+unix:///path"
    } else if scheme.contains("tls") || scheme.contains("ssl") {
        "; for TLS write rediss://"
    } else {
        ""
    };
    let known = "redis://, rediss://, redis+unix://, redis+cluster://, redis+sentinel://, redis+quorum:// and memory://";
    format!("the scheme `{scheme}` is unknown; there are {known}{hint}")
}

impl fmt::Display for ServiceUrl {
    /// Shows the URL without user and password, and without the query, which may repeat them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return f.write_str("(no url)");
        };
        if !is_scheme(scheme) {
            return f.write_str("(no url)");
        }
        let (before, after) = rest.split_once(['?', '#']).unwrap_or((rest, ""));
        if after.contains('@') {
            // Either a password that contains `?` or `#`, or a query that contains `@`.
            return write!(f, "{scheme}://…");
        }
        let host = before.rsplit_once('@').map_or(before, |(_, host)| host);
        write!(f, "{scheme}://{host}")
    }
}

/// Any other text before `://` may be part of a password.
fn is_scheme(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

impl fmt::Debug for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_do_not_show() {
        for url in [
            "redis://user:s3cret@host:1/0",
            "redis://:s3cret@host:1/0",
            "rediss://u:s3cret@x@host:1/0",
            "redis+unix:///run/redis.sock?user=u&pass=s3cret",
            "redis://u:s3cret/@host:1/0",
            "redis://u:s3cret#1@host:1/0",
            "redis://u:s3cret?1@host:1/0",
            "redis+unix:///run/redis.sock?pass=a@s3cret",
            "redis+sentinel://u:s3cret@h1,h2/m?sentinel_password=s3cret",
            ":s3cret@host://",
            "s3cret",
        ] {
            let url = ServiceUrl::new(url);
            let error = url.service().err().map(|error| error.to_string());
            assert!(!error.unwrap_or_default().contains("s3cret"), "{url}");
            assert!(!format!("{url} {url:?}").contains("s3cret"), "{url}");
        }
        assert_eq!(
            ServiceUrl::new("redis://u:p@host:1/2").to_string(),
            "redis://host:1/2"
        );
        let url = "redis+sentinel://u:p@h1:1,h2/mymaster?sentinel_user=u&sentinel_password=p";
        assert_eq!(
            ServiceUrl::new(url).to_string(),
            "redis+sentinel://h1:1,h2/mymaster"
        );
    }

    #[test]
    fn known_services_have_synonyms() {
        assert!(matches!(
            ServiceUrl::new("MEMORY://A").service(),
            Ok(Named::Memory { name: Some("A") })
        ));
        #[cfg(feature = "redis")]
        for url in [
            "redis://h",
            " REDIS://h\n",
            "valkey://h",
            "valkey+unix:///s",
            "unix:///s",
            "redis+sentinel://h/m",
            "VALKEY+sentinel://h1,h2/m",
        ] {
            let url = ServiceUrl::new(url);
            assert!(matches!(url.service(), Ok(Named::Redis { .. })), "{url}");
        }
    }

    #[test]
    fn unknown_services_are_named() {
        let error = |url| ServiceUrl::new(url).service().err().unwrap().to_string();
        assert!(error("localhost:6379").contains("scheme"));
        assert!(error("ftp://x").contains("`ftp` is unknown"));
        assert!(error("\"redis://h/\"").contains("quotes"));
        assert!(error("redis:h:1").contains("redis://"));
        assert!(error("Redis:h:1").contains("redis://"));
        assert!(error("unix:/run/r.sock").contains("redis+unix:///"));
        assert!(error("redis+socket:///r.sock").contains("redis+unix:///"));
        assert!(error("redis+tls://h/").contains("rediss://"));
        assert!(error("redis-sentinel://h/m").contains("redis+sentinel://"));
        assert!(error("redis-cluster://h").contains("redis+cluster://"));
        assert!(error("PostgreSQL://h").contains("`lockattr-postgres`"));
        assert!(error("etcd://h").contains("lockattr_etcd::Etcd::new()"));
        assert!(error("zookeeper://h").contains("`.engine("));
        #[cfg(not(feature = "tls"))]
        for url in ["rediss://x", "rediss+sentinel://x/m", "rediss+cluster://x"] {
            assert!(error(url).contains("feature `tls`"), "{url}");
        }
    }
}
