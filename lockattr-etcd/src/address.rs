//! `etcd://user:password@one:2379,other/prefix`: what a URL says.

use std::fmt;

use percent_encoding::percent_decode_str;

const PORT: u16 = 2379;
const FORM: &str = "write etcd://host:2379,host:2379/prefix or etcd://user:password@host:2379";

/// Where etcd is, and who asks.
#[derive(Clone)]
pub(crate) struct Address {
    /// `host:port` of the members, in the order in which they are tried.
    pub(crate) members: Vec<String>,
    pub(crate) login: Option<Login>,
    /// What the names begin with, if the URL says that.
    pub(crate) prefix: Option<String>,
    pub(crate) tls: bool,
}

/// It must not be printed.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Address {
    /// # Errors
    ///
    /// What is wrong, without any credential.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or(FORM)?;
        let (login, rest) = match rest.rsplit_once('@') {
            Some((login, rest)) => (Some(Login::parse(login)?), rest),
            None => (None, rest),
        };
        let (hosts, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if rest.contains(['?', '#']) {
            return Err(format!("nothing comes after the prefix; {FORM}"));
        }
        let members = (1..).zip(hosts.split(',')).map(member);
        Ok(Self {
            members: members.collect::<Result<_, _>>()?,
            login,
            prefix: Some(prefix.trim_end_matches('/').to_owned()).filter(|it| !it.is_empty()),
            tls: scheme.eq_ignore_ascii_case("etcds"),
        })
    }

    pub(crate) fn endpoint(&self, member: usize) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.members[member % self.members.len()])
    }
}

impl Login {
    fn parse(text: &str) -> Result<Self, String> {
        let (user, password) = text
            .split_once(':')
            .ok_or_else(|| format!("the user has no password; {FORM}"))?;
        let decoded = |text: &str, what: &str| {
            let decoded = percent_decode_str(text).decode_utf8();
            decoded.map(String::from).map_err(|_| {
                format!("the {what} is no text; write bytes outside of ASCII in UTF-8, as %C3%A9")
            })
        };
        Ok(Self {
            user: decoded(user, "user")?,
            password: decoded(password, "password")?,
        })
    }
}

/// The text is not told: it may be a password, where the host is forgotten.
fn member((number, text): (usize, &str)) -> Result<String, String> {
    let after_address = text.rfind(']').map_or(text, |end| &text[end..]);
    let has_port = after_address.contains(':');
    let full = if has_port {
        text.to_owned()
    } else {
        format!("{text}:{PORT}")
    };
    let parsed = full.parse::<http::uri::Authority>();
    let is_whole = |it: &http::uri::Authority| !it.host().is_empty() && it.port_u16().is_some();
    match parsed {
        Ok(authority) if is_whole(&authority) => Ok(full),
        _ => Err(format!("its host number {number} cannot be read; {FORM}")),
    }
}

impl fmt::Display for Address {
    /// Writes the URL without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "etcds" } else { "etcd" };
        let user = match &self.login {
            Some(Login { user, .. }) => format!("{user}@"),
            None => String::new(),
        };
        write!(f, "{scheme}://{user}{}", self.members.join(","))?;
        match &self.prefix {
            Some(prefix) => write!(f, "/{prefix}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_a_port_and_credentials_are_decoded() {
        let address = Address::parse("etcd://us%40er:pass%3Aword@one,two:99,[::1]/").unwrap();
        assert_eq!(address.members, ["one:2379", "two:99", "[::1]:2379"]);
        assert_eq!(address.endpoint(4), "http://two:99");
        let login = address.login.as_ref().unwrap();
        assert_eq!((&*login.user, &*login.password), ("us@er", "pass:word"));
        assert_eq!(
            address.to_string(),
            "etcd://us@er@one:2379,two:99,[::1]:2379"
        );
        assert!(Address::parse("etcds://one").unwrap().tls);
        assert_eq!(address.prefix, None);
        let address = Address::parse("etcd://one/shop/locks/").unwrap();
        assert_eq!(address.prefix.as_deref(), Some("shop/locks"));
        assert_eq!(address.to_string(), "etcd://one:2379/shop/locks");
    }

    #[test]
    fn errors_show_no_credential() {
        for url in [
            "etcd://",
            "etcd://secret@one",
            "etcd://user:secret@one,,two",
            "etcd://user:secret@one/path?x",
            "etcd://user:secret@one:port",
            "etcd://user:secret",
            "etcd://user:secret/path",
            "etcd://user:sec?ret",
            "etcd://user:sec%FFret@one",
        ] {
            let error = Address::parse(url).err().expect(url);
            assert!(!error.contains("sec"), "{error}");
        }
    }
}
