//! Llama 1 to 3, Mistral, TinyLlama and, with experts, Mixtral.

use farthing_kernels::kv::KvShape;
use farthing_kernels::rope::Pairs;

use crate::blocks::{AttentionShape, Experts};
use crate::decoder::{Decoder, Description};
use crate::error::Result;
use crate::params::Params;
use crate::rope::Rope;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    Decoder::load(weights, describe(params, weights, Pairs::Neighbours)?)
}

/// What Llama and its descendants have in common.
pub fn describe(params: &Params, weights: &Weights, pairs: Pairs) -> Result<Description> {
    let d = params.size("embedding_length")?;
    let heads = params.size("attention.head_count")?;
    let kv_heads = params.size_or("attention.head_count_kv", heads)?;
    if !heads.is_multiple_of(kv_heads) {
        let wanted = format!("a divisor of the {heads} query heads");
        return Err(params.wrong("attention.head_count_kv", kv_heads, wanted));
    }
    let k_dim = params.size_or("attention.key_length", d / heads)?;
    let v_dim = params.size_or("attention.value_length", d / heads)?;
    let ffn = params.size("feed_forward_length")?;
    let experts = match params.or("expert_count", 0u32)? as usize {
        0 => None,
        n => {
            let used = params.size("expert_used_count")?;
            if used > n {
                return Err(params.wrong("expert_used_count", used, format!("at most {n}")));
            }
            let width = params.size_or("expert_feed_forward_length", ffn)?;
            Some(Experts { n, used, width })
        }
    };
    Ok(Description {
        layers: params.size("block_count")?,
        d,
        eps: params.get("attention.layer_norm_rms_epsilon")?,
        attention: AttentionShape {
            heads,
            kv: KvShape { heads: kv_heads, k_dim, v_dim },
            scale: params.or("attention.scale", (k_dim as f32).powf(-0.5))?,
            window: None,
        },
        rope: Rope::new(params, weights, pairs, k_dim)?,
        ffn,
        experts,
    })
}
