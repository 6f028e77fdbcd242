//! RWKV's feed-forward layer, which looks one position back: `value(relu(key(x))^2)`, in version 6 times the sigmoid
//! of a gate (Peng et al. 2024, arXiv:2404.05892).

use farthing_kernels::Activations;
use farthing_kernels::activation::{Activation, activate};
use farthing_kernels::profile::Part;
use farthing_kernels::vector::mul_sigmoid;

use super::token_shift::{TokenShift, mix};
use super::{Batch, Work, sized};
use crate::cache::{StateLayer, StateShape};
use crate::error::Result;
use crate::weights::{Linear, Weights, linear};

/// Its weights.
pub struct ChannelMix {
    shift: TokenShift,
    key_shares: Vec<f32>,
    key: Linear,
    value: Linear,
    gate: Option<(Vec<f32>, Linear)>,
}

/// Memory that layers use in turn.
#[derive(Default)]
pub struct Scratch {
    before: Vec<f32>,
    mixed: Activations,
    hidden: Activations,
    gate: Vec<f32>,
}

impl ChannelMix {
    /// `<prefix>.channel_mix_*` of a model of width `d`. The gate is there or not.
    pub fn load(weights: &Weights, prefix: &str, d: usize, width: usize) -> Result<ChannelMix> {
        let name = |part: &str| format!("{prefix}.channel_mix_{part}");
        let gate = || -> Result<_> {
            let shares = weights.vector(&name("lerp_r.weight"), d)?;
            Ok((shares, weights.linear(&name("receptance"), d, d)?))
        };
        let gated = weights.has(&name("receptance.weight"));
        Ok(ChannelMix {
            shift: TokenShift::new(d),
            key_shares: weights.vector(&name("lerp_k.weight"), d)?,
            key: weights.linear(&name("key"), width, d)?,
            value: weights.linear(&name("value"), d, width)?,
            gate: gated.then(gate).transpose()?,
        })
    }

    /// What it keeps of a sequence.
    pub fn state(&self) -> StateShape {
        StateShape { window: self.shift.state_len(), matrix: 0 }
    }

    /// Writes the output of all rows.
    pub fn forward(&self, work: Work, s: &mut Scratch, batch: &Batch, states: &mut StateLayer) {
        let Work { team, x, out } = work;
        let (n, d, width) = (x.n(), x.k(), self.key.rows());
        let Scratch { before, mixed, hidden, gate } = s;
        let (before, x) = (sized(before, n * d), x.floats());
        self.shift.before(team, &mut states.window, batch.turns, x, before);
        let _part = team.part(Part::Ffn);
        let out = sized(out, n * d);
        mix(team, (x, before), &self.key_shares, d, mixed.reset(n, d));
        linear(team, mixed, &mut [(&self.key, hidden.reset(n, width))]);
        activate(team, Activation::ReluSquared, hidden.floats_mut());
        linear(team, hidden, &mut [(&self.value, &mut *out)]);
        if let Some((shares, matrix)) = &self.gate {
            let gate = sized(gate, n * d);
            mix(team, (x, before), shares, d, mixed.reset(n, d));
            linear(team, mixed, &mut [(matrix, &mut *gate)]);
            mul_sigmoid(team, out, gate);
        }
    }
}
