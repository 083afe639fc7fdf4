//! Why a scope has not what was asked of it, and what it has.

use std::error::Error;
use std::fmt;
use std::io;

use super::joiner::End;
use crate::task::JoinError;

/// A scope that has failed: why, and what it has all the same.
///
/// Converts into an [`io::Error`] if the error of the children does: a deadline is
/// [`TimedOut`](io::ErrorKind::TimedOut), a cancel `ECANCELED`.
#[derive(Debug)]
pub struct ScopeError<E, P> {
    cause: Cause<E>,
    partial: P,
}

/// What ended a scope, or one of its children, before it had a result.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause<E> {
    /// A child, or the body, gave this error.
    Failed(E),
    /// A child panicked. [`JoinError::into_panic`] has what it panicked with.
    Panicked(JoinError),
    /// The deadline of the scope has passed.
    Deadline,
    /// [`Scope::cancel`](super::Scope::cancel), the abort of a child, or the end of the runtime.
    Cancelled,
    /// One success was asked for, and nothing was spawned.
    Empty,
}

impl<E> Cause<E> {
    pub(super) fn of(error: JoinError) -> Cause<E> {
        if error.is_panic() { Cause::Panicked(error) } else { Cause::Cancelled }
    }

    /// What the end of the scope says, if it was not a child's.
    pub(super) fn of_end(end: End) -> Option<Cause<E>> {
        match end {
            End::Deadline => Some(Cause::Deadline),
            End::Cancelled => Some(Cause::Cancelled),
            End::Complete | End::Joined | End::BodyFailed => None,
        }
    }
}

impl<E, P> ScopeError<E, P> {
    /// For joiners of one's own.
    pub fn new(cause: Cause<E>, partial: P) -> ScopeError<E, P> {
        ScopeError { cause, partial }
    }

    /// Why.
    pub fn cause(&self) -> &Cause<E> {
        &self.cause
    }

    /// What there was when the scope was cut.
    pub fn partial(&self) -> &P {
        &self.partial
    }

    /// What there was when the scope was cut.
    pub fn into_partial(self) -> P {
        self.partial
    }

    /// Why.
    pub fn into_cause(self) -> Cause<E> {
        self.cause
    }

    /// Why, and what there was.
    pub fn into_parts(self) -> (Cause<E>, P) {
        (self.cause, self.partial)
    }

    /// True if it was the deadline.
    pub fn is_deadline(&self) -> bool {
        matches!(self.cause, Cause::Deadline)
    }

    /// True if it was a cancel.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.cause, Cause::Cancelled)
    }
}

impl<E: fmt::Display> fmt::Display for Cause<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Failed(error) => error.fmt(f),
            Cause::Panicked(error) => error.fmt(f),
            Cause::Deadline => f.write_str("the deadline of the scope has passed"),
            Cause::Cancelled => f.write_str("the scope, or a task in it, was cancelled"),
            Cause::Empty => f.write_str("nothing was spawned in the scope"),
        }
    }
}

impl<E: fmt::Display, P> fmt::Display for ScopeError<E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl<E: Error + 'static, P: fmt::Debug> Error for ScopeError<E, P> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.cause {
            // It is what this displays as.
            Cause::Failed(error) => error.source(),
            _ => None,
        }
    }
}

impl<E: Into<io::Error>, P> From<ScopeError<E, P>> for io::Error {
    fn from(error: ScopeError<E, P>) -> io::Error {
        match error.cause {
            Cause::Failed(error) => error.into(),
            Cause::Panicked(error) => error.into(),
            Cause::Deadline => {
                io::Error::new(io::ErrorKind::TimedOut, "the deadline of the scope has passed")
            }
            Cause::Cancelled => io::Error::from_raw_os_error(libc::ECANCELED),
            Cause::Empty => io::Error::other("nothing was spawned in the scope"),
        }
    }
}
