//! The server as people run it: a process, and clients of other people.

mod attacks;
mod clients;
mod load;
mod page;
mod process;
mod seccomp;
mod takeover;
