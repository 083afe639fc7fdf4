//! The client of the `echo_server` example: sends what you type, prints what comes back. If you
//! type nothing for ten seconds it ends.

mod common;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use ringspun::op::{self, SharedFd};
use ringspun::uring::{AsyncIoUring, AsyncWriter};
use socket2::{Domain, Protocol, Socket, Type};

use common::send_all;

/// A client for the echo server.
#[derive(Parser)]
struct Options {
    /// Where the server listens.
    #[arg(long, default_value = "127.0.0.1:3131")]
    addr: SocketAddr,
    /// Seconds to wait for input.
    #[arg(long, default_value_t = 10.0)]
    timeout: f64,
}

const BUFFER: usize = 256;

#[ringspun::main(entries = 16)]
async fn main() -> ExitCode {
    common::exit(run().await)
}

async fn run() -> io::Result<()> {
    let options = Options::parse();
    let timeout = Duration::try_from_secs_f64(options.timeout)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let ring = AsyncIoUring::current();
    let server = connect(&ring, options.addr).await.map_err(|error| {
        io::Error::other(format!(
            "cannot connect to {}: {error}. Is the server running? \
             (cargo run --release --example echo_server)",
            options.addr
        ))
    })?;
    let mut stderr = AsyncWriter::new(op::stderr());
    let mut buf = Vec::with_capacity(BUFFER);
    loop {
        stderr.print(format_args!("Input: ")).await?;
        buf.clear();
        // A pipe and a terminal have no offset: they are read at their cursor.
        let read = ring.read(op::stdin(), buf, op::Read::CURSOR).timeout(timeout);
        let (result, line) = read.await;
        let len = match result {
            Ok(0) => {
                stderr.print(format_args!("\nEnd of input, exiting...\n")).await?;
                return ring.close(server).await;
            }
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                let text = format_args!("\nTimed out waiting for input, exiting...\n");
                stderr.print(text).await?;
                return ring.close(server).await;
            }
            Err(error) => return Err(error),
        };
        let (sent, mut line) = send_all(&server, line, len).await;
        sent?;
        let mut received = 0;
        while received < len {
            line.clear();
            let (result, part) = ring.recv(&server, line, 0).await;
            let count = result?;
            if count == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the server closed the connection",
                ));
            }
            let lead = if received == 0 { "Received: " } else { "" };
            let mut text = Vec::with_capacity(lead.len() + count);
            text.write_all(lead.as_bytes())?;
            text.write_all(&part[..count])?;
            ringspun::print!("{}", String::from_utf8_lossy(&text)).await?;
            received += count;
            line = part;
        }
        buf = line;
    }
}

async fn connect(ring: &AsyncIoUring, address: SocketAddr) -> io::Result<SharedFd> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM.cloexec(), Some(Protocol::TCP))?;
    let socket = SharedFd::new(OwnedFd::from(socket));
    ring.connect(&socket, address).await?;
    Ok(socket)
}
