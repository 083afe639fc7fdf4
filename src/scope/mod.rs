//! Structured concurrency: tasks that cannot outlive the code that spawned them.
//!
//! ```text
//!  TaskScope::new(joiner).deadline(..).run(body).await
//!       |
//!       +-- body: async |scope| { scope.spawn(a); scope.spawn(b); }
//!       |                              |               |
//!       |                            child           child --spawns--> sibling, by its `Scope`
//!       |                              |               |
//!       +-- joiner <----- results -----+---------------+
//!       v
//!  what the joiner makes of them, when body and children have all ended
//! ```
//!
//! # What is guaranteed
//!
//! * The scope's future gives its output only when the body and every child have ended: also if the
//!   body returns early, if every handle is dropped or forgotten, and after a cancel.
//! * If the **body panics**, the children are cancelled, and when they have ended the panic goes
//!   on. A **child's panic** ends that child alone; for the joiner it is a failure that carries the
//!   panic (see [`JoinError::into_panic`](crate::task::JoinError::into_panic)): who wants to
//!   resumes it.
//! * **Cancelling**, by the joiner, the deadline, or [`Scope::cancel`], drops the body, and the
//!   futures of the children, and then waits until they are gone. A future cannot refuse.
//! * If the scope's own **future is dropped**, its children are dropped with it, before the drop
//!   returns. A drop cannot wait, so two exceptions remain: the child that is being polled at this
//!   moment because it dropped the scope itself, and children of scopes nested more than 16 deep.
//!   Those, and all if the drop happens outside of their runtime, go when their core gives them
//!   their next turn, and are not polled again. Forgetting the future, after it was polled, leaves
//!   the children running: nothing can be done about it, so nothing unsafe relies on it.
//! * Operations that a cancelled child had in flight are cancelled as always: what they own stays
//!   until the kernel has given its last answer, which may be after the scope's.
//!
//! # Why children are `'static`
//!
//! A future can be forgotten (`mem::forget`) after it was polled, and no destructor runs. A child
//! that borrowed from the frame of its scope would go on with memory that is gone. So children own
//! what they use, or share it by `Rc`: they stay on this core, nothing needs to be `Send`. The body
//! is no task, and may borrow.
//!
//! # Choosing a joiner
//!
//! | joiner | children give | the scope gives | cancels the rest |
//! |---|---|---|---|
//! | [`AllOk`] | `Result<T, E>` | `Result<Vec<T>, ScopeError<..>>` | at the first failure |
//! | [`AnyOk`] | `Result<T, E>` | `Result<T, ScopeError<..>>` | at the first success |
//! | [`KeepOk`] | `Result<T, E>` | `Vec<T>`: what succeeded | never |
//! | [`All`] | `C` | `Vec<Result<C, JoinError>>` | never |
//! | [`Until`] | `C` | `Vec<Result<C, JoinError>>` | when its predicate says so |
//! | your own [`Joiner`] | | | |
//!
//! A [`JoinSet`](crate::task::JoinSet) gives results one by one, as they come; a [`TaskGroup`]
//! waits for tasks that are joined elsewhere, or nowhere.

mod children;
mod drive;
mod error;
mod group;
mod joiner;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::{Duration, Instant};

pub use children::{Child, Scope};
pub use error::{Cause, ScopeError};
pub use group::{GroupClosed, TaskGroup};
pub use joiner::{All, AllOk, AnyOk, End, Joiner, KeepOk, Until};

use crate::task::TaskName;
use crate::time::{Sleep, sleep, sleep_until};

/// Runs `body`, which spawns children, and waits for all of them. `joiner` says what is made of
/// their results. [`TaskScope`] does the same with a deadline and a name.
///
/// Errors, panics and cancellation are those of the [module](mod@crate::scope).
///
/// # Examples
///
/// ```
/// use ringspun::scope::{AllOk, scope};
///
/// # fn main() -> std::io::Result<()> {
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// let squares = scope(AllOk::new(), async |scope| {
///     for n in 1..=3_u32 {
///         scope.spawn(async move { n.checked_mul(n).ok_or("too large") });
///     }
/// })
/// .await;
/// assert_eq!(squares.unwrap(), [1, 4, 9]);
/// # });
/// # Ok(())
/// # }
/// ```
///
/// A child cannot borrow from the body or from what is around it:
///
/// ```compile_fail,E0373
/// use ringspun::scope::{All, scope};
///
/// async fn wrong(text: String) {
///     scope(All::new(), async |scope| {
///         scope.spawn(async { println!("{}", &text) });
///     })
///     .await;
/// }
/// ```
pub async fn scope<J, F, B>(joiner: J, body: F) -> J::Output
where
    J: Joiner,
    F: AsyncFnOnce(&Scope<J::Child>) -> B,
    B: BodyOutput<J::Error>,
{
    TaskScope::new(joiner).run(body).await
}

/// A scope to be: its joiner, its deadline, its name.
///
/// # Examples
///
/// A deadline for all together, and what was done by then:
///
/// ```
/// use std::io;
/// use std::time::Duration;
///
/// use ringspun::scope::{AllOk, TaskScope};
///
/// async fn fetch(n: u64) -> io::Result<u64> {
///     ringspun::time::sleep(Duration::from_millis(n)).await;
///     Ok(n)
/// }
///
/// # fn main() -> std::io::Result<()> {
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// let scope = TaskScope::new(AllOk::new()).name("fetches").timeout(Duration::from_millis(100));
/// let fetched = scope
///     .run(async |scope| {
///         for n in [1, 3_600_000] {
///             scope.spawn(fetch(n));
///         }
///     })
///     .await;
/// let error = fetched.unwrap_err();
/// assert!(error.is_deadline());
/// assert_eq!(error.into_partial(), [Some(1), None]);
/// # });
/// # Ok(())
/// # }
/// ```
#[must_use = "does nothing until `run` is called and awaited"]
pub struct TaskScope<J> {
    joiner: J,
    limit: Limit,
    name: Option<TaskName>,
}

enum Limit {
    None,
    At(Instant),
    After(Duration),
}

impl Limit {
    fn start(self) -> Option<Sleep> {
        match self {
            Limit::None => None,
            Limit::At(deadline) => Some(sleep_until(deadline)),
            Limit::After(duration) => Some(sleep(duration)),
        }
    }
}

impl<J: Joiner> TaskScope<J> {
    /// A scope without a deadline and a name.
    pub fn new(joiner: J) -> TaskScope<J> {
        TaskScope { joiner, limit: Limit::None, name: None }
    }

    /// Cancels what has not ended at `deadline`, the body included. What has ended by then is in
    /// the scope's output, or in its [error](ScopeError::partial).
    pub fn deadline(mut self, deadline: Instant) -> TaskScope<J> {
        self.limit = Limit::At(deadline);
        self
    }

    /// As [`deadline`](TaskScope::deadline): so long after the first poll of
    /// [`run`](TaskScope::run).
    pub fn timeout(mut self, duration: Duration) -> TaskScope<J> {
        self.limit = Limit::After(duration);
        self
    }

    /// What the scope, and its children that have no name of their own, are called in
    /// [`list`](crate::task::list) and reports.
    pub fn name(mut self, name: impl Into<TaskName>) -> TaskScope<J> {
        self.name = Some(name.into());
        self
    }

    /// Runs the scope: `body`, which may borrow and spawns the children, and all of them.
    ///
    /// `body` gives nothing, or a `Result<(), E>` whose error cancels the scope, if the joiner
    /// takes one.
    ///
    /// # Cancellation
    ///
    /// Dropping the future ends the children; see the
    /// [module](mod@crate::scope#what-is-guaranteed).
    ///
    /// # Panics
    ///
    /// If `body` or the joiner panics, when all children have ended.
    pub async fn run<F, B>(self, body: F) -> J::Output
    where
        F: AsyncFnOnce(&Scope<J::Child>) -> B,
        B: BodyOutput<J::Error>,
    {
        let TaskScope { joiner, limit, name } = self;
        drive::run(joiner, limit, name, body).await
    }
}

impl<J> fmt::Debug for TaskScope<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskScope").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What the body of a scope may give: nothing, or success or an error of the joiner's type.
pub trait BodyOutput<E> {
    /// The error, if there is one.
    ///
    /// # Errors
    ///
    /// That of the body.
    fn into_result(self) -> Result<(), E>;
}

impl<E> BodyOutput<E> for () {
    fn into_result(self) -> Result<(), E> {
        Ok(())
    }
}

impl<E> BodyOutput<E> for Result<(), E> {
    fn into_result(self) -> Result<(), E> {
        self
    }
}

/// Of a body that never returns: an endless loop, for a scope that ends by a cancel.
impl<E> BodyOutput<E> for Never {
    fn into_result(self) -> Result<(), E> {
        self
    }
}

/// `!`, which has no stable name, but is what a function may return.
type Never = <fn() -> ! as Returns>::Output;

/// A function's return type.
#[doc(hidden)]
pub trait Returns {
    /// It.
    type Output;
}

impl<R> Returns for fn() -> R {
    type Output = R;
}
