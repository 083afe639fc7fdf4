//! One value on each core.

use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use super::current;
use super::handle::Handle;
use super::remote::RemoteJoinHandle;
use crate::task::{CoreBound, JoinError};

/// One value on each core, made, used and dropped there; reached from other cores by closures that
/// are sent to it. The values need be neither `Send` nor `Sync`, and no lock is taken.
///
/// Cloning it shares the values. When the last clone goes each value goes home and is dropped
/// there.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::cell::Cell;
///
/// use ringspun::runtime::{Builder, Handle, Sharded};
///
/// let runtime = Builder::new().cores(2).build()?;
/// runtime.block_on(async {
///     let hits = Sharded::new(&Handle::current(), |_core| Cell::new(0_u64)).await.unwrap();
///     hits.with(|here| here.set(here.get() + 1));
///     hits.on(1, |there| there.set(there.get() + 2)).await.unwrap();
///
///     let mut sum = 0;
///     for part in hits.on_all(|hits| hits.get()) {
///         sum += part.await.unwrap();
///     }
///     assert_eq!(sum, 3);
/// });
/// # Ok(())
/// # }
/// ```
pub struct Sharded<T: 'static> {
    handle: Handle,
    /// By the core's index.
    values: Arc<[CoreBound<Rc<T>>]>,
}

impl<T: 'static> Sharded<T> {
    /// Makes a value on each core of the runtime. `make` gets the core's index and runs there.
    ///
    /// # Errors
    ///
    /// `make` panicked on a core, or a core has ended. The values of the others are dropped.
    pub async fn new<M>(handle: &Handle, make: M) -> Result<Sharded<T>, JoinError>
    where
        M: FnOnce(usize) -> T + Clone + Send + 'static,
    {
        let made = handle.broadcast(move |core| CoreBound::new(Rc::new(make(core))));
        let mut values = Vec::with_capacity(made.len());
        for value in made {
            values.push(value.await?);
        }
        Ok(Sharded { handle: handle.clone(), values: values.into() })
    }

    /// Shows the value of the core that runs this code.
    ///
    /// # Panics
    ///
    /// On a thread that is no core of this runtime; see [`try_with`](Sharded::try_with).
    #[track_caller]
    pub fn with<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        self.try_with(look).expect(
            "Sharded::with was called on a thread that is no core of its runtime: use `on`, which \
             sends the closure to a core",
        )
    }

    /// Shows the value of the core that runs this code, if one of this runtime does.
    pub fn try_with<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        // Held: `look` may drop the last clone of this.
        let value = self.here()?;
        Some(look(&value))
    }

    /// Has the core of this index look at its value, between two tasks, and gives what `look`
    /// answers. If the core has ended the handle says "cancelled".
    ///
    /// # Panics
    ///
    /// If the runtime has no such core.
    #[track_caller]
    pub fn on<L, R>(&self, index: usize, look: L) -> RemoteJoinHandle<R>
    where
        L: FnOnce(&T) -> R + Send + 'static,
        R: Send + 'static,
    {
        let Some(core) = self.handle.core(index) else {
            panic!("there is no core {index}: this runtime has {}, from 0", self.values.len());
        };
        let values = Arc::clone(&self.values);
        core.call(move || {
            let value = values[index].with(Rc::clone);
            drop(values);
            look(&value)
        })
    }

    /// Spawns on the core of this index the future that `make` makes of its value there.
    ///
    /// # Panics
    ///
    /// If the runtime has no such core.
    #[track_caller]
    pub fn spawn_on<M, F>(&self, index: usize, make: M) -> RemoteJoinHandle<F::Output>
    where
        M: FnOnce(Rc<T>) -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let values = Arc::clone(&self.values);
        self.handle.spawn_on(index, move || {
            let value = values[index].with(Rc::clone);
            drop(values);
            make(value)
        })
    }

    /// Has each core look at its value; see [`on`](Sharded::on).
    pub fn on_all<L, R>(&self, look: L) -> Vec<RemoteJoinHandle<R>>
    where
        L: FnOnce(&T) -> R + Clone + Send + 'static,
        R: Send + 'static,
    {
        (0..self.values.len()).map(|index| self.on(index, look.clone())).collect()
    }

    fn here(&self) -> Option<Rc<T>> {
        let value = self.values.get(current::index()?)?;
        value.is_home().then(|| value.with(Rc::clone))
    }
}

impl<T> Clone for Sharded<T> {
    fn clone(&self) -> Sharded<T> {
        Sharded { handle: self.handle.clone(), values: Arc::clone(&self.values) }
    }
}

impl<T> fmt::Debug for Sharded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sharded").field("cores", &self.values.len()).finish_non_exhaustive()
    }
}
