//! The feed-forward layer: `down(f(up(x)))`, or gated, `down(f(gate(x)) * up(x))` (Shazeer 2020,
//! arXiv:2002.05202).

use farthing_kernels::activation::{Activation, activate, activate_gate};
use farthing_kernels::profile::Part;
use farthing_kernels::{Activations, Team};

use super::{Work, sized};
use crate::description::Dense;
use crate::error::Result;
use crate::weights::{Linear, Weights, linear};

/// Its weights.
pub struct Ffn {
    gate: Option<Linear>,
    up: Linear,
    down: Linear,
    activation: Activation,
}

/// Memory that layers use in turn.
#[derive(Default)]
pub struct Scratch {
    hidden: Activations,
    up: Vec<f32>,
}

impl Ffn {
    /// `<prefix>.ffn_up` and so on, `d` wide outside. Where a gated layer has no `ffn_gate`, the rows
    /// of `ffn_up` are those of the gate and then its own.
    pub fn load(weights: &Weights, prefix: &str, d: usize, shape: Dense) -> Result<Ffn> {
        Ffn::load_as(weights, prefix, "", d, shape)
    }

    /// The same, the names having a suffix.
    pub fn load_as(
        weights: &Weights,
        prefix: &str,
        suffix: &str,
        d: usize,
        shape: Dense,
    ) -> Result<Ffn> {
        let Dense { width, activation, gated } = shape;
        let name = |part: &str| format!("{prefix}.ffn_{part}{suffix}");
        let (gate, up) = if !gated {
            (None, weights.linear(&name("up"), width, d)?)
        } else if weights.has(&format!("{}.weight", name("gate"))) {
            let gate = weights.linear(&name("gate"), width, d)?;
            (Some(gate), weights.linear(&name("up"), width, d)?)
        } else {
            let both = weights.linear(&name("up"), 2 * width, d)?;
            (Some(both.part(0..width)), both.part(width..2 * width))
        };
        Ok(Ffn { gate, up, down: weights.linear(&name("down"), d, width)?, activation })
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
        let _part = team.part(Part::Ffn);
        let (n, width) = (x.n(), self.up.rows());
        let Scratch { hidden, up } = scratch;
        match &self.gate {
            Some(gate) => {
                let up = sized(up, n * width);
                linear(team, x, &mut [(gate, hidden.reset(n, width)), (&self.up, &mut *up)]);
                activate_gate(team, self.activation, hidden.floats_mut(), up);
            }
            None => {
                linear(team, x, &mut [(&self.up, hidden.reset(n, width))]);
                activate(team, self.activation, hidden.floats_mut());
            }
        }
        linear(team, hidden, &mut [(&self.down, out)]);
    }
}
