//! A loaded model as the engine sees it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use farthing_models::{Abilities, Error, Model, Page, Pooling, Profile, Run};

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
        Model::copy_page(self, from, to);
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
