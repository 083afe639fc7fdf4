//! Memory of freed tasks, kept for the next ones of exactly their size.
//!
//! A core that spawns a task per request would ask the allocator for the same block again and
//! again; that was half the price of a spawn. Only the core's own thread takes and puts.
//!
//! # Safety
//!
//! M1: a kept block was allocated by the global allocator with the layout of its list, and nobody
//! else has it. Its first word links to the next.

#![allow(unsafe_code)]

use std::alloc::{Layout, dealloc};
use std::cell::Cell;
use std::ptr::NonNull;

/// Lists by size in words.
const SIZES: usize = 64;
/// What all lists together hold at most.
const BYTES_MAX: usize = 256 * 1024;
/// Under Miri and loom each task has memory of its own, so that they see a use after the free.
const KEEPS: bool = !cfg!(any(loom, miri));

pub(super) struct Blocks {
    lists: [Cell<Option<NonNull<Block>>>; SIZES],
    bytes: Cell<usize>,
}

struct Block {
    next: Option<NonNull<Block>>,
}

impl Blocks {
    pub(super) fn new() -> Blocks {
        Blocks { lists: [const { Cell::new(None) }; SIZES], bytes: Cell::new(0) }
    }

    /// A block of `layout`, if one is kept: the caller's, as if just allocated.
    #[inline]
    pub(super) fn take(&self, layout: Layout) -> Option<NonNull<u8>> {
        let list = self.lists.get(place(layout)?)?;
        let block = list.get()?;
        // SAFETY: M1: the block is ours and begins with its link.
        list.set(unsafe { block.as_ref() }.next);
        self.bytes.set(self.bytes.get() - layout.size());
        Some(block.cast())
    }

    /// Keeps a block; false if it is not wanted and stays the caller's.
    ///
    /// # Safety
    ///
    /// M1: `block` was allocated with `layout`, and nobody uses it.
    #[inline]
    pub(super) unsafe fn put(&self, block: NonNull<u8>, layout: Layout) -> bool {
        let Some(list) = place(layout).and_then(|place| self.lists.get(place)) else {
            return false;
        };
        if !KEEPS || self.bytes.get() + layout.size() > BYTES_MAX {
            return false;
        }
        let block = block.cast::<Block>();
        // SAFETY: M1: the block is ours, aligned to a word and a word long at least.
        unsafe { block.write(Block { next: list.get() }) };
        list.set(Some(block));
        self.bytes.set(self.bytes.get() + layout.size());
        true
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        for words in 1..SIZES {
            let layout = Layout::array::<usize>(words).expect("a few words");
            while let Some(block) = self.take(layout) {
                // SAFETY: M1: allocated with the layout of its list.
                unsafe { dealloc(block.as_ptr(), layout) };
            }
        }
    }
}

/// Which list; none for the odd alignment.
#[inline]
fn place(layout: Layout) -> Option<usize> {
    (layout.align() == align_of::<usize>()).then_some(layout.size() / size_of::<usize>())
}
