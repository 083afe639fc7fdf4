//! Panics in all that is the user's.

use std::net::TcpStream;
use std::panic::panic_any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ringspun::server::{Context, Peer, Server, Stream};

use crate::support::{PATIENCE, ask, assert_ended, connect, echo, start, wait_until};

fn server() -> Server {
    Server::bind("127.0.0.1:0").cores(2).handle_signals(false)
}

/// A payload of a panic that panics itself.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("in the destructor of a payload, on purpose");
    }
}

#[test]
fn an_on_connect_that_panics_with_a_payload_that_panics() {
    let running = start(
        server().max_connections(2).on_connect(|_: &Peer| -> bool { panic_any(Bomb) }).serve(echo),
    );
    for _ in 0..10 {
        assert_ended(&mut running.connect());
    }
    wait_until("all places are back", || running.handle.connections() == 0);
    let report = running.drain(PATIENCE);
    assert_eq!(report.totals().refused, 10, "{report}");
    assert!(report.cores.iter().all(|core| !core.lost), "{report}");
}

#[test]
fn a_handler_that_panics_with_a_payload_that_panics() {
    let handler = |_: Stream, _: Context| async {
        if true {
            panic_any(Bomb);
        }
    };
    let running = start(server().max_connections(2).serve(handler));
    for _ in 0..10 {
        assert_ended(&mut running.connect());
    }
    let report = running.drain(PATIENCE);
    assert_eq!(report.totals().panicked, 10, "{report}");
}

#[test]
fn a_handler_whose_future_panics_when_it_is_dropped() {
    let running =
        start(server().max_connections(2).serve(|mut stream: Stream, _: Context| async move {
            let _bomb = Bomb;
            while stream.read(&mut [0; 8]).await? > 0 {}
            std::io::Result::Ok(())
        }));
    for _ in 0..10 {
        drop(running.connect());
    }
    let mut cut: Vec<TcpStream> = (0..2).map(|_| running.connect()).collect();
    wait_until("all but two have gone", || running.handle.connections() == 2);
    running.handle.stop();
    cut.iter_mut().for_each(assert_ended);
    let report = running.drain(PATIENCE);
    let totals = report.totals();
    let ended = totals.finished + totals.panicked + totals.cut + totals.accept_errors;
    assert_eq!(ended, totals.accepted, "{report}");
    assert!(report.cores.iter().all(|core| !core.lost), "{report}");
}

#[test]
fn a_handler_that_panics_before_its_future_is_there() {
    let handler = |_: Stream, _: Context| -> std::future::Ready<()> { panic!("on purpose") };
    let running = start(server().max_connections(1).serve(handler));
    for _ in 0..10 {
        assert_ended(&mut running.connect());
    }
    assert_eq!(running.drain(PATIENCE).totals().panicked, 10);
}

#[test]
fn an_error_whose_text_panics_is_never_asked() {
    struct Silent;
    impl std::fmt::Display for Silent {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("on purpose");
        }
    }
    let running = start(server().serve(|_: Stream, _: Context| async { Err::<(), _>(Silent) }));
    assert_ended(&mut running.connect());
    assert_eq!(running.drain(PATIENCE).totals().failed, 1);
}

/// Panics at the clone or the drop with this number.
struct Fragile {
    clones: Arc<AtomicUsize>,
    last: usize,
}

impl Clone for Fragile {
    fn clone(&self) -> Fragile {
        let before = self.clones.fetch_add(1, Ordering::SeqCst);
        assert!(before < self.last, "in a clone, on purpose");
        Fragile { clones: Arc::clone(&self.clones), last: self.last }
    }
}

#[test]
fn a_handler_that_cannot_be_cloned_for_the_second_core() {
    let fragile = Fragile { clones: Arc::default(), last: 1 };
    let serve = server().serve(move |stream: Stream, context: Context| {
        let _used = &fragile;
        echo(stream, context)
    });
    let handle = serve.handle();
    let ended = std::thread::spawn(move || serve.run()).join();
    assert!(ended.is_err(), "the panic is the caller's");
    // What the first core had begun has ended too: the address is free, and nobody is left.
    assert_eq!(handle.connections(), 0);
}

#[test]
fn a_state_and_a_handler_that_panic_when_they_are_dropped() {
    let bomb = Arc::new(AtomicUsize::new(0));
    struct Late(Arc<AtomicUsize>);
    impl Drop for Late {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
            panic!("in the destructor of a state, on purpose");
        }
    }
    let counts = Arc::clone(&bomb);
    let serve = server().state(move || Late(Arc::clone(&counts))).serve(echo);
    let handle = serve.handle();
    let thread = std::thread::spawn(move || serve.run());
    wait_until("it listens", || !handle.local_addrs().is_empty());
    let address = handle.local_addrs()[0].tcp().expect("TCP");
    ask(&mut connect(address), "hello");
    handle.drain(PATIENCE);
    wait_until("it ends", || thread.is_finished());
    assert_eq!(bomb.load(Ordering::SeqCst), 2, "one state for each core");
    let _ = thread.join();
}

#[test]
fn an_on_ready_that_panics() {
    let serve = server().on_ready(|_| panic!("on purpose")).serve(echo);
    let handle = serve.handle();
    let ended = std::thread::spawn(move || serve.run()).join();
    assert!(ended.is_err(), "the panic is the caller's");
    let address = handle.local_addrs()[0].tcp().expect("TCP");
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}
