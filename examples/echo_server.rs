//! An echo server on io_uring completions. Talk to it with the `echo_client` example, or:
//!
//! ```text
//! nc 127.0.0.1 3131
//! ```
//!
//! One core: an accept in flight, a task for each connection, a receive and a send in turn. Ctrl-C
//! ends it.

mod common;

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use clap::Parser;
use ringspun::op::SharedFd;
use ringspun::uring::AsyncIoUring;
use socket2::{Domain, Protocol, Socket, Type};

use common::{Stop, send_all};

/// An echo server on io_uring.
#[derive(Parser)]
struct Options {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:3131")]
    addr: SocketAddr,
    /// Connections that may wait to be accepted.
    #[arg(long, default_value_t = 1024)]
    backlog: i32,
    /// Connections served at a time; more are turned away.
    #[arg(long, default_value_t = 10_000)]
    max_connections: usize,
    /// Bytes of a connection's buffer.
    #[arg(long, default_value_t = 4096)]
    buffer: usize,
}

#[derive(Default)]
struct Totals {
    open: Cell<usize>,
    accepted: Cell<u64>,
    bytes: Cell<u64>,
}

#[ringspun::main(name = "echo")]
async fn main() -> ExitCode {
    common::exit(run().await)
}

async fn run() -> io::Result<()> {
    let options = Options::parse();
    let listener = listen(&options)
        .map_err(|error| io::Error::other(format!("cannot listen on {}: {error}", options.addr)))?;
    let address = listener.local_addr()?;
    ringspun::println!(
        "echo server on {}, by io_uring. Try: nc {} {}   (Ctrl-C ends it)",
        address.as_socket().map_or_else(String::new, |address| address.to_string()),
        options.addr.ip(),
        address.as_socket().map_or(0, |address| address.port()),
    )
    .await?;
    let stop = Stop::on_signals()?;
    let totals = Rc::new(Totals::default());
    let acceptor = ringspun::spawn(accept_loop(
        SharedFd::new(OwnedFd::from(listener)),
        options,
        Rc::clone(&totals),
    ));
    stop.requested().await;
    acceptor.abort();
    let _ = acceptor.await;
    ringspun::println!(
        "\n{} connections, {} bytes echoed; {} still open are closed now",
        totals.accepted.get(),
        totals.bytes.get(),
        totals.open.get(),
    )
    .await
}

fn listen(options: &Options) -> io::Result<Socket> {
    let domain = Domain::for_address(options.addr);
    let socket = Socket::new(domain, Type::STREAM.cloexec(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&options.addr.into())?;
    socket.listen(options.backlog)?;
    Ok(socket)
}

async fn accept_loop(listener: SharedFd, options: Options, totals: Rc<Totals>) {
    let ring = AsyncIoUring::current();
    loop {
        let connection = match ring.accept(&listener, 0).await {
            Ok(connection) => connection,
            Err(error) => {
                // Too many open files, no memory: it will not be better at once.
                let _ = ringspun::eprintln!("cannot accept: {error}").await;
                ringspun::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        totals.accepted.set(totals.accepted.get() + 1);
        if totals.open.get() >= options.max_connections {
            drop(connection);
            continue;
        }
        totals.open.set(totals.open.get() + 1);
        let totals = Rc::clone(&totals);
        ringspun::spawn(async move {
            // A peer that goes away ends its own connection only.
            let _ = echo(SharedFd::new(connection), options.buffer, &totals).await;
            totals.open.set(totals.open.get() - 1);
        })
        .detach();
    }
}

async fn echo(connection: SharedFd, buffer: usize, totals: &Totals) -> io::Result<()> {
    let ring = AsyncIoUring::current();
    let mut buf = Vec::with_capacity(buffer.max(1));
    loop {
        let (received, filled) = ring.recv(&connection, buf, 0).await;
        let received = received?;
        if received == 0 {
            return ring.close(connection).await;
        }
        let (sent, filled) = send_all(&connection, filled, received).await;
        sent?;
        totals.bytes.set(totals.bytes.get() + received as u64);
        buf = filled;
    }
}
