//! The server, by situation: over real sockets, on two cores, with clients of std.

mod balance;
mod child;
mod drain;
mod faults;
mod idle;
mod inherited;
mod limits;
mod serving;
mod support;
