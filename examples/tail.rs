//! The last lines of files, and with `-f` what is appended to them, until Ctrl-C.
//!
//! ```text
//! tail -n 20 -f /var/log/syslog
//! ```
//!
//! The end of a file is read backwards by `read_at`, block by block, so the size of the file does
//! not matter. `-f` looks by a timer whether there is more: that works on every filesystem, also on
//! those of networks where inotify is silent, and notices truncation and rotation by the same look.

mod common;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use ringspun::buf::IoBuf;
use ringspun::fs::{File, Metadata};
use ringspun::op::{self, Read};
use ringspun::time::interval;
use ringspun::uring::AsyncIoUring;

use common::Stop;

/// Prints the last lines of files.
#[derive(Parser)]
struct Options {
    /// The files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// How many lines.
    #[arg(short = 'n', long, default_value_t = 10)]
    lines: usize,
    /// Goes on with what is appended, also after truncation and rotation.
    #[arg(short, long)]
    follow: bool,
    /// Seconds between two looks.
    #[arg(short, long, default_value_t = 0.25)]
    sleep_interval: f64,
}

/// Bytes read at a time.
const BLOCK: usize = 64 * 1024;

struct Followed {
    path: PathBuf,
    file: File,
    /// Up to where it was printed.
    place: u64,
}

#[ringspun::main(name = "tail")]
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
    futures_lite::future::or(tail(&options), interrupted).await
}

async fn tail(options: &Options) -> io::Result<()> {
    let period = Duration::try_from_secs_f64(options.sleep_interval.max(0.001))
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let mut output = Output { with_names: options.files.len() > 1, last: None };
    let mut files = Vec::new();
    for path in &options.files {
        let named = |error| with_name(path, error);
        let file = File::open(path).await.map_err(named)?;
        let metadata = file.metadata().await.map_err(named)?;
        if !metadata.is_file() {
            return Err(named(io::Error::other("not a regular file")));
        }
        let place = last_lines(&file, metadata.len(), options.lines).await.map_err(named)?;
        let mut followed = Followed { path: path.clone(), file, place };
        output.name(path).await?;
        followed.print_new(&mut output).await?;
        files.push(followed);
    }
    if options.follow {
        let mut ticks = interval(period);
        loop {
            ticks.tick().await;
            for file in &mut files {
                file.look(&mut output).await?;
            }
        }
    }
    Ok(())
}

/// Where the last `count` lines begin. A line end at the very end ends the last line.
async fn last_lines(file: &File, len: u64, count: usize) -> io::Result<u64> {
    let (mut end, mut seen) = (len, 0);
    let mut buf = Vec::with_capacity(BLOCK);
    if count == 0 {
        return Ok(len);
    }
    while end > 0 {
        let begin = end.saturating_sub(BLOCK as u64);
        buf.clear();
        let (read, filled) = file.read_at(buf, begin).await;
        read?;
        buf = filled;
        // It may have grown meanwhile.
        buf.truncate((end - begin) as usize);
        for (at, _) in buf.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let next = begin + at as u64 + 1;
            seen += usize::from(next < len);
            if seen == count {
                return Ok(next);
            }
        }
        end = begin;
    }
    Ok(0)
}

impl Followed {
    /// Prints what was appended, and goes over to the file that has the name now.
    async fn look(&mut self, output: &mut Output) -> io::Result<()> {
        let ours = self.metadata().await?;
        if ours.len() < self.place {
            ringspun::eprintln!("tail: {}: file truncated", self.path.display()).await?;
            self.place = 0;
        }
        // Asked before the rest of the old file is printed: what comes behind it is in the new one.
        let named = ringspun::fs::metadata(&self.path).await;
        self.print_new(output).await?;
        match named {
            Ok(named) if !is_same(&named, &ours) => self.switch(output).await,
            // No file of this name: the new one may come.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    async fn switch(&mut self, output: &mut Output) -> io::Result<()> {
        // It may have gone again: the next look will tell.
        let Ok(file) = File::open(&self.path).await else { return Ok(()) };
        ringspun::eprintln!("tail: {}: following the new file", self.path.display()).await?;
        self.file = file;
        self.place = 0;
        self.print_new(output).await
    }

    async fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata().await.map_err(|error| with_name(&self.path, error))
    }

    async fn print_new(&mut self, output: &mut Output) -> io::Result<()> {
        let mut buf = Vec::with_capacity(BLOCK);
        loop {
            buf.clear();
            let (read, filled) = self.file.read_at(buf, self.place).await;
            let read = read.map_err(|error| with_name(&self.path, error))?;
            if read == 0 {
                return Ok(());
            }
            self.place += read as u64;
            output.name(&self.path).await?;
            buf = write_all(filled).await?;
        }
    }
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

fn with_name(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Standard output, which tells whose lines follow if there are several files.
struct Output {
    with_names: bool,
    last: Option<PathBuf>,
}

impl Output {
    async fn name(&mut self, path: &Path) -> io::Result<()> {
        if !self.with_names || self.last.as_deref() == Some(path) {
            return Ok(());
        }
        let blank = if self.last.is_some() { "\n" } else { "" };
        self.last = Some(path.to_owned());
        let name = format!("{blank}==> {} <==\n", path.display());
        write_all(name.into_bytes()).await.map(drop)
    }
}

async fn write_all(buf: Vec<u8>) -> io::Result<Vec<u8>> {
    let ring = AsyncIoUring::current();
    let mut buf = buf;
    let mut written = 0;
    while written < buf.len() {
        let (count, part) = ring.write(op::stdout(), buf.slice(written..), Read::CURSOR).await;
        buf = part.into_inner();
        written += count?;
    }
    Ok(buf)
}
