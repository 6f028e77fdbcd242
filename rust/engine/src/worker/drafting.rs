//! The worker's guesses.

use super::Worker;
use crate::speculation::{Draft, Prices, choose};

impl Worker {
    /// Guesses what comes after sequences that generate.
    pub(super) fn draft(&mut self, budget: usize) {
        let n_rows = self.scheduler.n_remaining().min(budget);
        let guessing = self.jobs.iter_mut().filter_map(|(&id, job)| {
            let sequence = self.scheduler.running(id).filter(|s| s.takes_draft())?;
            Some((job.flag().clone(), job.guess(sequence)?))
        });
        let (flags, mut guessing): (Vec<_>, Vec<_>) = guessing.unzip();
        let mut result = Ok(());
        if let Some(drafter) = self.drafter.as_mut().filter(|_| self.costs.are_known())
            && self.shared.gate.begin(flags)
        {
            let prices = Prices::new(guessing.len(), n_rows, &self.costs);
            result = drafter.draft(&mut guessing, prices);
            self.shared.gate.end();
        }
        let mut drafts: Vec<(u64, Draft)> = guessing.into_iter().map(|g| (g.id, g.draft)).collect();
        if let Err(message) = result {
            self.drafter = None;
            self.shared.notices.add(format!("the draft model is not asked any more: {message}"));
        }
        for (id, draft) in &mut drafts {
            if let Some(job) = self.jobs.get_mut(id) {
                job.permit(draft);
            }
        }
        if drafts.iter().all(|(_, draft)| draft.tokens.is_empty()) {
            return;
        }
        let lengths = choose(&drafts, n_rows, &self.costs);
        for ((id, draft), n) in drafts.iter().zip(lengths) {
            let n = self.scheduler.draft(*id, &draft.tokens[..n]);
            if let Some(job) = self.jobs.get_mut(id) {
                job.drafted(&draft.kinds, n);
            }
        }
    }
}
