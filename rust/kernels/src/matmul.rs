//! Weight matrices times columns of activations.
//!
//! The rows of a matrix are shared out to the threads in panels; each thread unpacks a panel once and
//! takes all columns through it. Several matrices with the same input go in one region.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr;

use crate::activations::Activations;
use crate::few::{self, Few};
use crate::float::float_tile;
use crate::isa::{Isa, Kernel, LANES, LEVELS, Level, dispatch_at};
use crate::panels::{self, DISTANCE};
use crate::quant::{Block, Float, Quant};
use crate::raw::RawMut;
use crate::team::Team;
use crate::tile::{Format, Panel, Place, multiply};

pub mod groups;

/// Weights unpacked at a time where there are many columns: 32 rows of it stay in the second-level
/// cache.
const CHUNK: usize = 1024;
/// The same for few columns: the chunk stays in the first-level cache and loads overlap with sums.
const SMALL_CHUNK: usize = 256;
/// Up to how many columns are few.
const FEW: usize = 4;
/// Rows in a thread's unit of work.
const UNIT: usize = 32;
/// Columns of it at least, where it is one of floats.
const UNIT_COLUMNS: usize = 48;

/// A weight matrix, `rows` × `k`, in the file's bytes, row after row, or in panels.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    quant: &'static Quant,
    data: &'a [u8],
    rows: usize,
    k: usize,
    in_panels: bool,
}

impl<'a> Matrix<'a> {
    /// A matrix of whole blocks.
    ///
    /// # Errors
    /// A row of `k` weights does not make whole blocks, or `data` has another size; in words, with
    /// the numbers.
    pub fn new(
        quant: &'static Quant,
        data: &'a [u8],
        rows: usize,
        k: usize,
    ) -> Result<Self, String> {
        let row = quant.row_bytes(k).ok_or_else(|| {
            format!("rows of {k} weights do not make {} blocks of {}", quant.name, quant.block_len)
        })?;
        if row.checked_mul(rows) != Some(data.len()) {
            return Err(format!(
                "{rows} rows of {k} weights in {} need {row} bytes each, there are {} in all",
                quant.name,
                data.len()
            ));
        }
        Ok(Matrix { quant, data, rows, k, in_panels: false })
    }

    /// A matrix that [`panels::rearrange`] has written.
    ///
    /// # Errors
    /// As for [`Matrix::new`]; or the type or the number of rows are not fit for panels.
    pub fn in_panels(
        quant: &'static Quant,
        data: &'a [u8],
        rows: usize,
        k: usize,
    ) -> Result<Self, String> {
        if !panels::fits(quant, rows) {
            return Err(format!("{rows} rows of {} do not make panels of {LANES}", quant.name));
        }
        Ok(Matrix { in_panels: true, ..Matrix::new(quant, data, rows, k)? })
    }

    /// The type of its weights.
    pub fn quant(&self) -> &'static Quant {
        self.quant
    }

    /// Its bytes.
    pub(crate) fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Rows, which are outputs.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Weights in a row, which are inputs.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Writes one row as floats.
    ///
    /// # Panics
    /// There is no such row, or `out` has another length than a row.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        let len = self.data.len() / self.rows;
        if self.in_panels {
            let mut bytes = vec![0; len];
            panels::row(self.quant, self.data, row, &mut bytes);
            self.quant.dequantize(&bytes, out);
        } else {
            self.quant.dequantize(&self.data[row * len..][..len], out);
        }
    }
}

/// Multiplies every matrix with all columns of `x`: `out[c][r] = w[r] · x[c]`, each `out` being
/// `[n][rows]`.
///
/// # Panics
/// A matrix has another `k` than `x`, or an output another size than `n * rows`.
pub fn matmul(team: &Team, x: &mut Activations, jobs: &mut [(Matrix, &mut [f32])]) {
    matmul_at(team, None, x, jobs);
}

/// [`matmul`] at an instruction-set level, the one in use if none is given.
pub fn matmul_at(
    team: &Team,
    level: Option<Level>,
    x: &mut Activations,
    jobs: &mut [(Matrix, &mut [f32])],
) {
    let level = level.unwrap_or_else(crate::isa::level);
    assert!(LEVELS.contains(&level), "this CPU has no {}", level.name());
    if x.n == 0 {
        return;
    }
    for span in jobs.iter().filter_map(|(w, _)| w.quant.span) {
        x.quantize(team, span);
    }
    if level.has_pairs() && jobs.iter().any(|(w, _)| w.quant.pairs) {
        x.round(team);
    }
    let x = &*x;
    let jobs: Vec<(Matrix, RawMut<f32>)> = jobs
        .iter_mut()
        .map(|(w, out)| {
            assert_eq!(w.k, x.k, "a matrix with {} inputs and columns of {}", w.k, x.k);
            assert_eq!(out.len(), w.rows * x.n, "outputs of {} rows × {}", w.rows, x.n);
            (*w, RawMut::new(out))
        })
        .collect();
    let row_units = |w: &Matrix| w.rows.div_ceil(UNIT);
    let n_row_units: usize = jobs.iter().map(|(w, _)| row_units(w)).sum();
    // Where rows alone would leave threads without work, float weights' columns are parted too.
    let thin = n_row_units < 4 * team.n_threads();
    let parts = |w: &Matrix| if thin && !w.quant.int8() { (x.n / UNIT_COLUMNS).max(1) } else { 1 };
    let units = jobs.iter().map(|(w, _)| row_units(w) * parts(w)).sum();
    let grain = if x.n <= FEW { 4 } else { 1 };
    team.for_each(units, grain, &|range| {
        let mut start = 0;
        for (w, out) in &jobs {
            let (n, parts) = (row_units(w), parts(w));
            let end = start + n * parts;
            let mine = range.start.clamp(start, end) - start..range.end.clamp(start, end) - start;
            start = end;
            let share = |rows: Range<usize>, part: usize| {
                let rows = rows.start * UNIT..(rows.end * UNIT).min(w.rows);
                let columns = x.n * part / parts..x.n * (part + 1) / parts;
                (w.quant.columns)(Share { level, w: *w, rows, x, columns, out: *out });
            };
            match parts {
                _ if mine.is_empty() => {}
                1 => share(mine, 0),
                _ => mine.for_each(|unit| share(unit % n..unit % n + 1, unit / n)),
            }
        }
    });
}

/// One thread's part: some rows and all columns, or some if weights are floats.
pub struct Share<'a> {
    level: Level,
    w: Matrix<'a>,
    rows: Range<usize>,
    x: &'a Activations,
    columns: Range<usize>,
    out: RawMut<f32>,
}

/// A share whose weights are floats.
pub fn float_columns<T: Float>(share: Share) {
    struct Run<'a, T>(Share<'a>, PhantomData<T>);
    impl<T: Float> Kernel for Run<'_, T> {
        type Output = ();
        const PAIRS: bool = T::PAIRS;
        #[inline(always)]
        fn run<A: Isa>(self, isa: A) {
            let Share { w, rows, x, columns, out, .. } = self.0;
            // SAFETY: rows are inside `w`, which has `k` weights in each, as the columns have; the
            // outputs of these rows and columns are this share's alone.
            unsafe { float_tile::<T, A>(isa, (w.data.as_ptr(), w.rows), rows, (x, columns), out) };
        }
    }
    dispatch_at(share.level, Run::<T>(share, PhantomData));
}

/// A share whose weights are quantized.
pub fn tile_columns<T: Block>(share: Share) {
    SCRATCH.with_borrow_mut(|scratch| {
        if share.w.in_panels {
            tile_rows::<T, true>(share, scratch);
        } else {
            tile_rows::<T, false>(share, scratch);
        }
    });
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        panels: [Panel::new(CHUNK), Panel::new(CHUNK)],
        padded: Vec::new(),
        results: Vec::new(),
    });
}

struct Scratch {
    panels: [Panel; 2],
    /// The last rows of a matrix, padded to 16.
    padded: Vec<u8>,
    /// Results of padded rows, `[n][16]`.
    results: Vec<f32>,
}

fn tile_rows<T: Block, const PANELS: bool>(share: Share, scratch: &mut Scratch) {
    let Share { level, w, rows, x, out, .. } = share;
    let stride = w.data.len() / w.rows;
    let Scratch { panels, padded, results } = scratch;
    let mut row = rows.start;
    while row < rows.end {
        let left = rows.end - row;
        if left < LANES {
            padded.clear();
            padded.extend_from_slice(&w.data[row * stride..][..left * stride]);
            padded.resize(LANES * stride, 0);
            results.resize(x.n * LANES, 0.0);
            let out_stride = (results.as_mut_ptr(), LANES);
            // SAFETY: 16 rows of padding and weights; 16 results for each column.
            unsafe {
                strip::<T, PANELS>(level, padded.as_ptr(), stride, &mut panels[..1], x, out_stride)
            };
            for c in 0..x.n {
                // SAFETY: these rows' results are this share's alone.
                unsafe { out.write_all(c * w.rows + row, &results[c * LANES..][..left]) };
            }
            return;
        }
        let n_panels = (left / LANES).min(2);
        let first = w.data[row * stride..].as_ptr();
        // SAFETY: 16 or 32 rows from `row` are in the matrix, and their results this share's alone.
        unsafe {
            let out = (out.at(row), w.rows);
            strip::<T, PANELS>(level, first, stride, &mut panels[..n_panels], x, out);
        }
        row += n_panels * LANES;
    }
}

/// 16 rows for each of the panels, all columns.
///
/// # Safety
/// The rows are at `first`, `stride` bytes apart, or their panels are; 16 results for each panel can be written for each
/// column at `out.0 + c * out.1`.
unsafe fn strip<T: Block, const PANELS: bool>(
    level: Level,
    first: *const u8,
    stride: usize,
    panels: &mut [Panel],
    x: &Activations,
    out: (*mut f32, usize),
) {
    if x.n == 1 || PANELS && x.n <= if T::GROUP == 32 { 2 * few::MOST } else { few::MOST } {
        let (strips, parts) = (panels.len(), x.n.div_ceil(few::MOST));
        for part in 0..parts {
            let columns = x.n * part / parts..x.n * (part + 1) / parts;
            let results = out.0.wrapping_add(columns.start * out.1);
            let few = Few { first, stride, strips, x, columns, out: results, out_stride: out.1 };
            // SAFETY: the caller's conditions.
            unsafe { few.run::<T, PANELS>(level) };
        }
        return;
    }
    let few = x.n <= FEW;
    let chunk = if few { SMALL_CHUNK } else { CHUNK };
    let n_panels = panels.len();
    let panel_bytes = LANES * stride;
    for k in (0..x.k).step_by(chunk) {
        let len = chunk.min(x.k - k);
        let (done, blocks) = (k / T::LEN, len / T::LEN);
        let done_bytes = done * LANES * size_of::<T>();
        let mut next = [ptr::null(); 2];
        for (g, panel) in panels.iter_mut().enumerate() {
            let strip = first.wrapping_add(g * panel_bytes);
            let first = strip.wrapping_add(if PANELS { done_bytes } else { done * size_of::<T>() });
            // SAFETY: the caller's conditions.
            unsafe { panel.fill::<T, PANELS>(level, first, stride, blocks, first) };
            next[g] = if few && PANELS {
                first.wrapping_add(DISTANCE)
            } else {
                // The rows after these come next in memory, and are fetched evenly meanwhile.
                strip.wrapping_add(n_panels * panel_bytes + done_bytes)
            };
        }
        let place = Place {
            k,
            len,
            out: out.0,
            out_stride: out.1,
            ahead: next,
            ahead_len: blocks * LANES * size_of::<T>(),
        };
        // SAFETY: the caller's conditions; the panels are filled and the columns exist.
        unsafe { multiply(level, Format::of::<T>(), panels, x, place) };
    }
}

#[cfg(test)]
mod tests;
