//! The worker's texts to embed.

use std::sync::Arc;

use farthing_models::{Pooling, Rows, Wants};

use super::{EmbedCommand, Worker};
use crate::catch::catch;
use crate::embedding::Text;
use crate::error::Error;
use crate::job::Job;
use crate::request::Request;
use crate::sequence::Sequence;

impl Worker {
    pub(super) fn embed(&mut self, command: EmbedCommand) {
        let of = Arc::new(command.of);
        self.backlog.add(of.clone(), command.texts);
        self.embeddings.push(of);
    }

    /// Takes texts from the backlog, enough for the next pass and no more: who asks for something
    /// else meanwhile is then next.
    pub(super) fn feed(&mut self) {
        let texts = self.jobs.values().filter_map(|job| match job {
            Job::Embed(text) => Some(text.n_tokens()),
            _ => None,
        });
        let mut taken: usize = texts.sum();
        loop {
            // One text may be too long for a pass.
            let room = if taken == 0 { usize::MAX } else { self.whole().saturating_sub(taken) };
            let Some((id, text, tokens)) = self.backlog.next(room) else {
                return;
            };
            taken += tokens.len();
            let rows = text.of().how.rows();
            // Where all tokens but the last are only what comes before it, others may have them.
            let shares = rows == Rows::Last && !self.model.abilities().looks_ahead;
            let sequence = Sequence::new(id, tokens, Wants::Vectors(rows));
            self.scheduler.add(sequence.sharing(shares.then_some(Request::default().namespace)));
            self.jobs.insert(id, Job::Embed(text));
        }
    }

    /// Makes embeddings of texts whose vectors are there.
    pub(super) fn finish(&mut self, pooling: Pooling, mut texts: Vec<Text>) {
        let pooled: Vec<Vec<f32>> = texts.iter_mut().map(Text::take_pooled).collect();
        if pooling == Pooling::None {
            texts.iter().zip(pooled).for_each(|(text, vectors)| text.finish(vectors));
            return;
        }
        let (model, n, mut rows) = (&mut self.model, texts.len(), pooled.concat());
        if let Err(message) = catch("the head", || model.head(pooling, n, &mut rows)) {
            texts.iter().for_each(|text| text.of().fail(Error::Failed(message.clone())));
            return;
        }
        let width = rows.len() / n;
        texts
            .iter()
            .zip(rows.chunks_exact(width))
            .for_each(|(text, row)| text.finish(row.to_vec()));
    }
}
