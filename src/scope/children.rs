//! The children of a scope, and the handle that spawns them.
//!
//! ```text
//!  spawn --> entry {place, handle} --+
//!                                    v
//!  task ends, is ended, refused: its `Finished` is dropped --> ended: [key, key] --> owner woken
//!  owner: takes a key, its handle, its result
//! ```
//!
//! No destructor, waker or future of the user runs while anything here is borrowed (R3).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use slab::Slab;

use crate::task::{self, Builder, Id, JoinError, JoinHandle, TaskName};
use crate::wake::{LocalWaker, quietly};

/// Spawns children into a scope: what its body is given.
///
/// Clones may be handed to children, so that they can spawn siblings, and kept anywhere: after the
/// end of the scope nothing can be spawned by them.
pub struct Scope<C> {
    pub(super) shared: Rc<Shared<C>>,
}

pub(super) struct Shared<C> {
    children: RefCell<Slab<Entry<C>>>,
    ended: RefCell<VecDeque<usize>>,
    owner: Cell<Option<LocalWaker>>,
    spawned: Cell<usize>,
    phase: Cell<Phase>,
    name: Option<TaskName>,
}

struct Entry<C> {
    /// The how many-th spawn it was.
    place: usize,
    /// None: it was never spawned, or somebody looks at it just now.
    handle: Option<JoinHandle<C>>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Phase {
    Open,
    /// The owner shall end what is there.
    Cancelled,
    /// What is spawned counts as cancelled.
    Stopped,
    /// Nobody is told of anything any more.
    Over,
}

impl<C: 'static> Scope<C> {
    /// Runs `future` as a child: a task of this core that cannot outlive the scope.
    ///
    /// If the scope was cancelled, or is over, `future` is dropped at once; see
    /// [`Child::is_refused`].
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> Child<C>
    where
        F: Future<Output = C> + 'static,
    {
        let builder = match &self.shared.name {
            Some(name) => Builder::new().name(name.clone()),
            None => Builder::new(),
        };
        self.spawn_with(builder, future)
    }

    /// As [`Scope::spawn`], for a task that `builder` says more about.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn_with<F>(&self, builder: Builder, future: F) -> Child<C>
    where
        F: Future<Output = C> + 'static,
    {
        let shared = &self.shared;
        let place = shared.spawned.get();
        if shared.phase.get() == Phase::Over {
            task::refuse(future);
            return Child { shared: Rc::clone(shared), key: usize::MAX, place, refused: true };
        }
        shared.spawned.set(place + 1);
        let key = shared.children.borrow_mut().insert(Entry { place, handle: None });
        let finished = Finished { shared: Rc::clone(shared), key };
        let refused = shared.phase.get() != Phase::Open;
        if refused {
            task::refuse(future);
            drop(finished);
        } else {
            let handle = builder.spawn(Member { future, finished });
            // A refused future's destructor may have ended the scope meanwhile.
            let unwanted = match shared.children.borrow_mut().get_mut(key) {
                Some(entry) if entry.place == place => entry.handle.replace(handle),
                _ => Some(handle),
            };
            if let Some(handle) = unwanted {
                handle.end();
            }
        }
        Child { shared: Rc::clone(shared), key, place, refused }
    }

    /// Ends the scope: what has not ended, its body included, is dropped at its next await. From
    /// now on spawns are refused. What the scope answers then, its joiner says.
    pub fn cancel(&self) {
        if self.shared.phase.get() == Phase::Open {
            self.shared.phase.set(Phase::Cancelled);
            self.shared.wake_owner();
        }
    }

    /// True if the scope is over or about to be: spawns are refused.
    pub fn is_cancelled(&self) -> bool {
        self.shared.phase.get() != Phase::Open
    }

    /// How many children have not ended, or whose results were not looked at yet.
    pub fn len(&self) -> usize {
        self.shared.children.borrow().len()
    }

    /// True if no child is there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What [`TaskScope::name`](super::TaskScope::name) called it.
    pub fn name(&self) -> Option<&TaskName> {
        self.shared.name.as_ref()
    }
}

impl<C> Clone for Scope<C> {
    fn clone(&self) -> Scope<C> {
        Scope { shared: Rc::clone(&self.shared) }
    }
}

impl<C> fmt::Debug for Scope<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = &self.shared;
        f.debug_struct("Scope")
            .field("name", &shared.name)
            .field("len", &shared.children.borrow().len())
            .finish_non_exhaustive()
    }
}

/// A child of a scope. Dropping or forgetting it changes nothing: the scope waits all the same.
pub struct Child<C> {
    shared: Rc<Shared<C>>,
    key: usize,
    place: usize,
    refused: bool,
}

impl<C> Child<C> {
    /// Ends this child alone. For the joiner it is one that failed, as "cancelled". If it has ended
    /// by itself, does nothing.
    pub fn abort(&self) {
        let children = self.shared.children.borrow();
        if let Some(entry) = children.get(self.key)
            && entry.place == self.place
            && let Some(handle) = &entry.handle
        {
            handle.abort();
        }
    }

    /// Its place among the children of the scope, in the order of the spawns, from 0.
    pub fn index(&self) -> usize {
        self.place
    }

    /// Which task it is, until its result was looked at.
    pub fn id(&self) -> Option<Id> {
        let children = self.shared.children.borrow();
        let entry = children.get(self.key).filter(|entry| entry.place == self.place)?;
        entry.handle.as_ref().map(JoinHandle::id)
    }

    /// True if the spawn came too late: the scope was cancelled or over.
    pub fn is_refused(&self) -> bool {
        self.refused
    }
}

impl<C> fmt::Debug for Child<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("index", &self.place).finish_non_exhaustive()
    }
}

impl<C> Shared<C> {
    pub(super) fn new(name: Option<TaskName>) -> Rc<Shared<C>> {
        Rc::new(Shared {
            children: RefCell::new(Slab::new()),
            ended: RefCell::default(),
            owner: Cell::new(None),
            spawned: Cell::new(0),
            phase: Cell::new(Phase::Open),
            name,
        })
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase.get()
    }

    pub(super) fn has_children(&self) -> bool {
        !self.children.borrow().is_empty()
    }

    /// Has `cx`'s task woken when a child ends, and when the scope is cancelled.
    pub(super) fn keep_owner(&self, cx: &Context<'_>) {
        let mut owner = self.owner.take();
        let old = LocalWaker::keep(&mut owner, cx.waker());
        self.owner.set(owner);
        drop(old);
    }

    /// The result of a child that has ended, with its place.
    pub(super) fn next_ended(&self, cx: &mut Context<'_>) -> Option<(usize, Result<C, JoinError>)> {
        let known = self.ended.borrow().len();
        for _ in 0..known {
            let key = self.ended.borrow_mut().pop_front()?;
            let taken = self.children.borrow_mut().get_mut(key).and_then(|e| e.handle.take());
            let Some(mut handle) = taken else {
                // Refused, or its spawn panicked.
                let entry = self.children.borrow_mut().remove(key);
                return Some((entry.place, Err(JoinError::cancelled())));
            };
            if let Poll::Ready(result) = Pin::new(&mut handle).poll(cx) {
                let entry = self.children.borrow_mut().remove(key);
                return Some((entry.place, result));
            }
            // Asked from within the end of the task, before its result is in place: the handle
            // has kept the waker.
            self.put_back(key, handle);
            self.ended.borrow_mut().push_back(key);
        }
        None
    }

    /// Refuses spawns and ends all children. Their results are still to be taken.
    pub(super) fn stop(&self) {
        self.phase.set(Phase::Stopped);
        let keys: Vec<usize> = self.children.borrow().iter().map(|(key, _)| key).collect();
        for key in keys {
            let taken = self.children.borrow_mut().get_mut(key).and_then(|e| e.handle.take());
            if let Some(handle) = taken {
                handle.end();
                self.put_back(key, handle);
            }
        }
    }

    /// The scope is over: ends what is left, and tells nobody.
    pub(super) fn close(&self) {
        self.phase.set(Phase::Over);
        let left = std::mem::take(&mut *self.children.borrow_mut());
        for handle in left.into_iter().filter_map(|(_, entry)| entry.handle) {
            handle.end();
        }
        // A foreign waker's destructor is user code, and this is called in a `drop`.
        let _ = quietly(|| drop(self.owner.take()));
    }

    fn put_back(&self, key: usize, handle: JoinHandle<C>) {
        if let Some(entry) = self.children.borrow_mut().get_mut(key) {
            entry.handle = Some(handle);
        }
    }

    fn wake_owner(&self) {
        if let Some(owner) = self.owner.take() {
            owner.wake();
        }
    }
}

pin_project! {
    /// The task of a child.
    struct Member<F, C> {
        #[pin]
        future: F,
        // Dropped after the future, whatever ends the task.
        finished: Finished<C>,
    }
}

impl<F: Future<Output = C>, C> Future for Member<F, C> {
    type Output = C;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C> {
        self.project().future.poll(cx)
    }
}

/// Tells the scope when it is dropped.
struct Finished<C> {
    shared: Rc<Shared<C>>,
    key: usize,
}

impl<C> Drop for Finished<C> {
    fn drop(&mut self) {
        if self.shared.phase.get() != Phase::Over {
            self.shared.ended.borrow_mut().push_back(self.key);
            // A foreign waker is user code, and the child may be unwinding already.
            let _ = quietly(|| self.shared.wake_owner());
        }
    }
}
