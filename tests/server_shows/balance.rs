//! Row N14: cores do not steal from each other, so connections are spread when they come.
//!
//! Three processes: the test, its clients, and one server after the other. Clients come from one
//! port of many addresses, and the servers listen at one and the same port: the kernel's choice of
//! a core, which is a hash of all four, is then the same for both of them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use ringspun::server::{Accept, Server};
use socket2::{Domain, Socket, Type};

use crate::blocked_core::answer;
use crate::child;
use crate::process::{self, Process};
use crate::support::{PATIENCE, byte, wait_until};

const NAME: &str = "balance::n14_ten_thousand_uneven_clients";
const CLIENTS: usize = 10_000;
const ROLE: &str = "RINGSPUN_TEST_ROLE";
const AT: &str = "RINGSPUN_TEST_AT";
/// As many descriptors as the process may have.
const ALL_DESCRIPTORS: &str = "ulimit -n $(ulimit -H -n)";

#[test]
fn n14_ten_thousand_uneven_clients() {
    let role = std::env::var(ROLE);
    match role.as_deref() {
        Err(_) => {
            let script = format!("{ALL_DESCRIPTORS}; {ROLE}=clients exec \"$@\"");
            let status = child::command(NAME, &script).status().expect("it starts");
            assert!(status.success(), "{status}");
        }
        Ok("clients") => compare(),
        Ok("plain") => serve(Accept::ReusePort),
        Ok(_) => serve(Accept::ReusePortWithHandOff),
    }
}

fn serve(accept: Accept) {
    let address = std::env::var(AT).expect("an address");
    let server = Server::bind(&*address).accept(accept).handle_signals(false).on_ready(|_| {});
    process::serve(server.serve(answer), |_| {});
}

fn compare() {
    let all = CLIENTS.min(descriptors() - 500);
    let from = Source::new();
    // Not the address of everybody: the port stays free between the two.
    let mut plain = start("plain", "127.77.0.1:0");
    let of_one_core = who_comes_to_core_0(&mut plain, all, &from);
    let [ended, one_core] = uneven(&mut plain, all, &from, &of_one_core);
    let at = plain.address.to_string();
    plain.drain(PATIENCE);
    let mut handing = start("hand-off", &at);
    let [ended_handed, one_core_handed] = uneven(&mut handing, all, &from, &of_one_core);
    let figures = handing.is_as_before();
    handing.drain(PATIENCE);
    println!("how far apart the cores are, in % of their mean; plain REUSEPORT / hand-off");
    println!("  {all} clients, those of a core end, new ones come: {ended} / {ended_handed}");
    let count = of_one_core.len();
    println!("  {count} clients of one source port pattern: {one_core} / {one_core_handed}");
    println!("  {} of {} handed over", figures.total("handed_over"), figures.total("accepted"));
    assert!(ended_handed <= 20 && one_core_handed <= 20);
    assert!(ended > 20 && ended > ended_handed, "plain REUSEPORT is even: {ended} %");
    assert!(one_core > 20 && one_core > one_core_handed, "plain REUSEPORT is even: {one_core} %");
}

fn start(role: &str, at: &str) -> Process {
    let script = format!("{ALL_DESCRIPTORS}; {ROLE}={role} {AT}={at} exec \"$@\"");
    Process::start_by(NAME, &script)
}

/// The limit of this process, which is that of the servers.
fn descriptors() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("it is there");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a limit");
    line.split_whitespace().nth(3).and_then(|text| text.parse().ok()).unwrap_or(usize::MAX)
}

/// Where clients come from: one port of many addresses.
struct Source {
    port: u16,
}

impl Source {
    fn new() -> Source {
        let listener = TcpListener::bind("0.0.0.0:0").expect("a free port");
        Source { port: listener.local_addr().expect("bound").port() }
    }

    fn connect(&self, number: usize, to: SocketAddr) -> TcpStream {
        let [.., third, fourth] = (number as u32 + 1).to_be_bytes();
        let own = SocketAddr::from((Ipv4Addr::new(127, 78, third, fourth), self.port));
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_reuse_address(true).expect("a socket");
        // It ends with a reset, and the pair of addresses is free at once.
        socket.set_linger(Some(Duration::ZERO)).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("not zero");
        socket.bind(&own.into()).expect("the port is free there");
        socket.connect(&to.into()).expect("it listens");
        TcpStream::from(socket)
    }

    /// Connects them, and asks each for its core.
    fn connect_all(
        &self,
        numbers: impl Iterator<Item = usize>,
        to: SocketAddr,
    ) -> Vec<(usize, u8, TcpStream)> {
        let numbers: Vec<usize> = numbers.collect();
        let mut clients = Vec::with_capacity(numbers.len());
        for some in numbers.chunks(100) {
            let mut new: Vec<_> = some.iter().map(|number| self.connect(*number, to)).collect();
            new.iter_mut().for_each(|client| client.write_all(b"c").expect("it is taken"));
            for (number, mut client) in some.iter().zip(new) {
                clients.push((*number, byte(&mut client), client));
            }
        }
        clients
    }
}

/// Which of them the kernel gives to core 0.
fn who_comes_to_core_0(plain: &mut Process, all: usize, from: &Source) -> Vec<usize> {
    let clients = from.connect_all(0..all, plain.address);
    let at_0 = clients.iter().filter(|(_, core, _)| *core == 0).map(|(number, ..)| *number);
    let at_0 = at_0.collect();
    drop(clients);
    until_connected(plain, 0);
    at_0
}

/// The spread of the two kinds of uneven clients, in per cent.
fn uneven(server: &mut Process, all: usize, from: &Source, of_one_core: &[usize]) -> [usize; 2] {
    let to = server.address;
    let mut clients = from.connect_all(0..all, to);
    until_connected(server, all);
    clients.retain(|(_, core, _)| *core == 1);
    let left = clients.len();
    assert!(left > 0 && left < all);
    until_connected(server, left);
    clients.extend(from.connect_all(all..2 * all - left, to));
    until_connected(server, all);
    let ended = spread(server);
    // All that are there are served.
    for (.., client) in &mut clients {
        client.write_all(b"x").expect("it is taken");
    }
    for (.., client) in &mut clients {
        let mut answer = [0];
        client.read_exact(&mut answer).expect("an answer");
    }
    drop(clients);
    until_connected(server, 0);
    let clients = from.connect_all(of_one_core.iter().copied(), to);
    until_connected(server, clients.len());
    let one_core = spread(server);
    drop(clients);
    until_connected(server, 0);
    [ended, one_core]
}

fn until_connected(server: &mut Process, count: usize) {
    let what = format!("{count} are connected");
    wait_until(&what, || server.figures().total("connections") == count as u64);
}

/// How far the cores are apart, in per cent of their mean.
fn spread(server: &mut Process) -> usize {
    let figures = server.figures();
    let [one, other] = [0, 1].map(|core| figures.of(core, "connections") as usize);
    one.abs_diff(other) * 200 / (one + other)
}
