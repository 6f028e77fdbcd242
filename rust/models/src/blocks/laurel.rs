//! A learned residual of low rank beside attention: `x + norm(right(left(x)))` (Laurel, arXiv:2411.07501).

use farthing_kernels::Activations;
use farthing_kernels::norm::Norm;
use farthing_kernels::vector::add;

use super::{Work, sized};
use crate::description::NormShape;
use crate::error::Result;
use crate::weights::{Linear, Weights, linear};

/// Its weights.
pub struct Laurel {
    left: Linear,
    right: Linear,
    norm: Norm,
}

impl Laurel {
    /// `<prefix>.laurel_*` of a model of width `d`, if there is such.
    pub fn load(
        weights: &Weights,
        prefix: &str,
        d: usize,
        norm: NormShape,
    ) -> Result<Option<Laurel>> {
        let name = |part: &str| format!("{prefix}.laurel_{part}");
        if !weights.has(&name("l.weight")) {
            return Ok(None);
        }
        let rank = weights.shape(&name("l.weight"))?.get(1).copied().unwrap_or(1);
        Ok(Some(Laurel {
            left: weights.linear(&name("l"), rank, d)?,
            right: weights.linear(&name("r"), d, rank)?,
            norm: weights.norm(&name("post_norm"), d, norm)?,
        }))
    }

    /// Writes its output.
    pub fn forward(&self, work: Work, low: &mut Activations) {
        let Work { team, x, out } = work;
        let out = sized(out, x.floats().len());
        linear(team, x, &mut [(&self.left, low.reset(x.n(), self.left.rows()))]);
        linear(team, low, &mut [(&self.right, &mut *out)]);
        self.norm.apply_in_place(team, out);
        add(team, out, x.floats());
    }
}
