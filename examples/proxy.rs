//! A TCP proxy: whoever connects to it talks to another server.
//!
//! ```text
//! proxy --listen 127.0.0.1:8080 --to 192.0.2.7:80
//! ```
//!
//! One core: a task for each connection, in it both directions at once. The end of one direction is
//! passed on and the other goes on, so half-closed connections work.
//!
//! The bytes go through a pipe inside the kernel (splice), or with `--copy` through buffers of the
//! core's pool. Measure before you choose: the kernel always gives a splice to a worker thread, and
//! between sockets that costs more than the copies it saves. On a busy machine with two cores,
//! Linux 6.18, over loopback, the range of several runs:
//!
//! ```text
//!                                           splice           --copy
//! one connection, 1 GiB                     400-1010 MiB/s   770-940 MiB/s
//!   CPU of the proxy for it                 0.8-1.9 s        0.5-0.7 s
//! 8 connections, 1 GiB                      930-1080 MiB/s   1010-1140 MiB/s
//! redis-benchmark GET, 1 client             4900-8800 /s     7700-15 300 /s
//! redis-benchmark GET, 50 clients           20-26 000 /s     19-26 000 /s
//!   CPU of the proxy for a request          43-45 us         19-21 us
//! ```

mod common;

use std::cell::Cell;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use clap::Parser;
use ringspun::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use ringspun::net::{TcpListener, TcpStream};
use ringspun::op::{PollAdd, SharedFd, Splice, link};
use ringspun::uring::AsyncIoUring;

use common::Stop;

/// A TCP proxy on io_uring.
#[derive(Parser)]
struct Options {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where to connect to: an address, or a name and a port.
    #[arg(long)]
    to: String,
    /// Pass the bytes through buffers of this process instead of a pipe in the kernel.
    #[arg(long)]
    copy: bool,
    /// Connections served at a time; more are turned away.
    #[arg(long, default_value_t = 10_000)]
    max_connections: usize,
}

/// Bytes that one splice moves at most: what a pipe holds.
const PIPE: usize = 64 * 1024;

#[derive(Default)]
struct Totals {
    open: Cell<usize>,
    accepted: Cell<u64>,
}

#[ringspun::main(name = "proxy")]
async fn main() -> ExitCode {
    common::exit(run().await)
}

async fn run() -> io::Result<()> {
    let options = Rc::new(Options::parse());
    let stop = Stop::on_signals()?;
    let listener = TcpListener::bind(options.listen).await?;
    ringspun::println!("proxy on {}, to {}", listener.local_addr()?, options.to).await?;
    let totals = Rc::new(Totals::default());
    let acceptor = ringspun::spawn(accept_loop(listener, options, Rc::clone(&totals)));
    stop.requested().await;
    acceptor.abort();
    let _ = acceptor.await;
    ringspun::println!(
        "\n{} connections; {} still open are closed now",
        totals.accepted.get(),
        totals.open.get(),
    )
    .await
}

async fn accept_loop(listener: TcpListener, options: Rc<Options>, totals: Rc<Totals>) {
    loop {
        let (client, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Too many open files, no memory: it will not be better at once.
                let _ = ringspun::eprintln!("cannot accept: {error}").await;
                ringspun::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        totals.accepted.set(totals.accepted.get() + 1);
        if totals.open.get() >= options.max_connections {
            continue;
        }
        totals.open.set(totals.open.get() + 1);
        let (options, totals) = (Rc::clone(&options), Rc::clone(&totals));
        ringspun::spawn(async move {
            let (there, back) = (Cell::new(0), Cell::new(0));
            let outcome = match connection(client, &options, &there, &back).await {
                Ok(()) => String::new(),
                Err(error) => format!("; {error}"),
            };
            totals.open.set(totals.open.get() - 1);
            let (there, back) = (there.get(), back.get());
            let _ =
                ringspun::println!("{peer}: {there} bytes there, {back} bytes back{outcome}").await;
        })
        .detach();
    }
}

/// Serves one client up to the end of both directions, or the first error.
async fn connection(
    client: TcpStream,
    options: &Options,
    there: &Cell<u64>,
    back: &Cell<u64>,
) -> io::Result<()> {
    let server = TcpStream::connect(&options.to).await.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot connect to {}: {error}", options.to))
    })?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    if options.copy {
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        futures::try_join!(
            copy(from_client, to_server, there),
            copy(from_server, to_client, back),
        )?;
    } else {
        let client = SharedFd::new(OwnedFd::from(client.into_std()?));
        let server = SharedFd::new(OwnedFd::from(server.into_std()?));
        futures::try_join!(splice(&client, &server, there), splice(&server, &client, back))?;
    }
    Ok(())
}

/// One direction by buffers of the core's pool: an idle connection holds none.
async fn copy(from: OwnedReadHalf, mut to: OwnedWriteHalf, count: &Cell<u64>) -> io::Result<()> {
    loop {
        let bytes = from.recv_pooled().await?;
        if bytes.is_empty() {
            return to.shutdown().await;
        }
        to.write_all(&bytes).await?;
        count.set(count.get() + bytes.len() as u64);
    }
}

/// One direction by a pipe: the bytes never come here.
async fn splice(from: &SharedFd, to: &SharedFd, count: &Cell<u64>) -> io::Result<()> {
    let (reader, writer) = io::pipe()?;
    let (reader, writer) = (SharedFd::new(reader), SharedFd::new(writer));
    loop {
        let mut held = splice_when_ready(from, libc::POLLIN, from, &writer, PIPE).await?;
        if held == 0 {
            return AsyncIoUring::current().shutdown(to, Shutdown::Write).await;
        }
        while held > 0 {
            let moved = splice_when_ready(to, libc::POLLOUT, &reader, to, held).await?;
            held -= moved;
            count.set(count.get() + moved as u64);
        }
    }
}

/// Waits for the socket and splices, as one chain of two ops. A splice that waits would hold a
/// worker of the kernel; one that finds nothing to do says so instead, for the sockets are
/// non-blocking.
async fn splice_when_ready(
    socket: &SharedFd,
    events: i16,
    from: &SharedFd,
    to: &SharedFd,
    len: usize,
) -> io::Result<usize> {
    loop {
        let ready = PollAdd::new(socket, events as u32);
        let splice = Splice::new(from, None, to, None, len, libc::SPLICE_F_NONBLOCK);
        let (ready, moved) = link((ready, splice)).await?;
        ready?;
        match moved {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            moved => return moved,
        }
    }
}
