//! The runtime as its users see it, by area. One binary; each file names the situations.
//!
//! With the feature `chaos` and a seed in `RINGSPUN_CHAOS_SEED` the same tests run under faults.

#![allow(clippy::async_yields_async, reason = "handles are carried out of the runtime on purpose")]
#![allow(clippy::type_complexity, reason = "the types of held ops")]

mod blocking;
mod cores;
mod ecosystem;
mod file_ops;
mod flood;
mod fs;
mod handle;
mod io_workers;
mod link;
mod metrics;
mod net;
mod op;
mod pipe;
mod process;
mod registered;
mod review;
mod runtime;
mod scope;
mod signal;
mod stdio;
mod support;
mod task;
mod time;
mod writer;
mod wrong_use;
