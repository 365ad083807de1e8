//! The URL of a database.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, LoadBalanceHosts, SslMode, TargetSessionAttrs};

const HOW: &str = "write postgres://user:password@host:5432/database?schema=lockattr, with `@`, `/`, `:`, `?`, `#` and \
                   `%` in the password percent-encoded";

/// After so long a silence the operating system asks whether the server is there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Where the locks are.
#[derive(Debug, Clone)]
pub(crate) struct Url {
    /// The settings for each of the servers, in their order.
    pub(crate) servers: Vec<Config>,
    /// The place of the one that was connected to last.
    pub(crate) latest: Arc<AtomicUsize>,
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
        // Of the addresses of a name: one that is silent is not always the first.
        config.load_balance_hosts(LoadBalanceHosts::Random);
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
            let servers = u32::try_from(config.get_hosts().len()).unwrap_or(1);
            // Twice in the time of a server: its name may have two addresses.
            config.connect_timeout(connect / servers.max(1) / 2);
        }
        let servers = 0..config.get_hosts().len();
        let servers = servers.map(|n| only(&config, n)).collect::<Option<_>>();
        Ok(Self {
            place: place(&config, name),
            latest: Arc::default(),
            schema: name.to_owned(),
            has_schema: schema.is_some(),
            is_encrypted,
            servers: servers.ok_or_else(|| format!("it has not one port for each host; {HOW}"))?,
        })
    }
}

/// Returns the settings for one of the servers alone, so that each has a time of its own: the library has no limit for
/// one that takes the connection and is silent then. `None` where the URL has neither one port nor one for each.
fn only(all: &Config, n: usize) -> Option<Config> {
    let mut config = Config::new();
    match &all.get_hosts()[n] {
        Host::Tcp(name) => config.host(name),
        #[cfg(unix)]
        Host::Unix(path) => config.host_path(path),
    };
    if let Some(address) = all.get_hostaddrs().get(n) {
        config.hostaddr(*address);
    }
    match all.get_ports() {
        [] => {}
        [port] => drop(config.port(*port)),
        ports => drop(config.port(*ports.get(n)?)),
    }
    if let Some(user) = all.get_user() {
        config.user(user);
    }
    if let Some(password) = all.get_password() {
        config.password(password);
    }
    if let Some(name) = all.get_dbname() {
        config.dbname(name);
    }
    if let Some(options) = all.get_options() {
        config.options(options);
    }
    if let Some(name) = all.get_application_name() {
        config.application_name(name);
    }
    if let Some(timeout) = all.get_connect_timeout() {
        config.connect_timeout(*timeout);
    }
    if let Some(timeout) = all.get_tcp_user_timeout() {
        config.tcp_user_timeout(*timeout);
    }
    if let Some(interval) = all.get_keepalives_interval() {
        config.keepalives_interval(interval);
    }
    if let Some(retries) = all.get_keepalives_retries() {
        config.keepalives_retries(retries);
    }
    config
        .keepalives(all.get_keepalives())
        .keepalives_idle(all.get_keepalives_idle())
        .target_session_attrs(all.get_target_session_attrs())
        .load_balance_hosts(all.get_load_balance_hosts())
        .channel_binding(all.get_channel_binding())
        .ssl_mode(all.get_ssl_mode())
        .ssl_negotiation(all.get_ssl_negotiation());
    Some(config)
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
        assert!(url.is_encrypted);
        for (server, name, port) in [(&url.servers[0], "h1", 1), (&url.servers[1], "h2", 2)] {
            assert_eq!(server.get_hosts(), [Host::Tcp(name.to_owned())]);
            assert_eq!(server.get_ports(), [port]);
            assert_eq!(server.get_application_name(), Some("x"));
        }
        let one_port = parse("postgres://h1,h2:7/shop").map(|url| url.place);
        assert_eq!(
            one_port,
            Ok("postgres://h1:5432,h2:7/shop?schema=lockattr".to_owned())
        );
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
