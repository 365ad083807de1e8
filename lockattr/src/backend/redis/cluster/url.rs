//! The URL of a cluster: `redis+cluster://[user:password@]host[:port],host[:port]…`

use crate::Error;
use crate::backend::redis::stream::Address;
use crate::backend::redis::url::{self, Target};

/// The nodes that the URL names, and the login for all of them; `None` for the URL of something else.
///
/// # Errors
///
/// [`Error::Config`] that says what to write.
pub(in super::super) fn seeds(text: &str) -> Result<Option<(Target, Vec<Address>)>, Error> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Ok(None);
    };
    let scheme = scheme.to_ascii_lowercase();
    let Some(of_node) = scheme.strip_suffix("+cluster") else {
        return Ok(None);
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, after) = rest.split_at(end);
    let (login, hosts) = match authority.rsplit_once('@') {
        Some((login, hosts)) => (format!("{login}@"), hosts),
        None => (String::new(), authority),
    };
    let mut nodes = hosts
        .split(',')
        .map(|host| url::parse(&format!("{of_node}://{login}{host}{after}")));
    let first = nodes
        .next()
        .unwrap_or_else(|| Err(Error::config("url", "it names no host")))?;
    if first.login.db() != 0 {
        let reason = "a cluster has database 0 only; leave the number out";
        return Err(Error::config("url", reason));
    }
    let mut seeds = vec![first.address.clone()];
    for node in nodes {
        seeds.push(node?.address);
    }
    Ok(Some((first, seeds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> Vec<String> {
        let (_, seeds) = seeds(text).unwrap().unwrap();
        seeds.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_nodes_of_the_url_are_read() {
        assert!(seeds("redis://h").unwrap().is_none());
        assert_eq!(addresses("redis+cluster://a"), ["a:6379"]);
        let several = "REDIS+CLUSTER://user:pa%40ss@a:1,b,[::1]:3/";
        assert_eq!(addresses(several), ["a:1", "b:6379", "[::1]:3"]);
        let (target, nodes) = seeds("rediss+cluster://u:p@a:1,b").unwrap().unwrap();
        assert_eq!(target.login.username(), Some("u"));
        assert!(nodes.iter().all(|node| matches!(node, Address::Tls { .. })));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (url, said) in [
            ("redis+cluster://", "no host"),
            ("redis+cluster://a,,b", "no host"),
            ("redis+cluster://a:x,b", "port"),
            ("redis+cluster://a,b/2", "database 0"),
            ("redis+cluster://a,b?db=1", "database 0"),
            ("redis+cluster://a,b?x=1", "unknown"),
        ] {
            let error = seeds(url).unwrap_err().to_string();
            assert!(error.contains(said), "{url}: {error}");
        }
    }
}
