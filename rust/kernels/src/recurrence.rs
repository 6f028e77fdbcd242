//! Layers that remember a sequence in a state of fixed size instead of all its keys and values.

mod convolution;
pub mod outer;
pub mod scan;
pub mod wkv;

pub use convolution::{Convolution, convolve};
pub use outer::{Outer, Sharing, outer};
pub use scan::{Scan, scan};
pub use wkv::{Wkv, wkv};

use std::simd::prelude::*;

use crate::isa::{F, Isa, LANES};
use crate::math::exp;
use crate::raw::RawMut;

/// States of one layer in numbered slots. A pass reads a sequence's state in one slot and writes its
/// new state to another, so that a state once written stays as it is.
pub struct States {
    len: usize,
    n_slots: usize,
    data: Vec<f32>,
}

/// Consecutive positions of one sequence, whose rows stand together in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The first row in the batch.
    pub row: usize,
    /// Rows.
    pub n: usize,
    /// The slot of the state before them; at the beginning of a sequence there is none, and it is zero.
    pub from: Option<u32>,
    /// The slot of the state after them, which no other turn reads or writes.
    pub to: u32,
}

impl States {
    /// Memory for some states of `len` floats. The system gives it when it is first written.
    pub fn new(len: usize, n_slots: usize) -> States {
        States { len, n_slots, data: vec![0.0; len * n_slots] }
    }

    /// A state's floats.
    ///
    /// # Panics
    /// There is no such slot.
    pub fn state(&self, slot: u32) -> &[f32] {
        &self.data[slot as usize * self.len..][..self.len]
    }

    /// The same, to be written.
    ///
    /// # Panics
    /// There is no such slot.
    pub fn state_mut(&mut self, slot: u32) -> &mut [f32] {
        &mut self.data[slot as usize * self.len..][..self.len]
    }

    /// # Panics
    /// Turns whose rows are not in the batch, or whose slots do not exist or are not their own.
    fn check(&self, turns: &[Turn], n_rows: usize, len: usize) {
        assert_eq!(self.len, len, "floats of a state");
        for (i, turn) in turns.iter().enumerate() {
            let slots = turn.from.into_iter().chain([turn.to]);
            assert!(slots.max().is_none_or(|slot| (slot as usize) < self.n_slots), "{turn:?}");
            assert!(turn.row + turn.n <= n_rows, "{turn:?} of {n_rows} rows");
            let taken = |other: &Turn| other.to == turn.to || other.from == Some(turn.to);
            assert!(turn.from != Some(turn.to) && !turns[i + 1..].iter().any(taken), "{turn:?}");
            assert!(!turns[..i].iter().any(taken), "{turn:?}");
        }
    }
}

/// A layer's states while a batch is computed.
#[derive(Clone, Copy)]
struct Slots {
    len: usize,
    data: RawMut<f32>,
}

impl Slots {
    fn new(states: &mut States) -> Slots {
        Slots { len: states.len, data: RawMut::new(&mut states.data) }
    }

    /// A part of a turn's new state.
    ///
    /// # Safety
    /// The turn was checked, the part is inside a state, and no other thread uses it now.
    #[inline(always)]
    unsafe fn to<'a>(self, turn: &Turn, start: usize, len: usize) -> &'a mut [f32] {
        // SAFETY: the slot exists, and the caller's conditions.
        unsafe { self.data.slice(turn.to as usize * self.len + start, len) }
    }

    /// The same part of the old one, if there is an old one.
    ///
    /// # Safety
    /// The turn was checked and the part is inside a state.
    #[inline(always)]
    unsafe fn from<'a>(self, turn: &Turn, start: usize, len: usize) -> Option<&'a [f32]> {
        // SAFETY: the slot exists, and no turn writes to it.
        turn.from.map(|slot| unsafe { &*self.data.slice(slot as usize * self.len + start, len) })
    }
}

/// Rows that stand in wider ones: a row is `len` floats from `at` on, the next `stride` further.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    data: &'a [f32],
    stride: usize,
    at: usize,
    len: usize,
}

impl<'a> Rows<'a> {
    /// The columns `at..at + len` of rows of `stride`.
    ///
    /// # Panics
    /// There are not so many columns.
    pub fn new(data: &'a [f32], stride: usize, at: usize, len: usize) -> Rows<'a> {
        assert!(
            at + len <= stride && data.len().is_multiple_of(stride),
            "{at} + {len} of {stride}"
        );
        Rows { data, stride, at, len }
    }

    /// Rows.
    pub fn n(&self) -> usize {
        self.data.len() / self.stride
    }

    #[inline(always)]
    fn row(&self, i: usize) -> &'a [f32] {
        &self.data[i * self.stride + self.at..][..self.len]
    }
}

/// The lanes from `start` on, 0 behind the end.
#[inline(always)]
fn load(x: &[f32], start: usize) -> F {
    match x.get(start..start + LANES) {
        Some(x) => F::from_slice(x),
        None => F::load_or_default(x.get(start..).unwrap_or_default()),
    }
}

/// Stores the lanes that are inside.
#[inline(always)]
fn store(value: F, x: &mut [f32], start: usize) {
    let end = (start + LANES).min(x.len());
    x[start..end].copy_from_slice(&value.as_array()[..end - start]);
}

/// `ln(1 + e^x)`.
///
/// `max(x, 0) + ln(1 + u)` with `u = e^-|x|`, and `ln(1 + u) = 2 artanh(u / (2 + u))` by its series: the
/// argument is at most 1/3, so that the ninth term is below 2^-27 of the sum.
#[inline(always)]
fn softplus<A: Isa>(isa: A, x: F) -> F {
    let u = exp(isa, -x.abs());
    let s = u / (F::splat(2.0) + u);
    let square = s * s;
    let mut p = F::splat(1.0 / 15.0);
    for c in [1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0, 1.0] {
        p = isa.fma(p, square, F::splat(c));
    }
    isa.fma(s + s, p, x.simd_max(F::splat(0.0)))
}

#[cfg(test)]
mod tests;
