//! How streams end: what the peer sees, what becomes of what was handed over, and what of the core.
//!
//! Nothing here measures time but to say "it does not hang"; what is awaited is the peer's view.

mod fin;
mod halves;
mod linger;
mod listener;
mod parts;
mod reset;
mod reuse;
mod runtime_end;
mod sends;
mod support;
mod unix;
