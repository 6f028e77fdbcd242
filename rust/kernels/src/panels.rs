//! Weights rearranged for reading: the blocks of 16 rows in one stream.
//!
//! In a file a row follows a row, so that 16 rows side by side are 16 streams, and each vector of a
//! tile is put together from 16 places. A panel holds the same bytes in the order of their use: for
//! each block of k the fields of the 16 rows' blocks, a field being 4 bytes, or the one shorter field
//! that many formats have. A field at byte `o` of a block stands at byte `16 o` of the 16 blocks'.
//! Panels compute the very same results.

use crate::isa::LANES;
use crate::quant::Quant;
use crate::team::Team;

/// Bytes between what is read of a panel and what is fetched: three of the largest blocks of 16 rows, as a
/// block's fields are read all at once and then multiplied, while memory goes on.
pub(crate) const DISTANCE: usize = 10240;

/// Whether a matrix of this type and so many rows can be kept in panels.
pub fn fits(quant: &Quant, rows: usize) -> bool {
    quant.narrow.is_some() && rows.is_multiple_of(LANES)
}

/// Writes rows of `stride` bytes, as the file has them, as panels.
///
/// # Panics
/// The type or the number of rows do not fit, rows are not whole blocks, or the lengths differ.
pub fn rearrange(team: &Team, quant: &Quant, stride: usize, rows: &[u8], panels: &mut [u8]) {
    assert_eq!(rows.len(), panels.len());
    assert!(stride.is_multiple_of(quant.block_bytes) && fits(quant, rows.len() / stride));
    team.for_rows(panels, LANES * stride, 1, &|first, panels| {
        let rows = &rows[first * LANES * stride..][..panels.len()];
        for (rows, panel) in rows.chunks(LANES * stride).zip(panels.chunks_mut(LANES * stride)) {
            for (block, to) in panel.chunks_exact_mut(LANES * quant.block_bytes).enumerate() {
                for (at, len) in fields(quant) {
                    let from = rows[block * quant.block_bytes + at..].chunks(stride);
                    let to = &mut to[LANES * at..LANES * (at + len)];
                    match len {
                        4 => copy::<4>(from, to),
                        2 => copy::<2>(from, to),
                        _ => copy::<1>(from, to),
                    }
                }
            }
        }
    });
}

/// Reads one row's bytes back.
///
/// # Panics
/// The type does not fit, there is no such row, or `out` is not as long as a row.
pub fn row(quant: &Quant, panels: &[u8], row: usize, out: &mut [u8]) {
    let panel = &panels[row / LANES * LANES * out.len()..][..LANES * out.len()];
    let blocks = panel.chunks_exact(LANES * quant.block_bytes);
    for (from, to) in blocks.zip(out.chunks_exact_mut(quant.block_bytes)) {
        for (at, len) in fields(quant) {
            to[at..at + len].copy_from_slice(&from[LANES * at + row % LANES * len..][..len]);
        }
    }
}

/// Where the fields of a block are and how long.
fn fields(quant: &Quant) -> impl Iterator<Item = (usize, usize)> {
    let narrow = quant.narrow.clone().unwrap_or(0..0);
    let fours = (0..narrow.start).step_by(4).chain((narrow.end..quant.block_bytes).step_by(4));
    let short = Some((narrow.start, narrow.len())).filter(|(_, len)| *len > 0);
    fours.map(|at| (at, 4)).chain(short)
}

/// The first bytes of each row.
fn copy<'a, const N: usize>(rows: impl Iterator<Item = &'a [u8]>, to: &mut [u8]) {
    for (from, to) in rows.zip(to.chunks_exact_mut(N)) {
        to.copy_from_slice(&from[..N]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matmul::{Matrix, matmul_at};
    use crate::quant::QUANTS;
    use crate::testing::{noise, weights};
    use crate::{Activations, isa};

    #[test]
    fn panels_hold_the_same_rows_and_compute_the_same() {
        let team = Team::new(2).unwrap();
        let _workers = team.muster();
        let (rows, n) = (80, 9);
        let kept: Vec<_> = QUANTS.iter().filter(|q| fits(q, rows)).collect();
        assert!(kept.len() >= 12);
        for quant in kept {
            let k = 3 * quant.block_len.max(32);
            let data = weights(quant, rows, k);
            let stride = data.len() / rows;
            let mut panels = vec![0; data.len()];
            rearrange(&team, quant, stride, &data, &mut panels);
            let mut back = vec![0; stride];
            for (r, bytes) in data.chunks(stride).enumerate() {
                row(quant, &panels, r, &mut back);
                assert_eq!(back, bytes, "{}, row {r}", quant.name);
            }
            for &level in isa::LEVELS.iter() {
                for n in [1, n] {
                    let mut x = Activations::default();
                    x.reset(n, k).copy_from_slice(&noise(n * k, 3));
                    let (mut plain, mut ours) = (vec![0.0; rows * n], vec![1.0; rows * n]);
                    let w = Matrix::new(quant, &data, rows, k).unwrap();
                    matmul_at(&team, Some(level), &mut x, &mut [(w, &mut plain)]);
                    let w = Matrix::in_panels(quant, &panels, rows, k).unwrap();
                    matmul_at(&team, Some(level), &mut x, &mut [(w, &mut ours)]);
                    assert_eq!(plain, ours, "{} at {}", quant.name, level.name());
                }
            }
        }
    }
}
