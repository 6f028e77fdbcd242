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
    cut: Option<f32>,
}

/// Memory that layers use in turn.
#[derive(Default)]
pub struct Scratch {
    hidden: Activations,
    up: Vec<f32>,
}

impl Ffn {
    /// `<prefix>.ffn_up` and so on, `d` wide outside. Where a gated layer has no `ffn_gate`, the rows
    /// of `ffn_up` are those of the gate and then its own, or the other way round.
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
        let Dense { width, activation, gated, cut, gate_last } = shape;
        let name = |part: &str| format!("{prefix}.ffn_{part}{suffix}");
        let (gate, up) = if !gated {
            (None, weights.linear(&name("up"), width, d)?)
        } else if weights.has(&format!("{}.weight", name("gate"))) {
            let gate = weights.linear(&name("gate"), width, d)?;
            (Some(gate), weights.linear(&name("up"), width, d)?)
        } else {
            let both = weights.linear(&name("up"), 2 * width, d)?;
            let (first, second) = (both.part(0..width), both.part(width..2 * width));
            if gate_last { (Some(second), first) } else { (Some(first), second) }
        };
        Ok(Ffn { gate, up, down: weights.linear(&name("down"), d, width)?, activation, cut })
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
                if let Some(deviations) = self.cut {
                    cut(team, hidden.floats_mut(), width, deviations);
                }
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

/// Subtracts from each row its mean and so many standard deviations, estimated from the row as a sample; what is
/// below becomes 0.
fn cut(team: &Team, x: &mut [f32], width: usize, deviations: f32) {
    let _part = team.part(Part::Activation);
    team.for_rows(x, width, (1 << 14) / width + 1, &|_, rows| {
        for row in rows.chunks_exact_mut(width) {
            let mean = row.iter().sum::<f32>() / width as f32;
            let squares: f32 = row.iter().map(|x| (x - mean) * (x - mean)).sum();
            let least = mean + deviations * (squares / (width.max(2) - 1) as f32).sqrt();
            row.iter_mut().for_each(|x| *x = (*x - least).max(0.0));
        }
    });
}
