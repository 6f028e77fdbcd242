//! DeepSeek V2 and V3 and what is built like them (GLM-4.7-Flash, Kimi K2, Youtu): latent attention, experts
//! after some dense layers.

use farthing_kernels::kv::KvShape;
use farthing_kernels::rope::Pairs;

use super::llama;
use crate::blocks::LatentShape;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = llama::describe(params, weights, Pairs::Neighbours)?;
    let latent = latent(params, about.layers[0].attention.kv)?;
    let whole = weights.has("blk.0.attn_kv_b.weight");
    let stretched = params.or("rope.scaling.factor", 1f32)?.max(1.0).ln();
    let stretched = 1.0 + params.or("rope.scaling.yarn_log_multiplier", 0f32)? * stretched;
    for layer in &mut about.layers {
        let attention = &mut layer.attention;
        attention.latent = Some(latent);
        attention.scale = stretched.powi(2) / ((latent.plain + latent.rotated) as f32).sqrt();
        attention.kv = if whole {
            let k_dim = latent.plain + latent.rotated;
            KvShape { heads: attention.heads, k_dim, v_dim: latent.v_dim }
        } else {
            let k_dim = latent.kv_rank + latent.rotated;
            KvShape { heads: 1, k_dim, v_dim: latent.kv_rank }
        };
    }
    Decoder::load(weights, about)
}

/// The sizes of latent attention; `kv` is what the file says where keys and values are stored whole.
pub fn latent(params: &Params, kv: KvShape) -> Result<LatentShape> {
    let rotated = params.size("rope.dimension_count")?;
    let k_dim = params.size_or("attention.key_length_mla", kv.k_dim)?;
    if k_dim <= rotated {
        return Err(params.wrong("rope.dimension_count", rotated, format!("less than {k_dim}")));
    }
    let q_rank = match params.has("attention.q_lora_rank") {
        true => Some(params.size("attention.q_lora_rank")?),
        false => None,
    };
    Ok(LatentShape {
        q_rank,
        kv_rank: params.size("attention.kv_lora_rank")?,
        plain: k_dim - rotated,
        rotated,
        v_dim: params.size_or("attention.value_length_mla", kv.v_dim)?,
    })
}
