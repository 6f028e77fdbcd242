//! What the engine needs of a model; the tests put a fake one in its place.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use farthing_models::{Abilities, Page, Pooling, Profile, Run, Slot};

/// Why a forward pass gave no logits.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The flag given by [`Forward::interrupt`] was set while it ran.
    #[error("interrupted")]
    Interrupted,
    /// Anything else, in words for the user.
    #[error("{0}")]
    Failed(String),
}

/// A model with its KV cache memory.
pub trait Forward: Send {
    /// Rows of logits are this long.
    fn n_vocab(&self) -> usize;

    /// Positions that a page of the cache holds.
    fn page_len(&self) -> usize;

    /// Pages that the cache has; they are numbered from 0.
    fn n_pages(&self) -> usize;

    /// Slots that the model has for states, numbered from 0; 0 if its layers have none. A run then says
    /// in which slots its state is before and after it.
    fn n_states(&self) -> usize {
        0
    }

    /// Copies all that a page holds to another one.
    fn copy_page(&mut self, from: Page, to: Page);

    /// Bytes of a page.
    fn page_bytes(&self) -> usize;

    /// Appends them to a buffer.
    fn read_page(&self, page: Page, bytes: &mut Vec<u8>);

    /// Fills a page with those read of another one.
    fn write_page(&mut self, page: Page, bytes: &[u8]);

    /// Bytes of a state.
    fn state_bytes(&self) -> usize;

    /// Appends them to a buffer.
    fn read_state(&self, slot: Slot, bytes: &mut Vec<u8>);

    /// Fills a state with those read of another one.
    fn write_state(&mut self, slot: Slot, bytes: &[u8]);

    /// What it can be asked for.
    fn abilities(&self) -> Abilities;

    /// While this is set a pass in progress ends early with `Interrupted`, within some milliseconds.
    fn interrupt(&self) -> Arc<AtomicBool>;

    /// Computes the runs and overwrites `rows` with what they ask for, in the order of the runs: first all
    /// the logits, then all the vectors.
    /// The cache then holds the runs' positions and states; after an error their content is undefined,
    /// all earlier positions and other states being untouched.
    fn forward(&mut self, runs: &[Run], rows: &mut Vec<f32>) -> Result<(), ForwardError>;

    /// Turns the pooled vectors of `n` sequences into what the model's head makes of them, rows of one
    /// length.
    fn head(&mut self, pooling: Pooling, n: usize, vectors: &mut Vec<f32>);

    /// Where the time of passes goes; the engine adds its own parts.
    fn profile(&self) -> Arc<Profile> {
        Arc::new(Profile::new(1))
    }

    /// The time since some moment, by which passes are compared; a fake model has a time of its own.
    fn clock(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed()
    }

    /// Keeps the worker threads spinning between passes while true, for decoding; lets them sleep
    /// when false.
    fn awake(&mut self, awake: bool);
}
