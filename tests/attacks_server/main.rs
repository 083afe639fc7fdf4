//! Attacks on the server: what a review has tried, by situation. What it broke is here to stay.

#[path = "../server/child.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod child;
mod cores;
mod ends;
mod faults;
#[cfg(feature = "hyper")]
mod http1;
#[cfg(feature = "hyper")]
mod http2;
mod idle;
mod inherited;
mod socket_files;
#[path = "../server/support.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod support;
