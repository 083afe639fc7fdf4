//! Chains: operations that the kernel runs one after the other.
//!
//! ```text
//!  link((a, b, c)):   a --ok--> b --ok--> c        one future, a slot for each
//!                     +--fails: b and c end with ECANCELED (a hard chain goes on)
//! ```
//!
//! The entries are reserved together and never split by a flush; the future owns all members and
//! is dropped as a whole.
//!
//! # Safety
//!
//! O2 and O6 as for `Submission`, for each member.

#![allow(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::{Interrupt, Op, Sqe, Timed, sealed};
use crate::ring::{self, Ask, Completion, Dropped, LinkKind, Outcome, Reaper, Ring, SlotKey};

/// Makes a chain of `ops`: a tuple of two to four, or a `Vec` of one kind.
///
/// Each member starts when the one before it is done. If one fails or transfers less than asked,
/// those behind it end with `ECANCELED`; after [`hard`](Link::hard) they run all the same. The
/// output is that of each member, in order.
///
/// # Errors
///
/// A chain has to fit into the submission queue. A longer one is refused as a whole, before
/// anything was submitted, with its ops in the error.
///
/// # Cancellation
///
/// Dropping the future cancels its members from first to last.
///
/// # Panics
///
/// As for [`Submission`](super::Submission).
///
/// # Examples
///
/// ```
/// use ringspun::op::{Nop, link};
///
/// # fn main() -> std::io::Result<()> {
/// let runtime = ringspun::runtime::Builder::new().build()?;
/// let (first, second) = runtime.block_on(link((Nop::new(), Nop::new())))?;
/// assert!(first.is_ok() && second.is_ok());
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn link<C: Chain>(ops: C) -> Link<C> {
    Link {
        members: Some(ops.into_members()),
        ring: None,
        kind: LinkKind::Soft,
        stage: Stage::New,
        asked: None,
        site: Location::caller(),
    }
}

/// The future of a chain. Made by [`link()`].
#[must_use = "a chain does nothing until it is awaited"]
pub struct Link<C: Chain> {
    members: Option<C::Members>,
    ring: Option<Rc<Ring>>,
    kind: LinkKind,
    stage: Stage,
    /// Its end was asked for before its first poll.
    asked: Option<Ask>,
    site: &'static Location<'static>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    New,
    Submitted,
    Done,
}

/// What can be a chain: `(A, B)`, `(A, B, C)`, `(A, B, C, D)` of ops, `Vec<A>`.
pub trait Chain: Sized + 'static {
    /// What the chain resolves to.
    type Outputs;
    #[doc(hidden)]
    type Members: Members<Ops = Self, Outputs = Self::Outputs>;
    #[doc(hidden)]
    fn into_members(self) -> Self::Members;
}

/// The refusal of a chain that does not fit into the submission queue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChainTooLong<C> {
    /// The ops, none of them submitted.
    pub ops: C,
    /// How many there are.
    pub len: usize,
    /// How many entries the submission queue has.
    pub entries: u32,
}

impl<C> fmt::Display for ChainTooLong<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a chain of {} ops does not fit into a submission queue of {} entries: raise \
             Builder::entries or make several chains",
            self.len, self.entries
        )
    }
}

impl<C> fmt::Debug for ChainTooLong<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainTooLong {{ len: {}, entries: {} }}", self.len, self.entries)
    }
}

impl<C> std::error::Error for ChainTooLong<C> {}

impl<C> From<ChainTooLong<C>> for std::io::Error {
    fn from(error: ChainTooLong<C>) -> std::io::Error {
        std::io::Error::new(std::io::ErrorKind::InvalidInput, error.to_string())
    }
}

impl<C: Chain> Link<C> {
    /// Binds the chain to a ring before its first poll.
    pub(crate) fn on(mut self, ring: Rc<Ring>) -> Link<C> {
        self.ring = Some(ring);
        self
    }

    /// Lets members run although one before them failed.
    pub fn hard(mut self) -> Link<C> {
        self.kind = LinkKind::Hard;
        self
    }

    /// Gives the whole chain a deadline, as for a single op.
    pub fn timeout(self, duration: Duration) -> Timed<Link<C>> {
        Timed::new(self, duration)
    }

    /// Asks for the end of all members; then await it for their real outcomes.
    pub fn request_cancel(&mut self) {
        self.interrupt(Ask::Cancel);
    }

    fn interrupt(&mut self, who: Ask) {
        if self.stage == Stage::New {
            self.asked.get_or_insert(who);
            return;
        }
        let (Some(members), Some(ring), Stage::Submitted) =
            (&mut self.members, &self.ring, self.stage)
        else {
            return;
        };
        // First to last: the end of a member starts, or in a soft chain ends, the next.
        members.each(&mut |member| member.ask(ring, who));
    }

    fn start(&mut self, waker: &Waker) -> Result<(), (usize, u32)> {
        let ring = Rc::clone(self.ring.get_or_insert_with(super::current_ring));
        super::check_current(&ring);
        let Some(members) = &mut self.members else { unreachable!("not done") };
        let mut sqes = Vec::new();
        members.each(&mut |member| sqes.push(member.prepare()));
        let entries = ring.capabilities().sq_entries;
        if sqes.len() > entries as usize {
            return Err((sqes.len(), entries));
        }
        self.stage = Stage::Submitted;
        if sqes.is_empty() {
            return Ok(());
        }
        if let Some(who) = self.asked {
            members.each(&mut |member| {
                member.finish(Completion::new(ring::Answer::synthetic(libc::ECANCELED), who));
            });
            return Ok(());
        }
        if let Some(missing) = sqes.iter().find(|sqe| !ring.supports(sqe.opcode)) {
            // The kernel would cancel the whole chain for it.
            let opcode = missing.opcode;
            let mut sqes = sqes.iter();
            members.each(&mut |member| {
                let own = sqes.next().is_some_and(|sqe| !ring.supports(sqe.opcode));
                member.finish(if own {
                    Completion::unsupported(opcode)
                } else {
                    Completion::new(ring::Answer::synthetic(libc::ECANCELED), Ask::Nobody)
                });
            });
            return Ok(());
        }
        let keys: Vec<SlotKey> = sqes.iter().map(|_| ring.reserve()).collect();
        // SAFETY: O1 is the members' promise; O2: they stay in `self`, and `drop` hands them to
        // `orphan`.
        unsafe { ring.submit_chain(&keys, &mut sqes, self.kind, waker, self.site) };
        let mut keys = keys.into_iter();
        members.each(&mut |member| member.submitted(keys.next()));
        Ok(())
    }
}

impl<C: Chain> Unpin for Link<C> {}

impl<C: Chain> Future for Link<C> {
    type Output = Result<C::Outputs, ChainTooLong<C>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        assert!(this.stage != Stage::Done, "a chain was polled after it was ready");
        if this.stage == Stage::New
            && let Err((len, entries)) = this.start(cx.waker())
        {
            this.stage = Stage::Done;
            let Some(members) = this.members.take() else { unreachable!("not done") };
            return Poll::Ready(Err(ChainTooLong { ops: members.into_ops(), len, entries }));
        }
        let (Some(members), Some(ring)) = (&mut this.members, &this.ring) else {
            unreachable!("submitted")
        };
        let mut pending = false;
        members.each(&mut |member| pending |= !member.poll(ring, cx.waker()));
        if pending {
            super::check_current(ring);
            return Poll::Pending;
        }
        this.stage = Stage::Done;
        let Some(members) = this.members.take() else { unreachable!("not done") };
        Poll::Ready(Ok(members.into_outputs()))
    }
}

impl<C: Chain> Drop for Link<C> {
    fn drop(&mut self) {
        if let (Some(members), Some(ring)) = (&mut self.members, &self.ring) {
            let mut panic = None;
            members.each(&mut |member| {
                // A destructor that panics shall not leak the members behind it.
                let abandoned = catch_unwind(AssertUnwindSafe(|| member.abandon(ring)));
                panic = panic.take().or(abandoned.err());
            });
            if let Some(panic) = panic {
                resume_unwind(panic);
            }
        }
    }
}

impl<C: Chain> sealed::Sealed for Link<C> {
    #[allow(private_interfaces, reason = "sealed: not callable from outside")]
    fn ask(&mut self, who: Ask) {
        self.interrupt(who);
    }
}

impl<C: Chain> Interrupt for Link<C> {}

impl<C: Chain> fmt::Debug for Link<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("stage", &self.stage).field("site", &self.site).finish()
    }
}

/// The members of a chain. Not for users.
#[doc(hidden)]
pub trait Members {
    type Ops;
    type Outputs;
    #[allow(private_interfaces, reason = "sealed: not callable from outside")]
    fn each(&mut self, visit: &mut dyn FnMut(&mut dyn AnyMember));
    fn into_ops(self) -> Self::Ops;
    fn into_outputs(self) -> Self::Outputs;
}

/// A member, whatever its op.
pub(crate) trait AnyMember {
    fn prepare(&mut self) -> Sqe;
    fn submitted(&mut self, key: Option<SlotKey>);
    fn poll(&mut self, ring: &Ring, waker: &Waker) -> bool;
    fn finish(&mut self, completion: Completion);
    fn ask(&mut self, ring: &Ring, who: Ask);
    fn abandon(&mut self, ring: &Ring);
}

/// One op of a chain. Not for users.
#[doc(hidden)]
#[derive(Debug)]
pub struct Member<T: Op> {
    op: MaybeUninit<T>,
    state: MemberState<T::Output>,
}

#[derive(Debug)]
enum MemberState<O> {
    New,
    Submitted(SlotKey),
    Done(O),
    Gone,
}

impl<T: Op> Member<T> {
    fn new(op: T) -> Member<T> {
        Member { op: MaybeUninit::new(op), state: MemberState::New }
    }

    fn into_op(mut self) -> T {
        assert!(matches!(self.state, MemberState::New), "a submitted op is the kernel's");
        self.state = MemberState::Gone;
        // SAFETY: the state was `New`, so the op is here; from now on it is not.
        unsafe { self.op.assume_init_read() }
    }

    fn into_output(mut self) -> T::Output {
        match std::mem::replace(&mut self.state, MemberState::Gone) {
            MemberState::Done(output) => output,
            _ => unreachable!("all members are done"),
        }
    }
}

impl<T: Op> AnyMember for Member<T> {
    fn prepare(&mut self) -> Sqe {
        // SAFETY: O6: the state is `New`: the op is here and the kernel knows nothing of it.
        unsafe { self.op.assume_init_mut() }.prepare()
    }

    fn submitted(&mut self, key: Option<SlotKey>) {
        if let Some(key) = key {
            self.state = MemberState::Submitted(key);
        }
    }

    fn poll(&mut self, ring: &Ring, waker: &Waker) -> bool {
        let MemberState::Submitted(key) = self.state else { return true };
        match ring.poll(key, waker, false) {
            Poll::Pending => false,
            Poll::Ready(Ok(Outcome::Done(completion))) => {
                self.finish(completion);
                true
            }
            Poll::Ready(Ok(Outcome::Restart)) => unreachable!("not asked for"),
            Poll::Ready(Err(lost)) => super::lost(lost),
        }
    }

    fn finish(&mut self, completion: Completion) {
        self.state = MemberState::Gone;
        // SAFETY: the state was `New` or `Submitted`, so the op is here; from now on it is not.
        let op = unsafe { self.op.assume_init_read() };
        // SAFETY: O3: the completion is the last one of this op's entry, or spared the kernel it.
        self.state = MemberState::Done(unsafe { op.complete(completion) });
    }

    fn ask(&mut self, ring: &Ring, who: Ask) {
        if let MemberState::Submitted(key) = self.state {
            ring.ask(key, who);
        }
    }

    fn abandon(&mut self, ring: &Ring) {
        let MemberState::Submitted(key) = self.state else { return };
        self.state = MemberState::Gone;
        match ring.abandon(key) {
            // SAFETY: the op is here and the kernel does not have it.
            Dropped::NeverSubmitted => unsafe { self.op.assume_init_drop() },
            Dropped::Finished(completion) => {
                // SAFETY: the op is here; the state says that it is not any more.
                let op = unsafe { self.op.assume_init_read() };
                // SAFETY: O3: the completion is the last one of this op's entry.
                drop(unsafe { op.complete(completion) });
            }
            Dropped::InKernel => {
                let mut op = Some(std::mem::replace(&mut self.op, MaybeUninit::uninit()));
                let reaper = Reaper::Single(Box::new(move |completion| {
                    let Some(op) = op.take() else { return };
                    // SAFETY: the member moved its op in here, initialised; it is taken once.
                    let op = unsafe { op.assume_init() };
                    // SAFETY: O3: the ring calls this with the last completion of this entry.
                    drop(unsafe { op.complete(completion) });
                }));
                ring.orphan(key, reaper);
            }
            // R4: the kernel may write to it for ever; it is leaked.
            Dropped::Lost => {}
        }
    }
}

impl<T: Op> Drop for Member<T> {
    fn drop(&mut self) {
        if matches!(self.state, MemberState::New) {
            // SAFETY: the state is `New`: the op is here and the kernel knows nothing of it.
            unsafe { self.op.assume_init_drop() };
        }
    }
}

impl<A: Op> Chain for Vec<A> {
    type Outputs = Vec<A::Output>;
    type Members = Vec<Member<A>>;

    fn into_members(self) -> Self::Members {
        self.into_iter().map(Member::new).collect()
    }
}

#[allow(private_interfaces, reason = "sealed: not callable from outside")]
impl<A: Op> Members for Vec<Member<A>> {
    type Ops = Vec<A>;
    type Outputs = Vec<A::Output>;

    fn each(&mut self, visit: &mut dyn FnMut(&mut dyn AnyMember)) {
        for member in self {
            visit(member);
        }
    }

    fn into_ops(self) -> Vec<A> {
        self.into_iter().map(Member::into_op).collect()
    }

    fn into_outputs(self) -> Vec<A::Output> {
        self.into_iter().map(Member::into_output).collect()
    }
}

impl<A: Op, B: Op> Chain for (A, B) {
    type Outputs = (A::Output, B::Output);
    type Members = (Member<A>, Member<B>);

    fn into_members(self) -> Self::Members {
        (Member::new(self.0), Member::new(self.1))
    }
}

#[allow(private_interfaces, reason = "sealed: not callable from outside")]
impl<A: Op, B: Op> Members for (Member<A>, Member<B>) {
    type Ops = (A, B);
    type Outputs = (A::Output, B::Output);

    fn each(&mut self, visit: &mut dyn FnMut(&mut dyn AnyMember)) {
        visit(&mut self.0);
        visit(&mut self.1);
    }

    fn into_ops(self) -> (A, B) {
        (self.0.into_op(), self.1.into_op())
    }

    fn into_outputs(self) -> Self::Outputs {
        (self.0.into_output(), self.1.into_output())
    }
}

impl<A: Op, B: Op, C: Op> Chain for (A, B, C) {
    type Outputs = (A::Output, B::Output, C::Output);
    type Members = (Member<A>, Member<B>, Member<C>);

    fn into_members(self) -> Self::Members {
        (Member::new(self.0), Member::new(self.1), Member::new(self.2))
    }
}

#[allow(private_interfaces, reason = "sealed: not callable from outside")]
impl<A: Op, B: Op, C: Op> Members for (Member<A>, Member<B>, Member<C>) {
    type Ops = (A, B, C);
    type Outputs = (A::Output, B::Output, C::Output);

    fn each(&mut self, visit: &mut dyn FnMut(&mut dyn AnyMember)) {
        visit(&mut self.0);
        visit(&mut self.1);
        visit(&mut self.2);
    }

    fn into_ops(self) -> (A, B, C) {
        (self.0.into_op(), self.1.into_op(), self.2.into_op())
    }

    fn into_outputs(self) -> Self::Outputs {
        (self.0.into_output(), self.1.into_output(), self.2.into_output())
    }
}

impl<A: Op, B: Op, C: Op, D: Op> Chain for (A, B, C, D) {
    type Outputs = (A::Output, B::Output, C::Output, D::Output);
    type Members = (Member<A>, Member<B>, Member<C>, Member<D>);

    fn into_members(self) -> Self::Members {
        (Member::new(self.0), Member::new(self.1), Member::new(self.2), Member::new(self.3))
    }
}

#[allow(private_interfaces, reason = "sealed: not callable from outside")]
impl<A: Op, B: Op, C: Op, D: Op> Members for (Member<A>, Member<B>, Member<C>, Member<D>) {
    type Ops = (A, B, C, D);
    type Outputs = (A::Output, B::Output, C::Output, D::Output);

    fn each(&mut self, visit: &mut dyn FnMut(&mut dyn AnyMember)) {
        visit(&mut self.0);
        visit(&mut self.1);
        visit(&mut self.2);
        visit(&mut self.3);
    }

    fn into_ops(self) -> (A, B, C, D) {
        (self.0.into_op(), self.1.into_op(), self.2.into_op(), self.3.into_op())
    }

    fn into_outputs(self) -> Self::Outputs {
        (self.0.into_output(), self.1.into_output(), self.2.into_output(), self.3.into_output())
    }
}
