//! Control messages: what `sendmsg` and `recvmsg` carry beside the bytes. See `cmsg(3)`.
//!
//! ```text
//!  [len | level | kind | data ... pad] [len | level | kind | data ... pad] ...
//! ```
//!
//! # Safety
//!
//! Descriptors that come with a message are this process's as soon as the kernel has written their
//! numbers. They become `OwnedFd`s in one place, `ReceivedControl::new`, before anybody sees the
//! bytes; whoever drops those closes them. The numbers of what is sent are owned by the `Control`.

#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::now_message::numbers;
use super::{IntoOpFd, OpFd};

const WORD: usize = size_of::<usize>();
/// `struct cmsghdr` as the kernel has it: length, level, kind.
const HEADER: usize = WORD + 2 * size_of::<i32>();
/// `SCM_PIDFD`: a descriptor too.
const SCM_PIDFD: i32 = 4;

const fn aligned(len: usize) -> usize {
    len.saturating_add(WORD - 1) & !(WORD - 1)
}

/// Who sends, as the kernel has checked it: `SCM_CREDENTIALS` of `unix(7)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The process.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// Control messages to be sent, with the descriptors that they name. Empty at first.
///
/// # Examples
///
/// ```
/// use ringspun::op::Control;
///
/// # fn main() -> std::io::Result<()> {
/// let (reader, _writer) = std::io::pipe()?;
/// let control = Control::new().rights([std::os::fd::OwnedFd::from(reader)]);
/// assert_eq!(control.as_bytes().len(), Control::space(4));
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Control {
    bytes: Vec<u8>,
    fds: Vec<OpFd>,
}

impl Control {
    /// No message.
    #[must_use]
    pub const fn new() -> Control {
        Control { bytes: Vec::new(), fds: Vec::new() }
    }

    /// How much room a message with so many bytes of data takes: to add up what a receiver has to
    /// have. See `CMSG_SPACE` in `cmsg(3)`.
    #[must_use]
    pub const fn space(data: usize) -> usize {
        aligned(HEADER.saturating_add(data))
    }

    /// Gives the peer of a Unix socket descriptors for the same open files (`SCM_RIGHTS`), at most
    /// 253. They stay open here until they are sent; with an [`OwnedFd`] they are closed after it.
    ///
    /// A registered file ([`Fixed`](super::Fixed)) cannot be sent: the op fails with
    /// [`InvalidInput`](io::ErrorKind::InvalidInput).
    #[must_use]
    pub fn rights(mut self, fds: impl IntoIterator<Item = impl IntoOpFd>) -> Control {
        let first = self.fds.len();
        self.fds.extend(fds.into_iter().map(IntoOpFd::into_op_fd));
        let numbers: Vec<u8> =
            self.fds[first..].iter().flat_map(|fd| fd.raw().to_ne_bytes()).collect();
        if !numbers.is_empty() {
            self.push(libc::SOL_SOCKET, libc::SCM_RIGHTS, &numbers);
        }
        self
    }

    /// Says who sends (`SCM_CREDENTIALS`); what is not true needs privileges.
    #[must_use]
    pub fn credentials(mut self, who: Credentials) -> Control {
        let mut data = [0; 12];
        data[..4].copy_from_slice(&who.pid.to_ne_bytes());
        data[4..8].copy_from_slice(&who.uid.to_ne_bytes());
        data[8..].copy_from_slice(&who.gid.to_ne_bytes());
        self.push(libc::SOL_SOCKET, libc::SCM_CREDENTIALS, &data);
        self
    }

    /// Has the kernel cut what is sent into datagrams of `size` bytes (`UDP_SEGMENT` of `udp(7)`).
    #[must_use]
    pub fn udp_segment(mut self, size: u16) -> Control {
        self.push(libc::SOL_UDP, libc::UDP_SEGMENT, &size.to_ne_bytes());
        self
    }

    /// Any other message.
    ///
    /// # Safety
    ///
    /// The data name no descriptor and no memory, or only such as is valid, and may be used by the
    /// kernel and by the peer in the way that this kind of message means, for as long as it does.
    #[must_use]
    pub unsafe fn raw(mut self, level: i32, kind: i32, data: &[u8]) -> Control {
        self.push(level, kind, data);
        self
    }

    /// The messages as the kernel will read them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// As [`rights`](Control::rights), of descriptors that are borrowed until the message is sent.
    pub(super) fn borrowed_rights(fds: &[BorrowedFd<'_>]) -> Control {
        let mut control = Control::new();
        if !fds.is_empty() {
            let numbers: Vec<u8> = numbers(fds).collect();
            control.push(libc::SOL_SOCKET, libc::SCM_RIGHTS, &numbers);
        }
        control
    }

    /// As [`udp_segment`](Control::udp_segment), into memory of the caller's.
    pub(super) fn write_segment(out: &mut [u8; Control::space(2)], size: u16) {
        out[..WORD].copy_from_slice(&(HEADER + 2).to_ne_bytes());
        out[WORD..WORD + 4].copy_from_slice(&libc::SOL_UDP.to_ne_bytes());
        out[WORD + 4..HEADER].copy_from_slice(&libc::UDP_SEGMENT.to_ne_bytes());
        out[HEADER..HEADER + 2].copy_from_slice(&size.to_ne_bytes());
    }

    /// As [`ReceivedControl::udp_gro`]. There is no descriptor in `bytes`.
    pub(super) fn read_segment(bytes: &[u8]) -> Option<usize> {
        messages(bytes).find_map(|message| message.udp_gro())
    }

    fn push(&mut self, level: i32, kind: i32, data: &[u8]) {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(&(HEADER + data.len()).to_ne_bytes());
        self.bytes.extend_from_slice(&level.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(data);
        self.bytes.resize(begin + Control::space(data.len()), 0);
    }

    /// Fails if one of the descriptors has no number.
    pub(super) fn check_plain(&self) -> io::Result<()> {
        self.fds.iter().try_for_each(OpFd::check_plain)
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(messages(&self.bytes)).finish()
    }
}

/// The control messages that came with a receive, and the descriptors among them: those that are
/// not taken are closed when this is dropped.
#[derive(Default)]
pub struct ReceivedControl {
    bytes: Vec<u8>,
    rights: Vec<OwnedFd>,
    pidfd: Option<OwnedFd>,
}

impl ReceivedControl {
    /// Takes over what came: messages one behind the other, then zeros.
    ///
    /// # Safety
    ///
    /// The kernel wrote the bytes for one receive, or they are zero, and nobody else takes over the
    /// descriptors in them.
    pub(crate) unsafe fn new(mut bytes: Vec<u8>) -> ReceivedControl {
        let (mut rights, mut pidfd) = (Vec::new(), None);
        let mut all = messages(&bytes);
        for message in all.by_ref() {
            if message.level != libc::SOL_SOCKET {
                continue;
            }
            let numbers = message.data.chunks_exact(size_of::<RawFd>());
            let numbers = numbers.filter_map(first_i32).filter(|number| *number >= 0);
            // SAFETY: the kernel made these descriptors for this message, and gives each once.
            let owned = numbers.map(|number| unsafe { OwnedFd::from_raw_fd(number) });
            match message.kind {
                libc::SCM_RIGHTS => rights.extend(owned),
                SCM_PIDFD => owned.for_each(|fd| pidfd = Some(fd)),
                _ => {}
            }
        }
        let used = bytes.len() - all.rest.len();
        bytes.truncate(used);
        ReceivedControl { bytes, rights, pidfd }
    }

    /// The messages as the kernel wrote them. The numbers of descriptors are among them; what is
    /// behind a number is in [`rights`](ReceivedControl::rights).
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The messages, one after the other.
    #[must_use]
    pub fn messages(&self) -> ControlMessages<'_> {
        messages(&self.bytes)
    }

    /// The descriptors that came (`SCM_RIGHTS`) and were not taken. They are closed on exec.
    #[must_use]
    pub fn rights(&self) -> &[OwnedFd] {
        &self.rights
    }

    /// Takes the descriptors that came.
    #[must_use]
    pub fn take_rights(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.rights)
    }

    /// Takes the descriptor of the sending process, which comes if `SO_PASSPIDFD` is set.
    #[must_use]
    pub fn take_pidfd(&mut self) -> Option<OwnedFd> {
        self.pidfd.take()
    }

    /// Who sent it, which comes if `SO_PASSCRED` is set.
    #[must_use]
    pub fn credentials(&self) -> Option<Credentials> {
        self.messages().find_map(|message| message.credentials())
    }

    /// Several datagrams came as one, each of so many bytes but for the last: if `UDP_GRO` is set.
    #[must_use]
    pub fn udp_gro(&self) -> Option<usize> {
        self.messages().find_map(|message| message.udp_gro())
    }

    /// True if nothing came.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl fmt::Debug for ReceivedControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedControl")
            .field("messages", &self.messages())
            .field("rights", &self.rights)
            .field("pidfd", &self.pidfd)
            .finish()
    }
}

/// One control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ControlMessage<'a> {
    /// The protocol that it belongs to: `SOL_SOCKET`, `IPPROTO_IP`, ...
    pub level: i32,
    /// What it is there: `SCM_RIGHTS`, `IP_PKTINFO`, ...
    pub kind: i32,
    /// What it says.
    pub data: &'a [u8],
}

impl ControlMessage<'_> {
    /// Who sent it, if this is `SCM_CREDENTIALS`.
    #[must_use]
    pub fn credentials(&self) -> Option<Credentials> {
        if (self.level, self.kind) != (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) {
            return None;
        }
        Some(Credentials {
            pid: first_i32(self.data)?,
            uid: first_i32(self.data.get(4..)?)? as u32,
            gid: first_i32(self.data.get(8..)?)? as u32,
        })
    }

    /// The length of the datagrams, if this is `UDP_GRO`.
    #[must_use]
    pub fn udp_gro(&self) -> Option<usize> {
        let is_meant = (self.level, self.kind) == (libc::SOL_UDP, libc::UDP_GRO);
        first_i32(self.data).filter(|_| is_meant).and_then(|size| usize::try_from(size).ok())
    }
}

/// Control messages, one after the other. Made by [`ReceivedControl::messages`].
#[derive(Clone)]
pub struct ControlMessages<'a> {
    rest: &'a [u8],
}

fn messages(bytes: &[u8]) -> ControlMessages<'_> {
    ControlMessages { rest: bytes }
}

impl<'a> Iterator for ControlMessages<'a> {
    type Item = ControlMessage<'a>;

    fn next(&mut self) -> Option<ControlMessage<'a>> {
        let (len, rest) = self.rest.split_first_chunk()?;
        let len = usize::from_ne_bytes(*len);
        let message = ControlMessage {
            level: first_i32(rest)?,
            kind: first_i32(rest.get(4..)?)?,
            data: self.rest.get(HEADER..len)?,
        };
        // The last one need not be padded.
        self.rest = self.rest.get(aligned(len)..).unwrap_or_default();
        Some(message)
    }
}

impl fmt::Debug for ControlMessages<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

fn first_i32(bytes: &[u8]) -> Option<i32> {
    bytes.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::{Control, ControlMessage, Credentials, HEADER, ReceivedControl, messages};
    use crate::op::{Fixed, stderr};

    const WHO: Credentials = Credentials { pid: 7, uid: 8, gid: u32::MAX };

    fn control() -> Control {
        Control::new().credentials(WHO).udp_segment(1200)
    }

    #[test]
    fn what_is_built_is_read() {
        let control = control();
        assert_eq!(control.as_bytes().len(), Control::space(12) + Control::space(2));
        let all: Vec<ControlMessage<'_>> = messages(control.as_bytes()).collect();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].credentials(), Some(WHO));
        assert_eq!((all[1].level, all[1].kind), (libc::SOL_UDP, libc::UDP_SEGMENT));
        assert_eq!(all[1].data, 1200_u16.to_ne_bytes());
        assert_eq!(all[1].credentials(), None);
    }

    #[test]
    fn numbers_are_those_of_the_descriptors() {
        let control = Control::new().rights([stderr(), stderr()]);
        let message = messages(control.as_bytes()).next().expect("one");
        assert_eq!((message.level, message.kind), (libc::SOL_SOCKET, libc::SCM_RIGHTS));
        assert_eq!(message.data, [2_i32.to_ne_bytes(), 2_i32.to_ne_bytes()].concat());
        assert!(control.check_plain().is_ok());
        assert!(Control::new().rights([Fixed(0)]).check_plain().is_err());
        assert!(Control::new().rights(Vec::<Fixed>::new()).as_bytes().is_empty());
    }

    /// A length that is wrong ends it: nothing beyond the bytes, and nothing for ever.
    #[test]
    fn cut_anywhere() {
        let whole = control();
        for len in 0..=whole.as_bytes().len() {
            assert!(messages(&whole.as_bytes()[..len]).count() <= 2);
        }
        for claimed in [0, 1, HEADER - 1, HEADER + 13, usize::MAX, usize::MAX - 7] {
            let mut bytes = Control::new().credentials(WHO).bytes;
            bytes.truncate(HEADER + 12);
            bytes[..size_of::<usize>()].copy_from_slice(&claimed.to_ne_bytes());
            assert_eq!(messages(&bytes).count(), 0, "{claimed}");
        }
        let mut unpadded = control().bytes;
        unpadded.truncate(Control::space(12) + HEADER + 2);
        assert_eq!(messages(&unpadded).count(), 2);
    }

    #[test]
    fn zeros_behind_the_messages_do_not_count() {
        let mut bytes = control().bytes;
        let used = bytes.len();
        bytes.resize(used + 100, 0);
        // SAFETY: there is no descriptor in it.
        let received = unsafe { ReceivedControl::new(bytes) };
        assert_eq!(received.as_bytes().len(), used);
        assert_eq!(received.credentials(), Some(WHO));
        assert_eq!(received.udp_gro(), None);
        assert!(received.rights().is_empty() && !received.is_empty());
    }
}
