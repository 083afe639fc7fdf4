//! A server over all cores: listeners, connections, limits, and an orderly end.
//!
//! ```text
//!             core 0                         core 1
//!   listener --> accept loop       listener --> accept loop
//!                  | admit: is there room, and on which core is the least to do?
//!                  +--------- fd ----------------> mailbox
//!                  v                                 v
//!               task of the handler               task of the handler
//!
//!   serve (coordinator): signals, ServerHandle, deadline --> phase: serving, draining, stopping
//! ```
//!
//! Each core has its own listeners, its own connections and its own state; what they share is
//! touched once per connection and never per message. A connection stays on the core that began
//! it: what is handed over is an accepted descriptor, before anything was done with it.
//!
//! ```no_run
//! use ringspun::server::{Context, Server, Stream};
//!
//! async fn echo(mut stream: Stream, _: Context) -> std::io::Result<()> {
//!     let mut buf = [0; 4096];
//!     loop {
//!         match stream.read(&mut buf).await? {
//!             0 => return Ok(()),
//!             count => stream.write_all(&buf[..count]).await?,
//!         }
//!     }
//! }
//!
//! fn main() -> std::io::Result<()> {
//!     let report = Server::bind("127.0.0.1:7000").serve(echo).run()?;
//!     println!("{report}");
//!     Ok(())
//! }
//! ```
//!
//! # What you may rely on
//!
//! - **A handler's panic** ends its connection and nothing else. It is counted.
//! - **Want of descriptors or memory** (`EMFILE`, `ENFILE`, `ENOMEM`, `ENOBUFS`) makes an accept
//!   loop wait, 10 ms at first and up to 1 s, never spin; connections wait in the kernel's backlog.
//! - **The end** begins with `SIGTERM`, `SIGINT` or [`ServerHandle::drain`]: what has connected by
//!   then is still accepted, then the listeners are closed, connections may finish until the
//!   deadline, and the rest is cut off. The [`Report`] says how many.
//! - **A core that is blocked** by a handler holds up its own connections, and new ones that the
//!   kernel gives to its listener; the others serve, and hand nothing over to it meanwhile.
//! - **A core that ends** takes its connections and its listeners with it; the others go on, and
//!   the report names it.

mod accept_loop;
mod address;
mod backoff;
mod balance;
mod builder;
mod connection;
mod connections;
mod context;
mod control;
mod core;
mod counts;
mod gate;
#[cfg(feature = "hyper")]
mod http;
mod idle;
mod inherited;
mod listeners;
mod log;
mod lookout;
mod mailbox;
mod peer;
mod policy;
mod refuse;
mod report;
mod serve;
mod shared;
mod socket_file;
mod source;
mod stream;

pub use self::address::{Address, LocalAddr};
pub use self::builder::Server;
pub use self::connection::Outcome;
pub use self::context::{Context, Draining};
pub use self::control::ServerHandle;
#[cfg(feature = "hyper")]
pub use self::http::{Body, BodyError, Http, IntoAnswer, ResponseBody};
pub use self::peer::Peer;
pub use self::policy::{Accept, Verdict, WhenFull};
pub use self::report::{CoreReport, Ready, Report, Totals};
pub use self::serve::Serve;
pub use self::stream::Stream;
