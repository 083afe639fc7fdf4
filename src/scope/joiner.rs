//! What becomes of the results of children: when a scope has enough, and what it answers.

use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::ops::ControlFlow;

use super::error::{Cause, ScopeError};
use crate::task::JoinError;

/// Takes the results of a scope's children, one by one.
///
/// It is told of each child exactly once, also of those that were cancelled or refused. A panic in
/// it cancels the scope and goes on when all children have ended.
///
/// # Examples
///
/// One that counts, and has enough at ten:
///
/// ```
/// use std::convert::Infallible;
/// use std::ops::ControlFlow;
///
/// use ringspun::scope::{End, Joiner};
/// use ringspun::task::JoinError;
///
/// struct Ten(usize);
///
/// impl Joiner for Ten {
///     type Child = ();
///     type Error = Infallible;
///     type Output = usize;
///
///     fn ended(&mut self, _: usize, result: Result<(), JoinError>) -> ControlFlow<()> {
///         self.0 += usize::from(result.is_ok());
///         if self.0 < 10 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
///     }
///
///     fn body_failed(&mut self, error: Infallible) {
///         match error {}
///     }
///
///     fn finish(self, _: End) -> usize {
///         self.0
///     }
/// }
/// ```
pub trait Joiner {
    /// What the future of a child gives.
    type Child: 'static;
    /// What the body may fail with; [`Infallible`] if it may not.
    type Error;
    /// What the scope gives.
    type Output;

    /// A child has ended: the `index`-th spawn, from 0. `Break` cancels what has not.
    fn ended(&mut self, index: usize, result: Result<Self::Child, JoinError>) -> ControlFlow<()>;

    /// The body has failed. The scope is cancelled.
    fn body_failed(&mut self, error: Self::Error);

    /// All children have ended.
    fn finish(self, end: End) -> Self::Output;
}

/// What ended a scope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum End {
    /// Body and children ended by themselves.
    Complete,
    /// The joiner had enough.
    Joined,
    /// The body gave an error.
    BodyFailed,
    /// The deadline.
    Deadline,
    /// [`Scope::cancel`](super::Scope::cancel).
    Cancelled,
}

const ON: ControlFlow<()> = ControlFlow::Continue(());
const ENOUGH: ControlFlow<()> = ControlFlow::Break(());

/// Results by the order of the spawns.
struct Places<T>(Vec<Option<T>>);

impl<T> Places<T> {
    fn put(&mut self, index: usize, value: Option<T>) {
        if self.0.len() <= index {
            self.0.resize_with(index + 1, || None);
        }
        self.0[index] = value;
    }

    fn present(self) -> Vec<T> {
        self.0.into_iter().flatten().collect()
    }
}

/// All shall succeed: the first error cancels the rest. Gives the outputs in the order of the
/// spawns.
///
/// An error, a panic and an abort of a child are failures; the first one is the
/// [cause](ScopeError::cause). What had succeeded is in [`ScopeError::partial`], by the order of
/// the spawns.
///
/// # Examples
///
/// ```
/// use std::io;
///
/// use ringspun::scope::{AllOk, scope};
///
/// async fn lengths(paths: Vec<String>) -> io::Result<Vec<u64>> {
///     // The type of errors, which the two `?` leave open.
///     let lengths = scope(AllOk::<_, io::Error>::new(), async |scope| {
///         for path in paths {
///             scope.spawn(async move { Ok(ringspun::fs::metadata(path).await?.len()) });
///         }
///     });
///     Ok(lengths.await?)
/// }
/// ```
pub struct AllOk<T, E> {
    outputs: Places<T>,
    cause: Option<Cause<E>>,
}

impl<T, E> AllOk<T, E> {
    /// For children that give `Result<T, E>`.
    #[allow(clippy::new_without_default, reason = "a joiner is asked for by its name")]
    pub fn new() -> AllOk<T, E> {
        AllOk { outputs: Places(Vec::new()), cause: None }
    }
}

impl<T: 'static, E: 'static> Joiner for AllOk<T, E> {
    type Child = Result<T, E>;
    type Error = E;
    type Output = Result<Vec<T>, ScopeError<E, Vec<Option<T>>>>;

    fn ended(&mut self, index: usize, result: Result<Self::Child, JoinError>) -> ControlFlow<()> {
        let cause = match result {
            Ok(Ok(output)) => {
                self.outputs.put(index, Some(output));
                return ON;
            }
            Ok(Err(error)) => Cause::Failed(error),
            Err(error) => Cause::of(error),
        };
        self.outputs.put(index, None);
        self.cause.get_or_insert(cause);
        ENOUGH
    }

    fn body_failed(&mut self, error: E) {
        self.cause.get_or_insert(Cause::Failed(error));
    }

    fn finish(self, end: End) -> Self::Output {
        match Cause::of_end(end).or(self.cause) {
            None => Ok(self.outputs.present()),
            Some(cause) => Err(ScopeError::new(cause, self.outputs.0)),
        }
    }
}

/// One shall succeed: the first success cancels the rest.
///
/// If all fail, the first failure is the [cause](ScopeError::cause), and the others are in
/// [`ScopeError::partial`], with their places, in the order in which they came.
///
/// # Examples
///
/// ```
/// use std::io;
///
/// use ringspun::net::TcpStream;
/// use ringspun::scope::{AnyOk, scope};
///
/// async fn fastest(mirrors: Vec<String>) -> io::Result<TcpStream> {
///     let connected = scope(AnyOk::new(), async |scope| {
///         for mirror in mirrors {
///             scope.spawn(TcpStream::connect(mirror));
///         }
///     });
///     Ok(connected.await?)
/// }
/// ```
pub struct AnyOk<T, E> {
    output: Option<T>,
    failures: Vec<(usize, Cause<E>)>,
    body: Option<Cause<E>>,
}

impl<T, E> AnyOk<T, E> {
    /// For children that give `Result<T, E>`.
    #[allow(clippy::new_without_default, reason = "a joiner is asked for by its name")]
    pub fn new() -> AnyOk<T, E> {
        AnyOk { output: None, failures: Vec::new(), body: None }
    }
}

impl<T: 'static, E: 'static> Joiner for AnyOk<T, E> {
    type Child = Result<T, E>;
    type Error = E;
    type Output = Result<T, ScopeError<E, Vec<(usize, Cause<E>)>>>;

    fn ended(&mut self, index: usize, result: Result<Self::Child, JoinError>) -> ControlFlow<()> {
        let cause = match result {
            Ok(Ok(output)) => {
                self.output.get_or_insert(output);
                return ENOUGH;
            }
            Ok(Err(error)) => Cause::Failed(error),
            Err(error) => Cause::of(error),
        };
        self.failures.push((index, cause));
        ON
    }

    fn body_failed(&mut self, error: E) {
        self.body = Some(Cause::Failed(error));
    }

    fn finish(mut self, end: End) -> Self::Output {
        if let Some(output) = self.output {
            return Ok(output);
        }
        let cause = match Cause::of_end(end).or(self.body) {
            Some(cause) => cause,
            None if self.failures.is_empty() => Cause::Empty,
            None => self.failures.remove(0).1,
        };
        Err(ScopeError::new(cause, self.failures))
    }
}

/// All results, whatever they are, in the order of the spawns. Never fails: what was cancelled, by
/// the deadline too, says so.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use ringspun::scope::{All, TaskScope};
/// use ringspun::time::sleep;
///
/// # fn main() -> std::io::Result<()> {
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// let scope = TaskScope::new(All::new()).timeout(Duration::from_millis(10));
/// let results = scope
///     .run(async |scope| {
///         scope.spawn(async { "at once" });
///         scope.spawn(async {
///             sleep(Duration::from_secs(3600)).await;
///             "late"
///         });
///     })
///     .await;
/// assert_eq!(results[0].as_ref().ok(), Some(&"at once"));
/// assert!(results[1].as_ref().is_err_and(|error| error.is_cancelled()));
/// # });
/// # Ok(())
/// # }
/// ```
pub struct All<C>(Places<Result<C, JoinError>>);

impl<C> All<C> {
    /// For children that give `C`.
    #[allow(clippy::new_without_default, reason = "a joiner is asked for by its name")]
    pub fn new() -> All<C> {
        All(Places(Vec::new()))
    }
}

impl<C: 'static> Joiner for All<C> {
    type Child = C;
    type Error = Infallible;
    type Output = Vec<Result<C, JoinError>>;

    fn ended(&mut self, index: usize, result: Result<C, JoinError>) -> ControlFlow<()> {
        self.0.put(index, Some(result));
        ON
    }

    fn body_failed(&mut self, error: Infallible) {
        match error {}
    }

    fn finish(self, _: End) -> Self::Output {
        self.0.present()
    }
}

/// What succeeds, in the order of the spawns; by the deadline, if there is one. Failures are
/// dropped, panics too: the panic hook has told of them.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use ringspun::scope::{KeepOk, TaskScope};
///
/// async fn readable(paths: Vec<String>) -> Vec<String> {
///     let scope = TaskScope::new(KeepOk::new()).timeout(Duration::from_secs(1));
///     scope
///         .run(async |scope| {
///             for path in paths {
///                 scope.spawn(ringspun::fs::read_to_string(path));
///             }
///         })
///         .await
/// }
/// ```
pub struct KeepOk<T, E> {
    outputs: Places<T>,
    error: PhantomData<fn() -> E>,
}

impl<T, E> KeepOk<T, E> {
    /// For children that give `Result<T, E>`.
    #[allow(clippy::new_without_default, reason = "a joiner is asked for by its name")]
    pub fn new() -> KeepOk<T, E> {
        KeepOk { outputs: Places(Vec::new()), error: PhantomData }
    }
}

impl<T: 'static, E: 'static> Joiner for KeepOk<T, E> {
    type Child = Result<T, E>;
    type Error = Infallible;
    type Output = Vec<T>;

    fn ended(&mut self, index: usize, result: Result<Self::Child, JoinError>) -> ControlFlow<()> {
        if let Ok(Ok(output)) = result {
            self.outputs.put(index, Some(output));
        }
        ON
    }

    fn body_failed(&mut self, error: Infallible) {
        match error {}
    }

    fn finish(self, _: End) -> Vec<T> {
        self.outputs.present()
    }
}

/// All results until one is as asked for, which cancels the rest. As [`All`] in everything else.
///
/// # Examples
///
/// ```
/// use ringspun::scope::{Until, scope};
/// use ringspun::task::JoinError;
///
/// async fn until_the_second_failure(jobs: Vec<impl Future<Output = bool> + 'static>) -> usize {
///     let mut failures = 0;
///     let joiner = Until::new(|result: &Result<bool, JoinError>| {
///         failures += usize::from(!matches!(result, Ok(true)));
///         failures == 2
///     });
///     let results = scope(joiner, async |scope| {
///         for job in jobs {
///             scope.spawn(job);
///         }
///     });
///     results.await.len()
/// }
/// ```
pub struct Until<C, P> {
    all: All<C>,
    enough: P,
}

impl<C, P: FnMut(&Result<C, JoinError>) -> bool> Until<C, P> {
    /// Until `enough` says true of a child's result.
    pub fn new(enough: P) -> Until<C, P> {
        Until { all: All::new(), enough }
    }
}

impl<C: 'static, P: FnMut(&Result<C, JoinError>) -> bool> Joiner for Until<C, P> {
    type Child = C;
    type Error = Infallible;
    type Output = Vec<Result<C, JoinError>>;

    fn ended(&mut self, index: usize, result: Result<C, JoinError>) -> ControlFlow<()> {
        let enough = (self.enough)(&result);
        let _always_on = self.all.ended(index, result);
        if enough { ENOUGH } else { ON }
    }

    fn body_failed(&mut self, error: Infallible) {
        match error {}
    }

    fn finish(self, end: End) -> Self::Output {
        self.all.finish(end)
    }
}

impl<T, E> fmt::Debug for AllOk<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AllOk").finish_non_exhaustive()
    }
}

impl<T, E> fmt::Debug for AnyOk<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyOk").finish_non_exhaustive()
    }
}

impl<C> fmt::Debug for All<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("All").finish_non_exhaustive()
    }
}

impl<T, E> fmt::Debug for KeepOk<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeepOk").finish_non_exhaustive()
    }
}

impl<C, P> fmt::Debug for Until<C, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Until").finish_non_exhaustive()
    }
}
