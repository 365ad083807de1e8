//! URLs of ensembles.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode_str;

/// Where locks are, if the URL names no chroot.
const DEFAULT_CHROOT: &str = "/lockattr";

/// `zookeeper://[user:password@]host[:port],host…[/chroot]`, read.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Ensemble {
    /// `host:port`, one or more.
    pub(crate) hosts: Vec<String>,
    /// `user:password`.
    pub(crate) login: Option<String>,
    /// The node under which all others are: it begins with `/`, and does not end with it.
    pub(crate) chroot: String,
}

impl Ensemble {
    /// # Errors
    ///
    /// What is wrong. It holds no part of the login.
    pub(crate) fn read(url: &str) -> Result<Self, String> {
        let (_, rest) = url.split_once("://").ok_or("it has no scheme")?;
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, chroot) = rest.split_at(end);
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (Some(login_of(login)?), hosts),
            None => (None, authority),
        };
        if chroot.contains('@') {
            return Err("there is an `@` after a `/`: in a password, write `/` as %2F".to_owned());
        }
        let hosts: Vec<String> = (1..)
            .zip(hosts.split(','))
            .map(host_of)
            .collect::<Result<_, _>>()?;
        let chroot = chroot.trim_end_matches('/');
        let chroot = if chroot.is_empty() {
            DEFAULT_CHROOT
        } else {
            chroot
        };
        let is_odd = |part: &str| part.is_empty() || part == "." || part == "..";
        if chroot[1..].split('/').any(is_odd) || chroot.contains(['?', '#']) {
            return Err("what comes after its hosts is no chroot; write /some/node".to_owned());
        }
        if chroot == "/zookeeper" || chroot.starts_with("/zookeeper/") {
            return Err(
                "ZooKeeper keeps the node /zookeeper for itself; choose another chroot".into(),
            );
        }
        Ok(Self {
            hosts,
            login,
            chroot: chroot.to_owned(),
        })
    }

    /// What the client library connects to.
    pub(crate) fn cluster(&self) -> String {
        format!("tcp://{}", self.hosts.join(",tcp://"))
    }
}

impl fmt::Display for Ensemble {
    /// Writes no login.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "zookeeper://{}{}", self.hosts.join(","), self.chroot)
    }
}

impl fmt::Debug for Ensemble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ensemble({self})")
    }
}

fn login_of(text: &str) -> Result<String, String> {
    let (user, password) = text
        .split_once(':')
        .ok_or("it has a user without a password; write user:password@")?;
    let (user, password) = (decoded(user)?, decoded(password)?);
    if user.is_empty() || user.contains(':') {
        return Err("its user is empty or contains `:`".to_owned());
    }
    Ok(format!("{user}:{password}"))
}

/// Reads `%XX`, so that a password may contain any character.
fn decoded(text: &str) -> Result<String, String> {
    let wrong = || "its login has a `%` that two hexadecimal digits do not follow".to_owned();
    let is_code =
        |it: &str| it.len() >= 2 && it.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if !text.split('%').skip(1).all(is_code) {
        return Err(wrong());
    }
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Cow::into_owned).map_err(|_| wrong())
}

/// The text is not told: it may be a password, where the host is forgotten.
fn host_of((number, text): (usize, &str)) -> Result<String, String> {
    let after_address = text.rfind(']').map_or(text, |end| &text[end..]);
    let (host, port) = match text.rsplit_once(':') {
        Some(split) if after_address.contains(':') => split,
        _ => (text, "2181"),
    };
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
    if host.is_empty() || !is_port || host.contains(char::is_whitespace) {
        return Err(format!(
            "its server number {number} cannot be read; write host or host:port, with a comma between two"
        ));
    }
    Ok(format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_takes() {
        let read = Ensemble::read("zookeeper://me:s%40c:ret@one,two:2182,[::1]:2183/app/locks/");
        let read = read.unwrap();
        assert_eq!(read.hosts, ["one:2181", "two:2182", "[::1]:2183"]);
        assert_eq!(read.login.as_deref(), Some("me:s@c:ret"));
        assert_eq!(read.chroot, "/app/locks");
        assert_eq!(
            format!("{read:?}"),
            "Ensemble(zookeeper://one:2181,two:2182,[::1]:2183/app/locks)"
        );
        let plain = Ensemble::read("zk://one").unwrap();
        assert_eq!(plain.chroot, "/lockattr");
        assert_eq!(plain.cluster(), "tcp://one:2181");
    }

    #[test]
    fn what_it_refuses_and_never_with_the_password() {
        for url in [
            "zookeeper://",
            "zookeeper://u:secret@",
            "zookeeper://one,",
            "zookeeper://one:0",
            "zookeeper://one:x",
            "zookeeper://secret@one",
            "zookeeper://:secret@one",
            "zookeeper://u:secret%@one",
            "zookeeper://u:secret%+F@one",
            "zookeeper://u:secret@one//a",
            "zookeeper://one/a/../b",
            "zookeeper://one/a?b",
            "zookeeper://u:secret",
            "zookeeper://u:se/secret@one",
            "zookeeper://u:se@one/secret@one",
            "zookeeper://one/a?secret=secret",
            "zookeeper://one/zookeeper/locks",
        ] {
            let refused = Ensemble::read(url).unwrap_err();
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}
