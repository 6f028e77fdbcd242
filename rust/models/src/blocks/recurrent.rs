//! Blocks that remember a sequence in a state instead of its keys and values.

use farthing_kernels::recurrence::{Rows, Wkv};
use farthing_kernels::{Activations, Team};

use super::delta_net::{DeltaNet, DeltaNetShape};
use super::mamba::{Mamba, MambaShape};
use super::mamba2::{Mamba2, Mamba2Shape};
use super::rwkv6::Rwkv6;
use super::rwkv7::{Rwkv7, Rwkv7Shape};
use super::short_conv::ShortConv;
use super::{Batch, Work};
use crate::cache::{StateLayer, StateShape};
use crate::description::NormShape;
use crate::error::Result;
use crate::weights::Weights;

/// Which block, and its sizes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RecurrentShape {
    /// A selective scan.
    Mamba(MambaShape),
    /// Heads with a decay each.
    Mamba2(Mamba2Shape),
    /// A convolution of so many positions between two gates.
    ShortConv(usize),
    /// The gated delta rule.
    DeltaNet(DeltaNetShape),
    /// RWKV 6, with its heads.
    Rwkv6(Wkv),
    /// RWKV 7.
    Rwkv7(Rwkv7Shape),
}

/// A block with its weights.
pub trait Recurrent: Send + Sync {
    /// What it keeps of a sequence.
    fn state(&self) -> StateShape;

    /// Takes all rows through the states and writes the block's output for the wanted ones.
    fn forward(&self, work: Work, scratch: &mut Scratch, batch: &Batch, states: &mut StateLayer);
}

/// Memory that layers use in turn.
#[derive(Default)]
pub struct Scratch {
    /// What is convolved.
    pub input: Vec<f32>,
    /// The convolution's result.
    pub hidden: Activations,
    /// The gate of the output.
    pub gate: Vec<f32>,
    /// What the steps are made of.
    pub low: Activations,
    /// Steps, or what decays and rates are made of.
    pub steps: Vec<f32>,
    /// Keys, queries, or what has that place.
    pub keys: Vec<f32>,
    /// The same for the other.
    pub queries: Vec<f32>,
    /// Values.
    pub values: Vec<f32>,
    /// The first layer's values, for all others.
    pub first_values: Vec<f32>,
    /// Decays of heads.
    pub decays: Vec<f32>,
    /// Rates of heads.
    pub rates: Vec<f32>,
    /// What the states give.
    pub y: Vec<f32>,
    /// What the output matrix reads.
    pub mixed: Activations,
}

impl dyn Recurrent {
    /// The block with the weights `<prefix>.*` of a model of width `d`.
    pub fn load(
        weights: &Weights,
        prefix: &str,
        d: usize,
        shape: RecurrentShape,
        norm: NormShape,
    ) -> Result<Box<dyn Recurrent>> {
        Ok(match shape {
            RecurrentShape::Mamba(shape) => Box::new(Mamba::load(weights, prefix, d, shape, norm)?),
            RecurrentShape::Mamba2(shape) => {
                Box::new(Mamba2::load(weights, prefix, d, shape, norm)?)
            }
            RecurrentShape::ShortConv(width) => {
                Box::new(ShortConv::load(weights, prefix, d, width)?)
            }
            RecurrentShape::DeltaNet(shape) => {
                Box::new(DeltaNet::load(weights, prefix, d, shape, norm)?)
            }
            RecurrentShape::Rwkv6(heads) => Box::new(Rwkv6::load(weights, prefix, d, heads)?),
            RecurrentShape::Rwkv7(shape) => Box::new(Rwkv7::load(weights, prefix, d, shape)?),
        })
    }
}

/// Rows of `width` as they stand.
pub(super) fn rows(x: &[f32], width: usize) -> Rows<'_> {
    Rows::new(x, width, 0, width)
}

/// Adds to what RWKV's states give of each position the position's own value, as often as its key, by `factors` for all
/// heads, fits its query: `y += value * sum of query * key * factor`.
pub(super) fn add_bonus(
    team: &Team,
    Wkv { heads, size }: Wkv,
    (queries, keys, values): (&[f32], &[f32], &[f32]),
    factors: &[f32],
    y: &mut [f32],
) {
    team.for_rows(y, size, (1 << 14) / size + 1, &|first, rows| {
        for (i, y) in (first..).zip(rows.chunks_exact_mut(size)) {
            let head = |x| part(x, i, size);
            let factors = part(factors, i % heads, size);
            let fits = head(queries).iter().zip(head(keys)).zip(factors);
            let bonus: f32 = fits.map(|((query, key), factor)| query * key * factor).sum();
            y.iter_mut().zip(head(values)).for_each(|(y, value)| *y += bonus * value);
        }
    });
}

/// Row `i` of those of `size`.
fn part(x: &[f32], i: usize, size: usize) -> &[f32] {
    &x[i * size..][..size]
}

/// `ln(1 + e^x)`.
pub(super) fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}
