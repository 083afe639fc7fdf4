//! The files below a folder, over HTTP/1.1.
//!
//! ```text
//! static_files target/doc
//! curl -r 0-99 http://127.0.0.1:8080/index.html
//! ```
//!
//! One core. The kernel itself keeps every path below the folder, symbolic links included: files
//! are opened by `openat2` with `RESOLVE_BENEATH`, as one op. A body is read a block at a time,
//! the next one when the client has room for it, so a download takes the same little memory however
//! large its file is.
//!
//! - `request.rs`: what a request asks for: its path, its conditions, its range
//! - `listing.rs`: the page for a folder without `index.html`

#[path = "../common/mod.rs"]
mod common;
mod listing;
mod request;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use clap::Parser;
use futures::future::{Either, select};
use futures::stream;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName,
    HeaderValue, LAST_MODIFIED, LOCATION,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use ringspun::compat::hyper::Timer;
use ringspun::fs::{File, Metadata};
use ringspun::net::TcpListener;
use ringspun::op::SharedFd;
use ringspun::uring::AsyncIoUring;

use common::{Limits, Stop};
use request::{Part, Version};

/// Serves the files below a folder.
#[derive(Parser)]
struct Options {
    /// The folder.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    addr: SocketAddr,
    /// Seconds that a client has for the head of a request.
    #[arg(long, default_value_t = 10)]
    header_timeout: u64,
    #[command(flatten)]
    limits: Limits,
}

type Body = Pin<Box<dyn hyper::body::Body<Data = Bytes, Error = io::Error>>>;

/// Bytes that a body holds at a time.
const BLOCK: u64 = 128 * 1024;

/// How long a file may take to be opened: a FIFO would wait for its writer.
const OPENING: Duration = Duration::from_secs(2);

#[ringspun::main(name = "files")]
async fn main() -> ExitCode {
    common::exit(run().await)
}

async fn run() -> io::Result<()> {
    let options = Options::parse();
    let folder = std::fs::File::open(&options.folder)
        .and_then(|folder| if folder.metadata()?.is_dir() { Ok(folder) } else { not_a_folder() })
        .map_err(|error| io::Error::other(format!("{}: {error}", options.folder.display())))?;
    let folder = SharedFd::new(folder);
    let listener = TcpListener::bind(options.addr).await?;
    let address = listener.local_addr()?;
    let stop = Stop::on_signals()?;
    ringspun::println!("files of {} on {address}   (Ctrl-C ends it)", options.folder.display())
        .await?;
    let mut http = http1::Builder::new();
    http.timer(Timer::new()).header_read_timeout(Duration::from_secs(options.header_timeout));
    common::serve(listener, stop, &options.limits, |stream, session| {
        let folder = folder.clone();
        let service = service_fn(move |request| respond(folder.clone(), request));
        let connection = http.serve_connection(stream, service);
        async move {
            let leave = pin!(session.closing());
            // A client that goes away ends its own connection only.
            if let Either::Right((_, mut connection)) = select(pin!(connection), leave).await {
                connection.as_mut().graceful_shutdown();
                drop(connection.await);
            }
        }
    })
    .await
}

fn not_a_folder() -> io::Result<std::fs::File> {
    Err(io::Error::from_raw_os_error(libc::ENOTDIR))
}

async fn respond(
    folder: SharedFd,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let is_head = request.method() == Method::HEAD;
    if request.method() != Method::GET && !is_head {
        let refused = plain(StatusCode::METHOD_NOT_ALLOWED);
        return Ok(with(refused, ALLOW, "GET, HEAD"));
    }
    let mut response = match find(&folder, &request).await {
        Ok(response) => response,
        Err(error) => plain(status_of(&error)),
    };
    if is_head {
        *response.body_mut() = whole("");
    }
    Ok(response)
}

fn status_of(error: &io::Error) -> StatusCode {
    match (error.raw_os_error(), error.kind()) {
        (Some(libc::ENOENT | libc::ENOTDIR | libc::ENAMETOOLONG), _) => StatusCode::NOT_FOUND,
        // Outside, links in a circle, not for us, a socket.
        (Some(libc::EXDEV | libc::ELOOP | libc::EACCES | libc::EPERM | libc::ENXIO), _) => {
            StatusCode::FORBIDDEN
        }
        (_, io::ErrorKind::TimedOut) => StatusCode::FORBIDDEN,
        (_, io::ErrorKind::InvalidInput) => StatusCode::BAD_REQUEST,
        (Some(libc::EMFILE | libc::ENFILE), _) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The answer to a GET.
async fn find(folder: &SharedFd, request: &Request<Incoming>) -> io::Result<Response<Body>> {
    let asked = request.uri().path();
    let path = request::decode(asked)?;
    let opened = open(folder, &path).await?;
    let metadata = opened.metadata().await?;
    if metadata.is_file() {
        return Ok(file(opened, &metadata, &path, request.headers()));
    }
    if !metadata.is_dir() {
        return Ok(plain(StatusCode::FORBIDDEN));
    }
    if !asked.ends_with('/') {
        // Relative links of a page count from its last slash.
        return Ok(with(
            plain(StatusCode::MOVED_PERMANENTLY),
            LOCATION,
            &format!("{}/", request::encode(&path)),
        ));
    }
    match open(folder, &path.join("index.html")).await {
        Ok(index) => {
            let metadata = index.metadata().await?;
            if !metadata.is_file() {
                return Ok(plain(StatusCode::FORBIDDEN));
            }
            Ok(file(index, &metadata, Path::new("index.html"), request.headers()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let page = listing::page(&opened, &path).await?;
            Ok(typed(Response::new(whole(page)), "text/html; charset=utf-8"))
        }
        Err(error) => Err(error),
    }
}

/// Opens what is at `path`, if that is below the folder.
async fn open(folder: &SharedFd, path: &Path) -> io::Result<File> {
    let below = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_MAGICLINKS;
    let ring = AsyncIoUring::current();
    loop {
        let opening = ring.openat2(folder, path, libc::O_RDONLY, 0, below);
        match opening.timeout(OPENING).await {
            // Something was renamed meanwhile: the kernel is not sure where `..` leads.
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {}
            opened => return opened.map(File::from),
        }
    }
}

/// A file, or a part of it, or that the client has it already.
fn file(opened: File, metadata: &Metadata, path: &Path, headers: &HeaderMap) -> Response<Body> {
    let len = metadata.len();
    let version = Version::of(metadata);
    let mut response = Response::new(whole(""));
    let part = match version.wanted(headers, len) {
        Part::Nothing => {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            None
        }
        Part::Impossible => {
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            response = with(response, CONTENT_RANGE, &format!("bytes */{len}"));
            None
        }
        Part::Whole => Some(0..len),
        Part::Range(range) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let content_range = format!("bytes {}-{}/{len}", range.start, range.end - 1);
            response = with(response, CONTENT_RANGE, &content_range);
            Some(range)
        }
    };
    if let Some(range) = part {
        let content_type = mime_guess::from_path(path).first_or_octet_stream();
        response = typed(response, content_type.as_ref());
        response.headers_mut().insert(CONTENT_LENGTH, (range.end - range.start).into());
        *response.body_mut() = blocks(opened, range);
    }
    response = with(response, ACCEPT_RANGES, "bytes");
    response = with(response, ETAG, version.etag());
    match version.modified() {
        Some(modified) => with(response, LAST_MODIFIED, &httpdate::fmt_http_date(modified)),
        None => response,
    }
}

/// These bytes of the file, a block at a time.
fn blocks(file: File, range: Range<u64>) -> Body {
    let file = Rc::new(file);
    let blocks = stream::try_unfold(range, move |left| {
        let file = Rc::clone(&file);
        async move {
            if left.is_empty() {
                return Ok(None);
            }
            let len = (left.end - left.start).min(BLOCK) as usize;
            let (count, mut block) = file.read_at(Vec::with_capacity(len), left.start).await;
            // The vector may have more room than was asked for.
            let count = count?.min(len);
            if count == 0 {
                // Its length was told already: all that is left is to break off.
                return Err(io::Error::other("the file became shorter"));
            }
            block.truncate(count);
            let left = left.start + count as u64..left.end;
            Ok(Some((Frame::data(Bytes::from(block)), left)))
        }
    });
    Box::pin(StreamBody::new(blocks))
}

fn whole(text: impl Into<Bytes>) -> Body {
    Box::pin(Full::new(text.into()).map_err(|never| match never {}))
}

/// An answer that says no more than its status.
fn plain(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(whole(format!("{status}\n")));
    *response.status_mut() = status;
    typed(response, "text/plain")
}

fn typed(response: Response<Body>, content_type: &str) -> Response<Body> {
    let response = with(response, CONTENT_TYPE, content_type);
    // The type is what we say, whatever the bytes look like.
    with(response, HeaderName::from_static("x-content-type-options"), "nosniff")
}

fn with(mut response: Response<Body>, name: HeaderName, value: &str) -> Response<Body> {
    // All values here are visible ASCII.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}
