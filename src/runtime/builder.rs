//! The settings of a runtime, each with its default and its reason.

use std::cell::OnceCell;
use std::io;
use std::rc::Rc;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::core_handle::{CoreHandle, Place};
use super::cores::Cores;
use super::ending::Ending;
use super::environment;
use super::handle::Handle;
use super::metrics::Sources;
use super::park::{Park, Parker};
use super::service_counters::ServiceCounters;
use super::threads::{self, Seat, Threads};
use super::{Core, Runtime};
use crate::blocking::{self, AtStart, Pool};
use crate::ring::affinity::{self, CpuSet};
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
    cores: Option<Cores>,
    pinned: bool,
    timer_slack: Duration,
    blocking_threads: Option<usize>,
    blocking_keep_alive: Option<Duration>,
    shutdown_timeout: Duration,
    batch: usize,
    park: Park,
    /// The default; an old kernel may not know how.
    io_workers_if_possible: Option<(u32, u32)>,
}

/// Polls between two visits of the ring: enough to spread the cost of the system call, few enough
/// that a completion is not kept waiting for long.
const BATCH_DEFAULT: usize = 256;
/// Calls without an opcode are few and short, or the program knows better.
const BLOCKING_THREADS_DEFAULT: usize = 64;
const BLOCKING_KEEP_ALIVE_DEFAULT: Duration = Duration::from_secs(10);
/// Sockets, pipes and timers are cancelled at once; a disk is given this long.
const SHUTDOWN_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
/// Of one core. The kernel's own defaults are 4 workers a CPU and as many as the process may have
/// threads.
const IO_WORKERS_DEFAULT: (u32, u32) = (4, 16);
/// Of one of many.
const IO_WORKERS_LEAST: (u32, u32) = (1, 2);

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
                file_ops: None,
                buffer_pool: BufferPool::new(),
                pretend: None,
                chaos: None,
            },
            name: String::from("ringspun"),
            cores: None,
            pinned: true,
            timer_slack: SLACK_DEFAULT,
            blocking_threads: None,
            blocking_keep_alive: None,
            shutdown_timeout: SHUTDOWN_TIMEOUT_DEFAULT,
            batch: BATCH_DEFAULT,
            park: Park::default(),
            io_workers_if_possible: None,
        }
    }

    /// The cores: a number, `"all"` that this process may use, or CPUs such as `"0-3"`; see
    /// [`Cores`]. Without this setting there is one, which may run on any CPU.
    ///
    /// Each core is one thread, kept on one CPU, with a ring, a run queue, timers, pooled buffers
    /// and a blocking pool of its own. Core 0 is the thread that builds the runtime; the future of
    /// `block_on` runs there, once. Tasks stay on the core that spawned them;
    /// [`Handle`](super::Handle) reaches the others.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = ringspun::runtime::Builder::new().cores("all").build()?;
    /// for core in runtime.handle().cores() {
    ///     println!("core {} on CPU {:?}", core.index(), core.cpu());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn cores(mut self, cores: impl Into<Cores>) -> Builder {
        self.cores = Some(cores.into());
        self
    }

    /// Whether each of the [`cores`](Builder::cores) is kept on a CPU of its own; true by default.
    /// Threads of the blocking pool and child processes are not; a thread that a pinned one starts
    /// by `std::thread` is, as Linux has it.
    pub fn pinned(mut self, pinned: bool) -> Builder {
        self.pinned = pinned;
        self
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

    /// The name of the runtime, "ringspun" by default: threads of its blocking pool are called
    /// after it, and with several [`cores`](Builder::cores) the threads of those, as in
    /// "ringspun-1".
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

    /// The most threads that [`spawn_blocking`](crate::spawn_blocking) uses on a core, at least 1.
    /// What is more waits for one of them, as a future. Without this setting the environment's
    /// `RINGSPUN_BLOCKING_THREADS`, or 64.
    pub fn blocking_threads(mut self, threads: usize) -> Builder {
        self.blocking_threads = Some(threads.max(1));
        self
    }

    /// How long an idle blocking thread stays. Without this setting the environment's
    /// `RINGSPUN_BLOCKING_KEEP_ALIVE`, in seconds, or 10 s.
    pub fn blocking_keep_alive(mut self, duration: Duration) -> Builder {
        self.blocking_keep_alive = Some(duration);
        self
    }

    /// How many worker threads the kernel may use for each core's ring, for files (bounded) and for
    /// everything else (unbounded). The kernel would allow thousands. Cores cannot share workers.
    ///
    /// Without this setting the environment's `RINGSPUN_IO_WORKERS`, as in `4,16`; or (4, 16)
    /// divided by the number of cores, but at least (1, 2).
    pub fn io_workers(mut self, caps: (u32, u32)) -> Builder {
        self.ring.io_workers = Some(caps);
        self
    }

    /// How many operations of [`fs`](crate::fs) the kernel has at a time, for each core; no limit
    /// by default, and at least 1. What is more waits for others to end, first come, first served.
    ///
    /// For disks that get slower by deep queues, and so that a burst of cold reads leaves kernel
    /// workers to others. What counts is each op for itself, from its hand-over to the kernel's
    /// last answer, also when nobody awaits it any more: an open, a read, a write, a sync, a
    /// rename. So operations that are made of several cannot wait for each other.
    ///
    /// Not counted is what waits for somebody else, and may for ever: reads and writes of FIFOs,
    /// terminals and the like, and the open of a FIFO (but with `create`, by which the kernel
    /// opens any file in the same way). Nor are direct calls that never wait, calls on the blocking
    /// pool, and ops of one's own ([`op`](crate::op),
    /// [`AsyncIoUring`](crate::uring::AsyncIoUring)).
    ///
    /// # The limits of each kind of I/O
    ///
    /// | what | limit | beyond it |
    /// |---|---|---|
    /// | calls without an opcode: names, directories, [`spawn_blocking`](crate::spawn_blocking) | [`blocking_threads`](Builder::blocking_threads) | waits for a thread, as a future |
    /// | threads of the kernel, for files and for all else | [`io_workers`](Builder::io_workers) | waits in the kernel |
    /// | operations on files | `file_ops` | waits in user space, as a future |
    /// | received bytes that nobody has taken | [`buffer_pool`](Builder::buffer_pool) | waits in the peer |
    /// | entries for one system call | [`entries`](Builder::entries) | waits for the next call |
    /// | connections of a server | `Server::max_connections` | waits in the backlog, or is refused |
    ///
    /// Ops on sockets and pipes hold no thread while they wait ([`Splice`](crate::op::Splice) and
    /// [`Tee`](crate::op::Tee) do).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = ringspun::runtime::Builder::new().file_ops(64).build()?;
    /// runtime.block_on(async {
    ///     let names = (0..1000).map(|_| ringspun::spawn(ringspun::fs::read("/proc/self/comm")));
    ///     for name in names.collect::<Vec<_>>() {
    ///         assert!(name.await.expect("no panic").is_ok());
    ///     }
    /// });
    /// # Ok(())
    /// # }
    /// ```
    pub fn file_ops(mut self, limit: usize) -> Builder {
        self.ring.file_ops = Some(limit.max(1));
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
    ///   of pooled buffers, a text that names no cores, a CPU that this process may not use, a
    ///   setting in the environment that cannot be read.
    /// - Otherwise the text says why there is no ring and what to do: the kernel is older than
    ///   5.13, io_uring is switched off (`kernel.io_uring_disabled`, a container's seccomp profile,
    ///   a security module), or a limit is reached (`RLIMIT_MEMLOCK`, `RLIMIT_NOFILE`).
    pub fn build(self) -> io::Result<Runtime> {
        let seats = affinity::unpinned(|| self.seats())?;
        let mut builder = self;
        builder.io_workers_of(seats.len())?;
        let (first, others) = (seats[0], &seats[1..]);
        let mut started = Vec::with_capacity(others.len());
        for seat in others {
            started.push(threads::start(&builder, *seat).map_err(|error| of_core(*seat, error))?);
        }
        let core = builder.build_core(first).map_err(|error| of_core(first, error))?;
        let mut cores = vec![core.place.clone()];
        cores.extend(started.iter().filter_map(threads::Started::core));
        let handle = Handle::new(cores);
        core.become_part_of(handle.clone());
        let threads = (!started.is_empty()).then(|| Threads::release(started, &handle));
        Ok(Runtime { core, threads })
    }

    /// The cores, each with its CPU.
    fn seats(&self) -> io::Result<Vec<Seat>> {
        let Some(cores) = &self.cores else {
            return Ok(vec![Seat { index: 0, cpu: None, of: 1 }]);
        };
        let said = if *cores == Cores::All { environment::cores()? } else { None };
        let cpus = said.as_ref().unwrap_or(cores).place(&CpuSet::of_this_thread()?)?;
        let of = cpus.len();
        let seat = |(index, cpu)| Seat { index, cpu: Some(cpu).filter(|_| self.pinned), of };
        Ok(cpus.into_iter().enumerate().map(seat).collect())
    }

    fn io_workers_of(&mut self, cores: usize) -> io::Result<()> {
        if self.ring.io_workers.is_some() {
            return Ok(());
        }
        self.ring.io_workers = environment::io_workers()?;
        if self.ring.io_workers.is_none() {
            let cores = u32::try_from(cores).unwrap_or(u32::MAX);
            let share = |(most, least): (u32, u32)| (most / cores).max(least);
            let (bounded, unbounded) = IO_WORKERS_DEFAULT;
            let (bounded_least, unbounded_least) = IO_WORKERS_LEAST;
            self.io_workers_if_possible =
                Some((share((bounded, bounded_least)), share((unbounded, unbounded_least))));
        }
        Ok(())
    }

    /// The name of a core's thread.
    pub(super) fn core_name(&self, seat: Seat) -> String {
        if seat.of == 1 {
            return self.name.clone();
        }
        // std refuses a name with a NUL by a panic.
        format!("{}-{}", self.name.replace('\0', ""), seat.index)
    }

    /// Makes a core, on its thread, and keeps the thread on its CPU.
    pub(super) fn build_core(&self, seat: Seat) -> io::Result<Rc<Core>> {
        ring::ignore_sigpipe();
        self.ring.buffer_pool.check()?;
        let threads_max = match self.blocking_threads {
            Some(threads) => threads,
            None => environment::blocking_threads()?.unwrap_or(BLOCKING_THREADS_DEFAULT),
        };
        let keep_alive = match self.blocking_keep_alive {
            Some(duration) => duration,
            None => environment::blocking_keep_alive()?.unwrap_or(BLOCKING_KEEP_ALIVE_DEFAULT),
        };
        let allowed = affinity::unpinned(CpuSet::of_this_thread)?;
        let ring = Ring::new(&self.ring)?;
        if let Some(caps) = self.io_workers_if_possible {
            // Linux 5.15; before it there is no cap to set.
            let _ = ring.with_kernel(|kernel| kernel.cap_workers(caps));
        }
        let notify = Arc::clone(ring.notifier());
        let timers = Timers::new(ring::clock);
        timers.set_slack(self.timer_slack);
        let name = self.core_name(seat);
        let tasks = Tasks::new(Box::new(notify));
        tasks.set_clock(ring::coarse_clock_ms);
        let (pinned, at_start) = match seat.cpu {
            Some(cpu) => {
                let pinned =
                    affinity::pin(cpu, &allowed).map_err(|error| cannot_pin(cpu, &error))?;
                // What a thread inherits is this core's CPU.
                let unpin = AtStart::call(move || {
                    let _ = allowed.apply();
                });
                (Some(pinned), unpin)
            }
            None => (None, AtStart::default()),
        };
        let pool =
            Pool::new(blocking::Config { threads_max, keep_alive, name: name.clone(), at_start });
        let sources = Sources {
            started: Instant::now(),
            ring: ring.counters(),
            timers: Arc::clone(timers.counters()),
            pool: Arc::clone(&pool),
            service: ServiceCounters::default(),
        };
        let place = Place {
            index: seat.index,
            cpu: seat.cpu,
            name,
            thread_id: affinity::thread_id(),
            shared: Arc::clone(tasks.shared()),
            sources,
            ending: Ending::default(),
            ended: OnceLock::new(),
            tasks_dropped: AtomicUsize::new(0),
        };
        Ok(Rc::new(Core {
            tasks,
            ring,
            timers,
            pool,
            park: Parker::new(self.park),
            batch: self.batch,
            place: CoreHandle::new(place),
            handle: OnceCell::new(),
            shutdown_timeout: self.shutdown_timeout,
            pid: std::process::id(),
            _pinned: pinned,
        }))
    }
}

/// Says which of several cores cannot be built. A wrong setting is one of all.
fn of_core(seat: Seat, error: io::Error) -> io::Error {
    if seat.of == 1 || error.kind() == io::ErrorKind::InvalidInput {
        return error;
    }
    io::Error::new(error.kind(), format!("core {} of {}: {error}", seat.index, seat.of))
}

fn cannot_pin(cpu: usize, error: &io::Error) -> io::Error {
    let text = format!("a core cannot be kept on CPU {cpu}: {error}");
    io::Error::new(error.kind(), text)
}
