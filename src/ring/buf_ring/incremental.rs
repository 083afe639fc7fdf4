//! Groups of one op each, whose buffers the kernel fills piece by piece.
//!
//! P3 of the folder: the registry keeps a pool until it was unregistered. That is done when its op
//! is dropped, which is after the last completion of its entry (O2, O6), or at the ring's end.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::mem::{self, ManuallyDrop};
use std::rc::Rc;

use super::{BufPool, Shape};
use crate::ring::Ring;

/// The incremental groups of a ring, by number.
#[derive(Debug)]
pub(super) struct Incremental {
    pools: RefCell<BTreeMap<u16, Rc<BufPool>>>,
    next: Cell<u16>,
}

/// The groups below are the ring's own: one for each class.
const FIRST: u16 = 2;

impl Incremental {
    pub(super) fn new() -> Incremental {
        Incremental { pools: RefCell::default(), next: Cell::new(FIRST) }
    }

    /// A number that no group has.
    fn free(&self) -> io::Result<u16> {
        let pools = self.pools.borrow();
        for _ in FIRST..=u16::MAX {
            let group = self.next.get();
            self.next.set(group.checked_add(1).unwrap_or(FIRST));
            if !pools.contains_key(&group) {
                return Ok(group);
            }
        }
        Err(io::Error::other("this ring has 65534 groups of buffers, and there are no more"))
    }

    /// All of them; from now on none is known.
    pub(super) fn take_all(&self) -> Vec<Rc<BufPool>> {
        mem::take(&mut *self.pools.borrow_mut()).into_values().collect()
    }
}

impl Ring {
    /// A group for one op, of so many buffers, which are filled piece by piece.
    pub(crate) fn open_incremental(&self, count: u16, bytes: u32) -> io::Result<Rc<BufPool>> {
        if !self.capabilities.incremental {
            return Err(unsupported());
        }
        let incremental = &self.registered.pools.incremental;
        let group = incremental.free()?;
        let shape = Shape { bytes, count, held_max: count };
        let counters = &self.registered.pools.counters;
        let made = self
            .with_kernel(|kernel| BufPool::register(kernel, counters, self.id, group, shape, true));
        let pool = made.map_err(|error| match error.raw_os_error() {
            Some(libc::EINVAL) => unsupported(),
            _ => error,
        })?;
        incremental.pools.borrow_mut().insert(group, Rc::clone(&pool));
        Ok(pool)
    }

    /// The op of the group is gone. Pieces that are out stay readable.
    pub(crate) fn close_incremental(&self, pool: &Rc<BufPool>) {
        if !pool.open.get() {
            return;
        }
        pool.close();
        let incremental = &self.registered.pools.incremental;
        let group = pool.group();
        let known = incremental.pools.borrow_mut().remove(&group);
        drop(known);
        if self.with_kernel(|kernel| kernel.unregister_buf_ring(group)).is_err() {
            // P3: the kernel may write to it for ever.
            let _leaked = ManuallyDrop::new(Rc::clone(pool));
        }
    }
}

#[cold]
fn unsupported() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "this kernel's io_uring does not fill buffers piece by piece (IOU_PBUF_RING_INC): it needs \
         Linux 6.12 or newer; receive with RecvMulti instead",
    )
}
