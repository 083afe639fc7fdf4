//! HTTP/1 from clients that mean no good, or go at a bad moment.

use std::convert::Infallible;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use hyper::{Request, Response, StatusCode};
use ringspun::server::{Body, Context, Http, Server};

use crate::support::{PATIENCE, Running, start, wait_until};

const SHORT: Duration = Duration::from_millis(200);
/// Of what has to be in time for it on a busy machine too.
const LIMIT: Duration = Duration::from_secs(1);

/// A body that is anything.
enum Made {
    Text(Option<Bytes>),
    Fails(u8),
    Panics,
}

impl HttpBody for Made {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        Poll::Ready(match &mut *self {
            Made::Text(text) => text.take().map(|text| Ok(Frame::data(text))),
            Made::Fails(0) => Some(Err(std::io::Error::other("on purpose"))),
            Made::Fails(left) => {
                *left -= 1;
                Some(Ok(Frame::data(Bytes::from_static(b"part"))))
            }
            Made::Panics => panic!("in a body, on purpose"),
        })
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Made::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, Bytes::len) as u64),
            _ => SizeHint::default(),
        }
    }
}

async fn answer(request: Request<Body>, _: Context) -> Result<Response<Made>, Infallible> {
    let path = request.uri().path().to_owned();
    let text = |text: String| Response::new(Made::Text(Some(text.into())));
    Ok(match &*path {
        "/fails" => Response::new(Made::Fails(2)),
        "/panics" => Response::new(Made::Panics),
        "/upgrade" => {
            let mut answer = text(String::new());
            *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            answer
        }
        "/ignore" => text("ignored".to_owned()),
        "/slow" => {
            ringspun::time::sleep(SHORT * 3).await;
            text("slow".to_owned())
        }
        "/slower" => {
            ringspun::time::sleep(LIMIT * 3).await;
            text("slower".to_owned())
        }
        _ => match request.into_body().collect().await {
            Ok(body) => text(String::from_utf8_lossy(&body.to_bytes()).into_owned()),
            Err(_) => text("no body".to_owned()),
        },
    })
}

fn http() -> Http {
    Http::new().header_timeout(LIMIT).keep_alive_timeout(LIMIT * 2).body_timeout(LIMIT)
}

fn serve(http: Http) -> Running {
    let server = Server::bind("127.0.0.1:0").cores(2).handle_signals(false).max_connections(64);
    start(server.serve_http_with(http, answer))
}

fn send(running: &Running, text: &str) -> TcpStream {
    let mut stream = running.connect();
    stream.write_all(text.as_bytes()).expect("it is taken");
    stream
}

/// All until the end, which may be a reset.
fn rest(stream: &mut TcpStream) -> String {
    let (mut all, mut buf) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buf) {
            Ok(0) => break,
            Ok(count) => all.extend_from_slice(&buf[..count]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}: it hangs");
                break;
            }
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

fn talk(running: &Running, text: &str) -> String {
    rest(&mut send(running, text))
}

fn all_places_are_back(running: &Running) {
    wait_until("all places are back", || running.handle.connections() == 0);
}

#[test]
fn two_opinions_about_the_length() {
    let running = serve(http());
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
    for head in [
        "content-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        "content-length: 3, 4\r\n\r\nabc",
        "content-length: +3\r\n\r\nabc",
        "content-length: -3\r\n\r\n",
        "content-length: 99999999999999999999999\r\n\r\n",
        "content-length : 3\r\n\r\nabc",
        "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n3\r\nabcX\r\n0\r\n\r\n",
        " transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "a: b\r\n transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "a\0b: c\r\n\r\n",
    ] {
        let request = format!("POST /one HTTP/1.1\r\nhost: x\r\n{head}{smuggled}");
        let said = talk(&running, &request);
        let answers = said.matches("HTTP/1.1 200").count();
        assert!(!said.contains("smuggled"), "{head:?}: {said}");
        // What is wrong is never followed by another request.
        assert!(answers <= 1, "{head:?}: {said}");
    }
    all_places_are_back(&running);
}

#[test]
fn a_length_and_chunks_end_the_connection_or_are_refused() {
    let running = serve(http());
    let both = "POST /one HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\
        \r\n\r\n0\r\n\r\nGET /ignore HTTP/1.1\r\nhost: x\r\n\r\n";
    let said = talk(&running, both);
    println!("{said}");
    assert!(said.matches("HTTP/1.1 200").count() <= 2);
    all_places_are_back(&running);
}

#[test]
fn one_byte_at_a_time_never_ends_later_than_the_limit() {
    let running = serve(http());
    let mut streams: Vec<_> = (0..20).map(|_| running.connect()).collect();
    for byte in b"GET / HTTP/1.1\r\nhost: x\r\nx: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".iter()
    {
        for stream in &mut streams {
            // Sooner or later it is closed.
            let _ = stream.write(&[*byte]);
        }
        std::thread::sleep(LIMIT / 30);
        if running.handle.connections() == 0 {
            break;
        }
    }
    for stream in &mut streams {
        let said = rest(stream);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
    }
    all_places_are_back(&running);
}

#[test]
fn a_body_that_stalls_comes_slowly_or_is_cut_off() {
    let running = serve(http());
    let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n";
    // It stalls.
    let said = talk(&running, &format!("{head}abc"));
    assert!(said.contains("no body") && said.contains("connection: close"), "{said}");
    // It ends too early.
    let mut stream = send(&running, &format!("{head}abc"));
    stream.shutdown(Shutdown::Write).expect("connected");
    rest(&mut stream);
    // It comes slowly, and is not cut off while it does.
    let mut stream = send(&running, head);
    for _ in 0..10 {
        stream.write_all(b"0123456789").expect("it is taken");
        std::thread::sleep(LIMIT / 8);
    }
    let said = rest(&mut stream);
    assert!(said.ends_with(&"0123456789".repeat(10)), "{said}");
    all_places_are_back(&running);
}

#[test]
fn a_body_that_nobody_reads_and_one_that_is_longer_than_it_says() {
    let running = serve(http());
    let body = "x".repeat(300_000);
    let mut stream =
        send(&running, "POST /ignore HTTP/1.1\r\nhost: x\r\ncontent-length: 300000\r\n\r\n");
    let _ = stream.write_all(body.as_bytes());
    let said = rest(&mut stream);
    assert!(said.contains("ignored"), "{said}");
    // The rest is another request, and no good one.
    let said =
        talk(&running, "POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabcdef\r\n\r\n");
    assert!(said.contains("\r\n\r\nabc"), "{said}");
    assert!(said.matches("HTTP/1.1 200").count() == 1, "{said}");
    all_places_are_back(&running);
}

#[test]
fn chunks_with_trailers_and_a_continue() {
    let running = serve(http());
    let said = talk(
        &running,
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ntrailer: t\r\n\r\n\
         3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nt: v\r\n\r\nGET /ignore HTTP/1.1\r\nhost: x\r\n\
         connection: close\r\n\r\n",
    );
    assert!(said.contains("\r\n\r\nabcde") && said.contains("ignored"), "{said}");
    let mut stream = send(
        &running,
        "POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\
         connection: close\r\n\r\n",
    );
    let mut first = [0; 25];
    stream.read_exact(&mut first).expect("it says to go on");
    assert!(first.starts_with(b"HTTP/1.1 100"), "{first:?}");
    stream.write_all(b"ok").expect("it is taken");
    assert!(rest(&mut stream).ends_with("\r\n\r\nok"));
    // Told by a client that then sends nothing.
    let said = talk(
        &running,
        "POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n",
    );
    assert!(said.contains("no body"), "{said}");
    all_places_are_back(&running);
}

#[test]
fn head_upgrades_connect_and_nonsense() {
    let running = serve(http());
    let head = talk(&running, "HEAD /ignore HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(head.ends_with("\r\n\r\n") && head.contains("200"), "{head}");
    for request in [
        "GET /upgrade HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        "CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /ignore HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n\
         http2-settings: AAMAAABkAAQAAP__\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
        "\r\n\r\n\r\n\r\n",
        "PRI * HTTP/1.1\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nX",
        "P",
        "GET /ignore HTTP/0.9\r\n\r\n",
        "GET /ignore\r\n\r\n",
        "GET http://a b HTTP/1.1\r\n\r\n",
    ] {
        // None of them hangs, whatever it is answered.
        talk(&running, request);
    }
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(70_000));
    assert!(talk(&running, &long).starts_with("HTTP/1.1 4"));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
    assert!(talk(&running, &many).starts_with("HTTP/1.1 431"));
    all_places_are_back(&running);
}

#[test]
fn an_answer_that_takes_longer_than_all_limits() {
    // One that has said all that it has to say is taken for one that is gone, unless it is told
    // apart.
    let half_closed = |running: &Running| {
        let mut stream = send(running, "GET /slower HTTP/1.1\r\nhost: x\r\n\r\n");
        stream.shutdown(Shutdown::Write).expect("connected");
        rest(&mut stream)
    };
    let running = serve(http().http1(|http1| _ = http1.half_close(true)));
    assert!(half_closed(&running).ends_with("slower"));
    all_places_are_back(&running);
    let running = serve(http());
    assert_eq!(half_closed(&running), "");
    let said = talk(&running, "GET /slower HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(said.ends_with("slower"), "{said}");
    all_places_are_back(&running);
}

#[test]
fn bodies_of_answers_that_fail() {
    let running = serve(http());
    let said = talk(&running, "GET /fails HTTP/1.1\r\nhost: x\r\n\r\n");
    // Cut off, so that nobody takes it for the whole.
    assert!(!said.ends_with("0\r\n\r\n"), "{said}");
    let said = talk(&running, "GET /panics HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(!said.ends_with("0\r\n\r\n"), "{said}");
    all_places_are_back(&running);
    let totals = running.drain(PATIENCE).totals();
    assert_eq!((totals.panicked, totals.failed), (1, 1), "{totals:?}");
}

#[test]
fn pipelined_requests_across_the_beginning_of_the_drain() {
    for _ in 0..5 {
        let running = serve(Http::new());
        let three = "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n".repeat(3);
        let mut stream = send(&running, &three);
        wait_until("it is there", || running.handle.connections() == 1);
        std::thread::sleep(SHORT);
        let address = running.tcp();
        let draining = std::thread::spawn(move || running.drain(PATIENCE));
        let said = rest(&mut stream);
        // Those that were not answered know it: the last answer says that it is the last.
        let answers = said.matches("HTTP/1.1 200").count();
        assert!(answers >= 1, "{said}");
        assert_eq!(said.matches("connection: close").count(), 1, "{said}");
        assert!(said.rfind("connection: close") > said.rfind("HTTP/1.1 200"), "{said}");
        assert_eq!(draining.join().expect("no panic").totals().cut, 0);
        assert!(TcpStream::connect(address).is_err());
    }
}

#[test]
fn an_idle_connection_at_the_deadline_and_a_request_just_before() {
    let running = serve(Http::new());
    let idle = running.connect();
    let mut busy = send(&running, "GET /ignore HTTP/1.1\r\nhost: x\r\n\r\n");
    let mut first = [0; 12];
    busy.read_exact(&mut first).expect("an answer");
    wait_until("both are there", || running.handle.connections() == 2);
    running.handle.drain(PATIENCE);
    wait_until("it drains", || running.handle.is_draining());
    busy.write_all(b"GET /ignore HTTP/1.1\r\nhost: x\r\n\r\n").expect("it is taken");
    assert!(rest(&mut busy).contains("connection: close"));
    drop(busy);
    wait_until("it has gone", || running.handle.connections() == 1);
    let report = running.drain(Duration::ZERO);
    assert_eq!(report.totals().cut, 1, "{report}");
    drop(idle);
}

#[test]
fn a_client_that_takes_nothing() {
    let running = serve(http().write_timeout(SHORT));
    let mut streams: Vec<_> = (0..8).map(|_| running.connect()).collect();
    for stream in &mut streams {
        stream.set_nonblocking(true).expect("set");
        // Answers without an end, and nobody reads them.
        for _ in 0..2000 {
            let request = b"GET /ignore HTTP/1.1\r\nhost: x\r\n\r\n".repeat(50);
            match stream.write(&request) {
                Ok(count) if count == request.len() => {}
                _ => break,
            }
        }
    }
    all_places_are_back(&running);
}
