//! The URL of a database.

use std::fmt::Write as _;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

const HOW: &str = "write postgres://user:password@host:5432/database?schema=lockattr, with `@`, `/`, `:`, `?`, `#` and \
                   `%` in the password percent-encoded";

/// After so long a silence the operating system asks whether the server is there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Where the locks are.
#[derive(Debug, Clone)]
pub(crate) struct Url {
    pub(crate) config: Config,
    pub(crate) schema: String,
    /// Whether the URL names it.
    pub(crate) has_schema: bool,
    /// Whether TLS is asked for.
    pub(crate) is_encrypted: bool,
    /// The URL without its secrets.
    pub(crate) place: String,
}

impl Url {
    /// # Errors
    ///
    /// What is wrong with it, without any part of it that may be secret.
    pub(crate) fn parse(url: &str, connect: Duration) -> Result<Self, String> {
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut schema, mut is_encrypted, mut others) = (None, false, String::new());
        for parameter in query.split('&').filter(|it| !it.is_empty()) {
            match parameter.split_once('=') {
                Some(("schema", name)) => schema = Some(name),
                Some(("sslmode", "require" | "verify-ca" | "verify-full")) => is_encrypted = true,
                Some(("sslmode", "disable" | "prefer" | "allow")) => {}
                Some(("sslmode", _)) => {
                    return Err("its sslmode is unknown; write `require` or `disable`".to_owned());
                }
                Some((name, _)) if name.chars().all(|it| it.is_ascii_lowercase() || it == '_') => {
                    let and = if others.is_empty() { '?' } else { '&' };
                    write!(others, "{and}{parameter}").expect("a String takes everything");
                }
                _ => return Err(format!("its parameters cannot be read; {HOW}")),
            }
        }
        let name = schema.unwrap_or("lockattr");
        if !is_identifier(name) {
            return Err(
                "its schema is no plain name: up to 63 lower-case letters, digits and `_`, and no digit first"
                    .to_owned(),
            );
        }
        if address.matches('@').count() > 1 {
            // Its host would begin in the password.
            return Err(format!("it has more than one `@`; {HOW}"));
        }
        // Its words may repeat a password.
        let config = format!("{address}{others}").parse::<Config>();
        let mut config = config.map_err(|_| format!("it cannot be read; {HOW}"))?;
        if config.get_hosts().is_empty() {
            return Err(format!("it names no host; {HOW}"));
        }
        // What cannot write has no locks.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        config.ssl_mode(if is_encrypted {
            SslMode::Require
        } else {
            SslMode::Disable
        });
        config.keepalives_idle(KEEPALIVE);
        if config.get_application_name().is_none() {
            config.application_name("lockattr");
        }
        if config.get_connect_timeout().is_none() {
            // Of several servers, those behind one that is gone have their turn too.
            let servers = u32::try_from(config.get_hosts().len()).unwrap_or(1);
            config.connect_timeout(connect / servers.max(1));
        }
        Ok(Self {
            place: place(&config, name),
            schema: name.to_owned(),
            has_schema: schema.is_some(),
            is_encrypted,
            config,
        })
    }
}

fn is_identifier(name: &str) -> bool {
    let is_known = |it: u8| matches!(it, b'a'..=b'z' | b'_' | b'0'..=b'9');
    (1..64).contains(&name.len())
        && name.bytes().all(is_known)
        && !name.starts_with(|it: char| it.is_ascii_digit())
        && !name.starts_with("pg_")
}

fn place(config: &Config, schema: &str) -> String {
    let ports = config.get_ports();
    let hosts = config.get_hosts().iter().enumerate().map(|(n, host)| {
        let port = ports.get(n).or(ports.first()).copied().unwrap_or(5432);
        match host {
            Host::Tcp(name) => format!("{name}:{port}"),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        }
    });
    let hosts: Vec<String> = hosts.collect();
    let database = config.get_dbname().unwrap_or_default();
    format!("postgres://{}/{database}?schema={schema}", hosts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Url, String> {
        Url::parse(url, Duration::from_secs(2))
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let url = parse("postgres://app:s3cret@h/shop").unwrap();
        assert_eq!(url.place, "postgres://h:5432/shop?schema=lockattr");
        assert!(!url.is_encrypted);
        let url = parse(
            "postgresql://h1:1,h2:2/shop?schema=locks&sslmode=verify-full&application_name=x",
        )
        .unwrap();
        assert_eq!(url.place, "postgres://h1:1,h2:2/shop?schema=locks");
        assert_eq!(url.config.get_application_name(), Some("x"));
        assert!(url.is_encrypted);
    }

    #[test]
    fn mistakes_are_named_and_secrets_are_not() {
        for (url, named) in [
            ("postgres://u:s3cret@h/d?schema=a-b", "schema"),
            ("postgres://u:s3cret@h/d?schema=1a", "schema"),
            ("postgres://u:s3cret@h/d?schema=", "schema"),
            ("postgres://u:s3cret@h/d?sslmode=maybe", "sslmode"),
            ("postgres://u:s3cret@h:port/d", "percent-encoded"),
            ("postgres://u:s3cret?x@h/d", "parameters"),
            ("postgres://u:p@h/d?s3cret=1", "parameters"),
            ("postgres://u:p@h/d?unknown=s3cret", "percent-encoded"),
            ("postgres://u:p@s3cret@h/d", "more than one"),
            ("postgres:///d", "host"),
        ] {
            let error = parse(url).unwrap_err();
            assert!(
                error.contains(named) && !error.contains("s3cret"),
                "{url}: {error}"
            );
        }
        let shown = format!("{:?}", parse("postgres://u:s3cret@h/d").unwrap());
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
