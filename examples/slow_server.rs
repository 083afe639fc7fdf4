//! A server that answers late: each request after the same delay, and all of them at once. It
//! listens on a port of TCP and on the same of UDP, and says again what it was told. The `fanout`
//! example asks it.

mod common;

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use clap::Parser;
use ringspun::net::{TcpListener, TcpStream, UdpSocket};
use ringspun::time::sleep;

use common::Stop;

/// A server that answers late.
#[derive(Parser)]
struct Options {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:3132")]
    addr: SocketAddr,
    /// Seconds until an answer.
    #[arg(long, default_value_t = 3.0)]
    delay: f64,
}

/// Requests that wait for their answers, and the most that ever did.
#[derive(Default)]
struct Waiting {
    now: Cell<usize>,
    most: Cell<usize>,
}

impl Waiting {
    async fn wait(&self, delay: Duration) {
        self.now.set(self.now.get() + 1);
        self.most.set(self.most.get().max(self.now.get()));
        sleep(delay).await;
        self.now.set(self.now.get() - 1);
    }
}

#[ringspun::main(name = "slow_server")]
async fn main() -> ExitCode {
    common::exit(run().await)
}

async fn run() -> io::Result<()> {
    let options = Options::parse();
    let delay = Duration::try_from_secs_f64(options.delay)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let stop = Stop::on_signals()?;
    let listener = TcpListener::bind(options.addr).await?;
    let address = listener.local_addr()?;
    let socket = Rc::new(UdpSocket::bind(address).await?);
    ringspun::println!("slow server on {address}, TCP and UDP, answers after {delay:?}").await?;
    let waiting = Rc::new(Waiting::default());
    ringspun::spawn(streams(listener, delay, Rc::clone(&waiting))).detach();
    ringspun::spawn(datagrams(socket, delay, Rc::clone(&waiting))).detach();
    stop.requested().await;
    ringspun::println!("\nat most {} requests waited at a time", waiting.most.get()).await
}

async fn streams(listener: TcpListener, delay: Duration, waiting: Rc<Waiting>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                ringspun::spawn(answer(stream, delay, Rc::clone(&waiting))).detach();
            }
            Err(error) => {
                let _ = ringspun::eprintln!("cannot accept: {error}").await;
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// A peer that goes away ends its own connection only.
async fn answer(mut stream: TcpStream, delay: Duration, waiting: Rc<Waiting>) -> io::Result<()> {
    loop {
        let request = stream.recv_pooled().await?;
        if request.is_empty() {
            return Ok(());
        }
        waiting.wait(delay).await;
        stream.write_all(&request).await?;
    }
}

async fn datagrams(socket: Rc<UdpSocket>, delay: Duration, waiting: Rc<Waiting>) {
    let mut buf = [0; 1500];
    loop {
        let (len, peer) = match socket.recv_from(&mut buf).await {
            Ok(received) => received,
            Err(error) => {
                let _ = ringspun::eprintln!("cannot receive: {error}").await;
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let request = buf[..len].to_vec();
        let (socket, waiting) = (Rc::clone(&socket), Rc::clone(&waiting));
        ringspun::spawn(async move {
            waiting.wait(delay).await;
            let _ = socket.send_to(&request, peer).await;
        })
        .detach();
    }
}
