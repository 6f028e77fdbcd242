//! Blocks that remember a sequence in a state instead of its keys and values.

use farthing_kernels::Activations;
use farthing_kernels::recurrence::Rows;

use super::delta_net::{DeltaNet, DeltaNetShape};
use super::mamba::{Mamba, MambaShape};
use super::mamba2::{Mamba2, Mamba2Shape};
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
}

/// A block's weights.
pub enum Recurrent {
    Mamba(Mamba),
    Mamba2(Mamba2),
    ShortConv(ShortConv),
    DeltaNet(DeltaNet),
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
    /// Decays of heads.
    pub decays: Vec<f32>,
    /// Rates of heads.
    pub rates: Vec<f32>,
    /// What the states give.
    pub y: Vec<f32>,
    /// What the output matrix reads.
    pub mixed: Activations,
}

impl Recurrent {
    /// The weights `<prefix>.*` of a model of width `d`.
    pub fn load(
        weights: &Weights,
        prefix: &str,
        d: usize,
        shape: RecurrentShape,
        norm: NormShape,
    ) -> Result<Recurrent> {
        Ok(match shape {
            RecurrentShape::Mamba(shape) => {
                Recurrent::Mamba(Mamba::load(weights, prefix, d, shape, norm)?)
            }
            RecurrentShape::Mamba2(shape) => {
                Recurrent::Mamba2(Mamba2::load(weights, prefix, d, shape, norm)?)
            }
            RecurrentShape::ShortConv(width) => {
                Recurrent::ShortConv(ShortConv::load(weights, prefix, d, width)?)
            }
            RecurrentShape::DeltaNet(shape) => {
                Recurrent::DeltaNet(DeltaNet::load(weights, prefix, d, shape, norm)?)
            }
        })
    }

    /// What it keeps of a sequence.
    pub fn state(&self) -> StateShape {
        match self {
            Recurrent::Mamba(block) => block.state(),
            Recurrent::Mamba2(block) => block.state(),
            Recurrent::ShortConv(block) => block.state(),
            Recurrent::DeltaNet(block) => block.state(),
        }
    }

    /// Takes all rows through the states and writes the block's output for the wanted ones.
    pub fn forward(
        &self,
        work: Work,
        scratch: &mut Scratch,
        batch: &Batch,
        states: &mut StateLayer,
    ) {
        match self {
            Recurrent::Mamba(block) => block.forward(work, scratch, batch, states),
            Recurrent::Mamba2(block) => block.forward(work, scratch, batch, states),
            Recurrent::ShortConv(block) => block.forward(work, scratch, batch, states),
            Recurrent::DeltaNet(block) => block.forward(work, scratch, batch, states),
        }
    }
}

/// Rows of `width` as they stand.
pub(super) fn rows(x: &[f32], width: usize) -> Rows<'_> {
    Rows::new(x, width, 0, width)
}

/// `ln(1 + e^x)`.
pub(super) fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}
