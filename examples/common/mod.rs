//! What the examples share.

#![allow(dead_code, unused_imports, reason = "each example uses a part")]

mod linked;
mod serve;

use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use ringspun::op::SharedFd;
use ringspun::uring::AsyncIoUring;

pub(crate) use linked::copy_linked;
pub(crate) use serve::{Limits, Session, serve};

/// How a program ends: an error is one line that a person understands.
pub(crate) fn exit(result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has gone; that is no failure of ours.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Ctrl-C and SIGTERM as something to await: the signal handler writes into a pipe, the ring reads
/// from it.
pub(crate) struct Stop {
    pipe: SharedFd,
}

impl Stop {
    /// From now on these signals do not end the process any more, once.
    pub(crate) fn on_signals() -> io::Result<Stop> {
        let (reader, writer) = io::pipe()?;
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            let writer = writer.try_clone()?;
            signal_hook::low_level::pipe::register(signal, OwnedFd::from(writer))?;
        }
        Ok(Stop { pipe: SharedFd::new(OwnedFd::from(reader)) })
    }

    /// Resolves when the first signal comes.
    pub(crate) async fn requested(&self) {
        let ring = AsyncIoUring::current();
        let _ = ring.read(&self.pipe, Vec::with_capacity(1), u64::MAX).await;
    }
}

/// Sends all of the first `len` bytes of `buf`; gives the buffer back.
pub(crate) async fn send_all(
    socket: &SharedFd,
    buf: Vec<u8>,
    len: usize,
) -> (io::Result<()>, Vec<u8>) {
    use ringspun::buf::IoBuf;

    let ring = AsyncIoUring::current();
    let mut buf = buf;
    let mut sent = 0;
    while sent < len {
        let (result, part) = ring.send(socket, buf.slice(sent..len), 0).await;
        buf = part.into_inner();
        match result {
            Ok(count) => sent += count,
            Err(error) => return (Err(error), buf),
        }
    }
    (Ok(()), buf)
}
