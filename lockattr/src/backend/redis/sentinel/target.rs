//! What a `redis+sentinel://` URL says, and what is wrong with it. The URL itself is never shown: it
//! may hold passwords.

use redis::{ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo};

use super::super::stream::Address;
use super::super::url;
use crate::Error;

const PORT: u16 = 26379;

#[derive(Debug)]
pub(super) struct Target {
    pub(super) sentinels: Vec<Address>,
    /// As whom to log in at the sentinels.
    pub(super) sentinel_login: RedisConnectionInfo,
    pub(super) master_name: String,
    /// As whom to log in at the master.
    pub(super) login: RedisConnectionInfo,
}

/// # Errors
///
/// [`Error::Config`] that says what to write.
pub(super) fn parse(url: &str) -> Result<Target, Error> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let scheme = scheme.to_ascii_lowercase();
    let is_tls = scheme.starts_with("rediss") || scheme.starts_with("valkeys");
    let (authority, after) = url::split_authority(rest)?;
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (Some(user), hosts),
        None => (None, authority),
    };
    let sentinels = hosts
        .split(',')
        .map(|host| sentinel(host, is_tls))
        .collect::<Result<Vec<_>, _>>()?;
    let (path, query) = url::split_optional(after, '?');
    let (master_name, database) = url::split_optional(path.trim_matches('/'), '/');
    check_name(master_name)?;
    let mut db = database.map(url::database).transpose()?;
    let (mut sentinel_user, mut sentinel_password) = (None, None);
    for (name, value) in url::parameters(query.unwrap_or_default())? {
        match name.as_str() {
            "sentinel_user" => sentinel_user = Some(value),
            "sentinel_password" => sentinel_password = Some(value),
            "user" | "username" | "pass" | "password" => {
                return url::wrong(format!(
                    "the parameter `{name}` is for unix sockets; write the data nodes' login as \
                     redis+sentinel://user:password@host:26379/master-name, and the sentinels' as \
                     ?sentinel_user=…&sentinel_password=…"
                ));
            }
            _ => url::parameter(
                &name,
                &value,
                &mut db,
                "db, protocol, sentinel_user and sentinel_password",
            )?,
        }
    }
    if sentinel_user.is_some() && sentinel_password.is_none() {
        return url::wrong("there is a `sentinel_user` but no `sentinel_password`; write both");
    }
    let user = user.map_or_else(String::new, |user| format!("{user}@"));
    let info = format!("redis://{user}h/")
        .as_str()
        .into_connection_info()
        .map_err(|error| url::unreadable(&error))?;
    let mut at_sentinels = RedisConnectionInfo::default();
    if let Some(user) = sentinel_user {
        at_sentinels = at_sentinels.set_username(user);
    }
    if let Some(password) = sentinel_password {
        at_sentinels = at_sentinels.set_password(password);
    }
    Ok(Target {
        sentinels,
        sentinel_login: url::login(&at_sentinels, None),
        master_name: master_name.to_owned(),
        login: url::login(info.redis_settings(), db),
    })
}

fn sentinel(host: &str, is_tls: bool) -> Result<Address, Error> {
    if host.is_empty() || host == ":" {
        return url::wrong(
            "a host is empty; write redis+sentinel://host1:26379,host2:26379/master-name",
        );
    }
    url::check_host(host)?;
    let host = host.trim_end_matches(':');
    let after = host.rsplit_once(']').map_or(host, |(_, after)| after);
    let host_and_port = if after.contains(':') {
        host.to_owned()
    } else {
        format!("{host}:{PORT}")
    };
    let info = format!("redis://{host_and_port}/")
        .as_str()
        .into_connection_info()
        .map_err(|error| url::unreadable(&error))?;
    let ConnectionAddr::Tcp(host, port) = info.addr().clone() else {
        return url::wrong("a sentinel's host is missing; write host:26379");
    };
    if port == 0 {
        return url::wrong(format!(
            "a port is 0; write the sentinel's, which is {PORT} by default"
        ));
    }
    Ok(Address::over_tcp(host, port, is_tls))
}

fn check_name(name: &str) -> Result<(), Error> {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if name.is_empty() {
        return url::wrong(
            "it names no master; write redis+sentinel://host1:26379,host2:26379/master-name, with \
             the name that follows `sentinel monitor` in the sentinels' configuration",
        );
    }
    if !name.bytes().all(is_known) {
        return url::wrong(
            "the master's name holds other characters than letters, digits, `.`, `-` and `_`, \
             which no sentinel takes",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Address {
        Address::over_tcp(host.to_owned(), port, false)
    }

    #[test]
    fn sentinels_master_and_logins_are_read() {
        let url = "redis+sentinel://u:a%2Fb@h1,h2:7,[::1],[::1]:7/my-master.1_x/3?\
                   sentinel_user=s&sentinel_password=c%26d";
        let target = parse(url).unwrap();
        assert_eq!(
            target.sentinels,
            [
                tcp("h1", 26379),
                tcp("h2", 7),
                tcp("::1", 26379),
                tcp("::1", 7)
            ]
        );
        assert_eq!(target.master_name, "my-master.1_x");
        assert_eq!(target.login.username(), Some("u"));
        assert_eq!(target.login.password(), Some("a/b"));
        assert_eq!(target.login.db(), 3);
        assert_eq!(target.sentinel_login.username(), Some("s"));
        assert_eq!(target.sentinel_login.password(), Some("c&d"));
        assert_eq!(target.sentinel_login.db(), 0, "a sentinel has no databases");
    }

    #[test]
    fn logins_and_database_may_be_left_out() {
        for url in [
            "redis+sentinel://h/m",
            "VALKEY+SENTINEL://h:26379/m/?protocol=resp3",
            "redis+sentinel://h:/m",
        ] {
            let target = parse(url).unwrap();
            assert_eq!(target.sentinels, [tcp("h", 26379)], "{url}");
            assert_eq!(target.login.password(), None);
            assert_eq!(target.sentinel_login.password(), None);
            assert_eq!(target.login.db(), 0);
        }
        assert_eq!(parse("redis+sentinel://h/m?db=2").unwrap().login.db(), 2);
        let only_password = parse("redis+sentinel://h/m?sentinel_password=p").unwrap();
        assert_eq!(only_password.sentinel_login.password(), Some("p"));
        for url in ["rediss+sentinel://h/m", "valkeys+sentinel://h/m"] {
            let tls = Address::over_tcp("h".to_owned(), 26379, true);
            assert_eq!(parse(url).unwrap().sentinels, [tls], "{url}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_passwords() {
        for (url, part) in [
            ("redis+sentinel://h1,h2", "names no master"),
            ("redis+sentinel://u:s3cret@h1,h2/", "names no master"),
            ("redis+sentinel://h1,,h2/m", "a host is empty"),
            ("redis+sentinel:///m", "a host is empty"),
            ("redis+sentinel://h:0/m", "port is 0"),
            ("redis+sentinel://h:s3cret/m", "port"),
            ("redis+sentinel://h/m%20s3cret", "letters"),
            ("redis+sentinel://h/m/s3cret", "no number"),
            ("redis+sentinel://h/m/1?db=2", "twice"),
            ("redis+sentinel://u:s3cret/x@h/m", "%2F"),
            ("redis+sentinel://u:s3cret#x@h/m", "%23"),
            ("redis+sentinel://h/m#s3cret", "%23"),
            ("redis+sentinel://h/m?sentinel_password=x@s3cret", "%40"),
            (
                "redis+sentinel://h/m?sentinel_user=s3cret",
                "`sentinel_password`",
            ),
            ("redis+sentinel://h/m?password=s3cret", "user:password@"),
            ("redis+sentinel://h/m?foo=s3cret", "`foo`"),
            ("redis+sentinel://h/m?protocol=resp2", "RESP3"),
        ] {
            let reason = parse(url).unwrap_err().to_string();
            assert!(reason.contains(part), "{url}: {reason}");
            assert!(!reason.contains("s3cret"), "{reason}");
        }
    }
}
