//! HTTP/1.1 and HTTP/2 for the server's connections, by hyper.
//!
//! Feature `hyper`. [`Server::serve_http`] is for programs that only speak HTTP;
//! [`Http::serve_connection`] for one connection of any kind, as when TLS is in between.
//!
//! ```text
//!  Io             a peer that takes nothing; an end that loses no answer     io.rs
//!   hyper         which version, then hyper's own connection                 connection.rs
//!    Guarded      what is being answered; panics; `Connection: close`        guarded.rs
//!     Body        a body that stalls                                         body.rs
//!      service    the user's
//! ```
//!
//! # The end of a connection
//!
//! hyper closes an idle HTTP/1 connection when it is told to shut down. That loses the request that
//! is under way to it: the client may send it again only where it knows that it does no harm. Here
//! an idle connection stays, its next answer says `Connection: close`, and only then it ends. An
//! HTTP/2 client is told by GOAWAY, which says which requests were taken.
//!
//! [`Server::serve_http`]: crate::server::Server::serve_http

mod body;
mod connection;
mod guarded;
mod io;
mod serve;

use std::time::Duration;

use ::hyper::server::conn::{http1, http2};

use crate::compat::hyper::{Executor, Timer};

pub use body::{Body, BodyError};
pub use guarded::ResponseBody;
pub use serve::IntoAnswer;

/// Limits of HTTP connections. The defaults are safe for a server that anybody can reach.
///
/// # Examples
///
/// ```
/// use ringspun::server::Http;
/// use ringspun::time::Duration;
///
/// let http = Http::new().header_timeout(Duration::from_secs(5)).max_header_size(16 * 1024);
/// ```
#[derive(Clone, Debug)]
pub struct Http {
    header_timeout: Duration,
    body_timeout: Duration,
    keep_alive_timeout: Duration,
    write_timeout: Duration,
    http1: http1::Builder,
    http2: http2::Builder<Executor>,
}

impl Default for Http {
    fn default() -> Http {
        Http::new()
    }
}

impl Http {
    /// The defaults, as each setting names them.
    pub fn new() -> Http {
        let mut http = Http {
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            keep_alive_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            http1: http1::Builder::new(),
            http2: http2::Builder::new(Executor::new()),
        };
        // The times are measured here, apart for heads and for silence between requests.
        http.http1.timer(Timer::new()).header_read_timeout(None);
        http.http2.timer(Timer::new());
        http.max_header_size(64 * 1024)
            .max_headers(100)
            .max_concurrent_streams(250)
            .ping(Duration::from_secs(20), Duration::from_secs(20))
    }

    /// How long the first head may take from when the connection is there, and each further head
    /// from its first byte. 10 s by default.
    ///
    /// It ends the connection. What comes slowly without an end costs no more than this.
    #[must_use]
    pub fn header_timeout(mut self, duration: Duration) -> Http {
        self.header_timeout = duration;
        self
    }

    /// How long a request's body may bring nothing while somebody waits for it. 30 s by default.
    ///
    /// The reader gets [`BodyError`]; an HTTP/1 connection ends with the answer.
    #[must_use]
    pub fn body_timeout(mut self, duration: Duration) -> Http {
        self.body_timeout = duration;
        self
    }

    /// How long a connection may be there without a request after its last one. 75 s by default.
    #[must_use]
    pub fn keep_alive_timeout(mut self, duration: Duration) -> Http {
        self.keep_alive_timeout = duration;
        self
    }

    /// How long a peer may take nothing of what is to be sent. 30 s by default.
    ///
    /// It ends the connection. A client of HTTP/2 that reads, but gives one stream no window, is
    /// not found by this.
    #[must_use]
    pub fn write_timeout(mut self, duration: Duration) -> Http {
        self.write_timeout = duration;
        self
    }

    /// How long a request's head may be, in bytes. 64 KiB by default.
    ///
    /// A longer one is answered with status 431; in HTTP/2 the request is refused.
    ///
    /// # Panics
    ///
    /// If it is less than 8 KiB, which is the least that hyper's buffers can be.
    #[must_use]
    pub fn max_header_size(mut self, bytes: u32) -> Http {
        self.http1.max_buf_size(bytes as usize).max_header_size(bytes as usize);
        self.http2.max_header_list_size(bytes);
        self
    }

    /// How many fields a head of HTTP/1 may have. 100 by default.
    #[must_use]
    pub fn max_headers(mut self, count: usize) -> Http {
        self.http1.max_headers(count);
        self
    }

    /// How many requests one HTTP/2 connection may have at a time. 250 by default.
    #[must_use]
    pub fn max_concurrent_streams(mut self, count: u32) -> Http {
        self.http2.max_concurrent_streams(count);
        self
    }

    /// HTTP/2: a ping after `interval`, and the end if it is not answered within `timeout`. 20 s
    /// each by default.
    ///
    /// Finds peers that are gone without a word.
    #[must_use]
    pub fn ping(mut self, interval: Duration, timeout: Duration) -> Http {
        self.http2.keep_alive_interval(interval).keep_alive_timeout(timeout);
        self
    }

    /// Changes what hyper can do for HTTP/1 beyond these settings.
    #[must_use]
    pub fn http1(mut self, change: impl FnOnce(&mut http1::Builder)) -> Http {
        change(&mut self.http1);
        self
    }

    /// Changes what hyper can do for HTTP/2 beyond these settings.
    #[must_use]
    pub fn http2(mut self, change: impl FnOnce(&mut http2::Builder<Executor>)) -> Http {
        change(&mut self.http2);
        self
    }
}
