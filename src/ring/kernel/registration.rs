//! What `io_uring_register(2)` offers beside submission: buffers, files, workers, credentials.
//!
//! # Safety
//!
//! Registered memory is owned by the `FixedBuf`s that the ring hands out; the kernel pins its pages
//! and touches them only because of an entry that names them, and such an entry comes from an op
//! that owns the `FixedBuf` (O1). Buffer rings: see `buf_ring.rs`.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsRawFd;

use super::BufRing;
use super::abi::{BufStatus, PBUF_RING_INC, REGISTER_PBUF_STATUS};
use super::uring::Kernel;

impl Kernel {
    /// Caps the kernel's workers for this ring: bounded (files) and unbounded (everything else).
    pub(crate) fn cap_workers(&self, caps: (u32, u32)) -> io::Result<(u32, u32)> {
        let mut values = [caps.0, caps.1];
        self.uring().submitter().register_iowq_max_workers(&mut values)?;
        Ok((values[0], values[1]))
    }

    /// Binds the kernel's workers of this ring to these CPUs; none lifts the binding.
    pub(crate) fn bind_workers(&self, cpus: &[usize]) -> io::Result<()> {
        if cpus.is_empty() {
            return self.uring().submitter().unregister_iowq_aff();
        }
        // SAFETY: a `cpu_set_t` is an array of integers; zero is the empty set.
        let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        for cpu in cpus {
            if *cpu >= libc::CPU_SETSIZE as usize {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("CPU {cpu} is beyond the {} of a cpu_set_t", libc::CPU_SETSIZE),
                ));
            }
            // SAFETY: `cpu` is below CPU_SETSIZE.
            unsafe { libc::CPU_SET(*cpu, &mut set) };
        }
        self.uring().submitter().register_iowq_aff(&set)
    }

    pub(crate) fn register_buffers(&self, buffers: &mut [Vec<u8>]) -> io::Result<()> {
        let vectors: Vec<libc::iovec> = buffers
            .iter_mut()
            .map(|buffer| libc::iovec {
                iov_base: buffer.as_mut_ptr().cast(),
                iov_len: buffer.capacity(),
            })
            .collect();
        // SAFETY: each vector is memory of its own; see the head of this file for its lifetime.
        unsafe { self.uring().submitter().register_buffers(&vectors) }
    }

    pub(crate) fn unregister_buffers(&self) -> io::Result<()> {
        self.uring().submitter().unregister_buffers()
    }

    pub(crate) fn register_files(&self, files: &[i32]) -> io::Result<()> {
        self.uring().submitter().register_files(files)
    }

    pub(crate) fn register_files_update(&self, offset: u32, files: &[i32]) -> io::Result<usize> {
        self.uring().submitter().register_files_update(offset, files)
    }

    pub(crate) fn unregister_files(&self) -> io::Result<()> {
        self.uring().submitter().unregister_files()
    }

    pub(crate) fn register_personality(&self) -> io::Result<u16> {
        self.uring().submitter().register_personality()
    }

    pub(crate) fn unregister_personality(&self, personality: u16) -> io::Result<()> {
        self.uring().submitter().unregister_personality(personality)
    }

    pub(crate) fn register_eventfd(&self, eventfd: i32) -> io::Result<()> {
        self.uring().submitter().register_eventfd(eventfd)
    }

    pub(crate) fn register_eventfd_async(&self, eventfd: i32) -> io::Result<()> {
        self.uring().submitter().register_eventfd_async(eventfd)
    }

    pub(crate) fn unregister_eventfd(&self) -> io::Result<()> {
        self.uring().submitter().unregister_eventfd()
    }

    /// Makes a buffer ring known; nothing is offered yet. Linux 5.19. If `incremental`, the kernel
    /// fills a buffer piece by piece: Linux 6.12, `EINVAL` before.
    ///
    /// # Safety
    ///
    /// The ring's memory lives until it is unregistered with no op in flight that selects from it.
    pub(crate) unsafe fn register_buf_ring(
        &self,
        ring: &BufRing,
        incremental: bool,
    ) -> io::Result<()> {
        let (at, entries, group) = (ring.entries_address(), ring.entries(), ring.group());
        let flags = if incremental { PBUF_RING_INC } else { 0 };
        let submitter = self.uring().submitter();
        // SAFETY: so many entries are mapped there; their life is the caller's promise.
        unsafe { submitter.register_buf_ring_with_flags(at, entries, group, flags) }
    }

    pub(crate) fn unregister_buf_ring(&self, group: u16) -> io::Result<()> {
        self.uring().submitter().unregister_buf_ring(group)
    }

    /// How many buffers of the group the kernel has taken, modulo 2^16. Linux 6.8.
    pub(crate) fn buf_ring_head(&self, group: u16) -> io::Result<u16> {
        let mut status = BufStatus { group: u32::from(group), ..BufStatus::default() };
        let uring = self.uring().as_raw_fd();
        // SAFETY: the kernel reads and writes one `BufStatus`, which lives during the call.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_io_uring_register,
                uring,
                REGISTER_PBUF_STATUS,
                &raw mut status,
                1_u32,
            )
        };
        if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(status.head as u16) }
    }
}
