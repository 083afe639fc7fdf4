//! The rows of the seeds that need sockets: each test is named by its row. The others are in
//! `tests/seeds.rs`; Z14, the echo client and server as people run them, is in `tests/examples.rs`.

mod ends;
mod limits;
mod names;
mod std_names;
mod streams;
mod support;
mod waits;
