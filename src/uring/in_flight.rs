//! What the kernel is doing for a core just now.

use std::panic::Location;
use std::time::Duration;

use super::AsyncIoUring;
use crate::op::{OPCODES, OpId};

/// One op in flight.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct OpInfo {
    /// Its name, by which it can be cancelled.
    pub id: OpId,
    /// The kernel's name for the operation, without `IORING_OP_`; "?" for one that this crate does
    /// not have.
    pub operation: &'static str,
    /// The number of the operation.
    pub opcode: u8,
    /// The descriptor or the index of the registered file; -1 if the operation has none.
    pub fd: i32,
    /// Since it was submitted, to a few milliseconds.
    pub age: Duration,
    /// Where its future was made.
    pub site: &'static Location<'static>,
    /// Somebody waits for it. False for an op whose future was dropped.
    pub awaited: bool,
}

impl AsyncIoUring {
    /// The ops in flight on this ring, in no order: what each core waits for, for a dump.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use ringspun::uring::AsyncIoUring;
    ///
    /// let runtime = ringspun::runtime::Runtime::new()?;
    /// runtime.block_on(async {
    ///     for op in AsyncIoUring::current().ops_in_flight() {
    ///         println!("{} on {} for {:?}, from {}", op.operation, op.fd, op.age, op.site);
    ///     }
    /// });
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn ops_in_flight(&self) -> Vec<OpInfo> {
        let mut ops = Vec::new();
        let ring = self.ring.id();
        let now_ms = crate::ring::coarse_clock_ms();
        self.ring.for_each(&mut |key, meta, waiter| {
            let row = OPCODES.iter().find(|row| row.opcode == meta.opcode);
            ops.push(OpInfo {
                id: OpId { ring, key },
                operation: row.map_or("?", |row| row.name),
                opcode: meta.opcode,
                fd: meta.fd,
                age: Duration::from_millis(now_ms.wrapping_sub(meta.started_ms).into()),
                site: meta.site,
                awaited: waiter.is_some(),
            });
        });
        ops
    }
}
