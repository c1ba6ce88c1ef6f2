//! The names under which the service may be asked for.
//!
//! A page of another site can point its own name at this machine (DNS rebinding) and then read what listens on loopback
//! as if it were its own; the browser still says the page's name in `Host`. So on loopback only loopback's names are
//! taken. Elsewhere every name is, unless `http.hosts` lists them: there a key is what keeps strangers out.

use std::net::SocketAddr;

/// The names.
#[derive(Debug, Clone)]
pub struct Hosts {
    names: Vec<String>,
    is_any: bool,
}

impl Hosts {
    /// What is taken by one who listens here; `names` are the user's own, in lower case, with a port or for any.
    pub fn of(listen: SocketAddr, default_port: u16, names: &[String]) -> Self {
        let mut names = names.to_vec();
        let is_any = names.is_empty() && !listen.ip().is_loopback();
        if listen.ip().is_loopback() {
            let port = listen.port();
            let own = ["localhost".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned(), bracketed(listen)];
            for name in own {
                if port == default_port {
                    names.push(name.clone());
                }
                names.push(format!("{name}:{port}"));
            }
        }
        Self { names, is_any }
    }

    /// Whether a request for this host is for us.
    pub fn accept(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let name = name_of(&host);
        let is_own = |own: &String| *own == host || (own == name && name_of(own) == own);
        !name.is_empty() && (self.is_any || self.names.iter().any(is_own))
    }
}

fn bracketed(listen: SocketAddr) -> String {
    match listen {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}

/// The host without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}
