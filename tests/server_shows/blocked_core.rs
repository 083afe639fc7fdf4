//! A core whose thread blocks: what it holds up, and what it does not.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use ringspun::server::{Accept, Context, Server, Stream};

use crate::child;
use crate::process::{self, Process};
use crate::support::{PATIENCE, ask, byte, wait_until};

const NEW: usize = 60;

static HELD: Mutex<bool> = Mutex::new(false);
static RELEASED: Condvar = Condvar::new();

/// Answers each byte; "c" with the core, and "b" when the whole core has been blocked for a while.
pub(crate) async fn answer(mut stream: Stream, context: Context) -> io::Result<()> {
    let mut buf = [0];
    while stream.read(&mut buf).await? > 0 {
        match &buf {
            b"c" => buf[0] = context.core() as u8,
            b"b" => {
                let mut held = HELD.lock().expect("no panic");
                *held = true;
                drop(RELEASED.wait_while(held, |held| *held).expect("no panic"));
            }
            _ => {}
        }
        stream.write_all(&buf).await?;
    }
    Ok(())
}

fn release() {
    *HELD.lock().expect("no panic") = false;
    RELEASED.notify_all();
}

#[test]
fn the_second_core() {
    holds_up_its_own_only("blocked_core::the_second_core", 1, Accept::default());
}

/// The one that hears signals and the handle.
#[test]
fn the_first_core() {
    holds_up_its_own_only("blocked_core::the_first_core", 0, Accept::default());
}

#[test]
fn the_second_core_of_one_socket() {
    holds_up_its_own_only("blocked_core::the_second_core_of_one_socket", 1, Accept::LeastLoaded);
}

#[test]
fn the_first_core_of_one_socket() {
    holds_up_its_own_only("blocked_core::the_first_core_of_one_socket", 0, Accept::LeastLoaded);
}

fn holds_up_its_own_only(name: &str, blocked: usize, accept: Accept) {
    if child::is_child() {
        let server = Server::bind("127.0.0.1:0").accept(accept);
        let server = server.handle_signals(false).on_ready(|_| {});
        return process::serve(server.serve(answer), |word| {
            assert_eq!(word, "release");
            release();
        });
    }
    let mut server = Process::start(name);
    let other = 1 - blocked;
    let (mut blocks, mut goes_on) = (on_core(&server, blocked), on_core(&server, other));
    let begun = Instant::now();
    blocks.write_all(b"b").expect("it reads");
    let turns = stands_still(&mut server, blocked);
    let before = server.figures();
    // Who is on the other core notices nothing.
    (0..100).for_each(|_| ask(&mut goes_on, "x"));
    let (mut new, mut answered) = (Vec::new(), Vec::new());
    for _ in 0..NEW {
        let mut client = server.connect();
        client.write_all(b"x").expect("the kernel takes it");
        client.set_read_timeout(Some(Duration::from_millis(20))).expect("not zero");
        let answer = client.read(&mut [0]);
        // Those that are served stay: their core has more and more, and would hand over.
        if answer.is_ok() { &mut answered } else { &mut new }.push(client);
    }
    std::thread::sleep(Duration::from_secs(2).saturating_sub(begun.elapsed()));
    // A client may have been answered after it was asked about.
    let late = |client: &TcpStream| client.peek(&mut [0]).is_ok();
    let waiting = new.iter().filter(|client| !late(client)).count() as u64;
    let now = server.figures();
    assert_eq!(stands_still(&mut server, blocked), turns, "it is blocked for ever");
    assert_eq!(now.of(blocked, "tasks_running"), 1);
    assert_eq!(now.of(blocked, "accepted"), before.of(blocked, "accepted"));
    let since = |name| now.of(other, name) - before.of(other, name);
    let (accepted, handed) = (since("accepted"), since("handed_over"));
    eprintln!(
        "core {blocked} blocked for 2 s, {NEW} new connections: {} answered at once, \
         {accepted} taken by the other core, {handed} handed over",
        answered.len()
    );
    assert_eq!(NEW as u64 - waiting, accepted - handed, "who is taken and kept is served");
    if accept == Accept::LeastLoaded {
        assert_eq!(accepted, NEW as u64, "all cores accept from the one socket");
    }
    // A core that does not come for what it was sent is sent no more.
    assert!(handed * 3 <= accepted, "{handed} of {accepted}");
    server.tell("release");
    assert_eq!(byte(&mut blocks), b'b');
    for client in &mut new {
        client.set_read_timeout(Some(PATIENCE)).expect("not zero");
        assert_eq!(byte(client), b'x', "it was only late");
    }
    drop((new, answered, blocks, goes_on));
    let figures = server.is_as_before();
    let blocked_for = figures.of(blocked, "longest_poll_ms");
    assert!(blocked_for >= 1500, "{blocked_for} ms");
    let accepted = figures.total("accepted");
    let report = server.drain(PATIENCE);
    assert_eq!((&report["cut"], &report["finished"]), (&0.into(), &accepted.into()));
}

/// A connection there.
fn on_core(server: &Process, core: usize) -> TcpStream {
    let mut others = Vec::new();
    loop {
        let mut client = server.connect();
        client.write_all(b"c").expect("it reads");
        if usize::from(byte(&mut client)) == core {
            return client;
        }
        others.push(client);
    }
}

/// Waits until the core does nothing and does not sleep either; gives its turns.
fn stands_still(server: &mut Process, core: usize) -> u64 {
    let mut last = None;
    wait_until("the core is blocked", || {
        let figures = server.figures();
        let now = (!figures.is_asleep(core)).then(|| figures.of(core, "turns"));
        let is_still = now.is_some() && now == last;
        last = now;
        std::thread::sleep(Duration::from_millis(20));
        is_still
    });
    last.expect("it was seen twice")
}
