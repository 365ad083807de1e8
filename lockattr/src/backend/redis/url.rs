//! What the URL of a Redis server says, and what is wrong with it. The URL itself is never shown: it
//! may hold a password.

use redis::{
    ConnectionAddr, IntoConnectionInfo as _, ProtocolVersion, RedisConnectionInfo, RedisError,
};

use super::stream::Address;
use crate::Error;

/// The characters that end the part of a URL with the password.
const ENDS: [char; 3] = ['/', '?', '#'];

/// Where the server is, and as whom to log in.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) address: Address,
    pub(super) login: RedisConnectionInfo,
}

pub(super) fn wrong<T>(reason: impl Into<std::sync::Arc<str>>) -> Result<T, Error> {
    Err(Error::config("url", reason))
}

/// # Errors
///
/// [`Error::Config`] that says what to write.
pub(super) fn parse(url: &str) -> Result<Target, Error> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    match scheme.to_ascii_lowercase().as_str() {
        "redis" | "valkey" => over_tcp(rest, false),
        "rediss" | "valkeys" => over_tcp(rest, true),
        _ => over_unix(rest),
    }
}

/// Splits what follows the scheme into user, password and hosts, and what follows them.
pub(super) fn split_authority(rest: &str) -> Result<(&str, &str), Error> {
    let end = rest.find(ENDS).unwrap_or(rest.len());
    let (authority, after) = rest.split_at(end);
    if after.contains('@') {
        return wrong(
            "a `/`, `?` or `#` in the user name or the password ends it; percent-encode it: `/` as \
             %2F, `?` as %3F, `#` as %23, `@` as %40",
        );
    }
    let (before, fragment) = split_optional(after, '#');
    match fragment {
        Some("insecure") => wrong(
            "`#insecure` would trust every server; name the CA with `tls_root_certificates` \
             instead",
        ),
        Some(_) => wrong("a `#` has no meaning here; in a password write it as %23"),
        None => Ok((authority, before)),
    }
}

fn over_tcp(rest: &str, is_tls: bool) -> Result<Target, Error> {
    let (authority, after) = split_authority(rest)?;
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    check_host(host)?;
    let (path, query) = split_optional(after, '?');
    let info = format!("redis://{authority}/")
        .as_str()
        .into_connection_info()
        .map_err(|error| unreadable(&error))?;
    let ConnectionAddr::Tcp(host, port) = info.addr().clone() else {
        return wrong("it has no host; write redis://host:port/");
    };
    if port == 0 {
        return wrong("the port is 0; write the server's, which is 6379 by default");
    }
    let mut db = match path.trim_matches('/') {
        "" => None,
        path => Some(database(path)?),
    };
    for (name, value) in parameters(query.unwrap_or_default())? {
        match name.as_str() {
            "user" | "username" | "pass" | "password" => {
                return wrong(format!(
                    "the parameter `{name}` is for unix sockets; write \
                     redis://user:password@host:port/"
                ));
            }
            _ => parameter(&name, &value, &mut db, "db and protocol")?,
        }
    }
    Ok(Target {
        address: Address::over_tcp(host, port, is_tls),
        login: login(info.redis_settings(), db),
    })
}

fn over_unix(rest: &str) -> Result<Target, Error> {
    if rest.contains('#') {
        return wrong("a `#` has no meaning here; in a path or password write it as %23");
    }
    let (path, query) = split_optional(rest, '?');
    let mut db = None;
    for (name, value) in parameters(query.unwrap_or_default())? {
        if !matches!(name.as_str(), "user" | "pass") {
            parameter(&name, &value, &mut db, "db, user, pass and protocol")?;
        }
    }
    if !path.starts_with('/') || path.len() == 1 {
        return wrong("it has no absolute path; write redis+unix:///run/redis.sock");
    }
    let info = format!("redis+unix://{rest}")
        .as_str()
        .into_connection_info()
        .map_err(|error| unreadable(&error))?;
    let ConnectionAddr::Unix(path) = info.addr().clone() else {
        return wrong("it has no absolute path; write redis+unix:///run/redis.sock");
    };
    Ok(Target {
        address: Address::Unix(path),
        login: login(info.redis_settings(), db),
    })
}

pub(super) fn check_host(host: &str) -> Result<(), Error> {
    if host.contains(',') {
        return wrong(
            "it names several hosts; for Sentinel write redis+sentinel://host1,host2/master-name, for \
             a cluster redis+cluster://host1,host2/",
        );
    }
    if host.is_empty() {
        return wrong(
            "it has no host; write redis://host:port/, or redis+unix:///path for a unix socket",
        );
    }
    // What follows the brackets of an IPv6 address, or the host.
    let after = host.rsplit_once(']').map_or(host, |(_, after)| after);
    match after.split_once(':') {
        Some((_, port)) if !port.is_empty() && port.parse::<u16>().is_err() => wrong(
            "the port is no number from 1 to 65535; write redis://user:password@host:port/, and an \
             IPv6 address in brackets; in a password percent-encode `/` as %2F, `?` as %3F, `#` as \
             %23, `@` as %40",
        ),
        _ => Ok(()),
    }
}

/// The client library's words hold nothing of the URL.
pub(super) fn unreadable(error: &RedisError) -> Error {
    Error::config(
        "url",
        format!(
            "{error}; write redis://user:password@host:port/db, and percent-encode in a password \
             all but letters and digits: `/` as %2F, `?` as %3F, `#` as %23, `@` as %40"
        ),
    )
}

pub(super) fn split_optional(text: &str, at: char) -> (&str, Option<&str>) {
    match text.split_once(at) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

pub(super) fn parameters(query: &str) -> Result<Vec<(String, String)>, Error> {
    let url = redis::parse_redis_url(&format!("redis://h/?{query}"))
        .ok_or_else(|| Error::config("url", "what follows the `?` does not parse"))?;
    let pairs = url.query_pairs();
    Ok(pairs
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect())
}

pub(super) fn parameter(
    name: &str,
    value: &str,
    db: &mut Option<i64>,
    known: &str,
) -> Result<(), Error> {
    match (name, value) {
        ("db", number) => {
            let number = database(number)?;
            if db.is_some_and(|other| other != number) {
                return wrong("the database is given twice, and differently; write it once");
            }
            *db = Some(number);
            Ok(())
        }
        ("protocol", "resp3" | "3") => Ok(()),
        ("protocol", _) => wrong(
            "the parameter `protocol` can only be resp3: locks need RESP3, not resp2; leave it out",
        ),
        _ => wrong(format!(
            "the parameter `{name}` is unknown; there are {known}"
        )),
    }
}

pub(super) fn database(text: &str) -> Result<i64, Error> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse::<u32>().ok().filter(|_| is_plain);
    number.map(i64::from).map_or_else(
        || wrong("the database is no number; write redis://host:port/2"),
        Ok,
    )
}

pub(super) fn login(read: &RedisConnectionInfo, db: Option<i64>) -> RedisConnectionInfo {
    read.clone()
        .set_db(db.unwrap_or(0))
        // So that the server can tell of a handoff on the same connection.
        .set_protocol(ProtocolVersion::RESP3)
        // Would need the right to CLIENT SETINFO, and fill the log of refused commands without it.
        .set_skip_set_lib_name()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(url: &str) -> String {
        parse(url).unwrap_err().to_string()
    }

    #[test]
    fn the_database_is_read_wherever_it_stands() {
        for (url, db) in [
            ("redis://h", 0),
            ("redis://h//", 0),
            ("redis://h/3", 3),
            ("redis://h/3/", 3),
            ("redis://h?db=2", 2),
            ("redis://h/?db=2&protocol=resp3", 2),
            ("redis://h/2?db=2", 2),
            ("redis+unix:///run/redis.sock?db=4&user=u&pass=p", 4),
            ("valkey+unix:///run/redis.sock", 0),
        ] {
            let target = parse(url).unwrap();
            assert_eq!(target.login.db(), db, "{url}");
            assert_eq!(target.login.protocol(), ProtocolVersion::RESP3);
        }
        for url in ["redis://h/1?db=2", "redis://h?db=1&db=2"] {
            assert!(reason(url).contains("twice"), "{url}");
        }
        for url in [
            "redis://h/x",
            "redis://h/-1",
            "redis://h/%31",
            "redis://h?db=+1",
        ] {
            assert!(reason(url).contains("no number"), "{url}");
        }
    }

    #[test]
    fn addresses_and_logins_are_read() {
        let tcp = |host: &str, port| Address::Tcp {
            host: host.to_owned(),
            port,
        };
        for (url, address) in [
            ("redis://h", tcp("h", 6379)),
            ("REDIS://h:7/", tcp("h", 7)),
            ("valkey://[::1]:7", tcp("::1", 7)),
        ] {
            assert_eq!(parse(url).unwrap().address, address, "{url}");
        }
        for url in ["rediss://h", "valkeys://h"] {
            assert!(matches!(
                parse(url).unwrap().address,
                Address::Tls { port: 6379, .. }
            ));
        }
        let login = parse("redis://u%23:a%2Fb@c%25@h/").unwrap().login;
        assert_eq!(login.username(), Some("u#"));
        assert_eq!(login.password(), Some("a/b@c%"));
        let login = parse("redis+unix:///s?user=u&pass=a%23b").unwrap().login;
        assert_eq!(login.password(), Some("a#b"));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for (url, part) in [
            ("redis://:s3cret#1@h:1/", "%23"),
            ("redis://:s3cret?1@h:1/", "%3F"),
            ("redis://:s3cret/1@h:1/", "%2F"),
            ("redis://:12/s3cret@h:1/", "%2F"),
            ("redis+unix:///s?pass=s3cret#1", "%23"),
            ("redis://u:s3cret", "%23"),
            ("redis://h/#s3cret", "%23"),
            ("rediss://h/#insecure", "trust every server"),
            ("redis://h/?protocol=resp2", "RESP3"),
            ("redis://h/?foo=s3cret", "`foo`"),
            ("redis://h/?password=s3cret", "`password`"),
            ("redis+unix:///s?timeout=1", "`timeout`"),
            ("redis+unix://s", "absolute path"),
            ("redis://h:0/", "port is 0"),
            ("redis://h:66000/", "port"),
            ("redis://::1/", "brackets"),
            ("redis://a:1,b:2/", "several hosts"),
            ("redis:///s3cret.sock", "redis+unix"),
            ("redis://u:s3cret@/", "no host"),
            ("redis://0.0.0.0/", "wildcard"),
            ("redis://u:s3cret@h h/", "percent-encode"),
        ] {
            let reason = reason(url);
            assert!(reason.contains(part), "{url}: {reason}");
            assert!(!reason.contains("s3cret"), "{reason}");
        }
    }
}
