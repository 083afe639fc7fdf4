//! Buffers that the kernel fills piece by piece (`IOU_PBUF_RING_INC`). Pure.
//!
//! ```text
//!   offered --first piece--> filling --last piece--> out, shared by its pieces
//!      ^                                                        |
//!      +---------------- the last of them is dropped -----------+
//! ```
//!
//! The kernel does not say where a piece begins: one begins where the one before it ended. That is
//! counted here, so it holds only if completions are read in the order in which the kernel made
//! them: one op has the group, and sees each of its completions.
//!
//! What contradicts the count is not believed, and its buffer is retired: never offered again.

use std::cell::Cell;

use super::book::Book;

/// The state of each buffer beside what the book has of it.
#[derive(Debug)]
pub(super) struct Pieces {
    size: u32,
    buffers: Box<[Shared]>,
    /// The buffer that the kernel goes on with, and how much of it is filled.
    filling: Cell<Option<(u16, u32)>>,
    retired: Cell<usize>,
}

#[derive(Debug, Default)]
struct Shared {
    /// How many `PooledBuf`s have a part of it.
    pieces: Cell<u32>,
    retired: Cell<bool>,
}

impl Pieces {
    pub(super) fn new(count: u16, size: u32) -> Pieces {
        let buffers = (0..count).map(|_| Shared::default()).collect();
        Pieces { size, buffers, filling: Cell::new(None), retired: Cell::new(0) }
    }

    /// A completion says that `len` more bytes, at least one, are in this buffer; with `more` that
    /// the kernel goes on with it. Answers where they begin. None: that cannot be.
    pub(super) fn take(&self, book: &Book, id: u16, len: u32, more: bool) -> Option<u32> {
        let shared = self.buffers.get(usize::from(id))?;
        if book.is_out(id) {
            return None;
        }
        let begun = match self.filling.take() {
            Some((same, filled)) if same == id => filled,
            Some((other, _)) => {
                // The kernel has left it without a word.
                self.retire(book, other);
                0
            }
            None => 0,
        };
        let end = begun.checked_add(len).filter(|end| *end <= self.size);
        let Some(end) = end else {
            self.retire(book, id);
            return None;
        };
        shared.pieces.set(shared.pieces.get() + 1);
        if more {
            self.filling.set(Some((id, end)));
        } else {
            book.take(id);
        }
        Some(begun)
    }

    fn retire(&self, book: &Book, id: u16) {
        if book.take(id) {
            self.buffers[usize::from(id)].retired.set(true);
            self.retired.set(self.retired.get() + 1);
        }
    }

    /// A piece is dropped. True: nobody has a part of the buffer, and the kernel is done with it.
    pub(super) fn put_back(&self, book: &Book, id: u16) -> bool {
        let shared = &self.buffers[usize::from(id)];
        let left = shared.pieces.get() - 1;
        shared.pieces.set(left);
        left == 0 && book.is_out(id) && !shared.retired.get()
    }

    /// All are retired: nothing will ever be received.
    pub(super) fn is_spent(&self) -> bool {
        self.retired.get() == self.buffers.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Book, Pieces};
    use crate::ring::Counters;

    fn filled(count: u16, size: u32) -> (Book, Pieces) {
        let book = Book::new(count, Arc::new(Counters::new()));
        for id in 0..count {
            book.offer();
            book.give(id);
        }
        (book, Pieces::new(count, size))
    }

    #[test]
    fn one_after_the_other() {
        let (book, pieces) = filled(2, 256);
        let got = [(0, 100, true), (0, 100, true), (0, 56, false), (1, 44, true), (1, 10, true)]
            .map(|(id, len, more)| pieces.take(&book, id, len, more));
        assert_eq!(got, [Some(0), Some(100), Some(200), Some(0), Some(44)]);
        assert_eq!((book.out(), book.available()), (1, 1));
        assert!(!pieces.put_back(&book, 0) && !pieces.put_back(&book, 0));
        assert!(pieces.put_back(&book, 0), "the last of three");
        assert!(!pieces.put_back(&book, 1) && !pieces.put_back(&book, 1), "it is still filled");
        assert_eq!(pieces.take(&book, 1, 202, false), Some(54));
        assert!(pieces.put_back(&book, 1) && !pieces.is_spent());
    }

    #[test]
    fn nothing_is_believed_beyond_the_end() {
        let (book, pieces) = filled(2, 256);
        assert_eq!(pieces.take(&book, 0, 200, true), Some(0));
        assert_eq!(pieces.take(&book, 0, 57, true), None);
        assert!(!pieces.put_back(&book, 0), "retired: it is never offered again");
        assert_eq!(pieces.take(&book, 0, 1, true), None);
        assert!(!pieces.is_spent());
        assert_eq!(pieces.take(&book, 1, u32::MAX, false), None);
        assert!(pieces.is_spent() && book.is_dry());
    }

    #[test]
    fn a_buffer_that_was_left_without_a_word() {
        let (book, pieces) = filled(3, 256);
        assert_eq!(pieces.take(&book, 0, 200, true), Some(0));
        assert_eq!(pieces.take(&book, 1, 200, false), Some(0));
        assert!(!pieces.put_back(&book, 0), "the kernel may still fill it");
        assert!(pieces.put_back(&book, 1));
        assert_eq!(pieces.take(&book, 3, 1, false), None, "there are three");
    }
}
