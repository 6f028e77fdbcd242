//! The runs of a pass as rows of one batch.

use std::ops::Range;

use farthing_kernels::kv::Span;
use farthing_kernels::recurrence::Turn;

use crate::batch::{Run, Wants};

/// The runs one after the other.
pub fn spans(runs: &[Run]) -> Vec<Span<'_>> {
    let mut next = 0;
    let span = |run| {
        let span = part(run, 0..run.tokens.len(), next);
        next += span.n;
        span
    };
    runs.iter().map(span).collect()
}

/// Some of a run's tokens, the first of which has this row.
fn part(run: &Run, tokens: Range<usize>, row: usize) -> Span<'_> {
    let (start, end) = (run.start + tokens.start, run.start + run.tokens.len());
    Span { row, n: tokens.len(), start, end, pages: &run.pages }
}

/// The states of the runs that have one.
pub fn turns(runs: &[Run]) -> Vec<Turn> {
    let mut next = 0;
    let turn = |run: &Run| {
        let (row, n) = (next, run.tokens.len());
        next += n;
        run.state.map(|state| Turn { row, n, from: state.from, to: state.to })
    };
    runs.iter().filter_map(turn).collect()
}

/// The rows of which something is wanted, gathered.
#[derive(Default)]
pub struct Wanted<'a> {
    /// Their numbers in the batch.
    pub rows: Vec<usize>,
    /// Their spans, rows counted among the wanted ones.
    pub spans: Vec<Span<'a>>,
    /// Those whose logits are wanted, counted among the wanted ones.
    pub logits: Vec<usize>,
    /// Those whose vectors are wanted.
    pub vectors: Vec<usize>,
}

impl Wanted<'_> {
    /// What the runs ask for.
    pub fn new(runs: &[Run]) -> Wanted<'_> {
        let mut wanted = Wanted::default();
        let mut first = 0;
        for run in runs {
            let tokens = run.wanted();
            let row = wanted.rows.len();
            let rows = row..row + tokens.len();
            wanted.rows.extend(first + tokens.start..first + tokens.end);
            match run.wants {
                Wants::Vectors(_) => wanted.vectors.extend(rows),
                _ => wanted.logits.extend(rows),
            }
            if !tokens.is_empty() {
                wanted.spans.push(part(run, tokens, row));
            }
            first += run.tokens.len();
        }
        wanted
    }
}
