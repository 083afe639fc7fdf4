//! The head of a task: everything but its future, in 64 bytes.
//!
//! ```text
//!  core 8 | vtable 8 | state 4, local 4 | inbox link 8 | site 8 | id 8 | extra 8
//!  index 4, flags 1, born 3
//! ```
//!
//! Name, bindings, join waker and panic payload are rare and share one word, `extra`, boxed when
//! needed.
//!
//! # Safety
//!
//! Other threads touch `core`, `state` and `inbox_next` only, and read `id`, `site`, `vtable`. The
//! rest belongs to the task's own thread, or to whoever frees the header. What is in `extra` when
//! a header is freed is a name at most, so that any thread may do it (T1): a join waker and a
//! payload are there only while a join handle, which holds a local reference, wants them; bindings
//! go when the task ends, before the task list gives up its reference.

#![allow(unsafe_code)]

use std::any::Any;
use std::fmt;
use std::panic::Location;
use std::ptr::NonNull;

use super::Id;
use super::bindings::Chain;
use super::inbox::CoreShared;
use super::raw::TaskVTable;
use super::state::{Flags, Local, State};
use super::sync::{Arc, AtomicPtr, Cell};
use crate::wake::{CoreId, LocalWaker, WakeHeader};

#[repr(C)]
pub(super) struct Header {
    /// Stands first (W1). Its pointer owns an `Arc<CoreShared>`.
    wake: WakeHeader,
    pub(super) vtable: &'static TaskVTable,
    pub(super) state: State,
    pub(super) local: Local,
    /// The inbox's link, apart from the run queue: a task may be in both.
    pub(super) inbox_next: AtomicPtr<Header>,
    pub(super) site: &'static Location<'static>,
    pub(super) id: Id,
    extra: Cell<Option<Box<Extra>>>,
    /// The place in the core's task list.
    pub(super) index: u32,
    pub(super) flags: Flags,
    /// The low 24 bits of the core's tick at the spawn.
    born: [u8; 3],
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Header>() == 64);

/// A caught panic, as `catch_unwind` gives it.
pub(super) type Payload = Box<dyn Any + Send>;

/// What few tasks have.
#[derive(Default)]
struct Extra {
    name: Option<TaskName>,
    bindings: Option<Chain>,
    join: Option<LocalWaker>,
    payload: Option<Payload>,
}

/// Where a task comes from, for [`Header::new`].
pub(super) struct Origin {
    pub(super) shared: Arc<CoreShared>,
    pub(super) id: Id,
    pub(super) site: &'static Location<'static>,
    pub(super) index: u32,
    pub(super) born: u32,
    pub(super) flags: u8,
}

impl Header {
    /// A header with one local reference. Always inlined: it is to be made in its place, for a
    /// copy of 64 bytes just stored piece by piece waits for all of them.
    #[inline(always)]
    pub(super) fn new(vtable: &'static TaskVTable, origin: Origin) -> Header {
        let core = Arc::into_raw(origin.shared).cast_mut().cast::<CoreId>();
        // SAFETY: an `Arc`'s pointer is never null. `CoreShared` begins with its id.
        let core = unsafe { NonNull::new_unchecked(core) };
        let [b0, b1, b2, _] = origin.born.to_le_bytes();
        Header {
            wake: WakeHeader { core },
            vtable,
            state: State::new(),
            local: Local::new(),
            inbox_next: AtomicPtr::new(std::ptr::null_mut()),
            site: origin.site,
            id: origin.id,
            extra: Cell::new(None),
            index: origin.index,
            flags: Flags::new(origin.flags),
            born: [b0, b1, b2],
        }
    }

    /// The part of the core that outlives it.
    #[inline]
    pub(super) fn shared(&self) -> &CoreShared {
        // SAFETY: T3: the header owns the `Arc<CoreShared>` that the pointer comes from.
        unsafe { self.wake.core.cast::<CoreShared>().as_ref() }
    }

    /// Takes the `Arc` out of a header that is about to be freed.
    ///
    /// # Safety
    ///
    /// Once at most, and `shared` is not called afterwards.
    pub(super) unsafe fn take_shared(&self) -> Arc<CoreShared> {
        // SAFETY: the pointer comes from `Arc::into_raw` and, as the caller promises, its
        // reference is taken once.
        unsafe { Arc::from_raw(self.wake.core.cast::<CoreShared>().as_ptr()) }
    }

    /// The ticks since the spawn, modulo 2^24.
    pub(super) fn age(&self, tick: u32) -> u32 {
        let [b0, b1, b2] = self.born;
        tick.wrapping_sub(u32::from_le_bytes([b0, b1, b2, 0])) & 0xff_ffff
    }

    pub(super) fn name(&self) -> Option<TaskName> {
        self.with_extra(|extra| extra.as_ref().and_then(|extra| extra.name.clone()))
    }

    pub(super) fn keep_name(&self, name: TaskName) {
        self.with_extra(|extra| extra.get_or_insert_default().name = Some(name));
    }

    /// Keeps what is bound in the task's polls.
    pub(super) fn keep_bindings(&self, bindings: Chain) {
        self.with_extra(|extra| extra.get_or_insert_default().bindings = Some(bindings));
    }

    pub(super) fn bindings(&self) -> Option<Chain> {
        self.with_extra(|extra| extra.as_ref().and_then(|extra| extra.bindings.clone()))
    }

    pub(super) fn take_bindings(&self) -> Option<Chain> {
        self.with_extra(|extra| extra.as_mut().and_then(|extra| extra.bindings.take()))
    }

    /// Keeps whom to wake when the result is there. What comes back is to be dropped.
    pub(super) fn keep_join(&self, join: LocalWaker) -> Option<LocalWaker> {
        self.with_extra(|extra| extra.get_or_insert_default().join.replace(join))
    }

    pub(super) fn joined_by(&self, waker: &std::task::Waker) -> bool {
        self.with_extra(|extra| {
            let join = extra.as_ref().and_then(|extra| extra.join.as_ref());
            join.is_some_and(|join| join.will_wake(waker))
        })
    }

    pub(super) fn take_join(&self) -> Option<LocalWaker> {
        self.with_extra(|extra| extra.as_mut().and_then(|extra| extra.join.take()))
    }

    pub(super) fn keep_payload(&self, payload: Payload) {
        self.with_extra(|extra| extra.get_or_insert_default().payload = Some(payload));
    }

    pub(super) fn take_payload(&self) -> Option<Payload> {
        self.with_extra(|extra| extra.as_mut().and_then(|extra| extra.payload.take()))
    }

    /// `look` runs no code of users: the extras are out of the header meanwhile.
    #[inline]
    fn with_extra<R>(&self, look: impl FnOnce(&mut Option<Box<Extra>>) -> R) -> R {
        let mut extra = self.extra.take();
        let answer = look(&mut extra);
        // Without this test the common case would pay for the drop of the `None` it replaces.
        if extra.is_some() {
            self.extra.set(extra);
        }
        answer
    }
}

/// The name of a task: a literal, or text made at run time.
#[derive(Clone)]
pub struct TaskName(Text);

#[derive(Clone)]
enum Text {
    Literal(&'static str),
    Shared(std::sync::Arc<str>),
}

impl TaskName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Literal(text) => text,
            Text::Shared(text) => text,
        }
    }
}

impl PartialEq for TaskName {
    fn eq(&self, other: &TaskName) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for TaskName {}

impl From<&'static str> for TaskName {
    fn from(name: &'static str) -> TaskName {
        TaskName(Text::Literal(name))
    }
}

impl From<String> for TaskName {
    fn from(name: String) -> TaskName {
        TaskName(Text::Shared(name.into()))
    }
}

impl From<std::sync::Arc<str>> for TaskName {
    fn from(name: std::sync::Arc<str>) -> TaskName {
        TaskName(Text::Shared(name))
    }
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
