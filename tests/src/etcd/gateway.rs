//! Questions of the tests to etcd: its JSON gateway, so that they need nothing of what they test.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Gateway {
    port: u16,
    token: Option<String>,
}

impl Gateway {
    pub(super) fn new(port: u16, token: Option<String>) -> Self {
        Self { port, token }
    }

    pub(super) fn ask(&self, path: &str, question: &Value) -> Result<Value, String> {
        let said = self.post(path, &question.to_string());
        let said = said.map_err(|error| error.to_string())?;
        let (_, body) = said.split_once("\r\n\r\n").ok_or("no answer")?;
        let answer: Value =
            serde_json::from_str(body).map_err(|error| format!("{error}: {said}"))?;
        // Only refusals have one; the other names of their parts differ from version to version.
        match answer.get("message") {
            Some(error) => Err(error.to_string()),
            None => Ok(answer),
        }
    }

    /// What it counts, in the text format of Prometheus.
    pub(super) fn metrics(&self) -> std::io::Result<String> {
        self.send("GET /metrics HTTP/1.0\r\n\r\n")
    }

    fn post(&self, path: &str, body: &str) -> std::io::Result<String> {
        let token = match &self.token {
            Some(token) => format!("Authorization: {token}\r\n"),
            None => String::new(),
        };
        let length = body.len();
        self.send(&format!(
            "POST /v3/{path} HTTP/1.0\r\n{token}Content-Length: {length}\r\n\r\n{body}"
        ))
    }

    fn send(&self, request: &str) -> std::io::Result<String> {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request.as_bytes())?;
        let mut said = String::new();
        stream.read_to_string(&mut said)?;
        Ok(said)
    }
}

/// Bytes, as the gateway writes them.
pub(super) fn text_of(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The names of a range, and the leases that they are bound to.
pub(super) fn names(range: &Value) -> Vec<(String, u64)> {
    let found = range["kvs"].as_array().into_iter().flatten();
    let named = found.map(|place| {
        let name = STANDARD.decode(place["key"].as_str().expect("a name"));
        let name = String::from_utf8(name.expect("base64")).expect("all names are text");
        let lease = place["lease"].as_str().unwrap_or("0");
        (name, lease.parse().expect("a number"))
    });
    named.collect()
}

/// All names, by their age.
pub(super) fn everything() -> Value {
    json!({"key": "AA==", "range_end": "AA==", "keys_only": true,
        "sort_order": "ASCEND", "sort_target": "CREATE"})
}
