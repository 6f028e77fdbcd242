//! Llama 1 to 3, Mistral, TinyLlama and, with experts, Mixtral.

use farthing_kernels::activation::Activation;
use farthing_kernels::attention::Mask;
use farthing_kernels::kv::KvShape;
use farthing_kernels::rope::Pairs;

use crate::blocks::{AttentionShape, Experts};
use crate::decoder::Decoder;
use crate::description::{
    Dense, Description, Embedding, FfnShape, LayerShape, NormShape, Norms, Output,
};
use crate::error::Result;
use crate::params::Params;
use crate::rope::Rope;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    Decoder::load(weights, describe(params, weights, Pairs::Neighbours)?)
}

/// What Llama and its descendants have in common.
pub fn describe(params: &Params, weights: &Weights, pairs: Pairs) -> Result<Description> {
    let mut about = without_positions(params)?;
    let k_dim = about.layers[0].attention.kv.k_dim;
    about.ropes.push(Rope::new(params, weights, pairs, k_dim)?);
    for layer in &mut about.layers {
        layer.attention.rope = Some(0);
    }
    Ok(about)
}

/// The same where attention is told nothing of positions.
pub fn without_positions(params: &Params) -> Result<Description> {
    let d = params.size("embedding_length")?;
    let n_layers = params.n_layers()?;
    let heads = params.per_layer("attention.head_count", n_layers, None)?;
    let kv_heads = params.per_layer("attention.head_count_kv", n_layers, Some(&heads))?;
    let experts = experts(params)?;
    let widths = match experts {
        Some(_) => params.per_layer("feed_forward_length", n_layers, Some(&vec![1; n_layers])),
        None => params.per_layer("feed_forward_length", n_layers, None),
    }?;
    let norm = if params.has("attention.layer_norm_rms_epsilon") {
        NormShape::rms(params)?
    } else {
        NormShape::layer(params)?
    };
    let head_dim = d / heads[0];
    let k_dim = params.size_or("attention.key_length", head_dim)?;
    let v_dim = params.size_or("attention.value_length", head_dim)?;
    let scale = params.or("attention.scale", (k_dim as f32).powf(-0.5))?;
    let layer = |i: usize| {
        if !heads[i].is_multiple_of(kv_heads[i]) {
            let wanted = format!("a divisor of the {} query heads", heads[i]);
            return Err(params.wrong("attention.head_count_kv", kv_heads[i], wanted));
        }
        let dense = Dense { width: widths[i], activation: Activation::Silu, gated: true };
        Ok(LayerShape {
            norms: Norms::BEFORE,
            parallel: false,
            attention: AttentionShape {
                heads: heads[i],
                kv: KvShape { heads: kv_heads[i], k_dim, v_dim },
                scale,
                mask: Mask::Causal,
                softcap: None,
                alibi: None,
                rope: None,
                norm_after_rope: false,
                clamp: None,
                temperature: None,
            },
            ffn: experts.map_or(FfnShape::Dense(dense), FfnShape::Experts),
        })
    };
    Ok(Description {
        d,
        norm,
        embedding: Embedding::default(),
        ropes: Vec::new(),
        layers: (0..n_layers).map(layer).collect::<Result<_>>()?,
        residual_scale: 1.0,
        output: Output::default(),
    })
}

fn experts(params: &Params) -> Result<Option<Experts>> {
    let n = params.or("expert_count", 0u32)? as usize;
    if n == 0 {
        return Ok(None);
    }
    let used = params.size("expert_used_count")?;
    if used > n {
        return Err(params.wrong("expert_used_count", used, format!("at most {n}")));
    }
    let width = match params.opt::<u32>("expert_feed_forward_length")? {
        Some(_) => params.size("expert_feed_forward_length")?,
        None => params.size("feed_forward_length")?,
    };
    Ok(Some(Experts { n, used, width }))
}
