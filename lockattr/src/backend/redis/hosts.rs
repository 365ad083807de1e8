//! A URL that names several servers: `redis+cluster://[user:password@]host[:port],host[:port]…`

use super::stream::Address;
use super::url::{self, Target};
use crate::Error;

/// The servers that a URL names whose scheme ends with `+kind`, with one login for all of them; `None` for the
/// URL of something else.
///
/// # Errors
///
/// [`Error::Config`] that says what to write.
pub(super) fn several(text: &str, kind: &str) -> Result<Option<Vec<Target>>, Error> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Ok(None);
    };
    let scheme = scheme.to_ascii_lowercase();
    let of_one = scheme
        .strip_suffix(kind)
        .and_then(|it| it.strip_suffix('+'));
    let Some(of_one) = of_one else {
        return Ok(None);
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, after) = rest.split_at(end);
    let (login, hosts) = match authority.rsplit_once('@') {
        Some((login, hosts)) => (format!("{login}@"), hosts),
        None => (String::new(), authority),
    };
    let one = |host| url::parse(&format!("{of_one}://{login}{host}{after}"));
    hosts
        .split(',')
        .map(one)
        .collect::<Result<_, _>>()
        .map(Some)
}

/// The nodes that the URL of a cluster names, and the login for all of them.
///
/// # Errors
///
/// [`Error::Config`] that says what to write.
pub(super) fn seeds(text: &str) -> Result<Option<(Target, Vec<Address>)>, Error> {
    let Some(nodes) = several(text, "cluster")? else {
        return Ok(None);
    };
    let seeds = nodes.iter().map(|node| node.address.clone()).collect();
    let Some(first) = nodes.into_iter().next() else {
        return Err(Error::config("url", "it names no host"));
    };
    if first.login.db() != 0 {
        let reason = "a cluster has database 0 only; leave the number out";
        return Err(Error::config("url", reason));
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
