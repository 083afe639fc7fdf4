//! ringspun: a thread-per-core async runtime on io_uring completions, with the sockets, files,
//! signals and processes of tokio, and a server over all cores. Linux only.
//!
//! ```text
//!  user future --poll--> Submission<Op> --prepare--> Sqe --> Ring --> Kernel --enter--> linux
//!       ^                                                                                |
//!       |                                                                               CQE
//!    run queue <---- task <---- LocalWaker / Waker <---- Slot <---- dispatch <-----------+
//! ```
//!
//! A core is one thread with one io_uring; a runtime has one, or as many as
//! [`Builder::cores`](runtime::Builder::cores) says. A core polls futures until none is ready,
//! hands what they asked for to the kernel in one system call, takes in what the kernel has done,
//! and begins again. Nothing in it needs to be `Send`; wakers are, so other threads can wake, spawn
//! and cancel.
//!
//! # Quick start
//!
//! ```
//! use ringspun::net::{TcpListener, TcpStream};
//!
//! # fn main() -> std::io::Result<()> {
//! let runtime = ringspun::runtime::Runtime::new()?;
//! runtime.block_on(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let address = listener.local_addr()?;
//!     ringspun::spawn(async move {
//!         let (mut stream, _) = listener.accept().await?;
//!         stream.write_all(b"hello, ring").await
//!     });
//!
//!     let mut text = String::new();
//!     TcpStream::connect(address).await?.read_to_string(&mut text).await?;
//!     assert_eq!(text, "hello, ring");
//!     Ok(())
//! })
//! # }
//! ```
//!
//! Below that is io_uring itself:
//!
//! ```
//! use std::time::Duration;
//!
//! use ringspun::op::{CWD, Read};
//! use ringspun::uring::AsyncIoUring;
//!
//! # fn main() -> std::io::Result<()> {
//! let runtime = ringspun::runtime::Runtime::new()?;
//! let name = runtime.block_on(async {
//!     let ring = AsyncIoUring::current();
//!     let file = ring.openat(CWD, "/proc/self/comm", 0, 0).await?;
//!
//!     // The buffer goes in by value and comes back with the result. Every op can have a deadline.
//!     let read = ring.read(file, Vec::with_capacity(64), Read::CURSOR);
//!     let (count, buf) = read.timeout(Duration::from_secs(1)).await;
//!     count.map(|_| buf)
//! })?;
//! assert!(name.ends_with(b"\n"));
//! # Ok(())
//! # }
//! ```
//!
//! Tasks, timers and ops in one program:
//!
//! ```
//! use std::time::Duration;
//!
//! # fn main() -> std::io::Result<()> {
//! let runtime = ringspun::runtime::Builder::new().entries(64).build()?;
//! let sum = runtime.block_on(async {
//!     let tasks: Vec<_> = (1..=3_u64)
//!         .map(|n| {
//!             ringspun::spawn(async move {
//!                 ringspun::time::sleep(Duration::from_millis(n)).await;
//!                 n
//!             })
//!         })
//!         .collect();
//!     let mut sum = 0;
//!     for task in tasks {
//!         sum += task.await.expect("nobody aborted it, and it did not panic");
//!     }
//!     sum
//! });
//! assert_eq!(sum, 6);
//! # Ok(())
//! # }
//! ```
//!
//! With the feature `macros` (on by default) `#[ringspun::main]` and `#[ringspun::test]` stand on
//! an `async fn` and take the settings of [`runtime::Builder`] by name.
//!
//! # The map
//!
//! | module | what | start with |
//! |---|---|---|
//! | [`net`] | TCP, UDP, Unix sockets and names, as tokio has them | [`net::TcpListener`], [`net::TcpStream`] |
//! | [`fs`] | files and directories, as tokio has them | [`fs::File`], [`fs::read()`] |
//! | [`io`] | what streams have in common; standard input and output | [`io::ReadEnd`], [`io::WriteEnd`] |
//! | [`pipe`] | pipes, anonymous and named | [`pipe::pipe`] |
//! | [`process`] | child processes | [`process::Command`] |
//! | [`signal`] | signals of the system | [`signal::ctrl_c`] |
//! | [`task`] | futures that are polled on their own | [`spawn`], [`task::JoinSet`] |
//! | [`mod@scope`] | tasks that cannot outlive who spawned them | [`scope()`], [`scope::AllOk`] |
//! | [`time`] | sleeping, deadlines, ticks | [`time::sleep`], [`time::timeout`] |
//! | [`blocking`] | what would hold a core up | [`spawn_blocking`] |
//! | `compat` | hyper, axum, rustls and others on top (features) | `compat::hyper` |
//! | [`uring`] | each operation as a method, by the kernel's names | [`uring::AsyncIoUring`] |
//! | [`op`] | the operations as types; chains, streams, your own | [`op::Op`], [`op::link()`] |
//! | [`buf`] | memory that the kernel may touch | [`buf::IoBuf`], [`buf::IoBufMut`] |
//! | [`runtime`] | the cores, and their handles for all threads | [`runtime::Builder`], [`runtime::Handle`] |
//! | [`server`] | connections over all cores, to an orderly end | [`server::Server`] |
//!
//! # What you may rely on
//!
//! - **Dropping** the future of an op, at any time, is sound and leaks nothing: the kernel is asked
//!   to cancel, and what the op owns stays alive until the kernel has given its last answer.
//!   Forgetting it leaks.
//! - **Sockets and pipes** lose nothing by it: the op belongs to the object, and what it brings is
//!   for the next reader ([`io::ReadEnd`]). A borrowed write is with the kernel when it says so,
//!   and one that was dropped has written nothing ([`io::WriteEnd`]). A stream that waits holds no
//!   buffer.
//! - **Cancelling** gives the real outcome. What was done before the cancel counts; a deadline is
//!   [`TimedOut`](std::io::ErrorKind::TimedOut), a cancel `ECANCELED`, and
//!   [`Interrupted`](std::io::ErrorKind::Interrupted) never comes out.
//! - **Names** of ops ([`op::OpId`]) are never used again: a late cancel finds nothing.
//! - **A full queue** is no error: ops wait in user space, in order, and chains are never split.
//! - **Dropping the runtime** takes at most
//!   [`shutdown_timeout`](runtime::Builder::shutdown_timeout). What the kernel does not give back
//!   by then is leaked and named on standard error, never freed.
//! - **Panics** end the task they happen in, and reach whoever awaits it.
//!
//! # Where it runs
//!
//! Linux 5.13 or newer; 6.1 or newer is better. The runtime takes the best setup that the kernel
//! gives, and [`Runtime::info`](runtime::Runtime::info) says which. Where io_uring is switched off
//! (containers, `kernel.io_uring_disabled`), [`build`](runtime::Builder::build) fails with a text
//! that says what to do. An op whose opcode the kernel lacks is
//! [`Unsupported`](std::io::ErrorKind::Unsupported), with its name and the kernel that has it;
//! [`net`], [`fs`], [`io`] and [`process`] do without it.
//!
//! # Features
//!
//! - `macros` (default): the attributes.
//! - `bytes`: `Bytes` and `BytesMut` as buffers.
//! - `tokio`: `tokio::io`'s traits on our streams and files, and its names in [`io`].
//! - `futures`: the traits of `futures-io` on our streams and files.
//! - `hyper`: the traits of `hyper::rt` on our streams, an executor and a timer; `serve_http`.
//! - `chaos`: seeded faults between the ring and the kernel. For tests only.
#![cfg_attr(loom, allow(dead_code))]

#[cfg(not(loom))]
pub mod blocking;
#[cfg(not(loom))]
pub mod buf;
#[cfg(not(loom))]
#[cfg(any(feature = "futures", feature = "hyper", feature = "tokio"))]
pub mod compat;
#[cfg(not(loom))]
pub mod fs;
#[cfg(not(loom))]
pub mod io;
#[cfg(not(loom))]
mod macros;
#[cfg(not(loom))]
pub mod net;
#[cfg(not(loom))]
pub mod op;
#[cfg(not(loom))]
pub mod pipe;
#[cfg(not(loom))]
pub mod process;
#[cfg(not(loom))]
mod ring;
#[cfg(not(loom))]
pub mod runtime;
#[cfg(not(loom))]
pub mod scope;
#[cfg(not(loom))]
pub mod server;
#[cfg(not(loom))]
pub mod signal;
pub mod task;
#[cfg(not(loom))]
pub mod time;
#[cfg(not(loom))]
pub mod uring;
mod wake;

#[cfg(not(loom))]
pub use blocking::spawn_blocking;
#[cfg(all(ringspun_model, not(loom)))]
#[doc(hidden)]
pub use ring::kernel::model::control as model;
#[cfg(all(feature = "macros", not(loom)))]
pub use ringspun_macros::{main, test};
#[cfg(not(loom))]
pub use scope::scope;
pub use task::spawn;

/// The example of the README is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
