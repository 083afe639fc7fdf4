//! Prints files, or standard input, on standard output. Regular files go through linked reads and
//! writes: the kernel starts each write when its read is done.

mod common;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use ringspun::buf::IoBuf;
use ringspun::op::{self, CWD, SharedFd};
use ringspun::uring::AsyncIoUring;

use common::copy_linked;

/// Prints files on standard output.
#[derive(Parser)]
struct Options {
    /// The files; `-` or none is standard input.
    files: Vec<PathBuf>,
}

const CHUNK: u32 = 64 * 1024;

#[ringspun::main]
async fn main() -> ExitCode {
    common::exit(run().await)
}

async fn run() -> io::Result<()> {
    let mut files = Options::parse().files;
    if files.is_empty() {
        files.push(PathBuf::from("-"));
    }
    for path in files {
        let outcome = match path.to_str() {
            Some("-") => plain(op::stdin()).await,
            _ => file(&path).await,
        };
        outcome.map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
    }
    Ok(())
}

async fn file(path: &Path) -> io::Result<()> {
    let ring = AsyncIoUring::current();
    let file = SharedFd::new(ring.openat(CWD, path, libc::O_RDONLY, 0).await?);
    let stat = ring.statx(&file, "", libc::AT_EMPTY_PATH, libc::STATX_BASIC_STATS).await?;
    if stat.mode() & libc::S_IFMT != libc::S_IFREG || stat.size() == 0 {
        return plain(&file).await;
    }
    let mut offset = 0;
    while offset < stat.size() {
        let len = u64::from(CHUNK).min(stat.size() - offset) as u32;
        let copied = copy_linked(&file, offset, op::stdout(), u64::MAX, len).await?;
        offset += u64::from(copied);
        if copied == 0 {
            // The file has shrunk, or standard output takes less at a time: go on without chains.
            return rest(&file, offset).await;
        }
    }
    Ok(())
}

async fn rest(file: &SharedFd, mut offset: u64) -> io::Result<()> {
    let ring = AsyncIoUring::current();
    let mut buf = Vec::with_capacity(CHUNK as usize);
    loop {
        buf.clear();
        let (count, filled) = ring.read(file, buf, offset).await;
        let count = count?;
        if count == 0 {
            return Ok(());
        }
        offset += count as u64;
        buf = write_all(filled).await?;
    }
}

/// What has no length that is known beforehand: read, then write.
async fn plain(from: impl op::IntoOpFd + Copy) -> io::Result<()> {
    let ring = AsyncIoUring::current();
    let mut buf = Vec::with_capacity(CHUNK as usize);
    loop {
        buf.clear();
        let (count, filled) = ring.read(from, buf, op::Read::CURSOR).await;
        if count? == 0 {
            return Ok(());
        }
        buf = write_all(filled).await?;
    }
}

async fn write_all(buf: Vec<u8>) -> io::Result<Vec<u8>> {
    let ring = AsyncIoUring::current();
    let mut buf = buf;
    let mut written = 0;
    while written < buf.len() {
        let (count, part) = ring.write(op::stdout(), buf.slice(written..), op::Read::CURSOR).await;
        buf = part.into_inner();
        written += count?;
    }
    Ok(buf)
}
