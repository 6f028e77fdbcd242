//! Logits of every position of a text, collected.

use crate::answer::Promise;
use crate::error::Error;
use crate::gate::Flag;

/// Collects the rows.
pub(crate) struct Collector {
    promise: Promise<Vec<f32>>,
    logits: Vec<f32>,
}

impl Collector {
    /// With memory for all of them.
    pub fn new(promise: Promise<Vec<f32>>, logits: Vec<f32>) -> Collector {
        Collector { promise, logits }
    }

    /// Takes the rows from float `at` on. A preempted evaluation comes with rows that are here
    /// already: they are the same again.
    pub fn put(&mut self, at: usize, rows: &[f32]) {
        self.logits.truncate(at);
        self.logits.extend_from_slice(rows);
    }

    /// Ends with the logits.
    pub fn finish(&mut self) {
        let logits = std::mem::take(&mut self.logits);
        self.promise.put(Ok(logits));
    }

    /// Ends without logits.
    pub fn fail(&mut self, error: Error) {
        self.promise.put(Err(error));
    }

    /// Lets the caller have the result, if there is one; true if its reader wants to be told of it.
    pub fn deliver(&mut self) -> bool {
        self.promise.deliver()
    }

    pub fn flag(&self) -> &Flag {
        self.promise.flag()
    }
}
