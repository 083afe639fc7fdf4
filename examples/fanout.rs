//! Many requests at once to one server: how long does all of it take? One core, one thread.
//!
//! ```text
//! slow_server --delay 3 &
//! fanout --tcp 50 --udp 50      3.0 s, not 300
//! ```

mod common;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use ringspun::net::{TcpStream, UdpSocket};
use ringspun::task::JoinSet;
use ringspun::time::timeout;

/// Asks a server many times at once.
#[derive(Parser)]
struct Options {
    /// Where the server listens.
    #[arg(long, default_value = "127.0.0.1:3132")]
    addr: SocketAddr,
    /// Requests by TCP, each with a connection of its own.
    #[arg(long, default_value_t = 0)]
    tcp: usize,
    /// Requests by UDP, each with a socket of its own.
    #[arg(long, default_value_t = 0)]
    udp: usize,
    /// Seconds that each may take.
    #[arg(long, default_value_t = 60.0)]
    deadline: f64,
}

#[ringspun::main(name = "fanout")]
async fn main() -> ExitCode {
    common::exit(run().await)
}

async fn run() -> io::Result<()> {
    let options = Options::parse();
    let deadline = Duration::try_from_secs_f64(options.deadline)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let started = Instant::now();
    let mut requests = JoinSet::new();
    for _ in 0..options.tcp {
        requests.spawn(timeout(deadline, by_tcp(options.addr)));
    }
    for _ in 0..options.udp {
        requests.spawn(timeout(deadline, by_udp(options.addr)));
    }
    let (mut answers, mut failures) = (0, 0);
    while let Some(joined) = requests.join_next().await {
        match joined?.unwrap_or_else(|late| Err(late.into())) {
            Ok(()) => answers += 1,
            Err(error) => {
                failures += 1;
                ringspun::eprintln!("{error}").await?;
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    ringspun::println!("{answers} answers in {seconds:.1} s, {threads} threads").await?;
    if failures > 0 {
        return Err(io::Error::other(format!("{failures} requests failed")));
    }
    Ok(())
}

const REQUEST: &[u8] = b"are you there?\n";

async fn by_tcp(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(REQUEST).await?;
    let mut answer = [0; REQUEST.len()];
    stream.read_exact(&mut answer).await?;
    expect(&answer)
}

async fn by_udp(address: SocketAddr) -> io::Result<()> {
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    socket.send(REQUEST).await?;
    let mut answer = [0; 1500];
    let len = socket.recv(&mut answer).await?;
    expect(&answer[..len])
}

fn expect(answer: &[u8]) -> io::Result<()> {
    match answer {
        REQUEST => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is not what was asked")),
    }
}
