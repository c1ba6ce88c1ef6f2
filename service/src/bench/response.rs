//! One answer of HTTP/1.1 as a load's client needs it: its status, and where it ends. Not a client for strangers: it
//! knows `content-length` only, which all our answers have.

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// The server ends the connection.
    pub closes: bool,
    /// It is a decision that names a fallback.
    pub is_fallback: bool,
}

/// What a decision without a fallback has.
const NO_FALLBACK: &[u8] = b"\"fallback\":null";

/// The answer, once it is whole.
pub fn parse(bytes: &[u8]) -> Option<Response> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = (bytes.get(..end)?, bytes.get(end + 4..)?);
    let status = std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()?;
    let (mut length, mut closes) = (0, false);
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?.trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            length = std::str::from_utf8(value).ok()?.parse().ok()?;
        } else if name.eq_ignore_ascii_case(b"connection") {
            closes = value.eq_ignore_ascii_case(b"close");
        }
    }
    let body = body.get(..length)?;
    let is_fallback =
        status == 200 && length > 0 && !body.windows(NO_FALLBACK.len()).any(|part| part == NO_FALLBACK);
    Some(Response { status, closes, is_fallback })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_there_when_its_last_byte_is() {
        let whole =
            b"HTTP/1.1 200 OK\r\nContent-Length: 19\r\nconnection: close\r\n\r\n{\"fallback\":null,1}";
        let expected = Response { status: 200, closes: true, is_fallback: false };
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), None);
        }
        assert_eq!(parse(whole), Some(expected));
        let other = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnull";
        assert_eq!(parse(other), Some(Response { status: 200, closes: false, is_fallback: true }));
        let shed = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(parse(shed), Some(Response { status: 503, closes: false, is_fallback: false }));
    }
}
