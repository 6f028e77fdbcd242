//! Adapters of experts, whose tensors are stacks: what is added is computed for each expert's tokens.

use std::ops::Range;

use farthing_kernels::thin::{Thin, add_thin};
use farthing_kernels::{Team, matmul};

use super::{Pass, Target, Use, lock, of};

/// The columns that experts' matrices are multiplied with.
#[derive(Clone, Copy)]
pub struct Columns<'a> {
    /// `[.][k]`: a row for each of the batch's, or for each column if `apart`.
    pub x: &'a [f32],
    /// Whether each column has a row of its own.
    pub apart: bool,
    /// The row of the batch that each column is of, expert by expert.
    pub tokens: &'a [u32],
    /// Where each expert's columns begin, and the end.
    pub starts: &'a [usize],
    /// Rows of the batch.
    pub n: usize,
}

impl Columns<'_> {
    fn of(&self, expert: usize) -> Range<usize> {
        self.starts[expert]..self.starts[expert + 1]
    }

    fn column(&self, column: usize, k: usize) -> &[f32] {
        let row = if self.apart { column } else { self.tokens[column] as usize };
        &self.x[row * k..][..k]
    }
}

/// Adds to products of experts' columns with targets, `[columns of the expert][rows]` each, what the rows' adapters say.
pub fn add_expert_products<'a>(
    team: &Team,
    x: Columns,
    jobs: impl Iterator<Item = (usize, &'a Target, &'a mut [f32])>,
) {
    let mut jobs = jobs.filter(|(_, target, _)| target.is_active()).peekable();
    let Some(shared) = jobs.peek().map(|(_, target, _)| target.lora.0.clone()) else {
        return;
    };
    let Pass { n, uses, columns, low } = &mut *lock(&shared.pass);
    low.resize_with(low.len().max(1), Vec::new);
    let low = &mut low[0];
    for (expert, target, out) in jobs {
        for Use { adapter, rows } in &*uses {
            let Some(pair) = adapter.pairs.get(&target.index) else {
                continue;
            };
            let (rows, at) = (&rows[of(*n, x.n)], x.of(expert));
            let place = |column: usize| {
                let token = x.tokens[column] as usize;
                let row = rows.binary_search_by_key(&token, |&(row, _)| row).ok()?;
                Some((column - at.start, rows[row].1))
            };
            let places: Vec<(usize, f32)> = at.clone().filter_map(place).collect();
            if places.is_empty() {
                continue;
            }
            let a = pair.a.matrix();
            let picked = columns.reset(places.len(), a.k()).chunks_exact_mut(a.k());
            for (to, (place, _)) in picked.zip(&places) {
                to.copy_from_slice(x.column(at.start + place, a.k()));
            }
            low.resize(places.len() * pair.rank, 0.0);
            matmul(team, columns, &mut [(a, &mut low[..])]);
            let (w, outputs) = (pair.b.matrix(), target.rows.clone());
            let thin = Thin { x: low, w, outputs, factor: pair.factor, out: &mut *out };
            add_thin(team, &places, &mut [thin]);
        }
    }
}
