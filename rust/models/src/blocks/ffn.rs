//! The gated feed-forward layer: `down(silu(gate(x)) * up(x))` (Shazeer 2020, arXiv:2002.05202).

use farthing_kernels::vector::silu_mul;
use farthing_kernels::{Activations, Team};

use super::{Work, sized};
use crate::error::Result;
use crate::weights::{Linear, Weights, linear};

/// Its weights.
pub struct Ffn {
    pub(super) gate: Linear,
    pub(super) up: Linear,
    pub(super) down: Linear,
}

/// Memory that layers use in turn.
#[derive(Default)]
pub struct Scratch {
    gated: Activations,
    up: Vec<f32>,
}

impl Ffn {
    /// `<prefix>.ffn_gate` and so on, `d` wide outside and `width` inside.
    pub fn load(weights: &Weights, prefix: &str, d: usize, width: usize) -> Result<Ffn> {
        Ok(Ffn {
            gate: weights.linear(&format!("{prefix}.ffn_gate"), width, d)?,
            up: weights.linear(&format!("{prefix}.ffn_up"), width, d)?,
            down: weights.linear(&format!("{prefix}.ffn_down"), d, width)?,
        })
    }

    /// Writes the layer's output.
    pub fn forward(&self, work: Work, scratch: &mut Scratch) {
        let out = sized(work.out, work.x.n() * self.down.rows());
        self.apply(work.team, work.x, out, scratch);
    }

    pub(super) fn apply(
        &self,
        team: &Team,
        x: &mut Activations,
        out: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let n = x.n();
        let width = self.gate.rows();
        let Scratch { gated, up } = scratch;
        let up = sized(up, n * width);
        linear(team, x, &mut [(&self.gate, gated.reset(n, width)), (&self.up, &mut *up)]);
        silu_mul(team, gated.floats_mut(), up);
        linear(team, gated, &mut [(&self.down, out)]);
    }
}
