//! Attacks on a runtime over several cores: what a review tried in order to hang it, to lose what
//! was sent to it, or to leave a thread other than it was.

mod failing;
mod foreign;
mod runtimes;
mod support;
mod threads;
mod user_code;
