//! How many buffers a ring keeps for those who let the kernel choose.

use std::io;

use crate::ring::kernel::BUF_RING_ENTRIES_MAX;

/// Which of the two groups of pooled buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufClass {
    /// For messages: 256 buffers of 4 KiB, unless set otherwise.
    Small,
    /// For bulk: 16 buffers of 64 KiB, unless set otherwise. Receiving much by small buffers costs
    /// twice the CPU.
    Large,
}

/// The pooled buffers of a core, into which the kernel receives when an op leaves the choice to it
/// ([`RecvSelect`](crate::op::RecvSelect) and its kin).
///
/// A group of buffers is made when it is first asked for, and its pages are touched when they are
/// first filled. Given to [`Builder::buffer_pool`](crate::runtime::Builder::buffer_pool).
///
/// # Examples
///
/// ```
/// use ringspun::runtime::{BufferPool, Builder};
///
/// # fn main() -> std::io::Result<()> {
/// let pool = BufferPool::new().small(2048, 1024).held_max(512);
/// let runtime = Builder::new().buffer_pool(pool).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until they are given to a builder"]
pub struct BufferPool {
    small: Size,
    large: Size,
    held_max: Option<usize>,
    off: bool,
}

#[derive(Clone, Copy, Debug)]
struct Size {
    bytes: usize,
    count: usize,
}

/// The settings of one class, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) bytes: u32,
    pub(crate) count: u16,
    pub(crate) held_max: u16,
}

/// A longer receive is split anyway.
const BYTES_MAX: usize = 1 << 30;

impl Default for BufferPool {
    fn default() -> BufferPool {
        BufferPool::new()
    }
}

impl BufferPool {
    /// The default settings: 256 buffers of 4 KiB and 16 of 64 KiB.
    pub const fn new() -> BufferPool {
        BufferPool {
            small: Size { bytes: 4 << 10, count: 256 },
            large: Size { bytes: 64 << 10, count: 16 },
            held_max: None,
            off: false,
        }
    }

    /// No pooled buffers: [`buf_group`](crate::op::buf_group) gives `None`.
    pub const fn off() -> BufferPool {
        let mut settings = BufferPool::new();
        settings.off = true;
        settings
    }

    /// How large the small buffers are, and how many: 1 to 32768 of 1 byte to 1 GiB.
    pub const fn small(mut self, bytes: usize, count: usize) -> BufferPool {
        self.small = Size { bytes, count };
        self
    }

    /// How large the large buffers are, and how many: as for [`small`](BufferPool::small).
    pub const fn large(mut self, bytes: usize, count: usize) -> BufferPool {
        self.large = Size { bytes, count };
        self
    }

    /// How many buffers of each class the program may hold at a time: three quarters of them by
    /// default. What is received beyond that is copied into memory of its own, and the pooled
    /// buffer goes back at once: so who keeps data does not keep others from receiving. As many as
    /// there are, or more: nothing is ever copied.
    pub const fn held_max(mut self, buffers: usize) -> BufferPool {
        self.held_max = Some(buffers);
        self
    }

    pub(crate) fn is_off(&self) -> bool {
        self.off
    }

    /// Says what is wrong.
    pub(crate) fn check(&self) -> io::Result<()> {
        for (name, size) in [("small", self.small), ("large", self.large)] {
            let refuse = |what: String| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            let Size { bytes, count } = size;
            if count == 0 || count > BUF_RING_ENTRIES_MAX {
                return refuse(format!(
                    "a pool of {count} {name} buffers is impossible: ask for 1 to \
                     {BUF_RING_ENTRIES_MAX}, or switch the pool off with BufferPool::off()"
                ));
            }
            if bytes == 0 || bytes > BYTES_MAX {
                return refuse(format!(
                    "{name} pooled buffers of {bytes} bytes are impossible: ask for 1 to \
                     {BYTES_MAX}"
                ));
            }
            if bytes.checked_mul(count).is_none_or(|all| isize::try_from(all).is_err()) {
                return refuse(format!(
                    "{count} {name} buffers of {bytes} bytes are more than the address space"
                ));
            }
        }
        Ok(())
    }

    /// Of settings that were checked.
    pub(crate) fn shape(&self, class: BufClass) -> Shape {
        let Size { bytes, count } = match class {
            BufClass::Small => self.small,
            BufClass::Large => self.large,
        };
        let held_max = self.held_max.unwrap_or(count - count / 4).min(count);
        Shape { bytes: bytes as u32, count: count as u16, held_max: held_max as u16 }
    }
}
