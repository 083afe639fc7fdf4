//! One connection: its task, from the descriptor to the count of how it ended.

use std::any::Any;
use std::fmt::Display;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::balance::Permit;
use super::connections::{Local, Reason};
use super::counts::Event;
use super::log::About;
use super::shared::Phase;
use crate::wake::quietly;

/// What a handler may answer: `()`, or a `Result<(), E>` whose error can be shown.
pub trait Outcome: sealed::Sealed {}

mod sealed {
    /// Keeps `Outcome` to this crate.
    pub trait Sealed {
        fn is_ok(&self) -> bool;
    }
}

impl Outcome for () {}
impl sealed::Sealed for () {
    fn is_ok(&self) -> bool {
        true
    }
}

impl<E: Display> Outcome for Result<(), E> {}
impl<E: Display> sealed::Sealed for Result<(), E> {
    fn is_ok(&self) -> bool {
        Result::is_ok(self)
    }
}

pin_project! {
    /// The task of a connection.
    pub(super) struct Served<F> {
        // Dropped first: with it goes the stream.
        #[pin]
        future: F,
        ending: Ending,
    }
}

/// Counts the end of a connection, however it ends, and gives its place back.
pub(super) struct Ending {
    local: Rc<Local>,
    key: usize,
    permit: Option<Permit>,
    counted: bool,
}

impl<F> Served<F> {
    pub(super) fn new(future: F, ending: Ending) -> Served<F> {
        Served { future, ending }
    }
}

impl<F: Future> Future for Served<F>
where
    F::Output: Outcome,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        // Caught here, and not by the task, so that a flood of panics is no flood of lines.
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let outcome = ready!(this.future.poll(cx));
            Poll::Ready(sealed::Sealed::is_ok(&outcome))
        }));
        match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(is_ok)) => this.ending.finished(is_ok),
            Err(payload) => this.ending.panicked(payload),
        }
        Poll::Ready(())
    }
}

impl Ending {
    pub(super) fn new(local: Rc<Local>, key: usize, permit: Permit) -> Ending {
        Ending { local, key, permit: Some(permit), counted: false }
    }

    fn finished(&mut self, is_ok: bool) {
        self.counted = true;
        self.local.count(Event::Finished);
        if !is_ok {
            self.local.count(Event::Failed);
        }
    }

    #[cold]
    fn panicked(&mut self, payload: Box<dyn Any + Send>) {
        self.counted = true;
        self.local.count(Event::Panicked);
        self.local.shared.log.say(About::Panics, || {
            let text = payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| payload.downcast_ref::<String>().cloned());
            format!(
                "a handler panicked on core {}: {}; its connection is closed, {} have been so",
                self.local.index,
                text.as_deref().unwrap_or("(no text)"),
                self.local.shared.counts[self.local.index].value(Event::Panicked)
            )
        });
        // Its destructor is user code.
        let _ = quietly(|| drop(payload));
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let reason = self.local.end(self.key);
        let shared = &self.local.shared;
        let phase = shared.phase();
        match reason {
            _ if self.counted && phase != Phase::Serving => self.local.count(Event::Drained),
            _ if self.counted => {}
            Some(Reason::Idle) => self.local.count(Event::IdleClosed),
            // Without a reason: the core ends.
            Some(Reason::Cut) | None => self.local.count(Event::Cut),
        }
        drop(self.permit.take());
        if phase != Phase::Serving {
            shared.mailboxes[self.local.index].wake();
        }
    }
}
