//! `SIGTERM` under a load of HTTP/2: streams in flight are answered, and a client that opens a new
//! connection when it is told GOAWAY loses no request.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::process::Child;
use std::rc::Rc;
use std::time::Duration;

use futures::future::join_all;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, Response};
use ringspun::compat::hyper::{Executor, Timer};
use ringspun::net::TcpStream;
use ringspun::runtime::Runtime;
use ringspun::server::{Address, Body, Context, Server};
use ringspun::time::{sleep, timeout};

use crate::child;
use crate::support::PATIENCE;

const CONNECTIONS: usize = 8;
/// On each connection at a time.
const STREAMS: usize = 8;

async fn answer(request: Request<Body>, _: Context) -> Response<String> {
    if request.uri().path() == "/slow" {
        sleep(Duration::from_millis(20)).await;
    }
    Response::new(request.uri().path().to_owned())
}

/// In a process: a server on the listener that was passed to it.
fn serve() {
    let server = Server::bind(Address::inherited_as("web")).cores(2).drain(PATIENCE);
    let report = server.serve_http(answer).run().expect("it was given a listener");
    let all = report.totals();
    assert!(all.accepted > 0, "{report}");
    assert_eq!((all.cut, all.failed, all.panicked), (0, 0, 0), "{report}");
}

#[derive(Default)]
struct Tally {
    stop: Cell<bool>,
    in_flight: Cell<usize>,
    answered: Cell<usize>,
    /// Connections that ended by GOAWAY.
    reopened: Cell<usize>,
    failed: RefCell<Vec<String>>,
}

impl Tally {
    fn failed(&self, what: &str, error: &dyn Error) {
        let source = error.source().map(ToString::to_string).unwrap_or_default();
        self.failed.borrow_mut().push(format!("{what}: {error}: {source}"));
    }

    async fn go_on_for(&self, requests: usize) {
        let goal = self.answered.get() + requests;
        let more = async {
            while self.answered.get() < goal {
                sleep(Duration::from_millis(1)).await;
            }
        };
        assert!(timeout(PATIENCE, more).await.is_ok(), "{:?}", self.failed.borrow());
    }
}

/// A connection, and the next one, until the clients are stopped. `reopens`: or until the first
/// one has ended.
async fn client(address: SocketAddr, reopens: bool, tally: Rc<Tally>) {
    while !tally.stop.get() {
        let stream = match TcpStream::connect(address).await {
            Ok(stream) => stream,
            Err(error) => return tally.failed("connect", &error),
        };
        let client = http2::Builder::new(Executor::new()).timer(Timer::new()).handshake(stream);
        let (sender, connection) = match client.await {
            Ok(both) => both,
            Err(error) => return tally.failed("handshake", &error),
        };
        let connection = ringspun::spawn(connection);
        join_all((0..STREAMS).map(|_| requests(sender.clone(), &tally))).await;
        drop(sender);
        if let Err(error) = connection.await.expect("no panic") {
            tally.failed("connection", &error);
        }
        if !tally.stop.get() {
            tally.reopened.set(tally.reopened.get() + 1);
        }
        if !reopens {
            return;
        }
    }
}

/// One request after the other, until the connection takes no more.
async fn requests(mut sender: SendRequest<Empty<Bytes>>, tally: &Tally) {
    for number in 0_usize.. {
        if tally.stop.get() || sender.ready().await.is_err() {
            return;
        }
        let path = if number.is_multiple_of(4) { "/slow" } else { "/fast" };
        let request = Request::get(format!("http://here{path}")).body(Empty::new());
        tally.in_flight.set(tally.in_flight.get() + 1);
        let response = sender.try_send_request(request.expect("valid")).await;
        let body = match response {
            Ok(response) => response.into_body().collect().await.map(|body| body.to_bytes()),
            Err(mut error) => match error.take_message() {
                // It was not sent: the connection had ended.
                Some(_) => {
                    tally.in_flight.set(tally.in_flight.get() - 1);
                    return;
                }
                None => Err(error.into_error()),
            },
        };
        tally.in_flight.set(tally.in_flight.get() - 1);
        match body {
            Ok(body) if body == path => tally.answered.set(tally.answered.get() + 1),
            Ok(body) => tally.failed.borrow_mut().push(format!("{path}: {body:?}")),
            Err(error) => tally.failed(path, &error),
        }
    }
}

fn start(name: &str, listener: &TcpListener) -> Child {
    child::with_listener(name, child::PASS_ON, listener)
}

async fn end(mut server: Child) {
    child::signal(&server, "TERM");
    let ended = ringspun::spawn_blocking(move || child::wait_for(&mut server)).await;
    ended.expect("it ends well");
}

fn load(
    address: SocketAddr,
    reopens: bool,
    tally: &Rc<Tally>,
) -> Vec<ringspun::task::JoinHandle<()>> {
    let clients = (0..CONNECTIONS).map(|_| client(address, reopens, Rc::clone(tally)));
    clients.map(ringspun::spawn).collect()
}

#[test]
fn sigterm_answers_the_streams_in_flight() {
    const NAME: &str = "http2::sigterm_answers_the_streams_in_flight";
    if child::is_child() {
        return serve();
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let tally = Rc::new(Tally::default());
    let server = start(NAME, &listener);
    Runtime::new().expect("a ring").block_on(async {
        let clients = load(address, false, &tally);
        tally.go_on_for(1000).await;
        assert!(tally.in_flight.get() > 0);
        end(server).await;
        let all = timeout(PATIENCE, join_all(clients)).await.expect("each has heard GOAWAY");
        assert!(all.into_iter().all(|client| client.is_ok()));
    });
    assert_eq!(*tally.failed.borrow(), [""; 0]);
    assert_eq!((tally.in_flight.get(), tally.reopened.get()), (0, CONNECTIONS));
}

#[test]
fn a_second_server_takes_over_and_no_request_fails() {
    const NAME: &str = "http2::a_second_server_takes_over_and_no_request_fails";
    if child::is_child() {
        return serve();
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let tally = Rc::new(Tally::default());
    let mut server = start(NAME, &listener);
    Runtime::new().expect("a ring").block_on(async {
        let clients = load(address, true, &tally);
        tally.go_on_for(1000).await;
        for _ in 0..3 {
            let next = start(NAME, &listener);
            tally.go_on_for(200).await;
            end(std::mem::replace(&mut server, next)).await;
            tally.go_on_for(1000).await;
        }
        tally.stop.set(true);
        let all = timeout(PATIENCE, join_all(clients)).await.expect("they stop");
        assert!(all.into_iter().all(|client| client.is_ok()));
        end(server).await;
    });
    let (answered, reopened) = (tally.answered.get(), tally.reopened.get());
    eprintln!("3 takeovers: {answered} requests answered, {reopened} connections reopened");
    assert_eq!(*tally.failed.borrow(), [""; 0]);
    assert!(reopened >= CONNECTIONS, "{reopened}");
}
