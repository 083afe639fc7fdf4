//! HTTP/1 by raw peers.

use std::io::Write;
use std::time::Duration;

use ringspun::server::Http;

use super::support::{AMPLE, PATIENCE, SHORT, serve};

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let served = serve(Http::new());
    let mut peer = served.connect();
    let one = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: here\r\n\r\n");
    peer.send(&(one("/1") + &one("/2") + &one("/3")));
    for path in ["/1", "/2", "/3"] {
        let answer = peer.answer();
        assert_eq!((answer.status, answer.body), (200, format!("this is {path}")));
    }
    assert!(!peer.get("/4").is_last());
}

#[test]
fn a_peer_that_says_nothing_is_let_go() {
    let served = serve(Http::new().header_timeout(SHORT));
    served.connect().expect_cut();
    let error = served.outcome().expect_err("no request came");
    assert!(error.contains("no complete head"), "{error}");
}

#[test]
fn a_head_that_drips_in_has_no_more_time_than_any() {
    let served = serve(Http::new().header_timeout(SHORT));
    let mut peer = served.connect();
    peer.send("GET / HTTP/1.1\r\n");
    // Until it is cut off; each byte alone would be in time.
    while peer.stream.write_all(b"x").is_ok() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let error = served.outcome().expect_err("the head never ended");
    assert!(error.contains("no complete head"), "{error}");
}

#[test]
fn a_second_head_has_its_time_from_its_first_byte() {
    let served = serve(Http::new().header_timeout(AMPLE));
    let mut peer = served.connect();
    peer.get("/first");
    // Between requests other times hold.
    std::thread::sleep(AMPLE + SHORT);
    assert!(served.all_are_open());
    assert_eq!(peer.get("/second").status, 200);
    peer.send("GET /third HTTP/1.1\r\n");
    peer.expect_cut();
    assert!(served.outcome().is_err());
}

#[test]
fn silence_after_a_request_ends_the_connection_as_agreed() {
    let served = serve(Http::new().keep_alive_timeout(SHORT));
    let mut peer = served.connect();
    peer.get("/");
    peer.expect_end();
    assert_eq!(served.outcome(), Ok(()));
}

#[test]
fn a_handler_that_takes_long_is_no_silence() {
    let served = serve(Http::new().keep_alive_timeout(SHORT));
    let mut peer = served.connect();
    peer.send("GET /wait HTTP/1.1\r\nhost: here\r\n\r\n");
    served.waiting.recv_timeout(PATIENCE).expect("the handler runs");
    std::thread::sleep(3 * SHORT);
    assert!(served.all_are_open());
    served.gate.cancel();
    assert_eq!(peer.answer().body, "waited");
}

#[test]
fn a_body_that_stalls_ends_the_connection_with_an_answer() {
    let served = serve(Http::new().body_timeout(SHORT));
    let mut peer = served.connect();
    peer.send("POST /echo HTTP/1.1\r\nhost: here\r\ncontent-length: 10\r\n\r\n123");
    let answer = peer.answer();
    assert_eq!(answer.status, 408, "{answer:?}");
    assert!(answer.is_last(), "{answer:?}");
    peer.expect_end();
}

#[test]
fn a_body_that_moves_may_take_longer_than_its_timeout() {
    let served = serve(Http::new().body_timeout(AMPLE));
    let mut peer = served.connect();
    peer.send("POST /echo HTTP/1.1\r\nhost: here\r\ncontent-length: 10\r\n\r\n");
    for _ in 0..10 {
        std::thread::sleep(AMPLE / 8);
        peer.send("x");
    }
    let answer = peer.answer();
    assert_eq!((answer.status, &*answer.body), (200, "xxxxxxxxxx"));
}

#[test]
fn a_peer_that_takes_nothing_is_cut_off() {
    let served = serve(Http::new().write_timeout(SHORT));
    let mut peer = served.connect();
    peer.send("GET /big HTTP/1.1\r\nhost: here\r\n\r\n");
    let error = served.outcome().expect_err("it never read");
    assert!(error.contains("took nothing"), "{error}");
}

#[test]
fn a_head_that_is_too_large_is_refused_with_a_reason() {
    let served = serve(Http::new().max_header_size(8 * 1024));
    let mut peer = served.connect();
    let long = "x".repeat(20_000);
    peer.send(&format!("GET / HTTP/1.1\r\nhost: here\r\nlong: {long}\r\n\r\n"));
    assert_eq!(peer.answer().status, 431);
    peer.expect_end();
}

#[test]
fn a_panic_costs_one_request_and_its_connection() {
    let served = serve(Http::new());
    let (mut peer, mut other) = (served.connect(), served.connect());
    assert_eq!(other.get("/").status, 200);
    let answer = peer.get("/panic");
    assert_eq!(answer.status, 500);
    assert!(answer.is_last(), "{answer:?}");
    peer.expect_end();
    assert_eq!(other.get("/").status, 200);
}

#[test]
fn an_idle_connection_has_one_more_request_after_the_drain_began() {
    let served = serve(Http::new());
    let mut peer = served.connect();
    assert!(!peer.get("/before").is_last());
    served.drain.cancel();
    // That the server has seen the drain: a second connection's answer says so.
    let mut witness = served.connect();
    assert!(witness.get("/witness").is_last());
    witness.expect_end();
    assert_eq!(served.outcome(), Ok(()));
    assert!(served.all_are_open());
    let answer = peer.get("/after");
    assert_eq!(&*answer.body, "this is /after");
    assert!(answer.is_last(), "{answer:?}");
    peer.expect_end();
}

#[test]
fn a_connection_that_has_not_spoken_has_its_request_after_the_drain_began() {
    let served = serve(Http::new());
    let mut silent = served.connect();
    served.drain.cancel();
    assert!(served.connect().get("/witness").is_last());
    let answer = silent.get("/late");
    assert_eq!(&*answer.body, "this is /late");
    assert!(answer.is_last());
    silent.expect_end();
}

#[test]
fn a_request_under_way_is_answered_after_the_drain_began() {
    let served = serve(Http::new());
    let mut peer = served.connect();
    peer.send("GET /wait HTTP/1.1\r\nhost: here\r\n\r\n");
    served.waiting.recv_timeout(PATIENCE).expect("the handler runs");
    served.drain.cancel();
    assert!(served.connect().get("/witness").is_last());
    served.gate.cancel();
    let answer = peer.answer();
    assert_eq!(&*answer.body, "waited");
    assert!(answer.is_last(), "{answer:?}");
    peer.expect_end();
}

#[test]
fn the_last_answer_arrives_though_more_was_sent() {
    let served = serve(Http::new());
    served.drain.cancel();
    let mut peer = served.connect();
    // More than one read takes, so that something is unread when the server is done.
    let request = format!("GET /1 HTTP/1.1\r\nhost: here\r\nx: {}\r\n\r\n", "y".repeat(4000));
    peer.send(&request.repeat(50));
    let answer = peer.answer();
    assert_eq!(&*answer.body, "this is /1");
    assert!(answer.is_last());
    peer.expect_end();
}
