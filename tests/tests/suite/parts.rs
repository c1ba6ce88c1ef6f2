//! The real parts themselves: a Postgres that crashes and comes back, and a browser whose failures are seen.

use harness::browser::browser;
use harness::postgres::{Postgres, query};
use harness::servers::Servers;
use serde_json::json;

#[test]
fn postgres_keeps_what_it_acknowledged_over_a_crash() {
    if crate::fast() {
        return;
    }
    let own = Postgres::start();
    let url = own.create_database("crash");
    query(&url, "create table told (n int)");
    query(&url, "insert into told values (42)");
    own.stop("KILL");
    own.again();
    assert_eq!(query(&url, "select n from told"), "42");
    assert_eq!(query(&url, "show fsync"), "on");
    own.stop("TERM");
}

#[test]
fn databases_of_one_name_are_two() {
    if crate::fast() {
        return;
    }
    let [one, other] = [(); 2].map(|()| Servers::postgres().create_database("same"));
    assert_ne!(one, other);
    query(&one, "create table here (n int)");
    assert_eq!(query(&other, "select count(*) from pg_tables where tablename = 'here'"), "0");
}

#[test]
fn a_scenario_that_there_is_not_fails() {
    if crate::fast() {
        return;
    }
    let nowhere = json!({"base": "http://127.0.0.1:9"});
    let ran = std::panic::catch_unwind(|| browser("queue", &nowhere, &["no_such_scenario"]));
    let why = ran.unwrap_err().downcast::<String>().unwrap();
    assert!(why.ends_with("a scenario failed, see above"), "{why}");
}
