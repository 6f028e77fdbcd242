//! The slots of states in recurrent models: which are free, and how many users the others have.

use farthing_models::Slot;

/// Free slots, and counts of the users of each other slot: sequences, and what is kept of them. A state
/// is written once and not changed, so that any number of sequences can go on from it.
pub(crate) struct Pool {
    free: Vec<Slot>,
    /// By slot.
    users: Vec<u32>,
}

impl Pool {
    pub fn new(n: usize) -> Pool {
        Pool { free: (0..n).rev().map(|slot| slot as Slot).collect(), users: vec![0; n] }
    }

    /// Whether the model has states.
    pub fn is_used(&self) -> bool {
        !self.users.is_empty()
    }

    /// Sequences that can run at the same time: each reads one slot and writes another.
    pub fn capacity(&self) -> usize {
        if self.is_used() { self.users.len() / 2 } else { usize::MAX }
    }

    /// A free slot, now with one user.
    pub fn allocate(&mut self) -> Option<Slot> {
        let slot = self.free.pop()?;
        self.users[slot as usize] = 1;
        Some(slot)
    }

    /// One more user.
    pub fn hold(&mut self, slot: Slot) {
        self.users[slot as usize] += 1;
    }

    /// Users of a slot.
    pub fn users(&self, slot: Slot) -> u32 {
        self.users[slot as usize]
    }

    /// One user less.
    pub fn release(&mut self, slot: Option<Slot>) {
        if let Some(slot) = slot {
            let users = &mut self.users[slot as usize];
            *users -= 1;
            if *users == 0 {
                self.free.push(slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_free_when_its_last_user_leaves() {
        let mut pool = Pool::new(2);
        let slot = pool.allocate();
        assert!(slot.is_some() && pool.allocate().is_some() && pool.allocate().is_none());
        pool.hold(0);
        pool.release(Some(0));
        assert_eq!(pool.allocate(), None);
        pool.release(Some(0));
        assert_eq!(pool.allocate(), Some(0));
    }
}
