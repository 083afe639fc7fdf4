//! What a message costs an echo server in CPU time: over `TcpStream` (borrowed read and write), and
//! written on the raw ring; and what an idle connection costs in memory.
//!
//! Each server has a thread of its own and the same connections from the same client, which writes
//! to all of them and then reads from all of them. Counted is the CPU time of the server's thread.
//! The raw server keeps one receive per connection in a buffer of its own, and sends by an entry;
//! `raw, send(2)` sends by a plain call, as a borrowed write has to.

#![allow(unsafe_code, reason = "the raw ring and the CPU clocks")]

#[path = "net/idle.rs"]
mod idle;
#[path = "net/raw.rs"]
mod raw;
mod support;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ringspun::net::TcpListener;
use ringspun::runtime::Runtime;

use support::{Contestant, NsPerOp, compare, rounds};

fn main() -> io::Result<()> {
    println!("{}\n", Runtime::new()?.info());
    for (connections, bytes) in [(1, 64), (64, 64), (64, 4096), (512, 64)] {
        echo(connections, bytes)?;
    }
    idle::connections(10_000)
}

/// The CPU clock of a server's thread.
struct Clock(libc::clockid_t);

impl Clock {
    fn of_this_thread() -> Clock {
        let mut clock = 0;
        // SAFETY: no arguments.
        let thread = unsafe { libc::pthread_self() };
        // SAFETY: the pointer is valid during the call; the thread is the calling one.
        let failed = unsafe { libc::pthread_getcpuclockid(thread, &raw mut clock) };
        assert_eq!(failed, 0, "a thread has a clock");
        Clock(clock)
    }

    fn now(&self) -> Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the pointer is valid during the call.
        let failed = unsafe { libc::clock_gettime(self.0, &raw mut time) };
        assert_eq!(failed, 0, "the server's thread lives");
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}

/// A server on a thread of its own, and its clients.
struct Server {
    clock: Clock,
    clients: Vec<TcpStream>,
    bytes: usize,
}

impl Server {
    /// `serve` listens, says where, and echoes until the process ends.
    fn start(
        connections: usize,
        bytes: usize,
        serve: impl FnOnce(usize, Box<dyn FnOnce(SocketAddr)>) -> io::Result<()> + Send + 'static,
    ) -> io::Result<Server> {
        let (said, heard) = mpsc::channel();
        thread::Builder::new().name("server".into()).spawn(move || {
            pin_to(0);
            let clock = Clock::of_this_thread();
            let tell = Box::new(move |address| {
                let _ = said.send((address, clock));
            });
            if let Err(error) = serve(bytes, tell) {
                eprintln!("the server ended: {error}");
            }
        })?;
        let (address, clock) = heard.recv().map_err(io::Error::other)?;
        let mut clients = Vec::with_capacity(connections);
        for _ in 0..connections {
            let client = TcpStream::connect(address)?;
            client.set_nodelay(true)?;
            clients.push(client);
        }
        Ok(Server { clock, clients, bytes })
    }

    /// CPU time of the server for one message.
    fn round(&mut self, messages: usize) -> NsPerOp {
        let turns = (messages / self.clients.len()).max(1);
        let message = vec![7; self.bytes];
        let mut answer = vec![0; self.bytes];
        let before = self.clock.now();
        for _ in 0..turns {
            for client in &mut self.clients {
                client.write_all(&message).expect("the server reads");
            }
            for client in &mut self.clients {
                client.read_exact(&mut answer).expect("the server answers");
            }
        }
        let spent = self.clock.now() - before;
        spent.as_nanos() as f64 / (turns * self.clients.len()) as f64
    }
}

fn echo(connections: usize, bytes: usize) -> io::Result<()> {
    pin_to(1);
    let mut raw = Server::start(connections, bytes, |bytes, tell| raw::serve(bytes, false, tell))?;
    let mut direct =
        Server::start(connections, bytes, |bytes, tell| raw::serve(bytes, true, tell))?;
    let mut ours = Server::start(connections, bytes, serve)?;
    let messages = if connections == 1 { 4_000 } else { 20_000 };
    compare(
        &format!("echo of {bytes} bytes on {connections} connections, CPU of the server"),
        rounds(),
        vec![
            Contestant::new("raw io-uring", || raw.round(messages)),
            Contestant::new("raw, send(2)", || direct.round(messages)),
            Contestant::new("ringspun TcpStream", || ours.round(messages)),
        ],
    );
    Ok(())
}

fn serve(bytes: usize, tell: Box<dyn FnOnce(SocketAddr)>) -> io::Result<()> {
    Runtime::new()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        tell(listener.local_addr()?);
        loop {
            let (mut stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let _echo = ringspun::spawn(async move {
                let mut buf = vec![0; bytes];
                while let Ok(count @ 1..) = stream.read(&mut buf).await {
                    if stream.write_all(&buf[..count]).await.is_err() {
                        return;
                    }
                }
            });
        }
    })
}

/// Server and client each have a core, so that neither waits for the other's.
fn pin_to(cpu: usize) {
    // SAFETY: a set of zeroes is the empty one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the number is below the size of the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the pointer is valid during the call; 0 is the calling thread. One core is fine too.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
}
