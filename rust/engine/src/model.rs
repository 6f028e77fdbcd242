//! A loaded model as the engine sees it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use farthing_models::{Abilities, Error, Model, Page, Pooling, Profile, Run, Slot};

use crate::forward::{Forward, ForwardError};

impl Forward for Model {
    fn n_vocab(&self) -> usize {
        self.n_vocab()
    }

    fn page_len(&self) -> usize {
        self.page_len()
    }

    fn n_pages(&self) -> usize {
        self.n_pages()
    }

    fn n_states(&self) -> usize {
        self.n_states()
    }

    fn copy_page(&mut self, from: Page, to: Page) {
        self.cache_mut().copy_page(from, to);
    }

    fn page_bytes(&self) -> usize {
        Model::page_bytes(self) as usize
    }

    fn read_page(&self, page: Page, bytes: &mut Vec<u8>) {
        self.cache().read_page(page, bytes);
    }

    fn write_page(&mut self, page: Page, bytes: &[u8]) {
        self.cache_mut().write_page(page, bytes);
    }

    fn state_bytes(&self) -> usize {
        Model::state_bytes(self) as usize
    }

    fn read_state(&self, slot: Slot, bytes: &mut Vec<u8>) {
        self.cache().read_state(slot, bytes);
    }

    fn write_state(&mut self, slot: Slot, bytes: &[u8]) {
        self.cache_mut().write_state(slot, bytes);
    }

    fn abilities(&self) -> Abilities {
        Model::abilities(self)
    }

    fn interrupt(&self) -> Arc<AtomicBool> {
        self.interrupt()
    }

    fn forward(&mut self, runs: &[Run], rows: &mut Vec<f32>) -> Result<(), ForwardError> {
        self.forward(runs, rows).map_err(|error| match error {
            Error::Interrupted => ForwardError::Interrupted,
            other => ForwardError::Failed(other.to_string()),
        })
    }

    fn head(&mut self, pooling: Pooling, n: usize, vectors: &mut Vec<f32>) {
        Model::head(self, pooling, n, vectors);
    }

    fn profile(&self) -> Arc<Profile> {
        Model::profile(self)
    }

    fn awake(&mut self, awake: bool) {
        Model::awake(self, awake);
    }
}
