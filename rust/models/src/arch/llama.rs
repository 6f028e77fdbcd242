//! Llama 1 to 3, Mistral, TinyLlama and, with experts, Mixtral.

use farthing_kernels::activation::Activation;
use farthing_kernels::attention::Mask;
use farthing_kernels::kv::KvShape;
use farthing_kernels::rope::Pairs;

use crate::blocks::{AttentionShape, Choice, Experts, Gating};
use crate::decoder::Decoder;
use crate::description::{
    Dense, Description, Embedding, FfnShape, LayerShape, Mixing, NormShape, Norms, Output,
};
use crate::error::Result;
use crate::head::HeadShape;
use crate::params::Params;
use crate::rope::Rope;
use crate::weights::Weights;

pub fn build(params: &Params, weights: &Weights) -> Result<Decoder> {
    let mut about = describe(params, weights, Pairs::Neighbours)?;
    about.experts(|experts| experts.choice.normalized = true);
    Decoder::load(weights, about)
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

/// The same where attention is told nothing of positions. A layer without heads has no first block, one
/// of width 0 no second.
pub fn without_positions(params: &Params) -> Result<Description> {
    let d = params.size("embedding_length")?;
    let n_layers = params.n_layers()?;
    let heads = params.counts("attention.head_count", n_layers, None)?;
    let kv_heads = params.counts("attention.head_count_kv", n_layers, Some(&heads))?;
    let experts = experts(params)?;
    let n_dense = match experts {
        Some(_) => params.or("leading_dense_block_count", 0u32)? as usize,
        None => n_layers,
    };
    let some_width = experts.map(|experts| vec![experts.width; n_layers]);
    let widths = params.counts("feed_forward_length", n_layers, some_width.as_deref())?;
    let norm = if params.has("attention.layer_norm_rms_epsilon") {
        NormShape::rms(params)?
    } else {
        NormShape::layer(params)?
    };
    let head_dim = d / heads.iter().copied().max().unwrap_or(1).max(1);
    let k_dim = params.size_or("attention.key_length", head_dim)?;
    let v_dim = params.size_or("attention.value_length", head_dim)?;
    let causal = params.or("attention.causal", true)?;
    let scale = params.or("attention.scale", (k_dim as f32).powf(-0.5))?;
    let layer = |i: usize| {
        let mixing = match (heads[i], kv_heads[i]) {
            (0, _) | (_, 0) => Mixing::Nothing,
            _ => Mixing::Attention,
        };
        if mixing == Mixing::Attention && !heads[i].is_multiple_of(kv_heads[i]) {
            let wanted = format!("a divisor of the {} query heads", heads[i]);
            return Err(params.wrong("attention.head_count_kv", kv_heads[i], wanted));
        }
        let dense = Dense::new(widths[i], Activation::Silu, true);
        Ok(LayerShape {
            norms: Norms::BEFORE,
            parallel: false,
            scaled: false,
            halved: false,
            mixing,
            attention: AttentionShape {
                heads: heads[i],
                kv: KvShape { heads: kv_heads[i], k_dim, v_dim },
                scale,
                mask: if causal { Mask::Causal } else { Mask::Full },
                softcap: None,
                alibi: None,
                distances: None,
                rope: None,
                unit_norms: false,
                gated: false,
                norm_after_rope: false,
                clamp: None,
                temperature: None,
                unit_values: false,
                values_are_keys: false,
                kv_from: None,
                latent: None,
            },
            ffn: match experts {
                Some(experts) if i >= n_dense => FfnShape::Experts(experts),
                _ if widths[i] == 0 => FfnShape::Nothing,
                _ => FfnShape::Dense(dense),
            },
        })
    };
    Ok(Description {
        d,
        blocks: "blk",
        norm,
        embedding: Embedding::default(),
        ropes: Vec::new(),
        layers: (0..n_layers).map(layer).collect::<Result<_>>()?,
        residual_scale: 1.0,
        output: Output::default(),
        head: HeadShape::new(params)?,
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
    let width = if params.has("expert_feed_forward_length") {
        params.size("expert_feed_forward_length")?
    } else {
        params.size("feed_forward_length")?
    };
    let gating = match params.or("expert_gating_func", 1u32)? {
        // 0 is what some writers put for nothing; 3 is a softmax over the chosen.
        0 | 1 | 3 => Gating::Softmax,
        2 => Gating::Sigmoid,
        other => return Err(params.wrong("expert_gating_func", other, "1, 2 or 3")),
    };
    let normalized =
        params.or("expert_weights_norm", false)? || params.or("expert_gating_func", 1u32)? == 3;
    let scale = params.or("expert_weights_scale", 1f32)?;
    let shared = match params.or("expert_shared_feed_forward_length", 0u32)? {
        0 => width * params.or("expert_shared_count", 0u32)? as usize,
        width => width as usize,
    };
    Ok(Some(Experts {
        choice: Choice {
            n,
            used,
            gating,
            normalized,
            scale: if scale == 0.0 { 1.0 } else { scale },
            groups: groups(params, n, used)?,
        },
        width,
        activation: Activation::Silu,
        gated: true,
        shares_before: false,
        shared,
    }))
}

/// How many groups there are and how many are used, if there are any.
fn groups(params: &Params, n: usize, used: usize) -> Result<Option<(usize, usize)>> {
    let groups = params.or("expert_group_count", 1u32)? as usize;
    if groups <= 1 {
        return Ok(None);
    }
    if !n.is_multiple_of(groups) {
        return Err(params.wrong(
            "expert_group_count",
            groups,
            format!("a divisor of {n} experts"),
        ));
    }
    let chosen = params.size("expert_group_used_count")?;
    if chosen > groups || chosen * (n / groups) < used {
        let wanted = format!("at most {groups}, with {used} experts in them");
        return Err(params.wrong("expert_group_used_count", chosen, wanted));
    }
    Ok(Some((groups, chosen)))
}
