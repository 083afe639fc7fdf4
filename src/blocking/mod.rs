//! A pool of threads for what would hold the core up and what io_uring lacks.
//!
//! ```text
//! spawn_blocking(f) -> Job -> queue -> thread: runs f -> Job: result -> wake -> BlockingHandle
//!                         |                                                              |
//!                         +------------------------- shared by both --------------------+
//! ```
//!
//! Threads start on demand, up to a cap, and leave when they have been idle for a while. When all
//! are busy, jobs queue: the future that awaits one waits, the core never does.
//!
//! # Promises
//!
//! - A handle always gets an answer: the closure's result, its panic, that it was cancelled, or
//!   why no thread could be started.
//! - A closure runs at most once. Dropping the handle does not keep it from running.
//! - No user code (closures, results, wakers, their destructors) runs while a lock is held, and no
//!   panic of it ends a thread of the pool.

mod current;
mod error;
mod handle;
mod job;
mod pool;

pub use current::spawn_blocking;
pub use error::BlockingError;
pub use handle::BlockingHandle;

#[allow(unused_imports, reason = "for the runtime")]
pub(crate) use current::EnterGuard;
#[allow(unused_imports, reason = "for the runtime")]
pub(crate) use pool::{AtStart, Config, Pool, Stats};

#[cfg(test)]
mod tests;
