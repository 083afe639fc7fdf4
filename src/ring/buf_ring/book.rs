//! Who has which buffer. Pure.
//!
//! ```text
//!   offered (ours to give, the kernel's to choose) --take--> out (a `PooledBuf` has it)
//!      ^                                                       |
//!      +-------------------------- give -----------------------+
//! ```
//!
//! A buffer is taken when the completion that names it is read, which may be long after the kernel
//! chose it. So what is offered here may be chosen already. That the kernel has none left is known
//! from its own word (`ENOBUFS`), and stays true until one is given back.

use std::cell::Cell;
use std::sync::Arc;

use crate::ring::Counters;

/// The state of each buffer of a group.
#[derive(Debug)]
pub(super) struct Book {
    out: Box<[Cell<bool>]>,
    out_count: Cell<usize>,
    /// How many were ever offered; its low 16 bits are the ring's tail.
    offered: Cell<u64>,
    /// The kernel had none left when so many had been offered.
    dry_at: Cell<u64>,
    /// Where all groups of the ring are counted together.
    counters: Arc<Counters>,
}

/// No kernel will ever have been offered so many.
const NEVER: u64 = u64::MAX;

impl Book {
    /// All are out: nothing has been offered yet.
    pub(super) fn new(count: u16, counters: Arc<Counters>) -> Book {
        let out = (0..count).map(|_| Cell::new(true)).collect();
        let out_count = Cell::new(usize::from(count));
        counters.buffers.add(u64::from(count));
        counters.buffers_out.add(u64::from(count));
        Book { out, out_count, offered: Cell::new(0), dry_at: Cell::new(NEVER), counters }
    }

    /// A completion names this buffer. False: it is none of ours, or somebody has it already, and
    /// the completion is not to be believed.
    #[inline]
    pub(super) fn take(&self, id: u16) -> bool {
        let Some(out) = self.out.get(usize::from(id)) else { return false };
        if out.replace(true) {
            return false;
        }
        self.out_count.set(self.out_count.get() + 1);
        self.counters.buffers_out.add(1);
        true
    }

    /// Somebody has it, or it is none of ours.
    #[inline]
    pub(super) fn is_out(&self, id: u16) -> bool {
        self.out.get(usize::from(id)).is_none_or(Cell::get)
    }

    /// The buffer is not used any more.
    #[inline]
    pub(super) fn give(&self, id: u16) {
        let was_out = self.out[usize::from(id)].replace(false);
        debug_assert!(was_out, "a buffer was given back twice");
        self.out_count.set(self.out_count.get() - 1);
        self.counters.buffers_out.sub(1);
    }

    /// One more has been offered; the tail before it.
    #[inline]
    pub(super) fn offer(&self) -> u64 {
        let before = self.offered.get();
        self.offered.set(before + 1);
        before
    }

    #[inline]
    pub(super) fn offered(&self) -> u64 {
        self.offered.get()
    }

    /// How many somebody has.
    #[inline]
    pub(super) fn out(&self) -> usize {
        self.out_count.get()
    }

    /// How many the kernel can still take, as far as completions were seen.
    pub(super) fn available(&self) -> usize {
        self.out.len() - self.out_count.get()
    }

    /// The kernel has none left, and nothing has been offered since it said so.
    pub(super) fn ran_dry(&self) {
        self.dry_at.set(self.offered.get());
    }

    /// The kernel said so, and it is still true.
    #[inline]
    pub(super) fn said_dry(&self) -> bool {
        self.dry_at.get() == self.offered.get()
    }

    /// True if the kernel certainly has none.
    #[inline]
    pub(super) fn is_dry(&self) -> bool {
        self.said_dry() || self.available() == 0
    }
}

impl Drop for Book {
    fn drop(&mut self) {
        self.counters.buffers.sub(self.out.len() as u64);
        self.counters.buffers_out.sub(self.out() as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Book, Counters};

    fn filled(count: u16) -> Book {
        let book = Book::new(count, Arc::new(Counters::new()));
        for id in 0..count {
            book.offer();
            book.give(id);
        }
        book
    }

    #[test]
    fn all_are_offered_in_the_beginning() {
        let book = filled(3);
        assert_eq!((book.available(), book.out(), book.offered()), (3, 0, 3));
        assert!(!book.is_dry());
    }

    #[test]
    fn each_is_taken_once() {
        let book = filled(3);
        assert!(book.take(2) && book.take(0));
        assert!(!book.take(2), "a second completion for it would make a second owner");
        assert_eq!((book.available(), book.out()), (1, 2));
        book.offer();
        book.give(2);
        assert!(book.take(2));
    }

    #[test]
    fn a_number_beyond_the_last_is_refused() {
        let book = filled(3);
        assert!(!book.take(3) && !book.take(u16::MAX));
        assert_eq!(book.out(), 0);
    }

    #[test]
    fn dry_until_one_comes_back() {
        let book = filled(2);
        // Both are chosen, and nobody has read the completions.
        book.ran_dry();
        assert!(book.is_dry());
        assert!(book.take(0) && book.take(1));
        assert!(book.is_dry());
        book.offer();
        book.give(1);
        assert!(!book.is_dry());
    }

    #[test]
    fn dry_when_all_are_out() {
        let book = filled(2);
        assert!(book.take(0) && book.take(1));
        assert!(book.is_dry(), "nobody had to ask the kernel");
    }

    /// A walk by a small generator against the plainest model there is.
    #[test]
    fn the_counts_agree_with_the_states() {
        let book = filled(7);
        let mut out = [false; 7];
        let mut random = 1_u32;
        for _ in 0..10_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let id = (random >> 16) % 9;
            if id >= 7 {
                assert!(!book.take(id as u16));
            } else if out[id as usize] && random & 1 == 0 {
                book.offer();
                book.give(id as u16);
                out[id as usize] = false;
            } else {
                assert_eq!(book.take(id as u16), !out[id as usize]);
                out[id as usize] = true;
            }
            let count = out.iter().filter(|out| **out).count();
            assert_eq!((book.out(), book.available()), (count, 7 - count));
            assert_eq!(book.counters.buffers_out.value(), count as u64);
        }
    }
}
