//! Ends connections on which nothing moves.
//!
//! A read or a write only sets a flag beside the descriptor. Four times per limit one task of the
//! core looks at the flags and takes them down. What was set is taken to have been set just now, so
//! a connection is ended late, by a quarter of the limit at most, and never early.

use std::rc::Rc;
use std::time::Duration;

use super::connections::Local;
use crate::time::sleep;

/// More often than this it does not look.
const PAUSE_MIN: Duration = Duration::from_millis(5);

pub(super) async fn sweep(local: Rc<Local>, limit: Duration) {
    loop {
        sleep((limit / 4).max(PAUSE_MIN)).await;
        local.end_idle(limit);
    }
}
