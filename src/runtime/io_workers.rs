//! The kernel's worker threads, as `/proc` shows them.

use std::fs;

/// Whose worker each io-wq thread of this process is, at one moment.
pub(super) struct IoWorkers {
    owners: Vec<i32>,
}

impl IoWorkers {
    /// Looks at all threads of the process. What cannot be read is not counted.
    pub(super) fn look() -> IoWorkers {
        let Ok(threads) = fs::read_dir("/proc/self/task") else {
            return IoWorkers { owners: Vec::new() };
        };
        let owner = |thread: fs::DirEntry| {
            let name = fs::read_to_string(thread.path().join("comm")).ok()?;
            owner_in(&name)
        };
        IoWorkers { owners: threads.flatten().filter_map(owner).collect() }
    }

    /// How many work for this thread's ring.
    pub(super) fn of(&self, thread_id: i32) -> usize {
        self.owners.iter().filter(|owner| **owner == thread_id).count()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.owners.len()
    }
}

/// The kernel calls them `iou-wrk-` and the number of the ring's thread.
fn owner_in(name: &str) -> Option<i32> {
    name.trim_end().strip_prefix("iou-wrk-")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::owner_in;

    #[test]
    fn only_the_workers_are_recognised() {
        assert_eq!(owner_in("iou-wrk-4711\n"), Some(4711));
        for other in ["iou-sqp-4711\n", "iou-wrk-\n", "ringspun-1\n", "", "iou-wrk-x"] {
            assert_eq!(owner_in(other), None);
        }
    }
}
