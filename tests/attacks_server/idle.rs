//! Idleness: never early.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use ringspun::server::{Context, Server, Stream};

use crate::support::{PATIENCE, ask, assert_ended, byte, echo, start, wait_until};

const LIMIT: Duration = Duration::from_secs(1);

fn server() -> Server {
    Server::bind("127.0.0.1:0").cores(1).handle_signals(false).idle_timeout(LIMIT)
}

#[test]
fn one_send_that_takes_longer_than_the_limit() {
    const LEN: usize = 24 << 20;
    let server = server().serve(|stream: Stream, _: Context| async move {
        let (result, _) = stream.send(vec![7; LEN]).await;
        assert_eq!(result?, LEN);
        std::io::Result::Ok(())
    });
    let running = start(server);
    let mut client = running.connect();
    let (mut read, begun) = (0, Instant::now());
    let mut buf = vec![0; 64 << 10];
    // It takes a little all the time, and all of it in more than three times the limit.
    while read < LEN {
        let count = client.read(&mut buf).expect("it is not cut off");
        assert!(count > 0, "the end after {read} bytes");
        read += count;
        if begun.elapsed() < LIMIT * 4 {
            std::thread::sleep(Duration::from_millis(30));
        }
    }
    assert!(begun.elapsed() > LIMIT * 3);
    let totals = running.drain(PATIENCE).totals();
    assert_eq!((totals.finished, totals.failed, totals.idle_closed), (1, 0, 0));
}

#[test]
fn a_send_that_nobody_takes_is_idle() {
    let server = server().serve(|stream: Stream, _: Context| async move {
        let (result, _) = stream.send(vec![7; 64 << 20]).await;
        result.map(drop)
    });
    let running = start(server);
    let _client = running.connect();
    wait_until("it has begun", || running.handle.connections() == 1);
    wait_until("it is ended", || running.handle.connections() == 0);
    assert_eq!(running.drain(PATIENCE).totals().idle_closed, 1);
}

#[test]
fn bytes_that_came_while_the_core_was_blocked() {
    let server = server().serve(|mut stream: Stream, _: Context| async move {
        let mut buf = [0; 1];
        while stream.read(&mut buf).await? > 0 {
            if buf == *b"b" {
                // Longer than the limit, and all the others cannot be heard meanwhile.
                std::thread::sleep(LIMIT * 3);
            }
            stream.write_all(&buf).await?;
        }
        std::io::Result::Ok(())
    });
    let running = start(server);
    let (mut blocking, mut other) = (running.connect(), running.connect());
    ask(&mut other, "a");
    blocking.write_all(b"b").expect("it is taken");
    for _ in 0..6 {
        std::thread::sleep(LIMIT / 2);
        other.write_all(b"a").expect("it is taken");
    }
    for _ in 0..6 {
        assert_eq!(byte(&mut other), b'a');
    }
    assert_eq!(byte(&mut blocking), b'b');
    drop((blocking, other));
    assert_eq!(running.drain(PATIENCE).totals().idle_closed, 0);
}

#[test]
fn a_stream_that_was_split_and_moved_on() {
    let server = server().serve(|stream: Stream, _: Context| async move {
        let (mut read, mut write) = stream.into_tcp().expect("TCP").into_split();
        let copying = ringspun::spawn(async move {
            let mut buf = [0; 64];
            loop {
                match read.read(&mut buf).await? {
                    0 => return std::io::Result::Ok(()),
                    count => write.write_all(&buf[..count]).await?,
                }
            }
        });
        copying.await.map_err(std::io::Error::other)?
    });
    let running = start(server);
    let mut client = running.connect();
    for _ in 0..8 {
        ask(&mut client, "hello");
        std::thread::sleep(LIMIT / 4);
    }
    drop(client);
    assert_eq!(running.drain(PATIENCE).totals().idle_closed, 0);
}

#[test]
fn silent_ones_go_and_give_their_places_back() {
    let running = start(server().max_connections(4).serve(echo));
    let mut clients: Vec<_> = (0..12).map(|_| running.connect()).collect();
    clients.iter_mut().for_each(assert_ended);
    wait_until("all places are back", || running.handle.connections() == 0);
    let totals = running.drain(PATIENCE).totals();
    assert_eq!((totals.accepted, totals.idle_closed), (12, 12));
}
