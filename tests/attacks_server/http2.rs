//! HTTP/2, frame by frame, from clients that mean no good.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::{Request, Response};
use ringspun::server::{Body, Context, Http, Server};

use crate::support::{PATIENCE, Running, start, wait_until};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `GET http://h/`.
const GET: &[u8] = &[0x82, 0x86, 0x84, 0x41, 1, b'h'];

/// Handlers that go on, and all that there were.
#[derive(Clone, Default)]
struct Seen {
    now: Arc<AtomicUsize>,
    all: Arc<AtomicUsize>,
}

struct One(Arc<AtomicUsize>);

impl Drop for One {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Each request waits for ever.
fn serve(http: Http) -> (Running, Seen) {
    let seen = Seen::default();
    let counts = seen.clone();
    let server = Server::bind("127.0.0.1:0").cores(1).handle_signals(false);
    let handler = move |_: Request<Body>, _: Context| {
        counts.all.fetch_add(1, Ordering::SeqCst);
        counts.now.fetch_add(1, Ordering::SeqCst);
        let one = One(Arc::clone(&counts.now));
        async move {
            std::future::pending::<()>().await;
            drop(one);
            Response::new(String::new())
        }
    };
    (start(server.serve_http_with(http, handler)), seen)
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn begin(running: &Running) -> TcpStream {
    let mut stream = running.connect();
    stream.write_all(PREFACE).expect("it is taken");
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).expect("it is taken");
    stream
}

/// Reads until GOAWAY or the end, and says which.
fn read_to_goaway(stream: &mut TcpStream) -> Option<u32> {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).ok()?;
        if head[3] == GOAWAY {
            return Some(u32::from_be_bytes(payload[4..8].try_into().expect("four")));
        }
    }
}

fn all_is_gone(running: &Running, seen: &Seen) {
    wait_until("the connection is gone", || running.handle.connections() == 0);
    wait_until("its handlers are gone", || seen.now.load(Ordering::SeqCst) == 0);
}

#[test]
fn a_preface_in_pieces() {
    let (running, seen) = serve(Http::new());
    for cut in 1..PREFACE.len() {
        let mut stream = running.connect();
        stream.set_nodelay(true).expect("set");
        stream.write_all(&PREFACE[..cut]).expect("it is taken");
        std::thread::sleep(Duration::from_millis(2));
        stream.write_all(&PREFACE[cut..]).expect("it is taken");
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).expect("it is taken");
        let mut head = [0; 9];
        stream.read_exact(&mut head).expect("its settings");
        assert_eq!(head[3], SETTINGS);
    }
    all_is_gone(&running, &seen);
}

#[test]
fn a_flood_of_resets_ends_the_connection() {
    let (running, seen) = serve(Http::new());
    let mut stream = begin(&running);
    stream.set_write_timeout(Some(PATIENCE)).expect("not zero");
    for number in 0..100_000_u32 {
        let id = number * 2 + 1;
        let mut both = frame(HEADERS, END_STREAM | END_HEADERS, id, GET);
        both.extend(frame(RESET, 0, id, &8_u32.to_be_bytes()));
        if stream.write_all(&both).is_err() {
            break;
        }
    }
    all_is_gone(&running, &seen);
    let all = seen.all.load(Ordering::SeqCst);
    println!("{all} handlers were begun");
    assert!(all < 50_000, "{all} handlers were begun");
}

#[test]
fn more_streams_than_there_may_be() {
    let (running, seen) = serve(Http::new().max_concurrent_streams(10));
    let mut stream = begin(&running);
    for number in 0..500_u32 {
        let id = number * 2 + 1;
        if stream.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, id, GET)).is_err() {
            break;
        }
    }
    wait_until("some have begun", || seen.now.load(Ordering::SeqCst) == 10);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(seen.all.load(Ordering::SeqCst), 10);
    drop(stream);
    all_is_gone(&running, &seen);
}

#[test]
fn a_flood_of_pings_that_nobody_reads() {
    let (running, seen) = serve(Http::new().write_timeout(Duration::from_millis(300)));
    let mut stream = begin(&running);
    let pings = frame(PING, 0, 0, &[0; 8]).repeat(1000);
    stream.set_write_timeout(Some(Duration::from_secs(2))).expect("not zero");
    // It takes no more when it cannot answer, and then ends.
    for _ in 0..20_000 {
        if stream.write_all(&pings).is_err() {
            break;
        }
    }
    all_is_gone(&running, &seen);
}

#[test]
fn a_head_without_an_end() {
    let (running, seen) = serve(Http::new());
    let mut stream = begin(&running);
    stream.write_all(&frame(HEADERS, END_STREAM, 1, GET)).expect("it is taken");
    // A field that is never used, again and again.
    let field: Vec<u8> =
        [0x00, 1, b'a', 0x7f, 0x80, 0x3f].into_iter().chain([b'b'; 8191]).collect();
    for _ in 0..10_000 {
        if stream.write_all(&frame(CONTINUATION, 0, 1, &field)).is_err() {
            break;
        }
    }
    all_is_gone(&running, &seen);
    assert_eq!(seen.all.load(Ordering::SeqCst), 0);
}

#[test]
fn one_that_says_nothing_after_its_preface() {
    let http = Http::new().keep_alive_timeout(Duration::from_millis(100));
    let (running, seen) = serve(http.header_timeout(Duration::from_millis(200)));
    let mut stream = begin(&running);
    assert_eq!(read_to_goaway(&mut stream), Some(0), "told to go");
    // It does not go by itself.
    all_is_gone(&running, &seen);
    // And one that keeps saying that it is alive.
    let mut stream = begin(&running);
    while stream.write_all(&frame(PING, 0, 0, &[0; 8])).is_ok() {
        std::thread::sleep(Duration::from_millis(20));
    }
    all_is_gone(&running, &seen);
}

#[test]
fn idle_and_busy_ones_at_the_drain() {
    let (running, seen) = serve(Http::new());
    let (mut idle, mut busy) = (begin(&running), begin(&running));
    busy.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, 1, GET)).expect("it is taken");
    wait_until("it is served", || seen.now.load(Ordering::SeqCst) == 1);
    wait_until("both are there", || running.handle.connections() == 2);
    running.handle.drain(PATIENCE);
    assert_eq!(read_to_goaway(&mut idle), Some(0));
    assert_eq!(read_to_goaway(&mut busy), Some(0));
    drop(idle);
    wait_until("the idle one has gone", || running.handle.connections() == 1);
    let report = running.drain(Duration::ZERO);
    assert_eq!((report.totals().cut, report.totals().drained), (1, 1), "{report}");
    // What it was doing is not left behind.
    wait_until("the handler is gone", || seen.now.load(Ordering::SeqCst) == 0);
}

#[test]
fn the_deadline_ends_handlers_in_a_runtime_that_goes_on() {
    let seen = Seen::default();
    let counts = seen.clone();
    let runtime = ringspun::runtime::Runtime::new().expect("a ring");
    runtime.block_on(async {
        let server = Server::bind("127.0.0.1:0").handle_signals(false);
        let serve = server.serve_http(move |_: Request<Body>, _: Context| {
            counts.now.fetch_add(1, Ordering::SeqCst);
            let one = One(Arc::clone(&counts.now));
            async move {
                std::future::pending::<()>().await;
                drop(one);
                Response::new(String::new())
            }
        });
        let handle = serve.handle();
        let running = ringspun::spawn(async move { serve.await });
        while handle.local_addrs().is_empty() {
            ringspun::task::yield_now().await;
        }
        let address = handle.local_addrs()[0].tcp().expect("TCP");
        let mut stream = TcpStream::connect(address).expect("it listens");
        let request = frame(HEADERS, END_STREAM | END_HEADERS, 1, GET);
        let all = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &request].concat();
        stream.write_all(&all).expect("it is taken");
        while seen.now.load(Ordering::SeqCst) == 0 {
            ringspun::task::yield_now().await;
        }
        handle.drain(Duration::ZERO);
        assert_eq!(running.await.expect("no panic").expect("it ends well").totals().cut, 1);
        let begun = std::time::Instant::now();
        while seen.now.load(Ordering::SeqCst) > 0 {
            assert!(begun.elapsed() < PATIENCE, "the handler goes on after its connection");
            ringspun::task::yield_now().await;
        }
    });
}
