//! Which core gets a connection.

use std::net::TcpStream;

use ringspun::server::{Accept, Server};

use crate::support::{PATIENCE, Running, byte, say_core, start, wait_until};

/// `RINGSPUN_TEST_CLIENTS` says otherwise; each takes two descriptors.
fn clients() -> usize {
    std::env::var("RINGSPUN_TEST_CLIENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(300)
}

fn two_cores(accept: Accept) -> Running {
    let server = Server::bind("127.0.0.1:0").cores(2).accept(accept).handle_signals(false);
    start(server.on_ready(|_| {}).serve(say_core))
}

fn more(running: &Running, count: usize, clients: &mut Vec<(u8, TcpStream)>) {
    for _ in 0..count {
        let mut client = running.connect();
        clients.push((byte(&mut client), client));
    }
}

/// How far the core with the most is above the one with the fewest, in per cent of their mean.
fn spread(running: &Running) -> usize {
    let by_core = running.handle.connections_by_core();
    let (most, fewest) = (by_core.iter().max().unwrap(), by_core.iter().min().unwrap());
    (most - fewest) * 100 * by_core.len() / by_core.iter().sum::<usize>()
}

/// Those of one core end, and as many come anew: what the kernel shares out by chance stays uneven.
fn after_those_of_one_core_have_ended(accept: Accept) -> usize {
    let all = clients();
    let running = two_cores(accept);
    let mut clients = Vec::new();
    more(&running, all, &mut clients);
    clients.retain(|(core, _)| *core == 1);
    let left = clients.len();
    assert!(left > 0, "by chance none of {all} is on core 1");
    wait_until("they have ended", || running.handle.connections() == left);
    more(&running, all - left, &mut clients);
    assert_eq!(running.handle.connections(), all);
    let spread = spread(&running);
    let counted = running.drain(std::time::Duration::ZERO).totals();
    assert_eq!(counted.handed_over, counted.received);
    assert_eq!(counted.handed_over > 0, accept != Accept::ReusePort);
    spread
}

#[test]
fn hand_off_keeps_the_cores_even_and_plain_reuseport_does_not() {
    let plain = after_those_of_one_core_have_ended(Accept::ReusePort);
    let handed = after_those_of_one_core_have_ended(Accept::ReusePortWithHandOff);
    let least = after_those_of_one_core_have_ended(Accept::LeastLoaded);
    eprintln!("spread: plain {plain} %, hand-off {handed} %, least loaded {least} %");
    assert!(plain > 40, "{plain} %");
    assert!(handed <= 20, "{handed} %");
    assert!(least <= 2, "{least} %");
}

#[test]
fn one_socket_for_all_cores_is_even_too() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("socket");
    let server = Server::bind(path.clone()).cores(2).accept(Accept::ReusePort);
    let running = start(server.handle_signals(false).serve(say_core));
    let connect = || std::os::unix::net::UnixStream::connect(&path).expect("it listens");
    let mut clients: Vec<_> = (0..200).map(|_| connect()).collect();
    clients.iter_mut().for_each(|client| assert!(byte(client) < 2));
    assert!(spread(&running) <= 20, "{:?}", running.handle.connections_by_core());
    drop(clients);
    let report = running.drain(PATIENCE);
    assert_eq!(report.totals().accepted, 200);
}
