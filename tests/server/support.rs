//! A server in a thread of its own, and clients of std that do not wait for ever.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ringspun::server::{Context, Report, Serve, ServerHandle, Stream};

/// Longer than anything here takes on a loaded machine; what waits so long hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server that runs in a thread of its own; drained when it is dropped.
pub(crate) struct Running {
    pub(crate) handle: ServerHandle,
    thread: Option<JoinHandle<io::Result<Report>>>,
}

/// Runs it, and waits until it listens.
pub(crate) fn start(server: Serve) -> Running {
    let handle = server.handle();
    let thread = std::thread::spawn(move || server.run());
    wait_until("the server listens", || !handle.local_addrs().is_empty() || thread.is_finished());
    Running { handle, thread: Some(thread) }
}

impl Running {
    pub(crate) fn tcp(&self) -> SocketAddr {
        let addrs = self.handle.local_addrs();
        addrs.iter().find_map(|address| address.tcp()).expect("it listens on TCP")
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.tcp())
    }

    /// Drains it with this deadline, and gives its report.
    pub(crate) fn drain(mut self, deadline: Duration) -> Report {
        self.handle.drain(deadline);
        self.end().expect("it ends well")
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self) -> io::Result<Report> {
        let thread = self.thread.take().expect("once");
        wait_until("the server ends", || thread.is_finished());
        thread.join().expect("it does not panic")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    stream.set_write_timeout(Some(PATIENCE)).expect("not zero");
    stream
}

/// Panics after [`PATIENCE`].
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Sends back what it reads.
pub(crate) async fn echo<S>(mut stream: Stream, _: Context<S>) -> io::Result<()> {
    let mut buf = [0; 1024];
    loop {
        match stream.read(&mut buf).await? {
            0 => return Ok(()),
            count => stream.write_all(&buf[..count]).await?,
        }
    }
}

/// Says on which core it is, in one byte, and then waits for the client's end.
pub(crate) async fn say_core(mut stream: Stream, context: Context) -> io::Result<()> {
    stream.write_all(&[context.core() as u8]).await?;
    while stream.read(&mut [0; 64]).await? > 0 {}
    Ok(())
}

/// Says something, and hears the same.
pub(crate) fn ask(stream: &mut (impl Read + Write), text: &str) {
    stream.write_all(text.as_bytes()).expect("it is taken");
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(answer, text.as_bytes());
}

/// One byte.
pub(crate) fn byte(stream: &mut impl Read) -> u8 {
    let mut byte = [0];
    stream.read_exact(&mut byte).expect("a byte");
    byte[0]
}

/// The connection ends, by an end or a reset, and brings nothing before that.
pub(crate) fn assert_ended(stream: &mut impl Read) {
    match stream.read(&mut [0; 16]) {
        Ok(0) => {}
        Ok(count) => panic!("{count} bytes and not the end"),
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}"),
    }
}
