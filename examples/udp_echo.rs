//! An echo of datagrams, and who asks it.
//!
//! ```text
//! udp_echo --listen 127.0.0.1:3133
//! udp_echo --to 127.0.0.1:3133 --count 1000 --size 512
//! ```
//!
//! The server takes up to 32 datagrams with one wait, into memory that is allocated once.

mod common;

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use ringspun::net::UdpSocket;
use ringspun::net::udp::Batch;
use ringspun::time::{sleep, timeout};

use common::Stop;

/// An echo of datagrams: the server, or with `--to` the client.
#[derive(Parser)]
struct Options {
    /// Where the server listens.
    #[arg(long, default_value = "127.0.0.1:3133", conflicts_with = "to")]
    listen: SocketAddr,
    /// Be the client, and ask this server.
    #[arg(long)]
    to: Option<SocketAddr>,
    /// Datagrams that the client sends, one after the other.
    #[arg(long, default_value_t = 1000)]
    count: u32,
    /// Bytes of each.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(..=LARGEST))]
    size: u32,
    /// Seconds that the client waits for an answer.
    #[arg(long, default_value_t = 1.0)]
    patience: f64,
}

/// What a datagram over IPv4 can hold.
const LARGEST: i64 = 65_507;
/// Datagrams taken at once.
const BATCH: usize = 32;

#[derive(Default)]
struct Totals {
    datagrams: Cell<u64>,
    bytes: Cell<u64>,
}

#[ringspun::main(name = "udp_echo")]
async fn main() -> ExitCode {
    common::exit(run().await)
}

async fn run() -> io::Result<()> {
    let options = Options::parse();
    let stop = Stop::on_signals()?;
    let interrupted = async {
        stop.requested().await;
        Ok(())
    };
    match options.to {
        Some(server) => futures_lite::future::or(ask(server, &options), interrupted).await,
        None => {
            let totals = Totals::default();
            futures_lite::future::or(serve(options.listen, &totals), interrupted).await?;
            let (datagrams, bytes) = (totals.datagrams.get(), totals.bytes.get());
            ringspun::println!("\n{datagrams} datagrams, {bytes} bytes echoed").await
        }
    }
}

async fn serve(address: SocketAddr, totals: &Totals) -> io::Result<()> {
    let socket = UdpSocket::bind(address).await?;
    ringspun::println!("udp echo on {}   (Ctrl-C ends it)", socket.local_addr()?).await?;
    let mut batch = Batch::new(BATCH, LARGEST as usize);
    loop {
        if let Err(error) = socket.recv_batch(&mut batch).await {
            ringspun::eprintln!("cannot receive: {error}").await?;
            sleep(Duration::from_millis(100)).await;
            continue;
        }
        for datagram in batch.iter() {
            // Who cannot be answered does not keep the others waiting.
            match socket.send_to(datagram.bytes, datagram.from).await {
                Ok(sent) => {
                    totals.datagrams.set(totals.datagrams.get() + 1);
                    totals.bytes.set(totals.bytes.get() + sent as u64);
                }
                Err(error) => ringspun::eprintln!("{}: {error}", datagram.from).await?,
            }
        }
    }
}

async fn ask(server: SocketAddr, options: &Options) -> io::Result<()> {
    let patience = Duration::try_from_secs_f64(options.patience)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let socket = UdpSocket::bind(if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).await?;
    socket.connect(server).await?;
    let mut buf = vec![0; LARGEST as usize];
    let (mut times, mut lost) = (Vec::new(), 0);
    for number in 0..options.count {
        let request: Vec<u8> = (0..options.size).map(|at| (at + number) as u8).collect();
        let started = Instant::now();
        socket.send(&request).await?;
        let answer = async {
            // An answer that comes too late is one to an earlier request.
            loop {
                let len = socket.recv(&mut buf).await?;
                if buf[..len] == request {
                    return io::Result::Ok(());
                }
            }
        };
        match timeout(patience, answer).await {
            Ok(answered) => {
                answered?;
                times.push(started.elapsed());
            }
            Err(_) => lost += 1,
        }
    }
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    ringspun::println!("{} answers, {lost} lost, half of them within {median:?}", times.len()).await
}
