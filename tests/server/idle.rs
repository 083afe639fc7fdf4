//! Connections on which nothing moves.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use ringspun::server::{Context, Server, Stream};

use crate::support::{PATIENCE, ask, assert_ended, echo, start, wait_until};

const LIMIT: Duration = Duration::from_millis(400);

fn server() -> Server {
    let server = Server::bind("127.0.0.1:0").cores(2).handle_signals(false);
    server.on_ready(|_| {}).idle_timeout(LIMIT)
}

#[test]
fn ended_and_never_early() {
    let running = start(server().serve(echo));
    let mut client = running.connect();
    ask(&mut client, "hello");
    let begun = Instant::now();
    assert_ended(&mut client);
    // The answer was written before it was read here.
    assert!(begun.elapsed() + Duration::from_millis(100) > LIMIT, "{:?}", begun.elapsed());
    let all = running.drain(PATIENCE).totals();
    assert_eq!((all.idle_closed, all.finished, all.cut), (1, 0, 0));
}

#[test]
fn one_that_never_says_anything() {
    let running = start(server().serve(echo));
    let clients: Vec<_> = (0..50).map(|_| running.connect()).collect();
    wait_until("they are ended", || running.handle.connections() == 0);
    drop(clients);
    wait_until("all are counted", || running.handle.connections() == 0);
    assert_eq!(running.drain(PATIENCE).totals().idle_closed, 50);
}

#[test]
fn one_whose_client_does_not_read() {
    async fn pour(mut stream: Stream, _: Context) -> io::Result<()> {
        loop {
            stream.write_all(&[7; 65536]).await?;
        }
    }
    let running = start(server().serve(pour));
    let mut client = running.connect();
    wait_until("it has begun", || running.handle.connections() == 1);
    wait_until("it is ended", || running.handle.connections() == 0);
    // What was sent is there still.
    let mut buf = [0; 1024];
    assert!(client.read(&mut buf).is_ok());
    assert_eq!(running.drain(PATIENCE).totals().idle_closed, 1);
}

#[test]
fn one_that_goes_on_is_left_alone() {
    let server = Server::bind("127.0.0.1:0").cores(1).handle_signals(false).on_ready(|_| {});
    // Far longer than between two words, also on a loaded machine.
    let running = start(server.idle_timeout(Duration::from_secs(5)).serve(echo));
    let mut client = running.connect();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(7) {
        ask(&mut client, "on and on");
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(client);
    assert_eq!(running.drain(PATIENCE).totals().idle_closed, 0);
}
