//! The life of a scope: its body and its children, to their end.
//!
//! ```text
//!            +--body done, no child left------------------> Complete --+
//!  running --+                                                         +--> joiner.finish
//!            +--enough, deadline, cancel, body failed, panic           |
//!                 |                                                    |
//!                 v                                                    |
//!              body dropped, children ended --> none left -------------+--> panic goes on
//! ```

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use super::children::{Phase, Scope, Shared};
use super::joiner::{End, Joiner};
use super::{BodyOutput, Limit};
use crate::task::TaskName;
use crate::time::Sleep;
use crate::wake::quietly;

pub(super) async fn run<J, F, B>(
    joiner: J,
    limit: Limit,
    name: Option<TaskName>,
    body: F,
) -> J::Output
where
    J: Joiner,
    F: AsyncFnOnce(&Scope<J::Child>) -> B,
    B: BodyOutput<J::Error>,
{
    let shared = Shared::new(name);
    let scope = Scope { shared: Rc::clone(&shared) };
    // In a future of its own, so that a panic of the call is one of the body.
    let mut body = pin!(Some(async { body(&scope).await }));
    let mut owner =
        Owner { joiner, shared, limit: limit.start(), body_done: false, end: None, panic: None };
    let over = CloseAtDrop(Rc::clone(&owner.shared));
    poll_fn(|cx| owner.poll(body.as_mut(), cx)).await;
    drop(over);
    owner.finish()
}

/// However the future of the scope goes, its children do not stay.
struct CloseAtDrop<C>(Rc<Shared<C>>);

impl<C> Drop for CloseAtDrop<C> {
    fn drop(&mut self) {
        self.0.close();
    }
}

struct Owner<J: Joiner> {
    joiner: J,
    shared: Rc<Shared<J::Child>>,
    limit: Option<Sleep>,
    /// The body is not asked: a shared borrow of it would end those that it has of itself.
    body_done: bool,
    /// Some: what has not ended is being ended.
    end: Option<End>,
    panic: Option<Box<dyn Any + Send>>,
}

impl<J: Joiner> Owner<J> {
    fn poll<F, B>(&mut self, mut body: Pin<&mut Option<F>>, cx: &mut Context<'_>) -> Poll<()>
    where
        F: Future<Output = B>,
        B: BodyOutput<J::Error>,
    {
        self.poll_body(body.as_mut(), cx);
        self.poll_children(cx);
        if self.shared.phase() == Phase::Cancelled {
            self.stop(End::Cancelled);
        }
        if self.body_done && !self.shared.has_children() {
            return Poll::Ready(());
        }
        self.poll_limit(cx);
        if self.end.is_some() {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| body.set(None))) {
                self.panicked(payload);
            }
            // Those that were ended just now have their results in place.
            self.poll_children(cx);
            if !self.shared.has_children() {
                return Poll::Ready(());
            }
        }
        self.shared.keep_owner(cx);
        Poll::Pending
    }

    fn poll_body<F, B>(&mut self, mut body: Pin<&mut Option<F>>, cx: &mut Context<'_>)
    where
        F: Future<Output = B>,
        B: BodyOutput<J::Error>,
    {
        if self.end.is_some() || self.body_done {
            return;
        }
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let Some(running) = body.as_mut().as_pin_mut() else { return Poll::Pending };
            let polled = running.poll(cx);
            if polled.is_ready() {
                body.set(None);
            }
            polled
        }));
        self.body_done = !matches!(polled, Ok(Poll::Pending));
        match polled {
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(output)) => {
                if let Err(error) = output.into_result() {
                    let told = catch_unwind(AssertUnwindSafe(|| self.joiner.body_failed(error)));
                    told.unwrap_or_else(|payload| self.panicked(payload));
                    self.stop(End::BodyFailed);
                }
            }
            Err(payload) => self.panicked(payload),
        }
    }

    /// Hands the results that are there to the joiner.
    fn poll_children(&mut self, cx: &mut Context<'_>) {
        while let Some((index, result)) = self.shared.next_ended(cx) {
            let told = catch_unwind(AssertUnwindSafe(|| self.joiner.ended(index, result)));
            match told {
                Ok(told) if told.is_continue() => {}
                Ok(_) => self.stop(End::Joined),
                Err(payload) => self.panicked(payload),
            }
        }
    }

    fn poll_limit(&mut self, cx: &mut Context<'_>) {
        if self.end.is_none()
            && let Some(limit) = &mut self.limit
            && Pin::new(limit).poll(cx).is_ready()
        {
            self.stop(End::Deadline);
        }
    }

    fn stop(&mut self, end: End) {
        if self.end.is_none() {
            self.end = Some(end);
            self.limit = None;
            self.shared.stop();
        }
    }

    /// The first panic goes on in the end. Later ones have been reported by the hook.
    fn panicked(&mut self, payload: Box<dyn Any + Send>) {
        match &self.panic {
            None => self.panic = Some(payload),
            Some(_) => drop(quietly(|| drop(payload))),
        }
        self.stop(End::BodyFailed);
    }

    fn finish(self) -> J::Output {
        match self.panic {
            Some(payload) => resume_unwind(payload),
            None => self.joiner.finish(self.end.unwrap_or(End::Complete)),
        }
    }
}
