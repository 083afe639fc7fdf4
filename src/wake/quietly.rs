//! Running user code where a panic would take others down with it.
//!
//! A waker, a destructor or a closure of the user may panic. Where that would unwind through the
//! loop, and lose the wakes that were to follow, it runs in here. The panic hook has reported the
//! panic by then; what is left is to go on.

use std::any::Any;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `user_code`; `None` if it panicked.
///
/// Unwind safety is the caller's: it must not share half-changed state with `user_code`.
#[inline]
pub(crate) fn quietly<R>(user_code: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(user_code)) {
        Ok(value) => Some(value),
        Err(payload) => {
            discard(payload);
            None
        }
    }
}

/// Drops a panic's payload. That is user code again; if it panics too, its payload is leaked.
#[cold]
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        let _leaked = ManuallyDrop::new(second);
    }
}

#[cfg(test)]
mod tests {
    use super::quietly;

    /// Without size, so that the one that is leaked is no memory lost.
    struct PanicsInDrop;

    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            std::panic::panic_any(PanicsInDrop);
        }
    }

    #[test]
    fn value_comes_back() {
        assert_eq!(quietly(|| 3), Some(3));
    }

    #[test]
    fn payload_panics_too() {
        assert_eq!(quietly(|| std::panic::panic_any(PanicsInDrop)), None::<()>);
    }
}
