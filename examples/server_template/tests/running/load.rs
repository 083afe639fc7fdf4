//! A client as the promise has it in mind: it keeps its connection, opens a new one when an answer
//! said `Connection: close`, and counts each request that was sent and not answered.

use std::io::{Error, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use crate::process::connect;

/// Clients at work.
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

/// What a client does when an answer has ended its connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Ends,
    Reconnects,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    answered: AtomicU64,
    closed: AtomicU64,
}

/// What became of them.
#[derive(Debug)]
pub(crate) struct Count {
    /// Answers that ended their connection.
    pub(crate) closed: u64,
    /// Requests without an answer, and why.
    pub(crate) failed: Vec<String>,
}

impl Load {
    pub(crate) fn start(address: SocketAddr, clients: usize, after: After) -> Load {
        let shared = Arc::new(Shared::default());
        let clients = (0..clients)
            .map(|_| {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || client(address, after, &shared))
            })
            .collect();
        Load { shared, clients }
    }

    pub(crate) fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Waits until so many more are answered.
    pub(crate) fn go_on_for(&self, requests: u64) {
        let goal = self.answered() + requests;
        while self.answered() < goal && self.clients.iter().any(|client| !client.is_finished()) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Each client ends with its present request.
    pub(crate) fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }

    /// Waits for the clients: until they were stopped, or nobody listens any more.
    pub(crate) fn count(self) -> Count {
        let failed = self.clients.into_iter().flat_map(|client| client.join().expect("no panic"));
        let failed = failed.collect();
        Count { closed: self.shared.closed.load(Ordering::Relaxed), failed }
    }
}

fn client(address: SocketAddr, after: After, shared: &Shared) -> Vec<String> {
    let mut failed = Vec::new();
    let mut connection = None;
    while !shared.stop.load(Ordering::Relaxed) {
        let mut stream = match connection.take().map_or_else(|| connect(address), Ok) {
            Ok(stream) => stream,
            // Nobody listens: the end, no failure.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => break,
            Err(error) => {
                failed.push(format!("connect: {error}"));
                break;
            }
        };
        match request(&mut stream) {
            Ok(is_last) => {
                shared.answered.fetch_add(1, Ordering::Relaxed);
                if !is_last {
                    connection = Some(stream);
                    continue;
                }
                shared.closed.fetch_add(1, Ordering::Relaxed);
                if after == After::Ends {
                    break;
                }
            }
            Err(error) => failed.push(format!("request: {error}")),
        }
    }
    failed
}

/// One request; true if the answer ends the connection.
fn request(stream: &mut TcpStream) -> std::io::Result<bool> {
    stream.write_all(b"GET /hello HTTP/1.1\r\nhost: here\r\n\r\n")?;
    let mut held = Vec::new();
    let mut part = [0; 1024];
    loop {
        if let Some(end) = held.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&held[..end]).to_ascii_lowercase();
            if held.len() >= end + 4 + "hello\n".len() {
                let is_good = head.starts_with("http/1.1 200") && held.ends_with(b"hello\n");
                let answer = || String::from_utf8_lossy(&held).into_owned();
                return match is_good {
                    true => Ok(head.contains("connection: close")),
                    false => Err(Error::other(answer())),
                };
            }
        }
        match stream.read(&mut part)? {
            0 => return Err(Error::new(ErrorKind::UnexpectedEof, format!("after {held:?}"))),
            count => held.extend_from_slice(&part[..count]),
        }
    }
}
