//! A server that speaks the protocol of Redis (RESP2), in memory. Talk to it with `redis-cli`,
//! measure it with `redis-benchmark`:
//!
//! ```text
//! mini_redis --listen 127.0.0.1:6380 &
//! redis-cli -p 6380 set greeting hello ex 60
//! redis-benchmark -p 6380 -t get,set -P 16 -q
//! ```
//!
//! One core, so the data is behind an `Rc<RefCell<_>>`, without a lock. A client that sends many
//! commands at once gets all their answers by one write. A key that expires has a task of its own
//! that sleeps until then.
//!
//! - `request.rs`: bytes to commands
//! - `answer.rs`: answers to bytes
//! - `commands.rs`: what each command does
//! - `store.rs`, `pattern.rs`: the data, and which keys a pattern means

mod answer;
mod commands;
#[path = "../common/mod.rs"]
mod common;
mod pattern;
mod request;
mod store;

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use clap::Parser;
use ringspun::net::{TcpListener, TcpStream};

use answer::Answers;
use commands::Then;
use common::Stop;
use store::Store;

/// A small server that speaks the protocol of Redis.
#[derive(Parser)]
struct Options {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:6380")]
    listen: SocketAddr,
    /// Clients served at a time; more are turned away.
    #[arg(long, default_value_t = 10_000)]
    max_clients: usize,
    /// MiB that one command may have, all its arguments together.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=512))]
    max_command: u32,
}

/// Bytes of answers that are written before further commands are looked at.
const ANSWERS: usize = 1 << 20;
/// Bytes that a buffer may keep while a client is idle.
const IDLE: usize = 64 * 1024;

#[derive(Default)]
struct Totals {
    open: Cell<usize>,
    accepted: Cell<u64>,
    commands: Cell<u64>,
}

#[ringspun::main(name = "mini_redis")]
async fn main() -> ExitCode {
    common::exit(run().await)
}

async fn run() -> io::Result<()> {
    let options = Options::parse();
    let stop = Stop::on_signals()?;
    let listener = TcpListener::bind(options.listen).await?;
    ringspun::println!("mini redis on {}   (Ctrl-C ends it)", listener.local_addr()?).await?;
    let totals = Rc::new(Totals::default());
    ringspun::spawn(accept_loop(listener, options, Rc::clone(&totals))).detach();
    stop.requested().await;
    ringspun::println!("\n{} clients, {} commands", totals.accepted.get(), totals.commands.get())
        .await
}

async fn accept_loop(listener: TcpListener, options: Options, totals: Rc<Totals>) {
    let store = Store::new();
    let limit = options.max_command as usize * 1024 * 1024;
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Too many open files, no memory: it will not be better at once.
                let _ = ringspun::eprintln!("cannot accept: {error}").await;
                ringspun::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        totals.accepted.set(totals.accepted.get() + 1);
        if totals.open.get() >= options.max_clients {
            let _ = stream.try_write(b"-ERR max number of clients reached\r\n");
            continue;
        }
        totals.open.set(totals.open.get() + 1);
        let (store, totals) = (Rc::clone(&store), Rc::clone(&totals));
        ringspun::spawn(async move {
            // A client that goes away ends its own connection only.
            let _ = serve(stream, &store, limit, &totals).await;
            totals.open.set(totals.open.get() - 1);
        })
        .detach();
    }
}

/// Serves one client until it goes, quits, or says what cannot be understood.
async fn serve(
    mut stream: TcpStream,
    store: &RefCell<Store>,
    limit: usize,
    totals: &Totals,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // Of a command whose rest is to come, and the answers to those that are done.
    let (mut input, mut answers) = (Vec::new(), Answers::default());
    loop {
        // While it waits it holds no memory: the kernel takes a buffer when bytes are there.
        let received = stream.recv_pooled().await?;
        if received.is_empty() {
            return Ok(());
        }
        input.extend_from_slice(&received);
        drop(received);
        let mut used = 0;
        let mut then = Then::GoOn;
        while then == Then::GoOn {
            match request::parse(&input[used..], limit) {
                Ok(Some((arguments, len))) => {
                    used += len;
                    if !arguments.is_empty() {
                        totals.commands.set(totals.commands.get() + 1);
                        then = commands::execute(&mut store.borrow_mut(), &arguments, &mut answers);
                    }
                }
                Ok(None) => break,
                Err(problem) => {
                    answers.error(&problem);
                    then = Then::Close;
                }
            }
            if answers.bytes.len() >= ANSWERS {
                stream.write_all(&answers.bytes).await?;
                answers.bytes.clear();
            }
        }
        stream.write_all(&answers.bytes).await?;
        if then == Then::Close {
            return stream.shutdown().await;
        }
        input.drain(..used);
        answers.bytes.clear();
        if input.is_empty() {
            input.shrink_to(IDLE);
            answers.bytes.shrink_to(IDLE);
        }
    }
}
