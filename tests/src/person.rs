//! Somebody at a browser: signs in by the page's form, keeps the cookie, and sends with a change what the page sends.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use reqwest::blocking::{Client, RequestBuilder};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use serde_json::Value;

use crate::process::until;

/// The session's cookie.
pub const COOKIE: &str = "__Host-tripline";

/// The header with the page's token.
pub const CSRF: &str = "x-csrf-token";

/// What a browser says that a form is.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// How long an answer is waited for, and asked for again: machines that run tests are slow.
const WITHIN: Duration = Duration::from_secs(60);

/// An answer that was read.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// The stable word of a problem, or nothing.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The value of a header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A client that says where it is sent instead of going there, and comes from this address of this machine.
pub fn browser(from: Ipv4Addr) -> Client {
    tripline::http::use_ring();
    let client = Client::builder().no_proxy().redirect(Policy::none()).local_address(IpAddr::V4(from));
    client.timeout(WITHIN).build().unwrap()
}

/// Sends it and reads the answer, but for one that does not end. Who is told to come later does: some limits are shared by
/// whom chance puts together, and a database may be busy.
pub fn sent(request: &RequestBuilder) -> Reply {
    let mut last: Option<Reply> = None;
    until("an answer that is not to come later", WITHIN, || {
        let answer = request.try_clone().unwrap().send().unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let kind = headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes()).unwrap_or_default();
        let is_endless = kind.starts_with(b"text/event-stream");
        let text = if is_endless { String::new() } else { answer.text().unwrap() };
        let is_later = matches!(status, 429 | 503) && headers.contains_key(RETRY_AFTER);
        last = Some(Reply { status, headers, text });
        !is_later
    });
    last.unwrap()
}

/// The form of the page where one signs in, as it is sent; where from is not said.
pub fn sign_in_form(base: &str, name: &str, password: &str) -> RequestBuilder {
    let form = format!("name={}&password={}&next=%2Fqueue", encoded(name), encoded(password));
    let request = browser(Ipv4Addr::LOCALHOST).post(format!("http://{base}/sign-in"));
    request.header(CONTENT_TYPE, FORM).body(form)
}

/// Percent-encoded for a form.
fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// Somebody who is signed in.
pub struct Person {
    client: Client,
    base: String,
    cookie: String,
    csrf: String,
}

impl Person {
    /// Signs in, and takes the token from the page that comes.
    pub fn sign_in(base: &str, name: &str, password: &str) -> Person {
        let form = sign_in_form(base, name, password).header("origin", format!("http://{base}"));
        let reply = sent(&form);
        assert_eq!((reply.status, reply.header("location")), (303, "/queue"), "{name}: {reply:?}");
        let (cookie, terms) = reply.header("set-cookie").split_once(';').unwrap();
        assert!(cookie.starts_with(&format!("{COOKIE}=")), "{reply:?}");
        let kept = ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"];
        assert!(kept.iter().all(|term| terms.contains(*term)), "{terms}");
        let (base, cookie) = (base.to_owned(), cookie.to_owned());
        let mut person = Person { client: browser(Ipv4Addr::LOCALHOST), base, cookie, csrf: String::new() };
        let page = person.get("/queue");
        let token = page.text.split("<meta name=\"csrf\" content=\"").nth(1);
        let token = token.and_then(|rest| rest.split('"').next()).unwrap_or_default();
        assert!(page.status == 200 && token.len() >= 32, "{name}: {page:?}");
        person.csrf = token.to_owned();
        person
    }

    /// The page's token.
    pub fn csrf(&self) -> &str {
        &self.csrf
    }

    /// A request with the cookie and nothing else, as another site could have it made.
    pub fn bare(&self, method: &str, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.base);
        self.client.request(method.parse().unwrap(), url).header("cookie", &self.cookie)
    }

    /// A request as the page makes it: a change carries its token, and the browser says from which site it comes.
    pub fn asking(&self, method: &str, path: &str) -> RequestBuilder {
        let request = self.bare(method, path);
        if method == "GET" {
            return request;
        }
        request.header(CSRF, &self.csrf).header("origin", format!("http://{}", self.base))
    }

    pub fn get(&self, path: &str) -> Reply {
        sent(&self.asking("GET", path))
    }

    /// Does something with an alert as it was seen, such as `claim`.
    pub fn act(&self, alert: &Value, word: &str, body: Option<&Value>) -> Reply {
        let path = format!("/v1/alerts/{}/{word}", alert["alert_id"].as_str().unwrap());
        let request = self.asking("POST", &path).header("if-match", format!("\"{}\"", alert["version"]));
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        sent(&request)
    }
}
