//! What clients and handlers do to a server: it goes on, nothing leaks, and the metrics show it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ringspun::server::{Context, Server, Stream};

use crate::child;
use crate::process::{self, Process};
use crate::support::{PATIENCE, ask, echo, wait_until};

fn server() -> Server {
    Server::bind("127.0.0.1:0").handle_signals(false).on_ready(|_| {})
}

/// Takes out those that have got an answer.
fn take_answered(clients: &mut Vec<TcpStream>) -> Vec<TcpStream> {
    let mut answered = Vec::new();
    for mut client in std::mem::take(clients) {
        client.set_nonblocking(true).expect("a socket");
        match client.read(&mut [0; 16]) {
            Ok(1..) => answered.push(client),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => clients.push(client),
            other => panic!("{other:?} and no answer"),
        }
    }
    for client in answered.iter().chain(&*clients) {
        client.set_nonblocking(false).expect("a socket");
    }
    answered
}

#[test]
fn descriptors_that_run_out() {
    const CLIENTS: usize = 150;
    if child::is_child() {
        return process::serve(server().serve(echo), |_| {});
    }
    let name = "abuse::descriptors_that_run_out";
    let mut server = Process::start_by(name, "ulimit -n 64; exec \"$@\"");
    let mut waiting: Vec<TcpStream> = (0..CLIENTS).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.write_all(b"hello").expect("it is taken, if only by the kernel");
    }
    wait_until("it runs out", || server.figures().total("accept_errors") > 0);
    let mut served = take_answered(&mut waiting);
    wait_until("those that it has are served", || {
        served.append(&mut take_answered(&mut waiting));
        server.figures().total("connections") == served.len() as u64
    });
    let (errors, cpu) = (server.figures().total("accept_errors"), server.cpu_time());
    std::thread::sleep(Duration::from_secs(1));
    // Two loops with a pause of 10 ms at the least, and longer each time.
    let more = server.figures().total("accept_errors") - errors;
    let busy = server.cpu_time() - cpu;
    eprintln!("1 s without descriptors: {more} failed accepts, {busy:?} of CPU time");
    assert!(more <= 200 && busy < Duration::from_millis(500), "it spins: {more}, {busy:?}");
    // Who is in is served all the while.
    served.iter_mut().for_each(|client| ask(client, "still here"));
    // Whoever goes makes room for another one.
    let mut all = served.len();
    drop(served);
    wait_until("all are served", || {
        all += take_answered(&mut waiting).len();
        waiting.is_empty()
    });
    assert_eq!(all, CLIENTS);
    let figures = server.is_as_before();
    let accepted = figures.total("accepted");
    assert!(accepted >= CLIENTS as u64, "{accepted}");
    let report = server.drain(PATIENCE);
    assert_eq!((&report["cut"], &report["finished"]), (&0.into(), &accepted.into()));
}

#[test]
fn a_flood_of_connects_that_never_send() {
    const ROOM: usize = 50;
    const FLOOD: usize = 200;
    if child::is_child() {
        let server = server().max_connections(ROOM).idle_timeout(Duration::from_millis(200));
        return process::serve(server.serve(echo), |_| {});
    }
    let mut server = Process::start("abuse::a_flood_of_connects_that_never_send");
    let flood: Vec<TcpStream> = (0..FLOOD).map(|_| server.connect()).collect();
    let mut good = server.connect();
    good.write_all(b"hello").expect("the kernel takes it");
    good.set_nonblocking(true).expect("a socket");
    let mut answer = [0; 5];
    let mut most = 0;
    wait_until("a good client is served", || {
        most = most.max(server.figures().total("connections"));
        good.read(&mut answer).is_ok()
    });
    assert!(&answer == b"hello" && most <= ROOM as u64, "{most}");
    drop(good);
    // They end though their peers stay.
    let idle_closed = |server: &mut Process| server.figures().total("idle_closed") as usize;
    wait_until("the flood is let go", || idle_closed(&mut server) >= FLOOD);
    let figures = server.is_as_before();
    assert_eq!(figures.total("handler_errors"), 0);
    drop(flood);
    assert_eq!(server.drain(PATIENCE)["cut"], 0);
}

/// So much is written to each; the kernel keeps some MB of it at most.
const BLOCK: usize = 64 << 10;
const BLOCKS: usize = 1024;

async fn much_or_echo(mut stream: Stream, context: Context) -> io::Result<()> {
    let mut first = [0];
    stream.read_exact(&mut first).await?;
    stream.write_all(&first).await?;
    if &first != b"w" {
        return echo(stream, context).await;
    }
    let block = vec![b'x'; BLOCK];
    for _ in 0..BLOCKS {
        stream.write_all(&block).await?;
    }
    Ok(())
}

/// Ops that wait for room in a socket.
fn writing(server: &mut Process) -> u64 {
    let figures = server.figures();
    figures.op("SEND") + figures.op("POLL_ADD")
}

#[test]
fn readers_that_are_slow() {
    const SLOW: usize = 40;
    if child::is_child() {
        return process::serve(server().serve(much_or_echo), |_| {});
    }
    let mut server = Process::start("abuse::readers_that_are_slow");
    let before = server.memory();
    let mut slow: Vec<TcpStream> = (0..SLOW).map(|_| server.connect()).collect();
    slow.iter_mut().for_each(|client| client.write_all(b"w").expect("it reads"));
    wait_until("they are in its way", || writing(&mut server) == SLOW as u64);
    let mut good: Vec<TcpStream> = (0..8).map(|_| server.connect()).collect();
    for turn in 0..400 {
        ask(&mut good[turn % 8], "hello");
        slow[turn % SLOW].read_exact(&mut [0]).expect("there is much");
    }
    let more = server.memory().saturating_sub(before) >> 20;
    let asked = (SLOW * BLOCK * BLOCKS) >> 20;
    eprintln!("{SLOW} slow readers of {asked} MB in all: {more} MB more");
    assert!(more < 64, "{more} MB");
    wait_until("they are so still", || writing(&mut server) == SLOW as u64);
    assert_eq!(server.figures().total("connections"), SLOW as u64 + 8);
    drop((slow, good));
    let figures = server.is_as_before();
    // Some of those that were to get much, and those who had said nothing.
    assert!(figures.total("handler_errors") >= SLOW as u64);
    // Who reads nothing at all does not hold the end up either.
    let mut last = server.connect();
    last.write_all(b"w").expect("it reads");
    wait_until("it is in its way", || writing(&mut server) == 1);
    let report = server.drain(Duration::from_millis(100));
    assert_eq!(report["cut"], 1);
}

#[test]
fn a_handler_that_panics_each_100th_time() {
    const CLIENTS: usize = 1000;
    if child::is_child() {
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        let server = server().serve(|stream, context: Context| async move {
            let number = CALLS.fetch_add(1, Ordering::Relaxed);
            assert!(number % 100 != 50, "on purpose");
            echo(stream, context).await
        });
        return process::serve(server, |_| {});
    }
    let name = "abuse::a_handler_that_panics_each_100th_time";
    let mut server = Process::start_by(name, "RUST_BACKTRACE=0 exec \"$@\"");
    let address = server.address;
    let threads = (0..8).map(|_| {
        std::thread::spawn(move || (0..CLIENTS / 8).filter(|_| is_answered(address)).count())
    });
    let threads: Vec<_> = threads.collect();
    let answered: usize = threads.into_iter().map(|thread| thread.join().expect("no panic")).sum();
    assert_eq!(answered, CLIENTS - 10);
    let figures = server.is_as_before();
    assert_eq!(figures.total("handler_panics"), 10);
    let report = server.drain(PATIENCE);
    let finished = figures.total("accepted") - 10;
    assert_eq!((&report["panicked"], &report["finished"]), (&10.into(), &finished.into()));
}

fn is_answered(address: std::net::SocketAddr) -> bool {
    let mut client = crate::support::connect(address);
    let mut answer = [0; 5];
    client.write_all(b"hello").is_ok() && client.read_exact(&mut answer).is_ok()
}
