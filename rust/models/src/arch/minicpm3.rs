//! MiniCPM 3: latent attention; its multipliers of embeddings, residuals and logits are not in the file.

use farthing_kernels::kv::KvShape;
use farthing_kernels::rope::Pairs;

use super::{deepseek2, llama};
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Halves)?;
    about.embedding.scale = 12.0;
    about.residual_scale = 1.4 / (about.layers.len() as f32).sqrt();
    about.output.scale = 256.0 / about.d as f32;
    let latent = deepseek2::latent(params, about.layers[0].attention.kv)?;
    let k_dim = latent.plain + latent.rotated;
    for layer in &mut about.layers {
        let attention = &mut layer.attention;
        attention.latent = Some(latent);
        attention.kv = KvShape { heads: attention.heads, k_dim, v_dim: latent.v_dim };
    }
    Decoder::load(weights, about)
}
