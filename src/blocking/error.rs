//! Why a closure gave no result.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Why a closure given to [`spawn_blocking`](super::spawn_blocking) gave no result.
pub struct BlockingError {
    cause: Cause,
}

enum Cause {
    /// In a mutex only to be `Sync`, as errors are expected to be.
    Panic(Mutex<Box<dyn Any + Send>>),
    Cancelled,
    /// One failure may concern many closures.
    NoThread(Arc<io::Error>),
}

impl BlockingError {
    pub(super) fn panic(payload: Box<dyn Any + Send>) -> BlockingError {
        BlockingError { cause: Cause::Panic(Mutex::new(payload)) }
    }

    pub(super) fn cancelled() -> BlockingError {
        BlockingError { cause: Cause::Cancelled }
    }

    pub(super) fn no_thread(error: Arc<io::Error>) -> BlockingError {
        BlockingError { cause: Cause::NoThread(error) }
    }

    /// True if the closure never started: it was aborted, or the runtime ended first.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.cause, Cause::Cancelled)
    }

    /// True if the closure panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.cause, Cause::Panic(_))
    }

    /// What the closure panicked with, for [`std::panic::resume_unwind`].
    ///
    /// # Panics
    ///
    /// If the error is another; see [`try_into_panic`](BlockingError::try_into_panic).
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send + 'static> {
        match self.try_into_panic() {
            Ok(payload) => payload,
            Err(error) => panic!("the closure did not panic: {error}"),
        }
    }

    /// What the closure panicked with.
    ///
    /// # Errors
    ///
    /// Itself, if the closure did not panic.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send + 'static>, BlockingError> {
        match self.cause {
            Cause::Panic(payload) => {
                Ok(payload.into_inner().unwrap_or_else(PoisonError::into_inner))
            }
            cause => Err(BlockingError { cause }),
        }
    }

    /// The text of the panic, if it has one.
    fn with_panic_text<R>(&self, show: impl FnOnce(Option<&str>) -> R) -> R {
        let Cause::Panic(payload) = &self.cause else { return show(None) };
        let payload = payload.lock().unwrap_or_else(PoisonError::into_inner);
        let text = payload.downcast_ref::<&str>().copied();
        show(text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)))
    }
}

impl fmt::Display for BlockingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Panic(_) => self.with_panic_text(|text| match text {
                Some(text) => write!(f, "the blocking closure panicked: {text}"),
                None => f.write_str("the blocking closure panicked"),
            }),
            Cause::Cancelled => f.write_str("the blocking closure was cancelled before it started"),
            Cause::NoThread(error) => {
                write!(f, "no thread could be started for the blocking closure: {error}")
            }
        }
    }
}

impl fmt::Debug for BlockingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Panic(_) => {
                self.with_panic_text(|text| f.debug_tuple("Panic").field(&text).finish())
            }
            Cause::Cancelled => f.write_str("Cancelled"),
            Cause::NoThread(error) => f.debug_tuple("NoThread").field(error).finish(),
        }
    }
}

impl Error for BlockingError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.cause {
            Cause::NoThread(error) => Some(&**error),
            _ => None,
        }
    }
}

impl From<BlockingError> for io::Error {
    /// Keeps the kind of the failure to start a thread; `Other` for the rest. Never `Interrupted`,
    /// on which callers would try again for ever.
    fn from(error: BlockingError) -> io::Error {
        let kind = match &error.cause {
            Cause::NoThread(cause) => cause.kind(),
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}
