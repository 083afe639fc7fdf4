//! Fetches many URLs at once and keeps those that succeed: a task for each, a deadline for each.
//! All of it takes as long as the slowest, not as long as their sum.
//!
//! ```text
//! retrieve_urls http://example.org/ http://example.net/a http://192.0.2.7:8080/b
//! ```
//!
//! What was fetched goes to standard output, a line each: status, bytes, time, URL. What failed
//! goes to standard error. Plain `http:` only, and redirections are not followed.

mod common;

use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use ringspun::net::TcpStream;
use ringspun::scope::{AllOk, scope};
use ringspun::time::timeout;

use common::Stop;

/// Fetches URLs, all at once.
#[derive(Parser)]
struct Options {
    /// What to fetch: http://host[:port]/path
    #[arg(required = true)]
    urls: Vec<String>,
    /// Seconds that each may take.
    #[arg(long, default_value_t = 10.0)]
    deadline: f64,
}

/// Bytes that the head of an answer may have.
const HEAD: usize = 64 * 1024;
/// Bytes that an answer may have: a server must not fill our memory.
const ANSWER: usize = 256 * 1024 * 1024;

struct Fetched {
    status: u16,
    body: Vec<u8>,
}

#[ringspun::main(name = "retrieve_urls")]
async fn main() -> ExitCode {
    common::exit(run().await)
}

async fn run() -> io::Result<()> {
    let options = Options::parse();
    let stop = Stop::on_signals()?;
    let interrupted = async {
        stop.requested().await;
        Err(io::Error::other("interrupted; what was not fetched by then is given up"))
    };
    futures_lite::future::or(retrieve(options), interrupted).await
}

async fn retrieve(options: Options) -> io::Result<()> {
    let deadline = Duration::try_from_secs_f64(options.deadline)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let started = Instant::now();
    let count = options.urls.len();
    // Whatever ends this, an interrupt or a closed output too, leaves no task behind.
    let kept = scope(AllOk::new(), async |scope| {
        for url in options.urls {
            scope.spawn(async move {
                let fetched = timeout(deadline, fetch(&url)).await;
                let fetched = fetched.unwrap_or_else(|late| Err(late.into()));
                tell(&url, &fetched, started.elapsed()).await?;
                Ok::<_, io::Error>(fetched.is_ok())
            });
        }
    });
    let kept = kept.await?.into_iter().filter(|kept| *kept).count();
    let time = started.elapsed().as_millis();
    ringspun::eprintln!("{kept} of {count} in {time} ms").await
}

async fn tell(url: &str, fetched: &io::Result<Fetched>, time: Duration) -> io::Result<()> {
    match fetched {
        Ok(Fetched { status, body }) => {
            let (len, time) = (body.len(), time.as_millis());
            ringspun::println!("{status} {len:>9} bytes {time:>6} ms  {url}").await
        }
        Err(error) => ringspun::eprintln!("{url}: {error}").await,
    }
}

async fn fetch(url: &str) -> io::Result<Fetched> {
    let (host, path) = parts(url)?;
    let has_port = host.rsplit(':').next().is_some_and(|port| port.parse::<u16>().is_ok());
    let address = if has_port { host.to_owned() } else { format!("{host}:80") };
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: ringspun\r\nAccept: */*\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut source = Source { stream, bytes: Vec::new() };
    let head = source.head().await?;
    let body = match head.framing {
        Framing::Length(len) => {
            source.at_least(len).await?;
            source.bytes.truncate(len);
            source.bytes
        }
        Framing::Chunks => source.chunks().await?,
        Framing::UntilTheEnd => {
            while source.more().await? {}
            source.bytes
        }
    };
    match head.status {
        status @ 200..=299 => Ok(Fetched { status, body }),
        status => Err(io::Error::other(format!("status {status}"))),
    }
}

/// Host with port, and path with query.
fn parts(url: &str) -> io::Result<(&str, &str)> {
    let wrong = |why| io::Error::new(io::ErrorKind::InvalidInput, why);
    let rest = url.strip_prefix("http://").ok_or_else(|| wrong("it is not an http:// URL"))?;
    let rest = rest.split('#').next().unwrap_or(rest);
    let (host, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/"),
    };
    let is_clean = |byte: u8| byte.is_ascii_graphic();
    if host.is_empty() || host.contains('@') || !rest.bytes().all(is_clean) {
        return Err(wrong("it has no host, or what a URL cannot have"));
    }
    Ok((host, path))
}

/// An answer that comes in, and what of it was not taken yet.
struct Source {
    stream: TcpStream,
    bytes: Vec<u8>,
}

struct Head {
    status: u16,
    framing: Framing,
}

/// How the end of a body is known.
enum Framing {
    Length(usize),
    Chunks,
    UntilTheEnd,
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl Source {
    /// Waits for more. False: the server has closed.
    async fn more(&mut self) -> io::Result<bool> {
        let received = self.stream.recv_pooled().await?;
        if self.bytes.len() + received.len() > ANSWER {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the answer is too large"));
        }
        self.bytes.extend_from_slice(&received);
        Ok(!received.is_empty())
    }

    async fn at_least(&mut self, len: usize) -> io::Result<()> {
        while self.bytes.len() < len {
            if !self.more().await? {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the server has closed in the middle of its answer",
                ));
            }
        }
        Ok(())
    }

    /// The head of the answer. Those that only announce another (1xx) are skipped.
    async fn head(&mut self) -> io::Result<Head> {
        loop {
            self.at_least(1).await?;
            match parse_head(&self.bytes)? {
                Some((len, head)) => {
                    self.bytes.drain(..len);
                    if head.status >= 200 {
                        return Ok(head);
                    }
                }
                None if self.bytes.len() >= HEAD => return Err(invalid("its head is too large")),
                None => self.at_least(self.bytes.len() + 1).await?,
            }
        }
    }

    async fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let parsed = httparse::parse_chunk_size(&self.bytes);
            match parsed.map_err(|_| invalid("a chunk without a length"))? {
                // What may follow the last chunk is of no use here.
                httparse::Status::Complete((_, 0)) => return Ok(body),
                httparse::Status::Complete((begin, len)) => {
                    let len = usize::try_from(len).ok().filter(|len| *len <= ANSWER - body.len());
                    let end = begin + len.ok_or_else(|| invalid("the answer is too large"))?;
                    self.at_least(end + 2).await?;
                    body.extend_from_slice(&self.bytes[begin..end]);
                    self.bytes.drain(..end + 2);
                }
                httparse::Status::Partial => self.at_least(self.bytes.len() + 1).await?,
            }
        }
    }
}

/// The head and its length, if it is there as a whole.
fn parse_head(bytes: &[u8]) -> io::Result<Option<(usize, Head)>> {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(len) = response.parse(bytes).map_err(invalid)? else {
        return Ok(None);
    };
    let status = response.code.unwrap_or_default();
    let header = |name: &str| {
        let mut all = response.headers.iter();
        all.find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    };
    let framing = match (header("transfer-encoding"), header("content-length")) {
        _ if matches!(status, 100..200 | 204 | 304) => Framing::Length(0),
        (Some(coding), _) if coding.eq_ignore_ascii_case(b"chunked") => Framing::Chunks,
        (Some(_), _) => return Err(invalid("a transfer coding other than chunked")),
        (None, Some(len)) => {
            let len = std::str::from_utf8(len).ok().and_then(|len| len.trim().parse().ok());
            Framing::Length(len.ok_or_else(|| invalid("a length that is no number"))?)
        }
        (None, None) => Framing::UntilTheEnd,
    };
    Ok(Some((len, Head { status, framing })))
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn urls() {
        assert_eq!(parts("http://host").expect("right"), ("host", "/"));
        assert_eq!(parts("http://[::1]:8080/a?b#c").expect("right"), ("[::1]:8080", "/a?b"));
        for wrong in ["host/path", "https://host/", "http:///path", "http://a b/", "http://u@h/"] {
            parts(wrong).expect_err(wrong);
        }
    }
}
