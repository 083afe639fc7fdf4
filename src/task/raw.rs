//! The memory of a task, and the counted local reference to it.
//!
//! ```text
//!  +--------+-----------------+
//!  | Header | future | output |   one allocation; the output takes the future's place
//!  +--------+-----------------+
//! ```
//!
//! # Safety
//!
//! The promises T1 to T5 stand in `task/mod.rs`. A `NonNull<Header>` in this folder always comes
//! from [`allocate`], with the provenance of the whole allocation. Which of future, output and
//! nothing the memory holds is told by the plain flags: the future until CLOSED, the output while
//! OUTPUT.

#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use super::blocks::Blocks;
use super::current;
use super::header::{Header, Origin, Payload};
use super::state::{CLOSED, COMPLETE, OUTPUT};

#[repr(C)]
struct Task<F: Future> {
    /// Stands first: a pointer to the task is one to its header.
    header: Header,
    stage: UnsafeCell<Stage<F>>,
}

#[repr(C)]
union Stage<F: Future> {
    future: ManuallyDrop<F>,
    output: ManuallyDrop<F::Output>,
}

/// What depends on the future's type. All of it runs on the task's own thread but `free`.
pub(super) struct TaskVTable {
    poll: unsafe fn(NonNull<Header>, &mut Context<'_>) -> Polled,
    drop_future: unsafe fn(NonNull<Header>),
    drop_output: unsafe fn(NonNull<Header>),
    take_output: unsafe fn(NonNull<Header>, *mut ()),
    free: unsafe fn(NonNull<Header>),
}

/// What came of a poll.
pub(super) enum Polled {
    Pending,
    /// The future is dropped and the output in its place.
    Ready,
    /// The same, but the future's destructor panicked.
    DropPanicked(Payload),
}

/// A new task with one local reference, which is the answer.
#[inline]
pub(super) fn allocate<F: Future + 'static>(future: F, origin: Origin, kept: &Blocks) -> TaskRef {
    let vtable = &TaskVTable {
        poll: poll::<F>,
        drop_future: drop_future::<F>,
        drop_output: drop_output::<F>,
        take_output: take_output::<F>,
        free: free::<F>,
    };
    let layout = Layout::new::<Task<F>>();
    let block = match kept.take(layout) {
        Some(block) => block,
        None => {
            // SAFETY: a header has a size.
            let block = unsafe { alloc(layout) };
            NonNull::new(block).unwrap_or_else(|| handle_alloc_error(layout))
        }
    };
    let header = block.cast::<Header>();
    // Piece by piece: a task built on the stack would be copied as a whole.
    // SAFETY: the block is ours alone, with the layout of the task, which begins with the header.
    unsafe { header.write(Header::new(vtable, origin)) };
    // SAFETY: and goes on with the stage.
    unsafe { stage::<F>(header).cast::<F>().write(future) };
    TaskRef(header)
}

/// A local reference to a task (T5). Stays on the task's own thread.
pub(super) struct TaskRef(NonNull<Header>);

impl TaskRef {
    /// Takes a local reference.
    ///
    /// # Safety
    ///
    /// The header is alive, and this is its task's own thread.
    #[inline]
    pub(super) unsafe fn take(header: NonNull<Header>) -> TaskRef {
        // SAFETY: the caller promises a live header.
        let fields = unsafe { header.as_ref() };
        if fields.local.add_reference() {
            fields.state.add_reference();
        }
        TaskRef(header)
    }

    /// Takes over a local reference that [`TaskRef::into_raw`] let go.
    ///
    /// # Safety
    ///
    /// Once per `into_raw`, on the task's own thread.
    #[inline]
    pub(super) unsafe fn from_raw(header: NonNull<Header>) -> TaskRef {
        TaskRef(header)
    }

    #[inline]
    pub(super) fn into_raw(self) -> NonNull<Header> {
        ManuallyDrop::new(self).0
    }

    #[inline]
    pub(super) fn pointer(&self) -> NonNull<Header> {
        self.0
    }

    #[inline]
    pub(super) fn header(&self) -> &Header {
        // SAFETY: T3: `self` holds a reference, so the header lives.
        unsafe { self.0.as_ref() }
    }

    /// Polls the future.
    ///
    /// # Safety
    ///
    /// The future is there (not CLOSED) and is not being polled.
    #[inline]
    pub(super) unsafe fn poll(&self, cx: &mut Context<'_>) -> Polled {
        // SAFETY: T1: a `TaskRef` is on the task's own thread; the caller promises the rest.
        unsafe { (self.header().vtable.poll)(self.0, cx) }
    }

    /// Drops the future; answers the panic of its destructor.
    ///
    /// # Safety
    ///
    /// The future is there, is not being polled, and the caller has set CLOSED: nobody uses it
    /// again, not even its own destructor.
    pub(super) unsafe fn drop_future(&self) -> Result<(), Payload> {
        debug_assert!(self.header().flags.has(CLOSED));
        catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: T1: own thread; the caller promises that the future is there.
            unsafe { (self.header().vtable.drop_future)(self.0) };
        }))
    }

    /// Drops the output, if there is one; answers the panic of its destructor.
    pub(super) fn drop_output(&self) -> Result<(), Payload> {
        if !self.header().flags.take(OUTPUT) {
            return Ok(());
        }
        catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: T1: own thread; T4: OUTPUT was set and is cleared before the output goes.
            unsafe { (self.header().vtable.drop_output)(self.0) };
        }))
    }

    /// Moves the output out, if there is one.
    ///
    /// # Safety
    ///
    /// `T` is the type of the task's output.
    pub(super) unsafe fn take_output<T>(&self) -> Option<T> {
        if !self.header().flags.take(OUTPUT) {
            return None;
        }
        let mut output = std::mem::MaybeUninit::<T>::uninit();
        // SAFETY: T4: OUTPUT was set and is cleared; the caller promises the type of the place.
        unsafe { (self.header().vtable.take_output)(self.0, output.as_mut_ptr().cast()) };
        // SAFETY: `take_output` has written it.
        Some(unsafe { output.assume_init() })
    }

    pub(super) fn is_complete(&self) -> bool {
        self.header().flags.has(COMPLETE)
    }
}

impl Clone for TaskRef {
    #[inline]
    fn clone(&self) -> TaskRef {
        // Never the first: `self` is one.
        self.header().local.add_reference();
        TaskRef(self.0)
    }
}

impl Drop for TaskRef {
    #[inline]
    fn drop(&mut self) {
        if !self.header().local.drop_reference() {
            return;
        }
        // The last local reference gives the shared one back (T5), without a read-modify-write
        // when it is the last of all.
        if self.header().state.is_only_reference() {
            // SAFETY: T3: the only reference is this one, and it ends here.
            unsafe { free_task(self.0) };
        } else {
            // SAFETY: T5: the shared reference of all the local ones, given back once.
            unsafe { drop_shared(self.0) };
        }
    }
}

/// Gives a shared reference back, and frees the task if it was the last. On any thread.
///
/// # Safety
///
/// The caller owns a shared reference, which ends here.
#[inline]
pub(super) unsafe fn drop_shared(header: NonNull<Header>) {
    // SAFETY: T3: the caller's reference keeps the header until `drop_reference` gives it back;
    // the borrow covers the atomic word only.
    let state = unsafe { &(*header.as_ptr()).state };
    if state.drop_reference() {
        // SAFETY: T3: that was the last reference.
        unsafe { free_task(header) };
    }
}

/// # Safety
///
/// No reference is left, and the stage is empty.
unsafe fn free_task(header: NonNull<Header>) {
    // SAFETY: nobody else has the header; it is alive until `free`.
    let fields = unsafe { header.as_ref() };
    if cfg!(any(loom, debug_assertions)) {
        assert!(fields.local.is_zero() && !fields.flags.has(OUTPUT), "T1, T5: freed while in use");
    }
    let free = fields.vtable.free;
    // SAFETY: the header is freed below and not asked again.
    let shared = unsafe { fields.take_shared() };
    // SAFETY: T3: no reference is left; the function is the one for the task's type. T1: future
    // and output went while local references were there.
    unsafe { free(header) };
    current::recycle(shared);
}

fn stage<F: Future>(header: NonNull<Header>) -> *mut Stage<F> {
    let task = header.as_ptr().cast::<Task<F>>();
    // SAFETY: a header pointer has the provenance of its whole task (head of this file), whose
    // type the vtable knows.
    let stage = unsafe { &raw const (*task).stage };
    UnsafeCell::raw_get(stage)
}

unsafe fn poll<F: Future>(header: NonNull<Header>, cx: &mut Context<'_>) -> Polled {
    let future = stage::<F>(header).cast::<F>();
    // SAFETY: T1: the future is there, on its thread, and nobody else uses it meanwhile.
    let future = unsafe { &mut *future };
    // SAFETY: the future stays in its allocation until it is dropped in place.
    let future = unsafe { Pin::new_unchecked(future) };
    let Poll::Ready(output) = future.poll(cx) else { return Polled::Pending };
    // SAFETY: T3: a task that is polled is held by its caller.
    let flags = unsafe { &(*header.as_ptr()).flags };
    // First: a wake or an abort from the future's destructor finds it closed.
    flags.set(CLOSED);
    let dropped = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: T1: the future is there and, CLOSED being set, used for the last time.
        unsafe { drop_future::<F>(header) };
    }));
    let place = stage::<F>(header).cast::<F::Output>();
    // SAFETY: T4: the future has left the place, which fits both; written this once.
    unsafe { place.write(output) };
    flags.set(OUTPUT);
    match dropped {
        Ok(()) => Polled::Ready,
        Err(payload) => Polled::DropPanicked(payload),
    }
}

unsafe fn drop_future<F: Future>(header: NonNull<Header>) {
    // SAFETY: the caller promises that the stage holds the future.
    unsafe { stage::<F>(header).cast::<F>().drop_in_place() };
}

unsafe fn drop_output<F: Future>(header: NonNull<Header>) {
    // SAFETY: the caller promises that the stage holds the output.
    unsafe { stage::<F>(header).cast::<F::Output>().drop_in_place() };
}

unsafe fn take_output<F: Future>(header: NonNull<Header>, place: *mut ()) {
    let output = stage::<F>(header).cast::<F::Output>();
    // SAFETY: the caller promises that the stage holds the output, and to take it once (T4).
    let output = unsafe { output.read() };
    // SAFETY: the caller promises a place for an output.
    unsafe { place.cast::<F::Output>().write(output) };
}

unsafe fn free<F: Future>(header: NonNull<Header>) {
    // SAFETY: nobody uses the header any more; a stage has no destructor.
    unsafe { header.drop_in_place() };
    let (block, layout) = (header.cast::<u8>(), Layout::new::<Task<F>>());
    // SAFETY: M1: `allocate` had the block from the allocator, or from a list, with this layout.
    if !current::with(|tasks| tasks.is_some_and(|tasks| unsafe { tasks.blocks.put(block, layout) }))
    {
        // SAFETY: as above; `put` left it to us.
        unsafe { dealloc(block.as_ptr(), layout) };
    }
}
