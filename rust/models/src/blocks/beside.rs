//! A feed-forward layer and a mixture side by side, each between norms of its own (Gemma 4).

use farthing_kernels::Activations;
use farthing_kernels::norm::Norm;
use farthing_kernels::vector::add;

use super::{Experts, Ffn, Moe, Work};
use crate::description::{Dense, NormShape};
use crate::error::Result;
use crate::weights::Weights;

/// The weights of both.
pub struct Beside {
    dense: Ffn,
    after_dense: Norm,
    /// Of what the router reads, with its scale.
    router_norm: Norm,
    experts_norm: Norm,
    experts: Moe,
    after_experts: Norm,
}

/// Memory that layers use in turn.
#[derive(Default)]
pub struct Scratch {
    x: Activations,
    router: Activations,
    out: Vec<f32>,
}

impl Beside {
    /// The dense layer's tensors and the mixture's, and the norms `post_ffw_norm_1`, `pre_ffw_norm_2`
    /// and `post_ffw_norm_2`.
    pub fn load(
        weights: &Weights,
        prefix: &str,
        d: usize,
        (dense, experts): (Dense, Experts),
        norm: NormShape,
    ) -> Result<Beside> {
        let of = |name: &str| weights.norm(&format!("{prefix}.{name}"), d, norm);
        let mut scale = weights.vector(&format!("{prefix}.ffn_gate_inp.scale"), d)?;
        scale.iter_mut().for_each(|x| *x *= (d as f32).powf(-0.5));
        Ok(Beside {
            dense: Ffn::load(weights, prefix, d, dense)?,
            after_dense: of("post_ffw_norm_1")?,
            router_norm: Norm::new(norm.kind, norm.eps, d, scale, Vec::new()),
            experts_norm: of("pre_ffw_norm_2")?,
            experts: Moe::load(weights, prefix, d, experts)?,
            after_experts: of("post_ffw_norm_2")?,
        })
    }

    /// Writes the sum; the dense layer reads `work`'s input, router and experts the stream.
    pub fn forward(&self, work: Work, scratch: &mut super::Scratch, stream: &[f32]) {
        let Work { team, x, out } = work;
        let (n, d) = (x.n(), x.k());
        self.dense.forward(Work { team, x, out }, &mut scratch.ffn);
        let out = &mut out[..n * d];
        self.after_dense.apply_in_place(team, out);
        let super::beside::Scratch { x, router, out: other } = &mut scratch.beside;
        self.experts_norm.apply(team, stream, x.reset(n, d));
        self.router_norm.apply(team, stream, router.reset(n, d));
        self.experts.forward(Work { team, x, out: other }, &mut scratch.moe, Some(router));
        let other = &mut other[..n * d];
        self.after_experts.apply_in_place(team, other);
        add(team, out, other);
    }
}
