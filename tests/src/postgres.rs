//! The real Postgres of the tests, started once for the test process by the project's own scripts, and databases in it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::servers::{Servers, script};

/// A running Postgres: fsync on, 200 connections, its user is a superuser trusted from loopback.
pub struct Postgres {
    /// Of the database `postgres`.
    pub url: String,
    pub dir: PathBuf,
    databases: AtomicU32,
}

impl Servers {
    /// The Postgres that all tests of this process share, started when the first one asks. A watcher ends it when the
    /// process ends, however it does.
    pub fn postgres() -> &'static Postgres {
        static POSTGRES: OnceLock<Postgres> = OnceLock::new();
        POSTGRES.get_or_init(Postgres::start)
    }
}

impl Postgres {
    /// One of one's own, to be killed and started again.
    pub fn start() -> Postgres {
        let dir = tempfile::Builder::new().prefix("tripline-test-").tempdir().unwrap().keep();
        std::fs::remove_dir(&dir).unwrap();
        Postgres { url: up(&dir), dir, databases: AtomicU32::new(0) }
    }

    /// Makes an empty database; gives its url. The name is for whoever reads the server's log: two tests may use one.
    pub fn create_database(&self, name: &str) -> String {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        assert!(
            !name.is_empty() && name.bytes().all(is_plain),
            "a database's name is of a-z, 0-9 and _: {name}"
        );
        let name = format!("{name}_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        query(&self.url, &format!("create database \"{name}\""));
        let (server, _) = self.url.rsplit_once('/').unwrap();
        format!("{server}/{name}")
    }

    /// Stops it: `TERM` ends it in good order and does not wait for clients, `KILL` is a crash. The data stay.
    pub fn stop(&self, signal: &str) {
        script("down", &["postgres", "--signal", signal, "--dir", self.dir.to_str().unwrap()]);
    }

    /// Starts it again on the same port with the same data.
    pub fn again(&self) {
        assert_eq!(up(&self.dir), self.url);
    }
}

fn up(dir: &std::path::Path) -> String {
    let parent = std::process::id().to_string();
    let text = script("up", &["postgres", "--json", "--dir", dir.to_str().unwrap(), "--parent", &parent]);
    let said: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    said["postgres"]["url"].as_str().unwrap().to_owned()
}

/// Asks a database; gives the answer in psql's plain form, a row a line, fields between bars.
pub fn query(url: &str, text: &str) -> String {
    let mut psql = Command::new("psql");
    // A setting of the user's for other servers must not reach this one.
    let names = std::env::vars_os().map(|(name, _)| name);
    names
        .filter(|name| name.as_encoded_bytes().starts_with(b"PG"))
        .for_each(|name| _ = psql.env_remove(name));
    psql.args(["--no-psqlrc", "--no-password", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-c", text, url]);
    let out = psql.output().unwrap_or_else(|error| panic!("psql: {error}"));
    assert!(out.status.success(), "{text}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().trim_end().to_owned()
}
