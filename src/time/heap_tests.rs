//! The heap against a `BTreeMap`, step by step, and the corners of its numbering.

use std::collections::BTreeMap;

use super::{Heap, Key, LOOK_MAX, RETIRED};

/// SplitMix64: the same walk on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

impl<T> Heap<T> {
    fn check(&self) {
        for (position, node) in self.nodes.iter().enumerate() {
            assert_eq!(self.places[node.index as usize].position as usize, position);
            assert!(self.values[node.index as usize].is_some());
            if position > 0 {
                assert!(self.nodes[(position - 1) / 4].order() < node.order());
            }
        }
        let values = self.values.iter().filter(|value| value.is_some()).count();
        assert_eq!(values, self.nodes.len());
    }
}

#[test]
fn random_walk_against_model() {
    let (walks, steps) = if cfg!(miri) { (2, 300) } else { (50, 4000) };
    for seed in 0..walks {
        let mut random = Random(seed);
        let mut heap = Heap::new();
        // Near the end of the numbers, so that some walks cross the renumbering.
        heap.sequence = u32::MAX - random.below(2 * steps) as u32;
        let mut model: BTreeMap<(u64, u64), Key> = BTreeMap::new();
        let mut dead: Vec<Key> = Vec::new();
        // Few different deadlines make many equal ones.
        let spread = [4, 100, 1_000_000][(seed % 3) as usize];
        let grow = 2 + random.below(5);
        for step in 0..steps {
            match random.below(grow + 4) {
                0 => {
                    let now_ns = random.below(spread);
                    let mut popped = Vec::new();
                    while let Some(value) = heap.pop_due(now_ns) {
                        popped.push(value);
                        heap.check();
                    }
                    let later = model.split_off(&(now_ns + 1, 0));
                    let due = std::mem::replace(&mut model, later);
                    assert_eq!(popped, due.keys().copied().collect::<Vec<_>>());
                    dead.extend(due.values());
                }
                1 | 2 if !model.is_empty() => {
                    let nth = random.below(model.len() as u64) as usize;
                    let (&entry, &key) = model.iter().nth(nth).expect("nth is below len");
                    assert_eq!(heap.value(key), Some(&entry));
                    assert_eq!(heap.remove(key), Some(entry));
                    model.remove(&entry);
                    dead.push(key);
                }
                3 if !dead.is_empty() => {
                    let key = dead[random.below(dead.len() as u64) as usize];
                    assert_eq!(heap.value(key), None);
                    assert_eq!(heap.remove(key), None);
                }
                _ => {
                    let entry = (random.below(spread), step);
                    let key = heap.insert(entry.0, entry);
                    assert_eq!(model.insert(entry, key), None);
                }
            }
            heap.check();
            assert_eq!(heap.len(), model.len());
            assert_eq!(heap.first_ns(), model.keys().next().map(|entry| entry.0));
            check_cluster(&heap, &model, random.below(spread));
        }
    }
}

fn check_cluster(heap: &Heap<(u64, u64)>, model: &BTreeMap<(u64, u64), Key>, window_ns: u64) {
    let Some(cluster) = heap.cluster(window_ns) else {
        assert!(model.is_empty());
        return;
    };
    let first_ns = model.keys().next().expect("the heap is not empty").0;
    let within: Vec<u64> =
        model.keys().map(|entry| entry.0).take_while(|at| *at <= first_ns + window_ns).collect();
    assert_eq!(cluster.len, within.len().min(LOOK_MAX));
    if cluster.len < LOOK_MAX {
        assert_eq!(Some(&cluster.last_ns), within.last());
    }
    // What was seen is due when the last of it is due.
    assert!(within.iter().filter(|at| **at <= cluster.last_ns).count() >= cluster.len);
}

#[test]
fn equal_deadlines_are_fifo_across_the_renumbering() {
    let mut heap = Heap::new();
    heap.sequence = u32::MAX - 10;
    for value in 0..20 {
        heap.insert(7, value);
    }
    let order: Vec<i32> = std::iter::from_fn(|| heap.pop_due(7)).collect();
    assert_eq!(order, (0..20).collect::<Vec<_>>());
}

#[test]
fn exhausted_slot_is_retired() {
    let mut heap = Heap::new();
    let first = heap.insert(1, 'a');
    assert_eq!(heap.remove(first), Some('a'));
    heap.places[0].generation = RETIRED - 1;
    let last = heap.insert(1, 'b');
    assert_eq!(last.index, 0);
    assert_eq!(heap.remove(last), Some('b'));
    let next = heap.insert(1, 'c');
    assert_eq!(next.index, 1, "slot 0 has no generation left");
    assert_eq!(heap.remove(last), None);
    heap.check();
}

#[test]
fn warm_heap_does_not_grow() {
    let mut heap = Heap::new();
    let keys: Vec<Key> = (0..1000).map(|at| heap.insert(at, at)).collect();
    for key in keys {
        heap.remove(key);
    }
    let sizes = (heap.nodes.capacity(), heap.places.capacity(), heap.values.capacity());
    for round in 0..if cfg!(miri) { 2 } else { 20 } {
        for at in 0..1000 {
            heap.insert(at * round % 77, at);
        }
        while heap.pop_due(u64::MAX).is_some() {}
    }
    assert_eq!(sizes, (heap.nodes.capacity(), heap.places.capacity(), heap.values.capacity()));
}
