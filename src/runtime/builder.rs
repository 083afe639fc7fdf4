//! The settings of a runtime, each with its default and its reason.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::park::{Park, Parker};
use super::{Core, Runtime};
use crate::blocking::{self, Pool};
use crate::ring::{self, BufferPool, Config, Pretend, Ring};
use crate::task::Tasks;
use crate::time::{SLACK_DEFAULT, Timers};

/// Makes a [`Runtime`]. Can be sent to the thread that shall run it; the runtime cannot.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::time::Duration;
///
/// let runtime = ringspun::runtime::Builder::new()
///     .entries(1024)
///     .blocking_threads(4)
///     .shutdown_timeout(Duration::from_secs(2))
///     .build()?;
/// println!("{}", runtime.info());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder {
    ring: Config,
    name: String,
    timer_slack: Duration,
    blocking_threads: usize,
    blocking_keep_alive: Duration,
    shutdown_timeout: Duration,
    batch: usize,
    park: Park,
}

/// Polls between two visits of the ring: enough to spread the cost of the system call, few enough
/// that a completion is not kept waiting for long.
const BATCH_DEFAULT: usize = 256;
/// Calls without an opcode are few and short, or the program knows better.
const BLOCKING_THREADS_DEFAULT: usize = 64;
const BLOCKING_KEEP_ALIVE_DEFAULT: Duration = Duration::from_secs(10);
/// Sockets, pipes and timers are cancelled at once; a disk is given this long.
const SHUTDOWN_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
/// The kernel's own defaults are 4 workers a CPU and as many as the process may have threads.
const IO_WORKERS_DEFAULT: (u32, u32) = (4, 16);

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

impl Builder {
    /// The default settings.
    pub fn new() -> Builder {
        Builder {
            ring: Config {
                sq_entries: ring::SQ_ENTRIES_DEFAULT,
                cq_entries: None,
                io_workers: None,
                buffer_pool: BufferPool::new(),
                pretend: None,
                chaos: None,
            },
            name: String::from("ringspun"),
            timer_slack: SLACK_DEFAULT,
            blocking_threads: BLOCKING_THREADS_DEFAULT,
            blocking_keep_alive: BLOCKING_KEEP_ALIVE_DEFAULT,
            shutdown_timeout: SHUTDOWN_TIMEOUT_DEFAULT,
            batch: BATCH_DEFAULT,
            park: Park::default(),
        }
    }

    /// Entries of the submission queue, rounded up to a power of two: 1 to 32768, 256 by default.
    ///
    /// It bounds how many ops one system call hands over, not how many are in flight: what does not
    /// fit waits in user space. A chain ([`op::link`](crate::op::link())) has to fit.
    pub fn entries(mut self, entries: u32) -> Builder {
        self.ring.sq_entries = entries;
        self
    }

    /// Entries of the completion queue; four times those of the submission queue by default. The
    /// kernel keeps what does not fit, at some cost.
    pub fn cq_entries(mut self, entries: u32) -> Builder {
        self.ring.cq_entries = Some(entries);
        self
    }

    /// The name of this core: threads of its blocking pool are called after it. "ringspun" by
    /// default.
    pub fn name(mut self, name: impl Into<String>) -> Builder {
        self.name = name.into();
        self
    }

    /// How much later than asked a timer may fire so that one wake serves many: 1 ms by default,
    /// and used only as far as timers are dense (16 us for each timer that the wake serves; fewer
    /// than 4 are exact). [`Duration::ZERO`] makes each wake exact.
    pub fn timer_slack(mut self, slack: Duration) -> Builder {
        self.timer_slack = slack;
        self
    }

    /// The most threads that [`spawn_blocking`](crate::spawn_blocking) uses, 64 by default and at
    /// least 1. What is more waits for one of them, as a future.
    pub fn blocking_threads(mut self, threads: usize) -> Builder {
        self.blocking_threads = threads.max(1);
        self
    }

    /// How long an idle blocking thread stays: 10 s by default.
    pub fn blocking_keep_alive(mut self, duration: Duration) -> Builder {
        self.blocking_keep_alive = duration;
        self
    }

    /// How many worker threads the kernel may use for this ring, for files (bounded) and for
    /// everything else (unbounded): (4, 16) by default. The kernel would allow thousands.
    pub fn io_workers(mut self, caps: (u32, u32)) -> Builder {
        self.ring.io_workers = Some(caps);
        self
    }

    /// The buffers from which the kernel chooses where an op leaves it the choice: 256 of 4 KiB and
    /// 16 of 64 KiB by default, made when they are first asked for.
    pub fn buffer_pool(mut self, settings: BufferPool) -> Builder {
        self.ring.buffer_pool = settings;
        self
    }

    /// How long the drop of the runtime waits for the kernel and for blocking threads: 5 s by
    /// default. What is not done then is leaked and named.
    pub fn shutdown_timeout(mut self, duration: Duration) -> Builder {
        self.shutdown_timeout = duration;
        self
    }

    /// How many tasks are polled between two visits of the ring: 256 by default, at least 1.
    pub fn batch(mut self, polls: usize) -> Builder {
        self.batch = polls.max(1);
        self
    }

    /// What the core does when it has nothing to do: [`Park::Sleep`] by default.
    pub fn park(mut self, policy: Park) -> Builder {
        self.park = policy;
        self
    }

    /// Imitates an older or a forbidding kernel, for tests of what then happens.
    #[doc(hidden)]
    pub fn pretend(mut self, pretend: Pretend) -> Builder {
        self.ring.pretend = Some(pretend);
        self
    }

    /// Injects faults between ring and kernel, whatever Linux may do, by this seed. Without the
    /// feature `chaos` it does nothing.
    #[doc(hidden)]
    pub fn chaos(mut self, seed: u64) -> Builder {
        self.ring.chaos = Some(seed);
        self
    }

    /// Makes the runtime, on the thread that will run it.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](io::ErrorKind::InvalidInput): the number of entries, the sizes and counts
    ///   of pooled buffers.
    /// - Otherwise the text says why there is no ring and what to do: the kernel is older than
    ///   5.13, io_uring is switched off (`kernel.io_uring_disabled`, a container's seccomp profile,
    ///   a security module), or a limit is reached (`RLIMIT_MEMLOCK`, `RLIMIT_NOFILE`).
    pub fn build(self) -> io::Result<Runtime> {
        ring::ignore_sigpipe();
        self.ring.buffer_pool.check()?;
        let ring = Ring::new(&self.ring)?;
        if self.ring.io_workers.is_none() {
            // Linux 5.15; before it there is no cap to set.
            let _ = ring.with_kernel(|kernel| kernel.cap_workers(IO_WORKERS_DEFAULT));
        }
        let notify = Arc::clone(ring.notifier());
        let timers = Timers::new(ring::clock);
        timers.set_slack(self.timer_slack);
        let pool = Pool::new(blocking::Config {
            threads_max: self.blocking_threads,
            keep_alive: self.blocking_keep_alive,
            name: self.name,
        });
        let core = Core {
            tasks: Tasks::new(Box::new(notify)),
            ring,
            timers,
            pool,
            park: Parker::new(self.park),
            batch: self.batch,
            shutdown_timeout: self.shutdown_timeout,
            started: Instant::now(),
            pid: std::process::id(),
        };
        Ok(Runtime { core: Rc::new(core) })
    }
}
