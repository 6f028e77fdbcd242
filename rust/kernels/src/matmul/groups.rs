//! Groups of columns, each multiplied with matrices of its own: a mixture's tokens by expert.

use super::{FEW, Matrix, Share, UNIT};
use crate::activations::{Activations, Span};
use crate::isa::level;
use crate::profile::Part;
use crate::raw::RawMut;
use crate::team::Team;

/// In which forms some matrices want their columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forms {
    /// With which spans in int8.
    int8: [bool; 2],
    floats: bool,
    halves: bool,
}

impl Forms {
    /// Those of these matrices.
    pub fn of<'a>(matrices: impl IntoIterator<Item = Matrix<'a>>) -> Forms {
        let mut forms = Forms::default();
        for w in matrices {
            match w.quant.span {
                Some(span) => forms.int8[span as usize] = true,
                None => forms.floats = true,
            }
            forms.halves |= w.quant.pairs && level().has_pairs();
        }
        forms
    }

    fn spans(self) -> impl Iterator<Item = Span> {
        [Span::Of32, Span::Of64].into_iter().filter(move |&span| self.int8[span as usize])
    }
}

/// Columns in groups, some of which may be empty. `starts`, rising, says where each group begins and,
/// at its end, where the last one ends.
#[derive(Default)]
pub struct Groups {
    groups: Vec<Activations>,
}

impl Groups {
    /// Group `g` becomes the columns `picks[starts[g]..starts[g + 1]]` of `x`.
    ///
    /// # Panics
    /// `starts` does not rise or reaches past `picks`, or a pick is no column.
    pub fn gather(
        &mut self,
        team: &Team,
        forms: Forms,
        x: &mut Activations,
        starts: &[usize],
        picks: &[u32],
    ) {
        for span in forms.spans() {
            x.quantize(team, span);
        }
        let _part = team.part(Part::Gather);
        let x = &*x;
        self.for_each(team, starts, &|group, at| {
            let picks = &picks[at];
            if forms.floats {
                let k = x.k();
                let to = group.reset(picks.len(), k).chunks_exact_mut(k);
                to.zip(picks).for_each(|(to, &c)| {
                    to.copy_from_slice(&x.floats()[c as usize * k..][..k]);
                });
            }
            if forms.halves {
                group.round_alone();
            }
            for span in forms.spans() {
                group.copy_quantized(span, x, picks);
            }
        });
    }

    /// Group `g` becomes the rows `starts[g]..starts[g + 1]` of `x`, `[rows][k]`.
    ///
    /// # Panics
    /// `starts` does not rise or reaches past the rows.
    pub fn split(&mut self, team: &Team, forms: Forms, x: &[f32], k: usize, starts: &[usize]) {
        let _part = team.part(Part::Quantize);
        self.for_each(team, starts, &|group, at| {
            let (n, x) = (at.len(), &x[at.start * k..at.end * k]);
            if forms.floats {
                group.reset(n, k).copy_from_slice(x);
            }
            if forms.halves {
                group.round_alone();
            }
            for span in forms.spans() {
                group.quantize_from(span, n, k, x);
            }
        });
    }

    fn for_each(
        &mut self,
        team: &Team,
        starts: &[usize],
        f: &(dyn Fn(&mut Activations, std::ops::Range<usize>) + Sync),
    ) {
        self.groups.resize_with(starts.len() - 1, Activations::default);
        team.for_rows(&mut self.groups, 1, 1, &|first, groups| {
            for (g, group) in (first..).zip(groups) {
                f(group, starts[g]..starts[g + 1]);
            }
        });
    }
}

/// Multiplies matrices with the columns of a group each, all in one region: `out[c][r] = w[r] · x[c]`
/// for each `(group, w, out)`, `out` being `[columns of the group][rows]`.
///
/// # Panics
/// There is no such group; a matrix has another `k` than the columns, or an output another size.
pub fn matmul_groups(team: &Team, x: &Groups, jobs: Vec<(usize, Matrix, &mut [f32])>) {
    let level = level();
    let mut end = 0;
    let jobs: Vec<_> = jobs
        .into_iter()
        .filter(|(g, ..)| x.groups[*g].n > 0)
        .map(|(g, w, out)| {
            let x = &x.groups[g];
            assert_eq!(w.k, x.k, "a matrix with {} inputs and columns of {}", w.k, x.k);
            assert_eq!(out.len(), w.rows * x.n, "outputs of {} rows × {}", w.rows, x.n);
            end += w.rows.div_ceil(UNIT);
            (end, w, x, RawMut::new(out))
        })
        .collect();
    let work = |range: std::ops::Range<usize>| {
        let first = jobs.partition_point(|(end, ..)| *end <= range.start);
        for &(end, w, x, out) in &jobs[first..] {
            let start = end - w.rows.div_ceil(UNIT);
            if range.end <= start {
                break;
            }
            let mine = range.start.max(start) - start..range.end.min(end) - start;
            let rows = mine.start * UNIT..(mine.end * UNIT).min(w.rows);
            (w.quant.columns)(Share { level, w, rows, x, columns: 0..x.n, out });
        }
    };
    let grain = if jobs.iter().all(|(_, _, x, _)| x.n <= FEW) { 4 } else { 1 };
    team.for_each(end, grain, &work);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matmul::matmul;
    use crate::quant::QUANTS;
    use crate::testing::{noise, weights};

    #[test]
    fn a_group_is_computed_as_if_alone() {
        let team = Team::new(3).unwrap();
        let _workers = team.muster();
        let (k, rows) = (256, 72);
        for name in ["Q4_K", "F16"] {
            let quant = QUANTS.iter().find(|q| q.name == name).unwrap();
            for sizes in [vec![1, 0, 2], vec![0, 0], vec![30, 1, 0, 9]] {
                let mut starts = vec![0];
                starts.extend(sizes.iter().scan(0, |sum, n| {
                    *sum += n;
                    Some(*sum)
                }));
                let total = starts[sizes.len()];
                let picks: Vec<u32> = (0..total as u32).map(|i| i * 7 % 11).collect();
                let mut x = Activations::default();
                x.reset(11, k).copy_from_slice(&noise(11 * k, 3));
                let gathered: Vec<f32> = picks
                    .iter()
                    .flat_map(|&c| x.floats()[c as usize * k..][..k].to_vec())
                    .collect();
                let data = weights(quant, sizes.len() * rows, k);
                let bytes = data.len() / sizes.len();
                let matrix =
                    |g: usize| Matrix::new(quant, &data[g * bytes..][..bytes], rows, k).unwrap();
                let forms = Forms::of([matrix(0)]);
                let product = |groups: &Groups| {
                    let mut out = vec![0.0; total * rows];
                    let mut rest = &mut out[..];
                    let mut jobs = Vec::new();
                    for (g, n) in sizes.iter().enumerate() {
                        let (part, others) = rest.split_at_mut(n * rows);
                        jobs.push((g, matrix(g), part));
                        rest = others;
                    }
                    matmul_groups(&team, groups, jobs);
                    out
                };
                let mut groups = Groups::default();
                groups.gather(&team, forms, &mut x, &starts, &picks);
                let by_gather = product(&groups);
                groups.split(&team, forms, &gathered, k, &starts);
                assert_eq!(by_gather, product(&groups));
                for (g, &n) in sizes.iter().enumerate() {
                    let mut alone = Activations::default();
                    let columns = &gathered[starts[g] * k..starts[g + 1] * k];
                    alone.reset(n, k).copy_from_slice(columns);
                    let mut expected = vec![0.0; n * rows];
                    matmul(&team, &mut alone, &mut [(matrix(g), &mut expected)]);
                    assert_eq!(by_gather[starts[g] * rows..starts[g + 1] * rows], expected);
                }
            }
        }
    }
}
