//! `io_uring_register(2)`: what a ring can be given for longer than one op.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use super::{AsyncIoUring, FixedBuf};
use crate::op::Fixed;

impl AsyncIoUring {
    /// Registers buffers, all at once: their pages are pinned and mapped until
    /// [`unregister_buffers`](AsyncIoUring::unregister_buffers) or the end of the runtime. The
    /// whole capacity of each counts.
    ///
    /// # Errors
    ///
    /// `EBUSY` if there are registered buffers already; `ENOMEM` beyond `RLIMIT_MEMLOCK`;
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a buffer without capacity or too many.
    pub fn register_buffers(&self, buffers: Vec<Vec<u8>>) -> io::Result<Vec<FixedBuf>> {
        self.ring.register_buffers(buffers)
    }

    /// Lets go of the registered buffers. Ops that use one finish first; a [`FixedBuf`] that is
    /// left is ordinary memory from now on, and an op with it fails with `EFAULT`.
    ///
    /// # Errors
    ///
    /// `ENXIO` if there are none.
    pub fn unregister_buffers(&self) -> io::Result<()> {
        self.ring.unregister_buffers()
    }

    /// Registers files. The kernel keeps them open by itself; the descriptors are closed. An op
    /// takes a [`Fixed`] in place of a descriptor and is spared a reference count.
    ///
    /// # Errors
    ///
    /// `EBUSY` if there are registered files already; `EMFILE` beyond `RLIMIT_NOFILE`; `EINVAL` for
    /// none.
    pub fn register_files(&self, files: Vec<OwnedFd>) -> io::Result<Vec<Fixed>> {
        self.ring.register_files(&files)?;
        Ok((0_u32..).zip(&files).map(|(index, _)| Fixed(index)).collect())
    }

    /// Puts other files, or with `None` nothing, into the places from `offset` on. Answers how many
    /// places were changed. Ops that the kernel has stay with the file they began with.
    ///
    /// # Errors
    ///
    /// `ENXIO` if no files are registered; `EINVAL` beyond their number.
    pub fn register_files_update(
        &self,
        offset: u32,
        files: Vec<Option<OwnedFd>>,
    ) -> io::Result<usize> {
        self.ring.register_files_update(offset, &files)
    }

    /// Lets go of the registered files.
    ///
    /// # Errors
    ///
    /// `ENXIO` if there are none.
    pub fn unregister_files(&self) -> io::Result<()> {
        self.ring.unregister_files()
    }

    /// Registers the credentials of this thread. The number goes into
    /// [`Sqe::personality`](crate::op::Sqe::personality) of an op that shall run with them.
    ///
    /// # Errors
    ///
    /// Those of `io_uring_register(2)`.
    pub fn register_personality(&self) -> io::Result<u16> {
        self.ring.with_kernel(|kernel| kernel.register_personality())
    }

    /// Forgets registered credentials.
    ///
    /// # Errors
    ///
    /// `EINVAL` for an unknown number.
    pub fn unregister_personality(&self, personality: u16) -> io::Result<()> {
        self.ring.with_kernel(|kernel| kernel.unregister_personality(personality))
    }

    /// Caps the kernel's workers for this core: (for files, for everything else). 0 leaves a cap as
    /// it is. Answers the caps before. Linux 5.15.
    ///
    /// # Errors
    ///
    /// Those of `io_uring_register(2)`.
    pub fn register_io_workers(&self, caps: (u32, u32)) -> io::Result<(u32, u32)> {
        self.ring.with_kernel(|kernel| kernel.cap_workers(caps))
    }

    /// Binds the kernel's workers of this core to these CPUs; none lifts the binding. Linux 5.14.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a CPU beyond what a `cpu_set_t` holds.
    pub fn register_io_worker_affinity(&self, cpus: &[usize]) -> io::Result<()> {
        self.ring.with_kernel(|kernel| kernel.bind_workers(cpus))
    }

    /// Adds to `eventfd` with each completion: to watch this ring from another loop. The kernel
    /// keeps the counter alive by itself; `eventfd` may be closed.
    ///
    /// # Errors
    ///
    /// `EBUSY` if there is one already; `EINVAL` if it is no eventfd.
    pub fn register_eventfd(&self, eventfd: impl AsFd) -> io::Result<()> {
        let raw = eventfd.as_fd().as_raw_fd();
        self.ring.with_kernel(|kernel| kernel.register_eventfd(raw))
    }

    /// Like [`register_eventfd`](AsyncIoUring::register_eventfd), for completions only that did not
    /// come at once.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn register_eventfd_async(&self, eventfd: impl AsFd) -> io::Result<()> {
        let raw = eventfd.as_fd().as_raw_fd();
        self.ring.with_kernel(|kernel| kernel.register_eventfd_async(raw))
    }

    /// Ends what [`register_eventfd`](AsyncIoUring::register_eventfd) began.
    ///
    /// # Errors
    ///
    /// `ENXIO` if there is none.
    pub fn unregister_eventfd(&self) -> io::Result<()> {
        self.ring.with_kernel(|kernel| kernel.unregister_eventfd())
    }
}
