//! Bytes to the door and back: what a client library would not send.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// An answer, taken apart.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let line =
            |line: &str| line.split_once(':').filter(|(key, _)| key.eq_ignore_ascii_case(name)).is_some();
        Some(self.head.lines().find(|one| line(one))?.split_once(':')?.1.trim())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The stable word of a problem, or nothing.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A connection with patience.
pub fn connect(base: &str) -> TcpStream {
    let stream = TcpStream::connect(base).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// The head of a request: `POST /v1/score`, host and key, and these lines, each with its end.
pub fn head(base: &str, what: &str, key: &str, more: &str) -> Vec<u8> {
    format!(
        "{what} HTTP/1.1\r\nhost: {base}\r\nauthorization: Bearer {key}\r\nconnection: close\r\n{more}\r\n"
    )
    .into()
}

/// A payment's request with these lines and this body.
pub fn post(base: &str, what: &str, key: &str, more: &str, body: &[u8]) -> Vec<u8> {
    let length = format!("content-type: application/json\r\ncontent-length: {}\r\n{more}", body.len());
    [head(base, what, key, &length), body.to_vec()].concat()
}

/// Sends bytes, and reads the answer to its end. A server that refuses early may hang up while we send.
pub fn exchange(base: &str, request: &[u8]) -> io::Result<Answer> {
    let mut stream = connect(base);
    let mut reader = stream.try_clone()?;
    let sends = request.to_vec();
    let sender = std::thread::spawn(move || stream.write_all(&sends));
    let answer = answer(&mut reader);
    let _ = sender.join();
    answer
}

/// Reads one answer.
pub fn answer(stream: &mut TcpStream) -> io::Result<Answer> {
    let (mut bytes, mut some) = (Vec::new(), [0; 4_096]);
    loop {
        if let Some(answer) = whole(&bytes) {
            return Ok(answer);
        }
        match stream.read(&mut some)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => bytes.extend_from_slice(&some[..read]),
        }
    }
}

/// The answer, once its body is there: by its length, since the door names one.
fn whole(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
    let answer =
        Answer { status: head.split(' ').nth(1)?.parse().ok()?, body: bytes[end + 4..].to_vec(), head };
    let length: usize = answer.header("content-length").map_or(Some(0), |length| length.parse().ok())?;
    (answer.body.len() >= length).then_some(answer)
}
