//! The URL of a lock service, whose password nobody gets to see.

use std::fmt;

use crate::Error;

#[derive(Clone)]
pub(crate) struct ServiceUrl(String);

/// The service that a URL names.
pub(crate) enum Service<'a> {
    Memory {
        name: Option<&'a str>,
    },
    #[cfg(feature = "redis")]
    Redis {
        url: &'a str,
    },
}

impl ServiceUrl {
    pub(crate) fn new(url: &str) -> Self {
        Self(url.trim().to_owned())
    }

    /// # Errors
    ///
    /// [`Error::Config`] for a scheme that is unknown or needs a feature that is off.
    pub(crate) fn service(&self) -> Result<Service<'_>, Error> {
        let split = self.0.split_once("://");
        let Some((scheme, rest)) = split.filter(|(scheme, _)| is_scheme(scheme)) else {
            return Err(Error::config(
                "url",
                "it has no scheme; write redis://host:port/ or memory://",
            ));
        };
        match scheme {
            "memory" => Ok(Service::Memory {
                name: Some(rest).filter(|name| !name.is_empty()),
            }),
            #[cfg(feature = "redis")]
            "redis" | "redis+unix" | "unix" => Ok(Service::Redis { url: &self.0 }),
            #[cfg(feature = "tls")]
            "rediss" => Ok(Service::Redis { url: &self.0 }),
            #[cfg(not(feature = "tls"))]
            "rediss" => Err(Error::config(
                "url",
                "rediss:// needs the feature `tls` of lockattr",
            )),
            #[cfg(not(feature = "redis"))]
            "redis" | "redis+unix" | "unix" => Err(Error::config(
                "url",
                format!("{scheme}:// needs the feature `redis` of lockattr"),
            )),
            _ => {
                let known = "redis://, rediss://, redis+unix:// and memory://";
                Err(Error::config(
                    "url",
                    format!("the scheme `{scheme}` is unknown; there are {known}"),
                ))
            }
        }
    }
}

impl fmt::Display for ServiceUrl {
    /// Without user and password, and without the query, which may repeat them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return f.write_str("(no url)");
        };
        if !is_scheme(scheme) {
            return f.write_str("(no url)");
        }
        let (before, after) = rest.split_once(['?', '#']).unwrap_or((rest, ""));
        if after.contains('@') {
            // Either a password with a `?` or `#` in it, or a query with an `@`.
            return write!(f, "{scheme}://…");
        }
        let host = before.rsplit_once('@').map_or(before, |(_, host)| host);
        write!(f, "{scheme}://{host}")
    }
}

/// What stands before `://` otherwise may be a part of a password.
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
    }

    #[test]
    fn unknown_services_are_named() {
        let error = |url| ServiceUrl::new(url).service().err().unwrap().to_string();
        assert!(error("localhost:6379").contains("scheme"));
        assert!(error("ftp://x").contains("`ftp` is unknown"));
        #[cfg(not(feature = "tls"))]
        assert!(error("rediss://x").contains("feature `tls`"));
    }
}
