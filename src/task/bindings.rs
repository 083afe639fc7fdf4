//! What is bound around the code that runs: a chain with a link for each [`ScopedValue`].
//!
//! ```text
//!  the thread: CURRENT ----> [USER = 7] ----> [TENANT = "a"] ----> end
//!                               ^
//!  a task spawned here ---------+   keeps the head, and is polled under it
//! ```
//!
//! Most programs bind nothing. Then a spawn looks at one byte, and a poll at nothing.
//!
//! [`ScopedValue`]: super::ScopedValue

use std::any::Any;
use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::rc::Rc;

/// The head of a chain. A clone is one plain count.
#[derive(Clone)]
pub(super) struct Chain(Rc<Link<dyn Any>>);

struct Link<T: ?Sized> {
    key: usize,
    outer: Option<Chain>,
    value: T,
}

struct Current {
    any: Cell<bool>,
    /// Guards put back what they found, so nothing is here when the thread ends.
    chain: Cell<ManuallyDrop<Option<Chain>>>,
}

// Const and without destructor: may be read at any time, also while the thread ends.
thread_local! {
    static CURRENT: Current = const {
        Current { any: Cell::new(false), chain: Cell::new(ManuallyDrop::new(None)) }
    };
}

impl Chain {
    /// `value` for `key`, in front of what `outer` has.
    pub(super) fn new<T: Any>(key: usize, value: T, outer: Option<Chain>) -> Chain {
        Chain(Rc::new(Link { key, outer, value }))
    }

    /// The innermost value for `key`.
    pub(super) fn find<T: Any>(&self, key: usize) -> Option<&T> {
        let mut next = Some(self);
        while let Some(Chain(link)) = next {
            if link.key == key {
                return link.value.downcast_ref();
            }
            next = link.outer.as_ref();
        }
        None
    }
}

impl<T: ?Sized> Drop for Link<T> {
    /// One after the other: a chain may be longer than the stack is deep.
    fn drop(&mut self) {
        let mut next = self.outer.take();
        while let Some(mut chain) = next {
            next = Rc::get_mut(&mut chain.0).and_then(|link| link.outer.take());
        }
    }
}

/// True if something is bound here.
#[inline]
pub(super) fn any() -> bool {
    CURRENT.with(|current| current.any.get())
}

/// What is bound here.
pub(super) fn current() -> Option<Chain> {
    if !any() {
        return None;
    }
    let chain = replace(None);
    let answer = chain.clone();
    replace(chain);
    answer
}

/// Binds what `chain` has, and nothing else, until the guard goes.
pub(super) fn enter(chain: Option<Chain>) -> Entered {
    Entered { before: replace(chain), _one_thread: PhantomData }
}

/// Runs `call` with nothing bound.
#[inline]
pub(super) fn apart<R>(call: impl FnOnce() -> R) -> R {
    let _entered = any().then(|| enter(None));
    call()
}

fn replace(chain: Option<Chain>) -> Option<Chain> {
    CURRENT.with(|current| {
        current.any.set(chain.is_some());
        ManuallyDrop::into_inner(current.chain.replace(ManuallyDrop::new(chain)))
    })
}

/// Puts back what was bound before. What is left may end with it: values are dropped here.
#[must_use]
pub(super) struct Entered {
    before: Option<Chain>,
    _one_thread: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let left = replace(self.before.take());
        drop(left);
    }
}
