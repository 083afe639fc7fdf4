//! What the 64 bits of `user_data` mean.
//!
//! ```text
//!  63      62 .. 32        31 .. 0
//!  0    slot index (31)    low bits of the slot's sequence     an op
//!  1    kind               argument                            the ring's own entries
//! ```
//!
//! The kernel only carries the low bits of the sequence back. That is enough: a completion can be
//! stale by at most the ops in flight, never by 2^32.

use super::slot::SlotKey;

const TOKEN: u64 = 1 << 63;
const KIND_NOTIFIER: u64 = TOKEN | (1 << 32);
const KIND_CANCEL: u64 = TOKEN | (2 << 32);
const KIND_MASK: u64 = TOKEN | (0x7fff_ffff << 32);

/// The highest slot index plus one.
pub(crate) const SLOTS_MAX: u32 = 1 << 31;

/// Whom a completion answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserData {
    /// The op in this slot, if the low bits of its sequence are these.
    Op { index: u32, sequence_low: u32 },
    /// The poll on the notifier.
    Notifier,
    /// A cancel that the ring sent for the op in this slot.
    Cancel { index: u32 },
    /// Nobody that this ring knows.
    Unknown,
}

impl UserData {
    #[inline]
    pub(crate) fn of_op(key: SlotKey) -> u64 {
        (u64::from(key.index) << 32) | (key.sequence & 0xffff_ffff)
    }

    pub(crate) fn of_notifier() -> u64 {
        KIND_NOTIFIER
    }

    pub(crate) fn of_cancel(target: SlotKey) -> u64 {
        KIND_CANCEL | u64::from(target.index)
    }

    #[inline]
    pub(crate) fn decode(bits: u64) -> UserData {
        if bits & TOKEN == 0 {
            return UserData::Op { index: (bits >> 32) as u32, sequence_low: bits as u32 };
        }
        match bits & KIND_MASK {
            KIND_NOTIFIER => UserData::Notifier,
            KIND_CANCEL => UserData::Cancel { index: bits as u32 },
            _ => UserData::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SLOTS_MAX, SlotKey, UserData};

    #[test]
    fn an_op_key_comes_back() {
        for key in [
            SlotKey { index: 0, sequence: 0 },
            SlotKey { index: SLOTS_MAX - 1, sequence: u64::MAX },
            SlotKey { index: 7, sequence: 1 << 32 | 9 },
        ] {
            let expected = UserData::Op { index: key.index, sequence_low: key.sequence as u32 };
            assert_eq!(UserData::decode(UserData::of_op(key)), expected);
        }
    }

    #[test]
    fn tokens_are_told_apart() {
        let key = SlotKey { index: 3, sequence: 4 };
        assert_eq!(UserData::decode(UserData::of_notifier()), UserData::Notifier);
        assert_eq!(UserData::decode(UserData::of_cancel(key)), UserData::Cancel { index: 3 });
        assert_eq!(UserData::decode(u64::MAX), UserData::Unknown);
    }
}
