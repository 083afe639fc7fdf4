//! Copies a file by linked reads and writes, several chains in flight, then linked fsync and close.

mod common;

use std::cell::Cell;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

use clap::Parser;
use ringspun::buf::IoBuf;
use ringspun::op::{CWD, SharedFd};
use ringspun::uring::AsyncIoUring;

use common::copy_linked;

/// Copies a file.
#[derive(Parser)]
struct Options {
    /// What to copy.
    from: PathBuf,
    /// Where to.
    to: PathBuf,
    /// Replace the target if it exists.
    #[arg(long)]
    force: bool,
    /// Chains in flight.
    #[arg(long, default_value_t = 8)]
    depth: usize,
    /// KiB that one chain copies.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    chunk: u32,
}

#[ringspun::main]
async fn main() -> ExitCode {
    common::exit(run().await)
}

async fn run() -> io::Result<()> {
    let options = Options::parse();
    let ring = AsyncIoUring::current();
    let name = |path: &PathBuf, error: io::Error| {
        io::Error::new(error.kind(), format!("{}: {error}", path.display()))
    };
    let from = ring.openat(CWD, &options.from, libc::O_RDONLY, 0).await;
    let from = SharedFd::new(from.map_err(|error| name(&options.from, error))?);
    let stat = ring.statx(&from, "", libc::AT_EMPTY_PATH, libc::STATX_BASIC_STATS).await?;
    if stat.mode() & libc::S_IFMT != libc::S_IFREG {
        return Err(name(&options.from, io::Error::other("not a regular file")));
    }
    let exclusive = if options.force { libc::O_TRUNC } else { libc::O_EXCL };
    let flags = libc::O_WRONLY | libc::O_CREAT | exclusive;
    let mode = stat.mode() & 0o777;
    let to = ring.openat(CWD, &options.to, flags, mode).await;
    let to = SharedFd::new(to.map_err(|error| name(&options.to, error))?);

    let started = Instant::now();
    let chunk = options.chunk * 1024;
    let next = Rc::new(Cell::new(0));
    let lanes: Vec<_> = (0..options.depth.max(1))
        .map(|_| {
            ringspun::spawn(lane(from.clone(), to.clone(), Rc::clone(&next), stat.size(), chunk))
        })
        .collect();
    for lane in lanes {
        lane.await??;
    }
    ring.fsync(&to, 0).await?;
    ring.close(to).await?;
    let seconds = started.elapsed().as_secs_f64();
    let mebibytes = stat.size() as f64 / f64::from(1 << 20);
    ringspun::println!(
        "{} bytes in {seconds:.3} s, {:.0} MiB/s",
        stat.size(),
        mebibytes / seconds.max(1e-9)
    )
    .await
}

/// Copies chunk after chunk, whichever is next.
async fn lane(
    from: SharedFd,
    to: SharedFd,
    next: Rc<Cell<u64>>,
    size: u64,
    chunk: u32,
) -> io::Result<()> {
    loop {
        let offset = next.get();
        if offset >= size {
            return Ok(());
        }
        let len = u64::from(chunk).min(size - offset) as u32;
        next.set(offset + u64::from(len));
        let copied = copy_linked(&from, offset, &to, offset, len).await?;
        if copied < len {
            rest(&from, &to, offset + u64::from(copied), offset + u64::from(len)).await?;
        }
    }
}

/// What a chain left: short transfers are legal.
async fn rest(from: &SharedFd, to: &SharedFd, mut offset: u64, end: u64) -> io::Result<()> {
    let ring = AsyncIoUring::current();
    while offset < end {
        let buf = Vec::with_capacity((end - offset) as usize);
        let (count, mut buf) = ring.read(from, buf, offset).await;
        let count = count?;
        if count == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file became shorter while it was copied",
            ));
        }
        let mut written = 0;
        while written < count {
            let place = offset + written as u64;
            let (result, part) = ring.write(to, buf.slice(written..count), place).await;
            buf = part.into_inner();
            written += result?;
        }
        offset += count as u64;
    }
    Ok(())
}
