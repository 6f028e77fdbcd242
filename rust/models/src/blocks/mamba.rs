//! Mamba: a convolution and a selective scan with a gate (Gu and Dao 2023, arXiv:2312.00752).

use farthing_kernels::activation::{Activation, activate_gate};
use farthing_kernels::norm::{Norm, NormKind};
use farthing_kernels::profile::Part;
use farthing_kernels::recurrence::scan::Inputs;
use farthing_kernels::recurrence::{Convolution, Scan, convolve, scan};

use super::recurrent::{Recurrent, Scratch, rows};
use super::{Batch, Work, sized};
use crate::cache::{StateLayer, StateShape};
use crate::description::NormShape;
use crate::error::Result;
use crate::weights::{Linear, Weights, linear};

/// Its sizes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MambaShape {
    /// Channels.
    pub inner: usize,
    /// State values of a channel.
    pub size: usize,
    /// What steps are made of is so wide.
    pub rank: usize,
    /// Positions that the convolution sees.
    pub kernel: usize,
    /// The epsilon of norms without weights of what steps, inputs and outputs are made of, if there
    /// are such norms. Norms with weights are there or not.
    pub unit_norms: Option<f32>,
}

/// Its weights.
pub struct Mamba {
    shape: MambaShape,
    input: Linear,
    gate: Linear,
    convolution: Convolution,
    low: Linear,
    b: Linear,
    c: Linear,
    norms: [Option<Norm>; 3],
    steps: Linear,
    scan: Scan,
    output: Linear,
}

impl Mamba {
    /// `<prefix>.ssm_*` of a model of width `d`.
    pub fn load(
        weights: &Weights,
        prefix: &str,
        d: usize,
        shape: MambaShape,
        norm: NormShape,
    ) -> Result<Mamba> {
        let MambaShape { inner, size, rank, kernel, unit_norms } = shape;
        let name = |part: &str| format!("{prefix}.ssm_{part}");
        let both = weights.linear(&name("in"), 2 * inner, d)?;
        let x = weights.linear(&name("x"), rank + 2 * size, inner)?;
        let filter = weights.matrix(&name("conv1d.weight"), inner, kernel)?;
        let bias = weights.opt_vector(&name("conv1d.bias"), inner)?.unwrap_or_default();
        let a = weights.matrix(&name("a"), inner, size)?;
        let norms = |part: &str, width: usize| match unit_norms {
            Some(eps) => {
                Ok(Some(Norm::new(NormKind::Rms, eps, width, vec![1.0; width], Vec::new())))
            }
            None => weights.head_norm(&name(part), 1, width, norm),
        };
        Ok(Mamba {
            shape,
            input: both.part(0..inner),
            gate: both.part(inner..2 * inner),
            convolution: Convolution::new(kernel, &filter, bias, true),
            low: x.part(0..rank),
            b: x.part(rank..rank + size),
            c: x.part(rank + size..rank + 2 * size),
            norms: [norms("dt_norm", rank)?, norms("b_norm", size)?, norms("c_norm", size)?],
            steps: weights.linear(&name("dt"), inner, rank)?,
            scan: Scan::new(size, &a, weights.vector(&name("d"), inner)?),
            output: weights.linear(&name("out"), d, inner)?,
        })
    }
}

impl Recurrent for Mamba {
    fn state(&self) -> StateShape {
        StateShape { window: self.convolution.state_len(), matrix: self.scan.state_len() }
    }

    fn forward(&self, work: Work, s: &mut Scratch, batch: &Batch, states: &mut StateLayer) {
        let Work { team, x, out } = work;
        let MambaShape { inner, size, rank, .. } = self.shape;
        let n = x.n();
        let Scratch { input, hidden, gate, low, steps, keys, queries, y, mixed, .. } = s;
        let (input, gate) = (sized(input, n * inner), sized(gate, n * inner));
        {
            let _part = team.part(Part::Qkv);
            linear(team, x, &mut [(&self.input, &mut *input), (&self.gate, &mut *gate)]);
        }
        let turns = batch.turns;
        let convolved = hidden.reset(n, inner);
        let window = &mut states.window;
        convolve(team, &self.convolution, window, turns, rows(input, inner), convolved);
        let (b, c, steps) =
            (sized(keys, n * size), sized(queries, n * size), sized(steps, n * inner));
        {
            let _part = team.part(Part::Qkv);
            let jobs: [(&Linear, &mut [f32]); 3] =
                [(&self.low, low.reset(n, rank)), (&self.b, &mut *b), (&self.c, &mut *c)];
            linear(team, hidden, &mut { jobs });
            for (norm, x) in self.norms.iter().zip([low.floats_mut(), &mut *b, &mut *c]) {
                if let Some(norm) = norm {
                    norm.apply_in_place(team, x);
                }
            }
            linear(team, low, &mut [(&self.steps, &mut *steps)]);
        }
        let inputs = Inputs {
            x: rows(hidden.floats(), inner),
            step: rows(steps, inner),
            b: rows(b, size),
            c: rows(c, size),
        };
        let y = sized(y, n * inner);
        scan(team, &self.scan, &mut states.matrix, turns, inputs, y);
        let (y, gate) = (batch.keep(y, inner), batch.keep(gate, inner));
        let n = y.len() / inner;
        mixed.reset(n, inner).copy_from_slice(gate);
        activate_gate(team, Activation::Silu, mixed.floats_mut(), y);
        let _part = team.part(Part::Output);
        linear(team, mixed, &mut [(&self.output, sized(out, n * self.output.rows()))]);
    }
}
