//! A matrix's bytes: the file's, and from their second use on, rearranged.

use std::io;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use farthing_gguf::Bytes;
use farthing_kernels::isa::LANES;
use farthing_kernels::{Matrix, Quant, Team, panels};

/// Bytes of the file that are rearranged before their memory is given back.
const PIECE: usize = 16 << 20;

/// The number of floats in GGUF files.
const F32: u32 = 0;

/// The bytes of one matrix, rearranged if that was asked for.
pub struct Storage {
    quant: &'static Quant,
    rows: usize,
    k: usize,
    file: Bytes,
    repack: bool,
    used: AtomicBool,
    panels: OnceLock<Option<Bytes>>,
}

impl Storage {
    /// `rows` × `k` weights in the file.
    ///
    /// # Errors
    /// They do not make whole blocks or have another size; in words, with the numbers.
    pub fn new(
        quant: &'static Quant,
        file: Bytes,
        rows: usize,
        k: usize,
        repack: bool,
    ) -> Result<Storage, String> {
        Matrix::new(quant, &file, rows, k)?;
        let repack = repack && panels::fits(quant, rows);
        Ok(Storage {
            quant,
            rows,
            k,
            file,
            repack,
            used: AtomicBool::new(false),
            panels: OnceLock::new(),
        })
    }

    /// The matrix as it is now.
    pub fn matrix(&self) -> Matrix<'_> {
        let matrix = match self.panels.get() {
            Some(Some(panels)) => Matrix::in_panels(self.quant, panels, self.rows, self.k),
            _ => Matrix::new(self.quant, &self.file, self.rows, self.k),
        };
        // The constructor has made sure that it fits.
        matrix.unwrap_or_else(|e| unreachable!("{e}"))
    }

    /// Rearranges the weights for their second product, if that is wanted: the first one, of which a
    /// first token may wait, goes without. Where memory is refused they stay as they are.
    pub fn ready(&self, team: &Team) {
        let again = self.used.swap(true, Ordering::Relaxed);
        if self.repack && again && self.panels.get().is_none() {
            let stride = self.file.len() / self.rows;
            let step = (PIECE / stride).next_multiple_of(16) * stride;
            let panels = Bytes::build(self.file.len(), |to| {
                for (start, to) in (0..).step_by(step).zip(to.chunks_mut(step)) {
                    let piece = start..start + to.len();
                    panels::rearrange(team, self.quant, stride, &self.file[piece.clone()], to);
                    self.file.release(piece);
                }
            });
            // An interrupted team leaves work undone.
            if !team.interrupted() {
                let _ = self.panels.set(panels.ok());
            }
        }
    }

    /// Whether activations are quantized to int8 for it.
    pub fn int8(&self) -> bool {
        self.quant.int8()
    }

    /// Outputs.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The same in panels of 16 rows, `[k][16]` each and each a row of what is given back, in memory of its own: floats as
    /// they are, other types as F32, and zeros for rows that are missing in the last panel.
    ///
    /// # Errors
    /// The system refuses the memory.
    pub fn in_thin_panels(&self) -> io::Result<Storage> {
        let floats = || Quant::from_ggml_id(F32).unwrap_or_else(|| unreachable!("no type {F32}"));
        let quant = if self.quant.block_len == 1 { self.quant } else { floats() };
        let (len, stride) = (quant.block_bytes, self.file.len() / self.rows);
        let (rows, k) = (self.rows.div_ceil(LANES), self.k * LANES);
        let file = Bytes::build(rows * k * len, |to| {
            let (mut numbers, mut bytes) = (vec![0.0; self.k], Vec::new());
            for (row, from) in self.file.chunks_exact(stride).enumerate() {
                let mut from = from;
                if quant.ggml_id != self.quant.ggml_id {
                    self.quant.dequantize(from, &mut numbers);
                    bytes.clear();
                    bytes.extend(numbers.iter().flat_map(|x| x.to_le_bytes()));
                    from = &bytes;
                }
                let panel = &mut to[row / LANES * k * len..][..k * len];
                for (panel, from) in panel.chunks_exact_mut(LANES * len).zip(from.chunks_exact(len))
                {
                    panel[row % LANES * len..][..len].copy_from_slice(from);
                }
            }
        })?;
        self.file.release(0..self.file.len());
        Ok(Storage::new(quant, file, rows, k, false).unwrap_or_else(|e| unreachable!("{e}")))
    }

    /// Some of the rows.
    ///
    /// # Panics
    /// There are not so many rows.
    pub fn part(&self, rows: Range<usize>) -> Storage {
        assert!(rows.start < rows.end && rows.end <= self.rows, "{rows:?} of {}", self.rows);
        let stride = self.file.len() / self.rows;
        let file = self.file.slice(rows.start * stride..rows.end * stride);
        file.and_then(|f| Storage::new(self.quant, f, rows.len(), self.k, self.repack).ok())
            .unwrap_or_else(|| unreachable!("{rows:?} of {}", self.rows))
    }
}
