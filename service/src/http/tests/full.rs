//! The porter over a real socket: who asks for a decision while the door is full, and who asks for something else.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;

#[tokio::test]
async fn i16_while_the_door_is_full_decisions_are_refused_before_all_else_and_the_rest_goes_on() {
    let (full, asked) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let (told, counted) = (Arc::clone(&full), Arc::clone(&asked));
    let is_full: IsFull = Arc::new(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        told.load(Ordering::Relaxed)
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let porter = Porter::new(Some(is_full), router(gate(address), sources())).await;
    let service = ServiceExt::<Request>::into_make_service_with_connect_info::<Remote>(porter);
    tokio::spawn(axum::serve(Door::new(listener, None), service).into_future());
    for path in ["/v1/score", "/v1/score?dry_run=true"] {
        // No key, and a body that never comes: neither is looked at.
        let answer = ask_with(address, "POST", path, "content-length: 100\r\n").await;
        assert_eq!((answer.status, &answer.json()["code"]), (503, &"overloaded".into()), "{path}");
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    assert_eq!(ask(address, "GET", "/livez").await.status, 200);
    assert_eq!(ask(address, "GET", "/v1/score").await.status, 405);
    assert_eq!(ask(address, "POST", "/v1/labels").await.status, 401);
    assert_eq!(ask(address, "POST", "/v1/score/batch").await.status, 401);
    assert_eq!(asked.load(Ordering::Relaxed), 2, "nobody else is asked whether it is full");
    full.store(false, Ordering::Relaxed);
    assert_eq!(ask(address, "POST", "/v1/score").await.status, 401, "then as ever: the key first");
}
