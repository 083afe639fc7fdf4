//! `Server::serve_http` and its kin, over two cores.

use std::cell::Cell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;

use hyper::service::service_fn;
use hyper::{Request, Response};
use ringspun::server::{Body, Context, Http, Report, Serve, Server, ServerHandle};

use super::support::{PATIENCE, Peer};

struct Running {
    address: SocketAddr,
    handle: ServerHandle,
    thread: JoinHandle<std::io::Result<Report>>,
}

/// Runs what `serve` makes of a server that says when it is ready.
fn run(serve: impl FnOnce(Server) -> Serve + Send + 'static) -> Running {
    let (ready, is_ready) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let (handles, addresses) = (ready.clone(), ready);
        let server = Server::bind("127.0.0.1:0").cores(2).handle_signals(false);
        let server = server.on_ready(move |ready| {
            let address = ready.addrs()[0].tcp().expect("an internet address");
            addresses.send((Some(address), None)).expect("the test waits");
        });
        let serve = serve(server);
        handles.send((None, Some(serve.handle()))).expect("the test waits");
        serve.run()
    });
    let (mut address, mut handle) = (None, None);
    while address.is_none() || handle.is_none() {
        let (one, other) = is_ready.recv_timeout(PATIENCE).expect("it starts");
        (address, handle) = (address.or(one), handle.or(other));
    }
    Running { address: address.expect("heard"), handle: handle.expect("heard"), thread }
}

impl Running {
    fn connect(&self) -> Peer {
        Peer::connect(self.address)
    }

    fn end(self) -> Report {
        self.handle.drain(PATIENCE);
        self.thread.join().expect("no panic").expect("no error")
    }
}

async fn count(request: Request<Body>, ctx: Context<Cell<u32>>) -> Response<String> {
    ctx.state().set(ctx.state().get() + 1);
    Response::new(format!("{} {}", request.uri().path(), ctx.state().get()))
}

#[test]
fn a_handler_has_the_state_of_its_core() {
    let running = run(|server| server.state(|| Cell::new(0)).serve_http(count));
    let mut peer = running.connect();
    assert_eq!(peer.get("/a").body, "/a 1");
    assert_eq!(peer.get("/b").body, "/b 2");
    drop(peer);
    let report = running.end();
    assert_eq!((report.totals().accepted, report.totals().cut), (1, 0), "{report}");
}

#[test]
fn a_service_of_hypers_kind_is_made_for_each_connection() {
    let running = run(|server| {
        server.serve_http_service(Http::new(), |_| {
            let asked = Cell::new(0);
            service_fn(move |_| {
                asked.set(asked.get() + 1);
                let text = asked.get().to_string();
                async move { Ok::<_, Infallible>(Response::new(text)) }
            })
        })
    });
    for _ in 0..2 {
        let mut peer = running.connect();
        assert_eq!(peer.get("/").body, "1");
        assert_eq!(peer.get("/").body, "2");
    }
    running.end();
}

#[test]
fn a_panic_of_the_handler_is_answered_and_counted() {
    let running = run(|server| {
        server.serve_http(|request: Request<Body>, _: Context| async move {
            assert_ne!(request.uri().path(), "/panic", "on purpose");
            Response::new("fine".to_owned())
        })
    });
    let mut peer = running.connect();
    assert_eq!(peer.get("/panic").status, 500);
    peer.expect_end();
    assert_eq!(running.connect().get("/").body, "fine");
    let report = running.end();
    assert_eq!(report.totals().panicked, 1, "{report}");
}

#[test]
fn an_error_of_the_handler_ends_the_connection_and_is_counted() {
    let running = run(|server| {
        server.serve_http(|_: Request<Body>, _: Context| async move {
            Err::<Response<String>, _>(std::io::Error::other("no"))
        })
    });
    let mut peer = running.connect();
    peer.send("GET / HTTP/1.1\r\nhost: here\r\n\r\n");
    peer.expect_cut();
    let report = running.end();
    assert_eq!(report.totals().failed, 1, "{report}");
}

#[test]
fn the_end_waits_for_the_next_request_of_an_idle_connection() {
    let running = run(|server| server.state(|| Cell::new(0)).serve_http(count));
    let mut idle = running.connect();
    assert!(!idle.get("/before").is_last());
    running.handle.drain(PATIENCE);
    while !running.handle.is_draining() {
        std::thread::yield_now();
    }
    // The core hears of it soon after: until then an answer may be one of many.
    while !idle.get("/after").is_last() {}
    idle.expect_end();
    let report = running.end();
    assert_eq!(report.totals().cut, 0, "{report}");
}
