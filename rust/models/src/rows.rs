//! The runs of a pass as rows of one batch.

use farthing_kernels::kv::Span;
use farthing_kernels::recurrence::Turn;

use crate::batch::{Run, Wants};

/// The runs one after the other.
pub fn spans(runs: &[Run]) -> Vec<Span<'_>> {
    let mut next = 0;
    let span = |run: &'_ Run| {
        let (row, n) = (next, run.tokens.len());
        next += n;
        (row, n)
    };
    let places: Vec<_> = runs.iter().map(span).collect();
    let spans = runs.iter().zip(places);
    spans.map(|(run, (row, n))| Span { row, n, start: run.start, pages: &run.pages }).collect()
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

/// The rows whose logits are wanted, gathered.
pub struct Wanted<'a> {
    /// Their numbers in the batch.
    pub rows: Vec<usize>,
    /// Their spans, rows counted among the wanted ones.
    pub spans: Vec<Span<'a>>,
}

impl Wanted<'_> {
    /// What the runs ask for.
    pub fn new(runs: &[Run]) -> Wanted<'_> {
        let mut wanted = Wanted { rows: Vec::new(), spans: Vec::new() };
        let mut first = 0;
        for run in runs {
            let n = run.tokens.len();
            let skipped = match run.wants {
                Wants::Nothing => n,
                Wants::Last => n - 1,
                Wants::All => 0,
            };
            if skipped < n {
                let row = wanted.rows.len();
                let start = run.start + skipped;
                wanted.spans.push(Span { row, n: n - skipped, start, pages: &run.pages });
                wanted.rows.extend(first + skipped..first + n);
            }
            first += n;
        }
        wanted
    }
}
