//! Which CPUs a thread may run on. See `sched_setaffinity(2)`.
//!
//! A thread hands its mask down to the threads and processes that it starts. What a pinned core
//! starts shall run anywhere, so the mask from before the pinning is kept beside the thread.
//!
//! # Safety
//!
//! Two calls that get the address and the size of a vector's memory, for the calling thread only.

#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::io;
use std::marker::PhantomData;

/// A set of CPUs by number, as the kernel keeps it: a bit each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CpuSet {
    words: Vec<u64>,
}

const BITS: usize = u64::BITS as usize;
/// 1024 CPUs, as glibc has them; the kernel says when that is too small.
const WORDS: usize = 1024 / BITS;
/// More than any kernel has.
const WORDS_MAX: usize = WORDS << 8;

thread_local! {
    static PINS: RefCell<Pins> = const { RefCell::new(Pins { before: None, cpus: Vec::new() }) };
    static NEXT: Cell<u64> = const { Cell::new(0) };
}

/// What a thread was pinned to.
struct Pins {
    /// The mask from before the first.
    before: Option<CpuSet>,
    /// By whom, and to which CPU; the last counts.
    cpus: Vec<(u64, usize)>,
}

/// Keeps the thread on its CPU until it is dropped. Several may be, in any order.
#[derive(Debug)]
pub(crate) struct Pinned {
    name: u64,
    _one_thread: PhantomData<*const ()>,
}

impl CpuSet {
    /// Those on which this thread may run: what the system has, less what `taskset` and the cpuset
    /// of the control group forbid.
    pub(crate) fn of_this_thread() -> io::Result<CpuSet> {
        let mut words = vec![0_u64; WORDS];
        loop {
            let bytes = size_of_val(words.as_slice());
            // SAFETY: the kernel writes at most `bytes` bytes, which the vector has.
            let done = unsafe { libc::sched_getaffinity(0, bytes, words.as_mut_ptr().cast()) };
            if done == 0 {
                return Ok(CpuSet { words });
            }
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(libc::EINVAL) || words.len() >= WORDS_MAX {
                return Err(error);
            }
            words = vec![0; words.len() * 2];
        }
    }

    pub(crate) fn of_none() -> CpuSet {
        CpuSet { words: vec![0; WORDS] }
    }

    pub(crate) fn insert(&mut self, cpu: usize) {
        let len = self.words.len().max(cpu / BITS + 1);
        self.words.resize(len, 0);
        self.words[cpu / BITS] |= 1 << (cpu % BITS);
    }

    fn one(cpu: usize) -> CpuSet {
        let mut set = CpuSet::of_none();
        set.insert(cpu);
        set
    }

    pub(crate) fn contains(&self, cpu: usize) -> bool {
        self.words.get(cpu / BITS).is_some_and(|word| word & (1 << (cpu % BITS)) != 0)
    }

    /// From the lowest.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.words.len() * BITS).filter(|cpu| self.contains(*cpu))
    }

    /// Has this thread run on these only.
    pub(crate) fn apply(&self) -> io::Result<()> {
        let bytes = size_of_val(self.words.as_slice());
        // SAFETY: the kernel reads at most `bytes` bytes, which the vector has.
        let done = unsafe { libc::sched_setaffinity(0, bytes, self.words.as_ptr().cast()) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// Keeps this thread on one CPU until what is answered is dropped. `allowed` is where it might run
/// before.
pub(crate) fn pin(cpu: usize, allowed: &CpuSet) -> io::Result<Pinned> {
    CpuSet::one(cpu).apply()?;
    let name = NEXT.replace(NEXT.get() + 1);
    // A thread that ends has nothing to be put back.
    let _ = PINS.try_with(|pins| {
        let mut pins = pins.borrow_mut();
        pins.before.get_or_insert_with(|| allowed.clone());
        pins.cpus.push((name, cpu));
    });
    Ok(Pinned { name, _one_thread: PhantomData })
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = PINS.try_with(|pins| {
            let mut pins = pins.borrow_mut();
            pins.cpus.retain(|(name, _)| *name != self.name);
            // The set was this thread's own; if its CPUs are gone the kernel has chosen others.
            let _ = match pins.cpus.last() {
                Some((_, cpu)) => CpuSet::one(*cpu).apply(),
                None => pins.before.take().map_or(Ok(()), |before| before.apply()),
            };
        });
    }
}

/// Runs `start`, which asks where this thread might run or starts a process or a thread, so that
/// what it finds and what it starts is not pinned.
pub(crate) fn unpinned<R>(start: impl FnOnce() -> R) -> R {
    let before = PINS.try_with(|pins| pins.borrow().before.clone()).ok().flatten();
    let _pinned = before.and_then(|before| {
        let pinned = CpuSet::of_this_thread().ok()?;
        before.apply().ok()?;
        Some(PinnedAgain(pinned))
    });
    start()
}

struct PinnedAgain(CpuSet);

impl Drop for PinnedAgain {
    fn drop(&mut self) {
        let _ = self.0.apply();
    }
}

/// The kernel's number of this thread, by which `/proc` names it.
pub(crate) fn thread_id() -> i32 {
    // SAFETY: takes no pointers.
    unsafe { libc::gettid() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one() {
        for cpu in [0, 1, 63, 64, 1023, 5000] {
            let set = CpuSet::one(cpu);
            assert_eq!(set.iter().collect::<Vec<_>>(), [cpu]);
        }
        assert!(!CpuSet::one(3).contains(1 << 20));
    }

    #[test]
    #[cfg_attr(miri, ignore = "a system call that Miri has not")]
    fn pinned_and_back() {
        let before = CpuSet::of_this_thread().unwrap();
        let cpu = before.iter().next().unwrap();
        let pinned = pin(cpu, &before).unwrap();
        assert_eq!(CpuSet::of_this_thread().unwrap().iter().collect::<Vec<_>>(), [cpu]);
        let inherited =
            unpinned(|| std::thread::spawn(|| CpuSet::of_this_thread().unwrap()).join().unwrap());
        assert_eq!(inherited, before);
        assert_eq!(CpuSet::of_this_thread().unwrap().iter().collect::<Vec<_>>(), [cpu]);
        let again = pin(cpu, &before).unwrap();
        drop(pinned);
        assert_eq!(CpuSet::of_this_thread().unwrap().iter().collect::<Vec<_>>(), [cpu]);
        drop(again);
        assert_eq!(CpuSet::of_this_thread().unwrap(), before);
    }
}
