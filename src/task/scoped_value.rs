//! Values that are there for all that runs within a call, tasks included, without being passed.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::atomic::AtomicU8;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::bindings::{self, Chain};

/// A value that is bound for the extent of a call or of a future, and read anywhere in it.
///
/// For what belongs to a request and not to a function: a trace id, a tenant, a deadline. A bound
/// value does not change; binding again hides it until the inner extent ends. The value need be
/// neither `Send` nor `Clone`.
///
/// # Who sees it
///
/// * the closure of [`bind`](ScopedValue::bind), and the future of
///   [`bind_async`](ScopedValue::bind_async) in each of its polls and in its drop;
/// * the tasks spawned there, for as long as they live: by [`spawn`](super::spawn), by a
///   [`JoinSet`](super::JoinSet), in a [`scope`](mod@crate::scope), and the tasks that these spawn.
///   A task takes what is bound where it is spawned, and nothing else: not what is bound around the
///   `block_on` that polls it.
///
/// Who does not: other cores and other threads, because values stay on their thread. A task that
/// [`Handle::spawn`](crate::runtime::Handle::spawn) sends elsewhere begins with nothing bound, also
/// if "elsewhere" is this core; so does a closure of [`spawn_blocking`](crate::spawn_blocking).
/// Bind there what you sent along. A `thread_local!` of std, by contrast, is shared by all tasks of
/// a core.
///
/// # Cost
///
/// Binding allocates once. A spawn under a binding allocates a few words, and its polls change one
/// pointer. Where nothing is bound, nothing is paid. Reading walks over the bindings inside of the
/// one it looks for: meant for a few values, not for hundreds.
///
/// # Examples
///
/// ```
/// use ringspun::task::ScopedValue;
///
/// static TRACE: ScopedValue<u64> = ScopedValue::new();
///
/// async fn work() -> u64 {
///     TRACE.with(|trace| trace + 1)
/// }
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringspun::runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let sum = TRACE
///     .bind_async(7, async {
///         let child = ringspun::spawn(work());
///         work().await + child.await.unwrap()
///     })
///     .await;
/// assert_eq!(sum, 16);
/// assert!(!TRACE.is_bound());
/// # });
/// # Ok(())
/// # }
/// ```
///
/// A `const` would be another value at each use, and does not compile:
///
/// ```compile_fail,E0716
/// use ringspun::task::ScopedValue;
///
/// const TRACE: ScopedValue<u64> = ScopedValue::new();
/// let bound = TRACE.bind_async(7, async {});
/// drop(bound);
/// ```
pub struct ScopedValue<T: 'static> {
    /// Its address is the key. An atomic, because that is never promoted to a static nor merged
    /// with another; and of a size, so that no two share an address.
    _place: AtomicU8,
    _value: PhantomData<fn() -> T>,
}

impl<T: 'static> ScopedValue<T> {
    /// A value that is not bound. For a `static`.
    #[allow(clippy::new_without_default, reason = "a default could be no static")]
    pub const fn new() -> ScopedValue<T> {
        ScopedValue { _place: AtomicU8::new(0), _value: PhantomData }
    }

    /// Binds `value` while `body` runs. It is dropped when `body` and all tasks spawned in it have
    /// ended.
    ///
    /// A future that `body` only makes, and returns, is polled later and does not see the value:
    /// use [`bind_async`](ScopedValue::bind_async) for it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringspun::task::ScopedValue;
    /// static DEPTH: ScopedValue<u32> = ScopedValue::new();
    ///
    /// fn depth() -> u32 {
    ///     DEPTH.copied().unwrap_or(0)
    /// }
    /// let inner = DEPTH.bind(1, || DEPTH.bind(depth() + 1, depth));
    /// assert_eq!((inner, depth()), (2, 0));
    /// ```
    pub fn bind<R>(&'static self, value: T, body: impl FnOnce() -> R) -> R {
        let chain = Chain::new(self.key(), value, bindings::current());
        let _entered = bindings::enter(Some(chain));
        body()
    }

    /// Binds `value` for `future`: whenever it is polled, and while it is dropped.
    ///
    /// What else is bound in there is what was bound at the first poll.
    ///
    /// # Cancellation
    ///
    /// Dropping it drops `future`, and nothing else happens.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringspun::task::ScopedValue;
    /// static TENANT: ScopedValue<String> = ScopedValue::new();
    ///
    /// async fn handle(tenant: String) {
    ///     TENANT.bind_async(tenant, async { query().await }).await
    /// }
    /// async fn query() {
    ///     TENANT.with(|tenant| assert!(!tenant.is_empty()));
    /// }
    /// ```
    pub fn bind_async<F: Future>(&'static self, value: T, future: F) -> Bound<T, F> {
        Bound { future: Some(future), key: self.key(), value: Some(value), chain: None }
    }

    /// Shows the value.
    ///
    /// # Panics
    ///
    /// If it is not bound here; see [`try_with`](ScopedValue::try_with).
    #[track_caller]
    pub fn with<R>(&'static self, look: impl FnOnce(&T) -> R) -> R {
        match bindings::current() {
            Some(chain) => match chain.find(self.key()) {
                Some(value) => look(value),
                None => not_bound::<T>(),
            },
            None => not_bound::<T>(),
        }
    }

    /// Shows the value, if it is bound here.
    pub fn try_with<R>(&'static self, look: impl FnOnce(&T) -> R) -> Option<R> {
        bindings::current()?.find(self.key()).map(look)
    }

    /// A copy of the value, if it is bound here.
    pub fn copied(&'static self) -> Option<T>
    where
        T: Copy,
    {
        self.try_with(|value| *value)
    }

    /// A clone of the value, if it is bound here.
    pub fn cloned(&'static self) -> Option<T>
    where
        T: Clone,
    {
        self.try_with(T::clone)
    }

    /// True if a value is bound here.
    pub fn is_bound(&'static self) -> bool {
        self.try_with(|_| ()).is_some()
    }

    fn key(&'static self) -> usize {
        (&raw const *self).addr()
    }
}

#[cold]
#[track_caller]
fn not_bound<T>() -> ! {
    panic!(
        "a ScopedValue<{}> was read where it is not bound: read it within its `bind` or \
         `bind_async`, or in a task that is spawned there; or use `try_with`",
        std::any::type_name::<T>()
    )
}

impl<T> fmt::Debug for ScopedValue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedValue").field("type", &std::any::type_name::<T>()).finish()
    }
}

pin_project! {
    /// Future of [`ScopedValue::bind_async`].
    #[must_use = "futures do nothing unless they are awaited or polled"]
    pub struct Bound<T: 'static, F> {
        // None: dropped, under the binding.
        #[pin]
        future: Option<F>,
        key: usize,
        // Until the first poll.
        value: Option<T>,
        chain: Option<Chain>,
    }

    impl<T: 'static, F> PinnedDrop for Bound<T, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _entered = bindings::enter(link(*this.key, this.value, this.chain));
            this.future.set(None);
        }
    }
}

impl<T: 'static, F: Future> Future for Bound<T, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = bindings::enter(link(*this.key, this.value, this.chain));
        let future = this.future.as_pin_mut();
        future.expect("it is there until this is dropped").poll(cx)
    }
}

/// The chain that begins with `value`: made at the first call, and in front of what is bound then.
fn link<T: 'static>(key: usize, value: &mut Option<T>, chain: &mut Option<Chain>) -> Option<Chain> {
    if let Some(value) = value.take() {
        *chain = Some(Chain::new(key, value, bindings::current()));
    }
    chain.clone()
}

impl<T, F> fmt::Debug for Bound<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").field("type", &std::any::type_name::<T>()).finish_non_exhaustive()
    }
}
