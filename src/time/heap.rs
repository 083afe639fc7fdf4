//! Deadlines in order: a 4-ary heap whose entries can be removed by key.
//!
//! ```text
//!  Key {index, generation} --> places[index] = {position, generation} --> nodes[position]
//!                        values[index] = what to hand back      {deadline, sequence, index}
//! ```
//!
//! `nodes` is the heap proper: 16 bytes an entry, so that the four children of a node are 64 bytes
//! side by side. A move inside the heap writes one `position`, in an array of 8 bytes a slot; the
//! values never move. Four children instead of two halve the number of levels, and with it the
//! cache misses of a removal.
//!
//! Promises:
//! - Insertion and removal take O(log n). Nothing is allocated once the vectors have their size.
//! - Equal deadlines come out in the order in which they went in.
//! - A key whose entry has left is dead for ever: the slot's generation grows at each removal, and
//!   a slot whose generations are used up is never handed out again.

use std::fmt;

/// How many entries [`Heap::cluster`] looks at. Bounds the cost of each decision to wait.
pub(super) const LOOK_MAX: usize = 64;

const ARITY: usize = 4;
/// The end of the list of free slots.
const NO_SLOT: u32 = u32::MAX;
/// A slot with this generation is retired.
const RETIRED: u32 = u32::MAX;

/// Entries with a deadline in nanoseconds and a value, earliest first.
pub(super) struct Heap<T> {
    nodes: Vec<Node>,
    places: Vec<Place>,
    values: Vec<Option<T>>,
    /// First free slot; `Place::position` is the link to the next.
    free: u32,
    /// Given to the next entry.
    sequence: u32,
}

/// Names an entry, also after it has left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

/// The entries that lie close behind the first one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cluster {
    /// How many were seen, the first included.
    pub(super) len: usize,
    /// The latest deadline among them.
    pub(super) last_ns: u64,
}

#[derive(Clone, Copy)]
struct Node {
    deadline_ns: u64,
    sequence: u32,
    index: u32,
}

#[derive(Clone, Copy)]
struct Place {
    position: u32,
    generation: u32,
}

impl Node {
    /// One number that sorts by deadline, then by age: compares without branches.
    #[inline]
    fn order(&self) -> u128 {
        (u128::from(self.deadline_ns) << 64)
            | (u128::from(self.sequence) << 32)
            | u128::from(self.index)
    }
}

impl<T> Heap<T> {
    pub(super) const fn new() -> Heap<T> {
        Heap {
            nodes: Vec::new(),
            places: Vec::new(),
            values: Vec::new(),
            free: NO_SLOT,
            sequence: 0,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The earliest deadline.
    #[inline]
    pub(super) fn first_ns(&self) -> Option<u64> {
        self.nodes.first().map(|node| node.deadline_ns)
    }

    #[inline]
    pub(super) fn insert(&mut self, deadline_ns: u64, value: T) -> Key {
        if self.sequence == u32::MAX {
            self.renumber();
        }
        let index = self.take_slot(value);
        let node = Node { deadline_ns, sequence: self.sequence, index };
        self.sequence += 1;
        let hole = self.nodes.len();
        self.nodes.push(node);
        self.sift_up(hole, node);
        Key { index, generation: self.places[index as usize].generation }
    }

    /// The value of a live entry.
    #[inline]
    pub(super) fn value(&self, key: Key) -> Option<&T> {
        self.position(key)?;
        self.values[key.index as usize].as_ref()
    }

    /// The value of a live entry, to be changed.
    #[inline]
    pub(super) fn value_mut(&mut self, key: Key) -> Option<&mut T> {
        self.position(key)?;
        self.values[key.index as usize].as_mut()
    }

    /// Takes an entry out; `None` if it has left already.
    #[inline]
    pub(super) fn remove(&mut self, key: Key) -> Option<T> {
        let position = self.position(key)?;
        self.remove_at(position)
    }

    /// Takes the first entry out if its deadline is not after `now_ns`.
    #[inline]
    pub(super) fn pop_due(&mut self, now_ns: u64) -> Option<T> {
        let first = self.nodes.first()?;
        if first.deadline_ns > now_ns { None } else { self.remove_at(0) }
    }

    /// Takes any entry out, in no order: for the end.
    pub(super) fn pop_any(&mut self) -> Option<T> {
        let last = self.nodes.len().checked_sub(1)?;
        self.remove_at(last)
    }

    /// The first entry and those at most `window_ns` behind it: all of them, or [`LOOK_MAX`].
    ///
    /// Entries within the window form a tree at the top of the heap, so no other part is visited.
    pub(super) fn cluster(&self, window_ns: u64) -> Option<Cluster> {
        let first_ns = self.first_ns()?;
        let limit_ns = first_ns.saturating_add(window_ns);
        let mut last_ns = first_ns;
        let mut seen = [0_usize; LOOK_MAX];
        let mut len = 1;
        let mut visited = 0;
        while visited < len && len < LOOK_MAX {
            let first_child = seen[visited] * ARITY + 1;
            visited += 1;
            for (child, node) in self.nodes.iter().enumerate().skip(first_child).take(ARITY) {
                if node.deadline_ns <= limit_ns && len < LOOK_MAX {
                    seen[len] = child;
                    len += 1;
                    last_ns = last_ns.max(node.deadline_ns);
                }
            }
        }
        Some(Cluster { len, last_ns })
    }

    /// Where a live entry stands in `nodes`.
    #[inline]
    fn position(&self, key: Key) -> Option<usize> {
        let place = self.places.get(key.index as usize)?;
        (place.generation == key.generation).then_some(place.position as usize)
    }

    #[inline]
    fn remove_at(&mut self, position: usize) -> Option<T> {
        let removed = self.nodes[position];
        let last = self.nodes.pop()?;
        if position < self.nodes.len() {
            // The last entry fills the gap. It may come from another branch and so belong higher.
            if last.order() < removed.order() {
                self.sift_up(position, last);
            } else {
                self.sift_down(position, last);
            }
        }
        self.give_slot_back(removed.index)
    }

    #[inline]
    fn sift_up(&mut self, mut hole: usize, node: Node) {
        while hole > 0 {
            let parent = (hole - 1) / ARITY;
            let above = self.nodes[parent];
            if above.order() <= node.order() {
                break;
            }
            self.put(hole, above);
            hole = parent;
        }
        self.put(hole, node);
    }

    #[inline]
    fn sift_down(&mut self, mut hole: usize, node: Node) {
        loop {
            let first_child = hole * ARITY + 1;
            let Some((child, below)) = self.least_from(first_child) else { break };
            if node.order() <= below.order() {
                break;
            }
            self.put(hole, below);
            hole = child;
        }
        self.put(hole, node);
    }

    /// The earliest of the (up to four) entries from `first_child` on.
    #[inline]
    fn least_from(&self, first_child: usize) -> Option<(usize, Node)> {
        let children = self.nodes.get(first_child..)?;
        if let Some([a, b, c, d]) = children.first_chunk::<ARITY>() {
            let (ab, x) = if b.order() < a.order() { (1, b) } else { (0, a) };
            let (cd, y) = if d.order() < c.order() { (3, d) } else { (2, c) };
            let (least, node) = if y.order() < x.order() { (cd, y) } else { (ab, x) };
            return Some((first_child + least, *node));
        }
        let (least, node) = children.iter().enumerate().min_by_key(|(_, node)| node.order())?;
        Some((first_child + least, *node))
    }

    #[inline]
    fn put(&mut self, position: usize, node: Node) {
        self.nodes[position] = node;
        // `take_slot` keeps the number of entries below 2^32.
        self.places[node.index as usize].position = position as u32;
    }

    #[inline]
    fn take_slot(&mut self, value: T) -> u32 {
        let index = self.free;
        if let Some(place) = self.places.get(index as usize) {
            self.free = place.position;
            self.values[index as usize] = Some(value);
            return index;
        }
        let index = u32::try_from(self.places.len()).unwrap_or(NO_SLOT);
        assert!(index != NO_SLOT, "more than four thousand million timers on one core");
        self.places.push(Place { position: 0, generation: 0 });
        self.values.push(Some(value));
        index
    }

    #[inline]
    fn give_slot_back(&mut self, index: u32) -> Option<T> {
        let place = &mut self.places[index as usize];
        place.generation += 1;
        if place.generation != RETIRED {
            place.position = self.free;
            self.free = index;
        }
        self.values[index as usize].take()
    }

    /// Gives the entries new sequence numbers from 0, in their order. A sorted array is a heap.
    /// Once in 2^32 insertions.
    #[cold]
    fn renumber(&mut self) {
        self.nodes.sort_unstable_by_key(Node::order);
        for position in 0..self.nodes.len() {
            // As many entries as sequence numbers cannot exist: there are fewer slots.
            let node = Node { sequence: position as u32, ..self.nodes[position] };
            self.put(position, node);
        }
        self.sequence = self.nodes.len() as u32;
    }
}

impl<T> fmt::Debug for Heap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heap")
            .field("len", &self.len())
            .field("first_ns", &self.first_ns())
            .finish()
    }
}

#[cfg(test)]
#[path = "heap_tests.rs"]
mod tests;
