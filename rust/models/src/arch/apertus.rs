//! Apertus: xIELU without a gate, whose parameters are learned for each layer.

use farthing_kernels::activation::Activation;
use farthing_kernels::rope::Pairs;

use super::llama;
use crate::decoder::Decoder;
use crate::description::{Dense, FfnShape};
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Halves)?;
    let n = about.layers.len();
    let of = |name: &str| params.global_floats(&format!("xielu.{name}"), n);
    let (p, n, b, eps) = (of("alpha_p")?, of("alpha_n")?, of("beta")?, of("eps")?);
    let softplus = |x: f32| x.exp().ln_1p();
    for (i, layer) in about.layers.iter_mut().enumerate() {
        if let FfnShape::Dense(Dense { activation, gated, .. }) = &mut layer.ffn {
            let (p, n) = (softplus(p[i]), b[i] + softplus(n[i]));
            *activation = Activation::Xielu { p, n, b: b[i], eps: eps[i] };
            *gated = false;
        }
    }
    Decoder::load(weights, about)
}
