//! A server with one handler, in a thread of its own; and a raw client.

use std::convert::Infallible;
use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use ringspun::net::TcpListener;
use ringspun::server::{Body, Http};
use tokio_util::sync::CancellationToken;

/// Long enough for a slow machine, short enough for a hang to be seen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The time that has to run out in a test.
pub(crate) const SHORT: Duration = Duration::from_millis(50);
/// The same where something has to be in time for it, on a busy machine too.
pub(crate) const AMPLE: Duration = Duration::from_secs(2);

pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    /// Begins the drain.
    pub(crate) drain: CancellationToken,
    /// Lets `/wait` answer.
    pub(crate) gate: CancellationToken,
    /// `/wait` has begun.
    pub(crate) waiting: mpsc::Receiver<()>,
    outcomes: mpsc::Receiver<Result<(), String>>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone)]
struct Shared {
    gate: CancellationToken,
    waiting: mpsc::Sender<()>,
}

pub(crate) fn serve(http: Http) -> Served {
    let (drain, gate, stop) = Default::default();
    let (address, addressed) = mpsc::channel();
    let (ended, outcomes) = mpsc::channel();
    let (began, waiting) = mpsc::channel();
    let shared = Shared { gate: CancellationToken::clone(&gate), waiting: began };
    let (draining, stopped) = (CancellationToken::clone(&drain), CancellationToken::clone(&stop));
    let serving = move || async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        address.send(listener.local_addr().expect("bound")).expect("the test waits");
        while let Ok((stream, _)) = listener.accept().await {
            let (http, shared, ended) = (http.clone(), shared.clone(), ended.clone());
            let draining = draining.clone().cancelled_owned();
            ringspun::spawn(async move {
                let service = service_fn(move |request| answer(request, shared.clone()));
                let outcome = http.serve_connection(stream, draining, service).await;
                let text = outcome.map_err(|error| {
                    let source = error.source().map(|source| source.to_string());
                    format!("{error}: {}", source.unwrap_or_default())
                });
                let _ = ended.send(text);
            })
            .detach();
        }
    };
    let thread = std::thread::spawn(move || {
        run(async move {
            ringspun::spawn(serving()).detach();
            stopped.cancelled().await;
        });
    });
    let address = addressed.recv_timeout(PATIENCE).expect("it listens");
    Served { address, drain, gate, waiting, outcomes, stop, thread: Some(thread) }
}

pub(crate) fn run<F: Future>(future: F) -> F::Output {
    ringspun::runtime::Runtime::new().expect("a runtime").block_on(future)
}

async fn answer(request: Request<Body>, shared: Shared) -> Result<Response<String>, Infallible> {
    let path = request.uri().path().to_owned();
    Ok(match &*path {
        "/wait" => {
            shared.waiting.send(()).expect("the test looks");
            shared.gate.cancelled().await;
            Response::new("waited".to_owned())
        }
        "/echo" => match request.into_body().collect().await {
            Ok(body) => Response::new(String::from_utf8_lossy(&body.to_bytes()).into_owned()),
            Err(error) => {
                let mut response = Response::new(error.to_string());
                assert!(error.is_timeout());
                *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
                response
            }
        },
        "/panic" => panic!("on purpose: {}", request.method()),
        "/big" => Response::new("x".repeat(64 << 20)),
        _ => Response::new(format!("this is {path}")),
    })
}

impl Served {
    pub(crate) fn connect(&self) -> Peer {
        Peer::connect(self.address)
    }

    /// How the next connection that ends has ended.
    pub(crate) fn outcome(&self) -> Result<(), String> {
        self.outcomes.recv_timeout(PATIENCE).expect("a connection ends")
    }

    /// No connection has ended so far.
    pub(crate) fn all_are_open(&self) -> bool {
        self.outcomes.try_recv().is_err()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking(), "the server panicked");
        }
    }
}

/// A client that knows only bytes.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    held: Vec<u8>,
}

/// A response of HTTP/1 with a length.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn is_last(&self) -> bool {
        self.head.to_ascii_lowercase().contains("\r\nconnection: close\r\n")
    }
}

impl Peer {
    pub(crate) fn connect(address: SocketAddr) -> Peer {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        stream.set_write_timeout(Some(PATIENCE)).expect("not zero");
        Peer { stream, held: Vec::new() }
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("the server reads");
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: here\r\n\r\n"));
        self.answer()
    }

    pub(crate) fn answer(&mut self) -> Answer {
        let mut head_end = None;
        while head_end.is_none() {
            assert!(self.fill(), "no answer, but the end after {:?}", self.held);
            head_end = self.held.windows(4).position(|window| window == b"\r\n\r\n");
        }
        let body_start = head_end.expect("found") + 4;
        let head = String::from_utf8(self.held[..body_start].to_vec()).expect("text");
        let status = head[9..12].parse().expect("a status");
        let lower = head.to_ascii_lowercase();
        let len = lower.split("content-length: ").nth(1).map_or(0, |rest| {
            rest.split("\r\n").next().expect("a line").parse::<usize>().expect("a length")
        });
        while self.held.len() < body_start + len {
            assert!(self.fill_more(), "the body is cut off");
        }
        let rest = self.held.split_off(body_start + len);
        let body = String::from_utf8(self.held[body_start..].to_vec()).expect("text");
        self.held = rest;
        Answer { status, head, body }
    }

    /// True if there are bytes.
    fn fill(&mut self) -> bool {
        !self.held.is_empty() && self.held.windows(4).any(|window| window == b"\r\n\r\n")
            || self.fill_more()
    }

    fn fill_more(&mut self) -> bool {
        let mut part = [0; 4096];
        let count = self.stream.read(&mut part).expect("an answer or the end, but no reset");
        self.held.extend_from_slice(&part[..count]);
        count > 0
    }

    /// Nothing more comes, and it ends without a reset.
    pub(crate) fn expect_end(&mut self) {
        assert!(!self.fill_more(), "{:?} after the end", String::from_utf8_lossy(&self.held));
    }

    /// It ends, with a reset or without.
    pub(crate) fn expect_cut(&mut self) {
        let mut part = [0; 4096];
        match self.stream.read(&mut part) {
            Ok(0) => {}
            Ok(count) => panic!("it says {:?}", String::from_utf8_lossy(&part[..count])),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }
}
