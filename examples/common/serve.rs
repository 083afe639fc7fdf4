//! What servers do alike: accept, a task for each connection, and an end that cuts nobody off who
//! comes to an end soon.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::select;
use ringspun::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::Stop;

/// Connections that are open at a time, and how long they may take to end.
#[derive(clap::Args)]
pub(crate) struct Limits {
    /// Connections served at a time; more wait to be accepted.
    #[arg(long, default_value_t = 10_000)]
    max_connections: u32,
    /// Seconds that open connections have after Ctrl-C. A second Ctrl-C does not wait.
    #[arg(long, default_value_t = 5)]
    grace: u64,
}

/// One connection's share of the server. The server ends when all sessions and their clones are
/// dropped, or when it has waited for long enough.
#[derive(Clone)]
pub(crate) struct Session {
    closing: CancellationToken,
    _open: Arc<OwnedSemaphorePermit>,
}

impl Session {
    /// Resolves when the server ends: time to finish what is begun.
    pub(crate) async fn closing(&self) {
        self.closing.cancelled().await;
    }
}

/// Runs `serve_one` for each connection, until the first signal.
pub(crate) async fn serve<S, F>(
    listener: TcpListener,
    stop: Stop,
    limits: &Limits,
    serve_one: S,
) -> io::Result<()>
where
    S: Fn(TcpStream, Session) -> F,
    F: Future<Output = ()> + 'static,
{
    let closing = CancellationToken::new();
    let room = Arc::new(Semaphore::new(limits.max_connections as usize));
    // What loses is dropped: the future that accepts, and with it the listener.
    select(pin!(accept_loop(listener, &closing, &room, serve_one)), pin!(stop.requested())).await;
    closing.cancel();
    let open = || limits.max_connections as usize - room.available_permits();
    ringspun::println!("\nno more connections; {} are open", open()).await?;
    let grace = Duration::from_secs(limits.grace);
    let all_ended = async { drop(room.acquire_many(limits.max_connections).await) };
    let (sleep, again) = (pin!(ringspun::time::sleep(grace)), pin!(stop.requested()));
    select(pin!(all_ended), select(sleep, again)).await;
    match open() {
        0 => Ok(()),
        cut_off => ringspun::println!("{cut_off} still open are cut off").await,
    }
}

async fn accept_loop<S, F>(
    listener: TcpListener,
    closing: &CancellationToken,
    room: &Arc<Semaphore>,
    serve_one: S,
) where
    S: Fn(TcpStream, Session) -> F,
    F: Future<Output = ()> + 'static,
{
    loop {
        let Ok(open) = Arc::clone(room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are written whole; waiting for more would only hold them up.
                let _ = stream.set_nodelay(true);
                let session = Session { closing: closing.clone(), _open: Arc::new(open) };
                ringspun::spawn(serve_one(stream, session)).detach();
            }
            Err(error) => {
                // Too many open files, no memory: it will not be better at once.
                let _ = ringspun::eprintln!("cannot accept: {error}").await;
                ringspun::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
