//! KV pages and states as memory: every layer has a place for every page or every slot. No policy.

use farthing_kernels::kv::{KvLayer, KvShape, KvType, PAGE};
use farthing_kernels::recurrence::States;

use crate::batch::{Page, Slot};

/// The pages and states of all layers.
pub struct Cache {
    /// Of each layer that stores keys and values.
    pub layers: Vec<KvLayer>,
    /// Of each recurrent layer.
    pub states: Vec<StateLayer>,
    n_pages: usize,
    n_states: usize,
}

/// The floats that a recurrent layer keeps of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateShape {
    /// The last inputs of its convolution.
    pub window: usize,
    /// What comes after that.
    pub matrix: usize,
}

/// One recurrent layer's states.
pub struct StateLayer {
    /// Those of its convolution.
    pub window: States,
    /// What comes after that.
    pub matrix: States,
}

impl Cache {
    /// Memory for some pages and states, taken from the system as it is written.
    pub fn new(
        (shapes, ty, n_pages): (&[KvShape], KvType, usize),
        (states, n_states): (&[StateShape], usize),
    ) -> Cache {
        let state = |shape: &StateShape| StateLayer {
            window: States::new(shape.window, n_states),
            matrix: States::new(shape.matrix, n_states),
        };
        Cache {
            layers: shapes.iter().map(|&s| KvLayer::new(s, ty, n_pages)).collect(),
            states: states.iter().map(state).collect(),
            n_pages,
            n_states,
        }
    }

    /// Slots of states.
    pub fn n_states(&self) -> usize {
        self.n_states
    }

    /// Bytes of one state in all layers.
    pub fn state_bytes(shapes: &[StateShape]) -> u64 {
        let bytes = |s: &StateShape| 4 * (s.window as u64).saturating_add(s.matrix as u64);
        shapes.iter().map(bytes).fold(0, u64::saturating_add)
    }

    /// Pages.
    pub fn n_pages(&self) -> usize {
        self.n_pages
    }

    /// Copies a page in all layers.
    pub fn copy_page(&mut self, from: Page, to: Page) {
        for layer in &mut self.layers {
            layer.copy_page(from, to);
        }
    }

    /// Appends a page's bytes, layer by layer.
    pub fn read_page(&self, page: Page, bytes: &mut Vec<u8>) {
        for layer in &self.layers {
            bytes.extend_from_slice(layer.page(page));
        }
    }

    /// Fills a page with what [`Cache::read_page`] gave.
    ///
    /// # Panics
    /// These are not as many bytes as it has.
    pub fn write_page(&mut self, page: Page, bytes: &[u8]) {
        let mut rest = bytes;
        for layer in &mut self.layers {
            let part = layer.page_mut(page);
            let (bytes, others) = rest.split_at(part.len());
            part.copy_from_slice(bytes);
            rest = others;
        }
        assert!(rest.is_empty(), "{} bytes too many for a page", rest.len());
    }

    /// Appends a state's bytes, layer by layer.
    pub fn read_state(&self, slot: Slot, bytes: &mut Vec<u8>) {
        for states in self.states.iter().flat_map(|layer| [&layer.window, &layer.matrix]) {
            for x in states.state(slot) {
                bytes.extend_from_slice(&x.to_le_bytes());
            }
        }
    }

    /// Fills a state with what [`Cache::read_state`] gave.
    ///
    /// # Panics
    /// These are not as many bytes as it has.
    pub fn write_state(&mut self, slot: Slot, bytes: &[u8]) {
        let mut rest = bytes;
        let layers = self.states.iter_mut();
        for states in layers.flat_map(|layer| [&mut layer.window, &mut layer.matrix]) {
            let state = states.state_mut(slot);
            let (bytes, others) = rest.split_at(4 * state.len());
            for (x, bytes) in state.iter_mut().zip(bytes.as_chunks().0) {
                *x = f32::from_le_bytes(*bytes);
            }
            rest = others;
        }
        assert!(rest.is_empty(), "{} bytes too many for a state", rest.len());
    }

    /// Bytes of one page in all layers.
    pub fn page_bytes(shapes: &[KvShape], ty: KvType) -> u64 {
        shapes.iter().map(|&s| ty.page_bytes(s) as u64).sum()
    }

    /// Positions in a page.
    pub const PAGE: usize = PAGE;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_states_are_read_and_written() {
        let shapes = [(1, 16, 16), (2, 32, 16)];
        let shapes = shapes.map(|(heads, k_dim, v_dim)| KvShape { heads, k_dim, v_dim });
        let states = [(3, 5), (0, 7)].map(|(window, matrix)| StateShape { window, matrix });
        let mut cache = Cache::new((&shapes, KvType::F16, 3), (&states, 2));
        let bytes = |n: u64| (0..n).map(|i| (i % 120) as u8).collect::<Vec<u8>>();
        let page = bytes(Cache::page_bytes(&shapes, KvType::F16));
        let state = bytes(Cache::state_bytes(&states));
        assert_eq!(state.len(), 4 * 15);
        cache.write_page(1, &page);
        cache.write_state(1, &state);
        for (number, is_written) in [(0, false), (1, true)] {
            let (mut pages, mut slots) = (vec![7], vec![8]);
            cache.read_page(number, &mut pages);
            cache.read_state(number, &mut slots);
            assert_eq!((pages.len(), slots.len()), (page.len() + 1, state.len() + 1));
            assert_eq!((pages[1..] == page, slots[1..] == state), (is_written, is_written));
        }
    }
}
