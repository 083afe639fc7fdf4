//! Entries that did not fit into the submission queue. Pure.
//!
//! A full queue is never an error for the caller. Entries wait here by value, in order; chains
//! stay whole, since a chain is the run of entries up to the first without a link flag. Entries
//! whose op was ended meanwhile are left out when their turn comes: their bytes are only bytes
//! until they are in the queue (R2).

use std::collections::VecDeque;

use super::kernel::{IOSQE_IO_HARDLINK, IOSQE_IO_LINK, Sqe};

/// The userspace queue before the submission queue.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    entries: VecDeque<Sqe>,
    /// The chain whose turn it is, without what was left out. Kept for its memory.
    chain: Vec<Sqe>,
}

impl Backlog {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.chain.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() + self.chain.len()
    }

    /// Appends a whole chain.
    pub(crate) fn push(&mut self, chain: &[Sqe]) {
        self.entries.extend(chain);
    }

    /// The chain whose turn it is: of its entries those that `alive` wants, the last unlinked.
    /// `None` if the backlog is empty. Stays at the front until [`Backlog::advance`].
    pub(crate) fn front(&mut self, alive: &mut dyn FnMut(&Sqe) -> bool) -> Option<&[Sqe]> {
        // What was alive when the chain was first looked at may have ended since.
        self.chain.retain(&mut *alive);
        while self.chain.is_empty() {
            let mut linked = true;
            if self.entries.is_empty() {
                return None;
            }
            while linked {
                let Some(entry) = self.entries.pop_front() else { break };
                linked = entry.is_linked();
                if alive(&entry) {
                    self.chain.push(entry);
                }
            }
        }
        if let Some(last) = self.chain.last_mut() {
            last.flags &= !(IOSQE_IO_LINK | IOSQE_IO_HARDLINK);
        }
        Some(&self.chain)
    }

    /// The front chain has been handed over.
    pub(crate) fn advance(&mut self) {
        self.chain.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{Backlog, IOSQE_IO_LINK, Sqe};

    fn entry(user_data: u64, linked: bool) -> Sqe {
        let mut sqe = Sqe::new(0);
        sqe.user_data = user_data;
        sqe.flags = if linked { IOSQE_IO_LINK } else { 0 };
        sqe
    }

    fn chains(backlog: &mut Backlog, dead: &[u64]) -> Vec<Vec<(u64, bool)>> {
        let mut chains = Vec::new();
        while let Some(chain) = backlog.front(&mut |sqe| !dead.contains(&sqe.user_data)) {
            chains.push(chain.iter().map(|sqe| (sqe.user_data, sqe.is_linked())).collect());
            backlog.advance();
        }
        chains
    }

    #[test]
    fn chains_stay_whole_and_in_order() {
        let mut backlog = Backlog::default();
        backlog.push(&[entry(1, false)]);
        backlog.push(&[entry(2, true), entry(3, true), entry(4, false)]);
        backlog.push(&[entry(5, false)]);
        assert_eq!(backlog.len(), 5);
        let expected =
            vec![vec![(1, false)], vec![(2, true), (3, true), (4, false)], vec![(5, false)]];
        assert_eq!(chains(&mut backlog, &[]), expected);
        assert!(backlog.is_empty());
    }

    #[test]
    fn what_has_ended_is_left_out() {
        let mut backlog = Backlog::default();
        backlog.push(&[entry(1, false)]);
        backlog.push(&[entry(2, true), entry(3, true), entry(4, false)]);
        backlog.push(&[entry(5, true), entry(6, false)]);
        // 1 alone; the tail of the first chain; the whole second chain.
        let expected = vec![vec![(2, true), (3, false)]];
        assert_eq!(chains(&mut backlog, &[1, 4, 5, 6]), expected);
    }

    #[test]
    fn ended_while_at_the_front() {
        let mut backlog = Backlog::default();
        backlog.push(&[entry(1, true), entry(2, false)]);
        assert_eq!(backlog.front(&mut |_| true).map(<[Sqe]>::len), Some(2));
        let expected = vec![vec![(1, false)]];
        assert_eq!(chains(&mut backlog, &[2]), expected);
    }
}
