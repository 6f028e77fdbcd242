//! The gated delta net (Yang et al. 2024, arXiv:2412.06464), as Qwen 3 Next has it.

use farthing_kernels::activation::{Activation, activate_gate};
use farthing_kernels::norm::{Norm, NormKind};
use farthing_kernels::profile::Part;
use farthing_kernels::recurrence::outer::Inputs;
use farthing_kernels::recurrence::{Convolution, Outer, Rows, Sharing, convolve, outer};

use super::recurrent::{Recurrent, Scratch, rows, softplus};
use super::{Batch, Work, sized};
use crate::cache::{StateLayer, StateShape};
use crate::description::NormShape;
use crate::error::Result;
use crate::weights::{Linear, Weights, linear};

/// What keeps the divisor of keys and queries from 0; no file says it.
const UNIT_EPS: f32 = 1e-6;

/// Its sizes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeltaNetShape {
    /// Heads.
    pub heads: usize,
    /// Values of each.
    pub value: usize,
    /// Different keys and queries.
    pub groups: usize,
    /// Which of them a head uses.
    pub sharing: Sharing,
    /// Values in a key.
    pub key: usize,
    /// Positions that the convolution sees.
    pub kernel: usize,
}

/// Its weights.
pub struct DeltaNet {
    shape: DeltaNetShape,
    input: Linear,
    gate: Linear,
    control: Control,
    step_bias: Vec<f32>,
    /// Of each head.
    a: Vec<f32>,
    convolution: Convolution,
    unit: Norm,
    outer: Outer,
    norm: Norm,
    output: Linear,
}

/// What decays and rates are made of.
enum Control {
    /// For each head.
    Apart { steps: Linear, rates: Linear },
    /// For each group its heads' rates and then their steps.
    Together(Linear),
}

impl DeltaNet {
    /// `<prefix>.attn_qkv`, `attn_gate` and `ssm_*` of a model of width `d`.
    pub fn load(
        weights: &Weights,
        prefix: &str,
        d: usize,
        shape: DeltaNetShape,
        norm: NormShape,
    ) -> Result<DeltaNet> {
        let DeltaNetShape { heads, value, groups, sharing, key, kernel } = shape;
        let name = |part: &str| format!("{prefix}.ssm_{part}");
        let inner = heads * value;
        let channels = inner + 2 * groups * key;
        let filter = weights.matrix(&name("conv1d.weight"), channels, kernel)?;
        let control = if weights.has(&name("ba.weight")) {
            Control::Together(weights.linear(&name("ba"), 2 * heads, d)?)
        } else {
            Control::Apart {
                steps: weights.linear(&name("alpha"), heads, d)?,
                rates: weights.linear(&name("beta"), heads, d)?,
            }
        };
        // Queries and keys become unit vectors, queries also divided by the root of their size: of a
        // root mean square of 1, that is what these weights leave.
        let size = key as f32;
        let weight = |i: usize| if i < groups * key { 1.0 / size } else { size.powf(-0.5) };
        let unit = (0..2 * groups * key).map(weight).collect();
        Ok(DeltaNet {
            shape,
            input: weights.linear(&format!("{prefix}.attn_qkv"), channels, d)?,
            gate: weights.linear(&format!("{prefix}.attn_gate"), inner, d)?,
            control,
            step_bias: weights.vector(&name("dt.bias"), heads)?,
            a: weights.vector(&name("a"), heads)?,
            convolution: Convolution::new(kernel, &filter, Vec::new(), true),
            unit: Norm::new(NormKind::Rms, UNIT_EPS / size, key, unit, Vec::new()),
            outer: Outer { heads, groups, sharing, key, value, delta: true },
            norm: weights.norm(&name("norm"), value, norm)?,
            output: weights.linear(&name("out"), d, inner)?,
        })
    }
}

impl Recurrent for DeltaNet {
    fn state(&self) -> StateShape {
        StateShape { window: self.convolution.state_len(), matrix: self.outer.state_len() }
    }

    fn forward(&self, work: Work, s: &mut Scratch, batch: &Batch, states: &mut StateLayer) {
        let Work { team, x, out } = work;
        let DeltaNetShape { heads, value, groups, key, .. } = self.shape;
        let (n, inner, channels) = (x.n(), heads * value, self.convolution.channels());
        let Scratch { input, hidden, gate, steps, keys, decays, rates, y, mixed, .. } = s;
        let (input, gate) = (sized(input, n * channels), sized(gate, n * inner));
        let control = sized(steps, 2 * n * heads);
        {
            let _part = team.part(Part::Qkv);
            let mut jobs = vec![(&self.input, &mut *input), (&self.gate, &mut *gate)];
            match &self.control {
                Control::Together(both) => jobs.push((both, &mut *control)),
                Control::Apart { steps, rates } => {
                    let (first, second) = control.split_at_mut(n * heads);
                    jobs.extend([(steps, first), (rates, second)]);
                }
            }
            linear(team, x, &mut jobs);
        }
        let turns = batch.turns;
        let convolved = hidden.reset(n, channels);
        let window = &mut states.window;
        convolve(team, &self.convolution, window, turns, rows(input, channels), convolved);
        let (decays, rates) = (sized(decays, n * heads), sized(rates, n * heads));
        for i in 0..n * heads {
            let head = i % heads;
            let (step, rate) = self.control.of(control, (n, heads, groups), i);
            decays[i] = (self.a[head] * softplus(step + self.step_bias[head])).exp();
            rates[i] = 1.0 / (1.0 + (-rate).exp());
        }
        let width = 2 * groups * key;
        let keys = sized(keys, n * width);
        let hidden = hidden.floats();
        for (keys, row) in keys.chunks_exact_mut(width).zip(hidden.chunks_exact(channels)) {
            keys.copy_from_slice(&row[..width]);
        }
        self.unit.apply_in_place(team, keys);
        let inputs = Inputs {
            queries: Rows::new(keys, width, 0, groups * key),
            keys: Rows::new(keys, width, groups * key, groups * key),
            values: Rows::new(hidden, channels, width, inner),
            decays: rows(decays, heads),
            rates: rows(rates, heads),
        };
        let y = sized(y, n * inner);
        outer(team, &self.outer, &mut states.matrix, turns, inputs, y);
        let (y, gate) = (batch.keep(y, inner), batch.keep(gate, inner));
        let n = y.len() / inner;
        self.norm.apply_in_place(team, y);
        mixed.reset(n, inner).copy_from_slice(gate);
        activate_gate(team, Activation::Silu, mixed.floats_mut(), y);
        let _part = team.part(Part::Output);
        linear(team, mixed, &mut [(&self.output, sized(out, n * self.output.rows()))]);
    }
}

impl Control {
    /// The step and rate of the `i`th of all rows' heads.
    fn of(&self, x: &[f32], (n, heads, groups): (usize, usize, usize), i: usize) -> (f32, f32) {
        match self {
            Control::Apart { .. } => (x[i], x[n * heads + i]),
            Control::Together(_) => {
                let (row, head, size) = (i / heads, i % heads, heads / groups);
                let at = 2 * (row * heads + head / size * size) + head % size;
                (x[at + size], x[at])
            }
        }
    }
}
