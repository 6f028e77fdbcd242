//! Mamba 2: heads whose states are matrices with one decay (Dao and Gu 2024, arXiv:2405.21060).

use farthing_kernels::activation::{Activation, activate_gate};
use farthing_kernels::norm::Norm;
use farthing_kernels::profile::Part;
use farthing_kernels::recurrence::outer::Inputs;
use farthing_kernels::recurrence::{Convolution, Outer, Rows, Sharing, convolve, outer};

use super::recurrent::{Recurrent, Scratch, rows, softplus};
use super::{Batch, Work, sized};
use crate::cache::{StateLayer, StateShape};
use crate::description::NormShape;
use crate::error::Result;
use crate::weights::{Linear, Weights, linear};

/// Its sizes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mamba2Shape {
    /// Heads.
    pub heads: usize,
    /// Values of each.
    pub value: usize,
    /// Different keys and queries.
    pub groups: usize,
    /// Values in a key.
    pub key: usize,
    /// Positions that the convolution sees.
    pub kernel: usize,
}

/// Its weights.
pub struct Mamba2 {
    shape: Mamba2Shape,
    gate: Linear,
    input: Linear,
    steps: Linear,
    step_bias: Vec<f32>,
    convolution: Convolution,
    outer: Outer,
    /// Of each head.
    a: Vec<f32>,
    /// Of each head.
    skip: Vec<f32>,
    norm: Option<Norm>,
    output: Linear,
}

impl Mamba2 {
    /// `<prefix>.ssm_*` of a model of width `d`. A norm of the gated output's groups is there or not.
    pub fn load(
        weights: &Weights,
        prefix: &str,
        d: usize,
        shape: Mamba2Shape,
        norm: NormShape,
    ) -> Result<Mamba2> {
        let Mamba2Shape { heads, value, groups, key, kernel } = shape;
        let name = |part: &str| format!("{prefix}.ssm_{part}");
        let inner = heads * value;
        let channels = inner + 2 * groups * key;
        let all = weights.linear(&name("in"), inner + channels + heads, d)?;
        let filter = weights.matrix(&name("conv1d.weight"), channels, kernel)?;
        let bias = weights.opt_vector(&name("conv1d.bias"), channels)?.unwrap_or_default();
        Ok(Mamba2 {
            shape,
            gate: all.part(0..inner),
            input: all.part(inner..inner + channels),
            steps: all.part(inner + channels..inner + channels + heads),
            step_bias: weights.vector(&name("dt.bias"), heads)?,
            convolution: Convolution::new(kernel, &filter, bias, true),
            outer: Outer { heads, groups, sharing: Sharing::Grouped, key, value, delta: false },
            a: weights.matrix(&name("a"), heads, 1)?,
            skip: weights.matrix(&name("d"), heads, 1)?,
            norm: weights.head_norm(&name("norm"), groups, inner / groups, norm)?,
            output: weights.linear(&name("out"), d, inner)?,
        })
    }
}

impl Recurrent for Mamba2 {
    fn state(&self) -> StateShape {
        StateShape { window: self.convolution.state_len(), matrix: self.outer.state_len() }
    }

    fn forward(&self, work: Work, s: &mut Scratch, batch: &Batch, states: &mut StateLayer) {
        let Work { team, x, out } = work;
        let Mamba2Shape { heads, value, groups, key, .. } = self.shape;
        let (n, inner, channels) = (x.n(), heads * value, self.convolution.channels());
        let Scratch { input, hidden, gate, steps, decays, rates, y, mixed, .. } = s;
        let (input, gate) = (sized(input, n * channels), sized(gate, n * inner));
        let steps = sized(steps, n * heads);
        {
            let _part = team.part(Part::Qkv);
            let jobs: [(&Linear, &mut [f32]); 3] =
                [(&self.gate, &mut *gate), (&self.input, &mut *input), (&self.steps, &mut *steps)];
            linear(team, x, &mut { jobs });
        }
        let turns = batch.turns;
        let convolved = hidden.reset(n, channels);
        let window = &mut states.window;
        convolve(team, &self.convolution, window, turns, rows(input, channels), convolved);
        let (decays, rates) = (sized(decays, n * heads), sized(rates, n * heads));
        for i in 0..n * heads {
            let head = i % heads;
            rates[i] = softplus(steps[i] + self.step_bias[head]);
            decays[i] = (rates[i] * self.a[head]).exp();
        }
        let part = |at: usize, len: usize| Rows::new(hidden.floats(), channels, at, len);
        let inputs = Inputs {
            values: part(0, inner),
            keys: part(inner, groups * key),
            queries: part(inner + groups * key, groups * key),
            decays: rows(decays, heads),
            rates: rows(rates, heads),
        };
        let y = sized(y, n * inner);
        outer(team, &self.outer, &mut states.matrix, turns, inputs, y);
        let values = hidden.floats().chunks_exact(channels).map(|row| &row[..inner]);
        for (y, values) in y.chunks_exact_mut(inner).zip(values) {
            let heads = y.chunks_exact_mut(value).zip(values.chunks_exact(value));
            for ((y, values), skip) in heads.zip(&self.skip) {
                y.iter_mut().zip(values).for_each(|(y, value)| *y += skip * value);
            }
        }
        let (y, gate) = (batch.keep(y, inner), batch.keep(gate, inner));
        let n = y.len() / inner;
        mixed.reset(n, inner).copy_from_slice(gate);
        activate_gate(team, Activation::Silu, mixed.floats_mut(), y);
        if let Some(norm) = &self.norm {
            norm.apply_in_place(team, mixed.floats_mut());
        }
        let _part = team.part(Part::Output);
        linear(team, mixed, &mut [(&self.output, sized(out, n * self.output.rows()))]);
    }
}
