//! Host, process and function, as they are shown.

use serde::Serialize;

/// What is not known is `null`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Who {
    pub(crate) host: Option<String>,
    pub(crate) pid: Option<u32>,
    pub(crate) function: Option<String>,
}

impl Who {
    /// Takes `host/pid function` apart. What is not of this form is a function, as `memory://` names it.
    pub(crate) fn read(who: &str) -> Self {
        let owned = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let (place, function) = who.split_once(' ').unwrap_or((who, ""));
        let place = place.rsplit_once('/');
        let place = place.and_then(|(host, pid)| Some((host, pid.parse().ok()?)));
        match place {
            Some((host, pid)) => Self {
                host: owned(host),
                pid: Some(pid),
                function: owned(function),
            },
            None => Self {
                host: None,
                pid: None,
                function: owned(who),
            },
        }
    }

    /// Returns host and process, `-` if they are not known.
    pub(crate) fn process(&self) -> String {
        match (&self.host, self.pid) {
            (Some(host), Some(pid)) => format!("{host}/{pid}"),
            _ => "-".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_it_is_taken_apart() {
        type Parts<'a> = (Option<&'a str>, Option<u32>, Option<&'a str>);
        let cases: [(&str, Parts<'_>); 5] = [
            (
                "web-1/77 shop::pay",
                (Some("web-1"), Some(77), Some("shop::pay")),
            ),
            (
                "h/1 a place/with spaces.rs:7",
                (Some("h"), Some(1), Some("a place/with spaces.rs:7")),
            ),
            ("/77 f", (None, Some(77), Some("f"))),
            ("", (None, None, None)),
            ("src/main.rs:7", (None, None, Some("src/main.rs:7"))),
        ];
        for (text, parts) in cases {
            let who = Who::read(text);
            let found = (who.host.as_deref(), who.pid, who.function.as_deref());
            assert_eq!(found, parts, "{text}");
        }
    }
}
