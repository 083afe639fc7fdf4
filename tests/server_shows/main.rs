//! What the server promises, shown: even cores under ten thousand uneven clients, and abuse that it
//! survives without a leak. Each server is a process of its own, whose descriptors, CPU time and
//! memory are its own too.

mod abuse;
mod balance;
mod blocked_core;
#[path = "../server/child.rs"]
#[allow(dead_code, reason = "each of those that share it uses a part")]
mod child;
#[cfg(feature = "hyper")]
mod http2;
mod notes;
mod process;
#[path = "../server/support.rs"]
#[allow(dead_code, reason = "each of those that share it uses a part")]
mod support;
