//! The benchmark of the Zig library: clients that send 512 bytes to an echo server and wait for
//! them, 30 to a thread, each thread with a ring of its own.
//!
//! ```text
//! cargo run --release --example echo_server &
//! cargo run --release --example benchmark -- --threads 1
//! ```

mod common;

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use clap::Parser;
use ringspun::op::SharedFd;
use ringspun::runtime::Builder;
use ringspun::uring::AsyncIoUring;
use socket2::{Domain, Protocol, Socket, Type};

use common::send_all;

/// Measures an echo server.
#[derive(Parser, Clone)]
struct Options {
    /// Where the server listens.
    #[arg(long, default_value = "127.0.0.1:3131")]
    addr: SocketAddr,
    /// Threads, each with a ring.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Clients of each thread.
    #[arg(long, default_value_t = 30)]
    clients: usize,
    /// Round trips of each client.
    #[arg(long, default_value_t = 5000)]
    round_trips: u64,
    /// Bytes of a message.
    #[arg(long, default_value_t = 512)]
    bytes: usize,
}

fn main() -> ExitCode {
    common::exit(run())
}

fn run() -> io::Result<()> {
    let options = Options::parse();
    let started = Instant::now();
    let threads: Vec<_> = (0..options.threads)
        .map(|_| {
            let options = options.clone();
            thread::spawn(move || Builder::new().entries(4096).build()?.block_on(clients(options)))
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| io::Error::other("a thread panicked"))??;
    }
    let elapsed = started.elapsed().as_secs_f64();
    let total = options.threads as u64 * options.clients as u64 * options.round_trips;
    println!(
        "{total} round trips of {} bytes in {elapsed:.2} s: {:.0} a second",
        options.bytes,
        total as f64 / elapsed,
    );
    Ok(())
}

async fn clients(options: Options) -> io::Result<()> {
    let clients: Vec<_> =
        (0..options.clients).map(|_| ringspun::spawn(client(options.clone()))).collect();
    for client in clients {
        client.await??;
    }
    Ok(())
}

async fn client(options: Options) -> io::Result<()> {
    let ring = AsyncIoUring::current();
    let domain = Domain::for_address(options.addr);
    let socket = Socket::new(domain, Type::STREAM.cloexec(), Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    let socket = SharedFd::new(OwnedFd::from(socket));
    ring.connect(&socket, options.addr).await.map_err(|error| {
        io::Error::other(format!("cannot connect to {}: {error}", options.addr))
    })?;
    let mut message = vec![0; options.bytes.max(1)];
    let mut answer = Vec::with_capacity(options.bytes.max(1));
    for _ in 0..options.round_trips {
        let len = message.len();
        let (sent, back) = send_all(&socket, message, len).await;
        sent?;
        message = back;
        let mut received = 0;
        while received < len {
            let (result, back) = ring.recv(&socket, answer, 0).await;
            answer = back;
            match result? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => received += count,
            }
        }
    }
    ring.close(socket).await
}
