//! LFM2's short convolution between two gates: `out(c * convolution(b * x))` (arXiv:2511.23404).

use farthing_kernels::profile::Part;
use farthing_kernels::recurrence::{Convolution, convolve};
use farthing_kernels::vector::mul;

use super::recurrent::{Recurrent, Scratch, rows};
use super::{Batch, Work, sized};
use crate::cache::{StateLayer, StateShape};
use crate::error::Result;
use crate::weights::{Linear, Weights, linear};

/// Its weights.
pub struct ShortConv {
    before: Linear,
    after: Linear,
    input: Linear,
    convolution: Convolution,
    output: Linear,
}

impl ShortConv {
    /// `<prefix>.shortconv.*` of a model of width `d`; the convolution sees `width` positions.
    pub fn load(weights: &Weights, prefix: &str, d: usize, width: usize) -> Result<ShortConv> {
        let name = |part: &str| format!("{prefix}.shortconv.{part}");
        let all = weights.linear(&name("in_proj"), 3 * d, d)?;
        let filter = weights.matrix(&name("conv.weight"), d, width)?;
        let bias = weights.opt_vector(&name("conv.bias"), d)?.unwrap_or_default();
        Ok(ShortConv {
            before: all.part(0..d),
            after: all.part(d..2 * d),
            input: all.part(2 * d..3 * d),
            convolution: Convolution::new(width, &filter, bias, false),
            output: weights.linear(&name("out_proj"), d, d)?,
        })
    }
}

impl Recurrent for ShortConv {
    fn state(&self) -> StateShape {
        StateShape { window: self.convolution.state_len(), matrix: 0 }
    }

    fn forward(&self, work: Work, s: &mut Scratch, batch: &Batch, states: &mut StateLayer) {
        let Work { team, x, out } = work;
        let (n, d) = (x.n(), x.k());
        let Scratch { input, gate, steps, y, mixed, .. } = s;
        let (input, before) = (sized(input, n * d), sized(steps, n * d));
        let (after, y) = (sized(gate, n * d), sized(y, n * d));
        {
            let _part = team.part(Part::Qkv);
            let jobs: [(&Linear, &mut [f32]); 3] = [
                (&self.before, &mut *before),
                (&self.after, &mut *after),
                (&self.input, &mut *input),
            ];
            linear(team, x, &mut { jobs });
        }
        mul(team, input, before);
        convolve(team, &self.convolution, &mut states.window, batch.turns, rows(input, d), y);
        let (y, after) = (batch.keep(y, d), batch.keep(after, d));
        let n = y.len() / d;
        mixed.reset(n, d).copy_from_slice(y);
        mul(team, mixed.floats_mut(), after);
        let _part = team.part(Part::Output);
        linear(team, mixed, &mut [(&self.output, sized(out, n * d))]);
    }
}
