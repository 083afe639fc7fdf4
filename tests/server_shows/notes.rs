//! What a server says when it starts: whether a restart may lose connections; and that it is true.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use ringspun::server::{Accept, Address, Server};
use socket2::SockRef;

use crate::child;
use crate::support::{PATIENCE, ask, connect, echo, start};

/// The notes of a server.
fn notes(server: Server) -> Vec<String> {
    let (say, heard) = mpsc::channel();
    let server = server.cores(2).handle_signals(false);
    let running =
        start(server.on_ready(move |ready| say.send(ready.notes().to_vec()).unwrap()).serve(echo));
    let notes = heard.recv_timeout(PATIENCE).expect("it is ready");
    running.drain(Duration::ZERO);
    notes
}

fn migrates() -> bool {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_migrate_req");
    text.is_ok_and(|text| text.trim() == "1")
}

#[test]
fn a_socket_of_its_own_cannot_be_taken_over_without_loss() {
    for accept in [Accept::ReusePort, Accept::ReusePortWithHandOff, Accept::LeastLoaded] {
        let notes = notes(Server::bind("127.0.0.1:0").accept(accept));
        assert_eq!(notes.len(), usize::from(!migrates()), "{notes:?}");
        for note in notes {
            assert!(note.contains("a restart may lose connections"), "{note}");
            assert!(note.contains("LISTEN_FDS") && note.contains("tcp_migrate_req=1"), "{note}");
        }
    }
}

#[test]
fn a_unix_socket_has_no_such_note() {
    let dir = tempfile::tempdir().expect("a directory");
    assert_eq!(notes(Server::bind(dir.path().join("socket"))), [""; 0]);
}

#[test]
fn an_inherited_one_has_no_such_note() {
    if child::is_child() {
        assert_eq!(notes(Server::bind(Address::inherited_as("web"))), [""; 0]);
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let name = "notes::an_inherited_one_has_no_such_note";
    child::wait_for(&mut child::with_listener(name, child::PASS_ON, &listener));
}

/// What the note promises: with that setting, and with the port shared, nobody is lost either. In
/// a network of its own, where it may be set.
#[test]
fn with_migration_a_port_can_be_taken_over_without_loss() {
    const NAME: &str = "notes::with_migration_a_port_can_be_taken_over_without_loss";
    const SERVE_AT: &str = "RINGSPUN_TEST_AT";
    if let Ok(address) = std::env::var(SERVE_AT) {
        let server = Server::bind(&*address).share_port(true).cores(2).drain(PATIENCE);
        let server = server.on_ready(|ready| {
            assert_eq!(ready.notes(), [""; 0]);
            println!("{READY}");
        });
        let report = server.serve(echo).run().expect("the port may be shared");
        assert_eq!(report.totals().cut, 0, "{report}");
        return;
    }
    if child::is_child() {
        return take_over(|| {
            let mut command = child::command(NAME, "exec \"$@\"");
            command.env(SERVE_AT, ADDRESS);
            command
        });
    }
    let alone = "exec unshare -n sh -c 'ip link set lo up && \
                 echo 1 > /proc/sys/net/ipv4/tcp_migrate_req && exec \"$@\"' sh \"$@\"";
    let can = Command::new("sh").args(["-c", alone, "sh", "true"]).stderr(Stdio::null()).status();
    if can.is_ok_and(|status| status.success()) {
        child::run(NAME, alone);
    } else {
        eprintln!("SKIPPED: no network of its own to be had, or no tcp_migrate_req in it");
    }
}

/// Nobody else is in the network.
const ADDRESS: &str = "127.0.0.1:7000";
const READY: &str = "is ready";

fn take_over(server: impl Fn() -> Command) {
    let start = || {
        let mut child = server().stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().expect("piped")).lines();
        assert!(said.any(|line| line.is_ok_and(|line| line.contains(READY))), "it starts");
        // Read to its end by a thread: the harness says more.
        std::thread::spawn(move || said.count());
        child
    };
    let mut first = start();
    let stop = Arc::new(AtomicBool::new(false));
    let clients = (0..8).map(|_| {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            let mut served = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                let mut client = connect(ADDRESS.parse().expect("an address"));
                // A reset at the end, so that ports do not run out.
                SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("a socket");
                ask(&mut client, "hello");
                served += 1;
            }
            served
        })
    });
    let clients: Vec<_> = clients.collect();
    for _ in 0..5 {
        let next = start();
        std::thread::sleep(Duration::from_millis(50));
        child::signal(&first, "TERM");
        child::wait_for(&mut first);
        first = next;
    }
    stop.store(true, Ordering::Relaxed);
    let served: Vec<u64> =
        clients.into_iter().map(|client| client.join().expect("nobody is lost")).collect();
    assert!(served.iter().all(|served| *served > 0), "{served:?}");
    child::signal(&first, "TERM");
    child::wait_for(&mut first);
}
