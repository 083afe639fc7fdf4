//! ringspun: a thread-per-core async runtime on io_uring completions. Linux only.
//!
//! ```text
//!  user future --poll--> Submission<Op> --prepare--> Sqe --> Ring --> Kernel --enter--> linux
//!       ^                                                                                |
//!       |                                                                               CQE
//!    run queue <---- task <---- LocalWaker / Waker <---- Slot <---- dispatch <-----------+
//! ```
#![cfg_attr(loom, allow(dead_code))]

#[cfg(not(loom))]
pub mod blocking;
#[cfg(not(loom))]
pub mod buf;
#[cfg(not(loom))]
mod macros;
#[cfg(not(loom))]
pub mod op;
#[cfg(not(loom))]
mod ring;
#[cfg(not(loom))]
pub mod runtime;
pub mod task;
#[cfg(not(loom))]
pub mod time;
#[cfg(not(loom))]
pub mod uring;
mod wake;

#[cfg(not(loom))]
pub use blocking::spawn_blocking;
#[cfg(all(feature = "macros", not(loom)))]
pub use ringspun_macros::{main, test};
#[cfg(all(ringspun_model, not(loom)))]
#[doc(hidden)]
pub use ring::kernel::model::control as model;
pub use task::spawn;
