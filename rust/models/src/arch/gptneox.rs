//! GPT-NeoX, Pythia, RedPajama: parallel blocks or not, as the file says.

use farthing_kernels::activation::Activation;
use farthing_kernels::rope::Pairs;

use super::llama;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Halves)?;
    about.dense(|ffn| (ffn.activation, ffn.gated) = (Activation::Gelu, false));
    let parallel = params.or("use_parallel_residual", true)?;
    for layer in &mut about.layers {
        layer.parallel = parallel;
    }
    Decoder::load(weights, about)
}
