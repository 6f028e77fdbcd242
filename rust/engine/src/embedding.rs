//! Embeddings of texts: any number of them in one request, of which a pass gets as many as it has room for.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use farthing_models::{Pooling, Run};

use crate::answer::Promise;
use crate::error::Error;
use crate::gate::Flag;

/// Texts that are to become embeddings.
#[derive(Clone, Debug)]
pub struct EmbeddingRequest {
    /// Token ids; each text has at least one, and at most as many as the context has positions.
    pub texts: Vec<Vec<u32>>,
    /// What becomes of the vectors of a text's tokens; `None` stands for what the model's file says.
    pub pooling: Option<Pooling>,
}

/// A request's embeddings, as they come.
pub(crate) struct Embeddings {
    /// The request's number; those from it on are its texts'.
    id: u64,
    /// What is asked for.
    pub pooling: Pooling,
    /// How vectors are pooled, which the classifier says where scores are asked for.
    pub how: Pooling,
    flag: Flag,
    progress: Mutex<Progress>,
}

struct Progress {
    promise: Promise<Vec<Vec<f32>>>,
    rows: Vec<Vec<f32>>,
    left: usize,
}

impl Embeddings {
    pub fn new(
        id: u64,
        (pooling, how): (Pooling, Pooling),
        n_texts: usize,
        promise: Promise<Vec<Vec<f32>>>,
    ) -> Embeddings {
        let flag = promise.flag().clone();
        let rows = vec![Vec::new(); n_texts];
        let progress = Mutex::new(Progress { promise, rows, left: n_texts });
        Embeddings { id, pooling, how, flag, progress }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    pub fn is_cancelled(&self) -> bool {
        self.flag.load(Ordering::SeqCst)
    }

    /// Takes a text's embedding.
    fn put(&self, index: usize, row: Vec<f32>) {
        let mut progress = self.lock();
        progress.rows[index] = row;
        progress.left -= 1;
        if progress.left == 0 {
            let rows = std::mem::take(&mut progress.rows);
            progress.promise.put(Ok(rows));
        }
    }

    /// Ends without embeddings; what remains of the texts is given up.
    pub fn fail(&self, error: Error) {
        self.flag.store(true, Ordering::SeqCst);
        self.lock().promise.put(Err(error));
    }

    /// Whether it has ended, and its caller is still to hear of it.
    pub fn has_ended(&self) -> bool {
        self.lock().promise.is_ready()
    }

    /// Lets the caller have the result; true if its reader wants to be told of it.
    pub fn deliver(&self) -> bool {
        self.lock().promise.deliver()
    }
}

/// One text of a request.
pub(crate) struct Text {
    of: Arc<Embeddings>,
    index: usize,
    n_tokens: usize,
    pooled: Vec<f32>,
}

impl Text {
    pub fn flag(&self) -> &Flag {
        &self.of.flag
    }

    pub fn of(&self) -> &Embeddings {
        &self.of
    }

    pub fn n_tokens(&self) -> usize {
        self.n_tokens
    }

    /// Takes a computed run with its vectors; whether that was all of the text.
    pub fn absorb(&mut self, run: &Run, vectors: &[f32]) -> bool {
        if run.start == 0 {
            // Perhaps for the second time, after a preemption.
            self.pooled.clear();
        }
        if self.of.how == Pooling::Mean {
            let width = vectors.len() / run.tokens.len();
            self.pooled.resize(width, 0.0);
            for vector in vectors.chunks_exact(width) {
                self.pooled.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x);
            }
        } else {
            self.pooled.extend_from_slice(vectors);
        }
        run.start + run.tokens.len() == self.n_tokens
    }

    /// The pooled vector, or all of them.
    pub fn take_pooled(&mut self) -> Vec<f32> {
        let mut pooled = std::mem::take(&mut self.pooled);
        if self.of.how == Pooling::Mean {
            let n = self.n_tokens as f32;
            pooled.iter_mut().for_each(|x| *x /= n);
        }
        pooled
    }

    /// Hands the embedding over.
    pub fn finish(&self, row: Vec<f32>) {
        self.of.put(self.index, row);
    }
}

/// The texts whose turn has not come, by request. Requests take turns, so that a short one does not
/// wait for a long one.
#[derive(Default)]
pub(crate) struct Backlog(VecDeque<Batch>);

struct Batch {
    of: Arc<Embeddings>,
    /// At least one.
    texts: VecDeque<Vec<u32>>,
    /// How many have had their turn.
    n_given: usize,
}

impl Backlog {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many requests have texts here.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds a request with its texts, at least one.
    pub fn add(&mut self, of: Arc<Embeddings>, texts: Vec<Vec<u32>>) {
        self.0.push_back(Batch { of, texts: texts.into(), n_given: 0 });
    }

    /// The next text, if it has no more than `room` tokens: its number and its tokens.
    pub fn next(&mut self, room: usize) -> Option<(u64, Text, Vec<u32>)> {
        self.0.front()?.texts.front().filter(|tokens| tokens.len() <= room)?;
        let mut batch = self.0.pop_front()?;
        let tokens = batch.texts.pop_front()?;
        let (of, index, n_tokens) = (batch.of.clone(), batch.n_given, tokens.len());
        let text = Text { of, index, n_tokens, pooled: Vec::new() };
        batch.n_given += 1;
        let id = batch.of.id + index as u64;
        if !batch.texts.is_empty() {
            self.0.push_back(batch);
        }
        Some((id, text, tokens))
    }

    /// Gives up the texts of requests that have been cancelled.
    pub fn sweep(&mut self) {
        self.0.retain(|batch| !batch.of.is_cancelled());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Answer;
    use crate::answer::answer;
    use crate::gate::Gate;

    type Caller = Answer<Vec<Vec<f32>>>;

    fn add(backlog: &mut Backlog, id: u64, lengths: &[usize]) -> (Caller, Arc<Embeddings>) {
        let (caller, promise) = answer(id, Arc::new(Gate::new(vec![Flag::default()])));
        let pooling = (Pooling::Mean, Pooling::Mean);
        let embeddings = Arc::new(Embeddings::new(id, pooling, lengths.len(), promise));
        backlog.add(embeddings.clone(), lengths.iter().map(|&n| vec![0; n]).collect());
        (caller, embeddings)
    }

    #[test]
    fn requests_take_turns_and_none_is_passed_over() {
        let mut backlog = Backlog::default();
        let requests = [
            add(&mut backlog, 0, &[1, 1, 1]),
            add(&mut backlog, 10, &[5]),
            add(&mut backlog, 20, &[1, 1]),
        ];
        let mut next = |room| backlog.next(room).map(|(id, ..)| id);
        assert_eq!([next(4), next(4), next(4)], [Some(0), None, None]);
        assert_eq!([next(5), next(5), next(5), next(5)], [10, 20, 1, 21].map(Some));
        let (caller, embeddings) = &requests[0];
        caller.cancel();
        backlog.sweep();
        assert!(backlog.is_empty() && embeddings.is_cancelled());
    }

    #[test]
    fn the_first_end_counts_and_comes_with_the_delivery() {
        let mut backlog = Backlog::default();
        let (caller, embeddings) = add(&mut backlog, 3, &[1, 1]);
        let wait = || caller.wait(std::time::Duration::ZERO);
        embeddings.put(1, vec![1.0]);
        assert!(!embeddings.has_ended());
        embeddings.put(0, vec![2.0]);
        embeddings.fail(Error::Cancelled);
        assert!(embeddings.has_ended() && wait().is_none());
        caller.watch();
        assert!(embeddings.deliver() && !embeddings.has_ended());
        assert_eq!(wait(), Some(Ok(vec![vec![2.0], vec![1.0]])));
    }
}
