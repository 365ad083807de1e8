//! URLs and variables: no panic, and no password in what is shown.
#![no_main]

use libfuzzer_sys::fuzz_target;

const CANARY: &str = "s3cret";

fuzz_target!(|texts: (u8, &str, &str, &str)| {
    let (scheme, user, noise, rest) = texts;
    let scheme =
        ["redis", "rediss", "memory", "unix", "ftp", "redis+unix"][usize::from(scheme % 6)];
    let _ = lockattr::fuzzing::url(rest);
    // A password ends at the last `@`; the text after it belongs to the host.
    let tail: String = rest.chars().filter(|c| *c != '@').collect();
    for url in [
        format!("{scheme}://{user}:{CANARY}{noise}@{tail}"),
        format!("{scheme}://host/{tail}?pass={noise}{CANARY}"),
    ] {
        let (shown, error) = lockattr::fuzzing::url(&url);
        let shown = format!("{shown} {}", error.unwrap_or_default());
        assert!(
            !shown.contains(CANARY) || tail.contains(CANARY),
            "{url}: {shown}"
        );
    }
    for variable in ["TTL", "WAIT", "CONNECTIONS", "STRICT"] {
        let result = lockattr::fuzzing::variables(|name| match name.strip_prefix("LOCKATTR_") {
            Some("URL") => Some("memory://".to_owned()),
            Some(name) if name == variable => Some(rest.to_owned()),
            _ => None,
        });
        assert!(result.is_ok() || result.is_err_and(|error| error.contains(variable)));
    }
});
