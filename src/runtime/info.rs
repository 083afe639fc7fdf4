//! What the kernel gave.

use std::fmt;

use crate::ring::Capabilities;

/// What the kernel gave to a runtime: which rung of the setup ladder, which sizes. Made by
/// [`Runtime::info`](super::Runtime::info); prints as one line.
#[derive(Clone, Copy, Debug)]
pub struct Info {
    capabilities: Capabilities,
}

impl Info {
    pub(crate) fn new(capabilities: Capabilities) -> Info {
        Info { capabilities }
    }

    /// Entries of the submission queue.
    #[must_use]
    pub fn sq_entries(&self) -> u32 {
        self.capabilities.sq_entries
    }

    /// Entries of the completion queue.
    #[must_use]
    pub fn cq_entries(&self) -> u32 {
        self.capabilities.cq_entries
    }

    /// Completions are worked off when the core asks for them, and not between: SINGLE_ISSUER and
    /// DEFER_TASKRUN, Linux 6.1. Worth up to 15 % of throughput.
    #[must_use]
    pub fn is_deferred(&self) -> bool {
        self.capabilities.setup.defer_taskrun
    }

    /// Waiting is not accounted as waiting for a disk: NO_IOWAIT, Linux 6.15.
    #[must_use]
    pub fn is_no_iowait(&self) -> bool {
        self.capabilities.no_iowait
    }

    /// Whether the kernel has this opcode (`IORING_OP_*`).
    #[must_use]
    pub fn supports(&self, opcode: u8) -> bool {
        self.capabilities.opcodes.contains(opcode)
    }

    fn flags(&self) -> [(&'static str, bool, &'static str); 8] {
        let setup = self.capabilities.setup;
        [
            ("SINGLE_ISSUER", setup.single_issuer, "6.0"),
            ("DEFER_TASKRUN", setup.defer_taskrun, "6.1"),
            // The kernel wants one of the two, never both.
            ("COOP_TASKRUN", setup.coop_taskrun || setup.defer_taskrun, "5.19"),
            ("TASKRUN_FLAG", setup.taskrun_flag, "5.19"),
            ("SUBMIT_ALL", setup.submit_all, "5.18"),
            ("NO_SQARRAY", setup.no_sqarray, "6.6"),
            ("CQE_SKIP", self.capabilities.cqe_skip, "5.17"),
            ("NO_IOWAIT", self.capabilities.no_iowait, "6.15"),
        ]
    }
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let capabilities = &self.capabilities;
        write!(f, "io_uring SQ {} CQ {}", capabilities.sq_entries, capabilities.cq_entries)?;
        let deferred = capabilities.setup.defer_taskrun;
        for (name, on, _) in self.flags() {
            if on && !(name == "COOP_TASKRUN" && deferred) {
                write!(f, " {name}")?;
            }
        }
        write!(f, ", {} opcodes", capabilities.opcodes.count())?;
        let mut lead = "; this kernel lacks";
        for (name, on, since) in self.flags() {
            if !on {
                write!(f, "{lead} {name} (Linux {since})")?;
                lead = ",";
            }
        }
        Ok(())
    }
}
