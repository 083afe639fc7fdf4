//! More connections than there may be.

use std::io::{self, Write};
use std::time::Duration;

use ringspun::server::{Server, WhenFull};

use crate::support::{PATIENCE, ask, assert_ended, echo, start, wait_until};

fn limited(to: usize) -> Server {
    let server = Server::bind("127.0.0.1:0").cores(2).handle_signals(false);
    server.on_ready(|_| {}).max_connections(to)
}

#[test]
fn those_who_wait_are_served_when_others_end() {
    const ROOM: usize = 4;
    let running = start(limited(ROOM).serve(echo));
    let mut clients: Vec<_> = (0..40).map(|_| running.connect()).collect();
    for client in &mut clients {
        client.write_all(b"x").expect("it is taken, if only by the kernel");
    }
    // Whoever is answered makes room for one more.
    let mut served = 0;
    while !clients.is_empty() {
        wait_until("somebody is served", || running.handle.connections() > 0);
        assert!(running.handle.connections() <= ROOM);
        let before = clients.len();
        clients.retain_mut(|client| {
            client.set_nonblocking(true).expect("a socket");
            match io::Read::read(client, &mut [0; 1]) {
                Ok(1) => false,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
                other => panic!("{other:?}"),
            }
        });
        served += before - clients.len();
        if before == clients.len() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    assert_eq!(served, 40);
    let all = running.drain(PATIENCE).totals();
    assert_eq!((all.accepted, all.refused, all.cut), (40, 0, 0));
}

#[test]
fn who_is_too_many_is_told_so() {
    let running = start(limited(2).refuse_with(b"full\n").serve(echo));
    let (mut one, mut other) = (running.connect(), running.connect());
    ask(&mut one, "hello");
    ask(&mut other, "hello");
    for _ in 0..10 {
        let mut third = running.connect();
        // A request lies unread in the socket, and the answer comes all the same.
        third.write_all(b"let me in").expect("it is taken");
        assert_eq!(io::read_to_string(third).expect("no reset"), "full\n");
    }
    drop(one);
    wait_until("there is room", || running.handle.connections() == 1);
    ask(&mut running.connect(), "hello");
    drop(other);
    let all = running.drain(PATIENCE).totals();
    assert_eq!((all.accepted, all.refused), (3, 10));
}

#[test]
fn who_is_too_many_is_closed() {
    let running = start(limited(1).when_full(WhenFull::Refuse).serve(echo));
    let mut one = running.connect();
    ask(&mut one, "hello");
    assert_ended(&mut running.connect());
    ask(&mut one, "still here");
}

#[test]
fn a_limit_for_each_core() {
    let server = Server::bind("127.0.0.1:0").cores(2).handle_signals(false).on_ready(|_| {});
    let server = server.max_connections_per_core(3).when_full(WhenFull::Refuse);
    let running = start(server.serve(echo));
    // Whatever core they come to, the other takes what is too much for it.
    let mut clients: Vec<_> = (0..6).map(|_| running.connect()).collect();
    clients.iter_mut().for_each(|client| ask(client, "hello"));
    assert_eq!(running.handle.connections_by_core(), [3, 3]);
    assert_ended(&mut running.connect());
}
