//! Rotary frequencies and the ways of stretching them over longer contexts.

use std::f64::consts::PI;

use farthing_kernels::rope::Pairs;

use crate::error::Result;
use crate::params::Params;
use crate::weights::Weights;

/// How queries and keys are turned.
pub struct Rope {
    /// Which values make a pair.
    pub pairs: Pairs,
    /// Angle per position of each pair.
    pub frequencies: Vec<f32>,
    /// Factor of all rotated values.
    pub magnitude: f32,
    /// Up to what context the frequencies are the better ones, where there are others for longer ones.
    pub short_context: Option<usize>,
}

impl Rope {
    /// From `rope.*` and the tensor `rope_freqs.weight`: `rope.dimension_count` values of each head
    /// (all `head_dim` by default) turn by `freq_base^(-2i / dimension_count)`, 10000 being the
    /// default base.
    pub fn new(params: &Params, weights: &Weights, pairs: Pairs, head_dim: usize) -> Result<Rope> {
        let dims = dimensions(params, "rope.dimension_count", head_dim)?;
        let base = f64::from(params.or("rope.freq_base", 10_000f32)?);
        let frequencies = powers(base, dims);
        let (divisors, short_context) = divisors(params, weights, dims / 2)?;
        let divisor = |i: usize| divisors.as_ref().map_or(1.0, |d| f64::from(d[i]));
        let mut frequencies: Vec<f64> =
            frequencies.enumerate().map(|(i, f)| f / divisor(i)).collect();
        let magnitude = scale(params, base, dims, &mut frequencies)?;
        let frequencies = frequencies.into_iter().map(|f| f as f32).collect();
        Ok(Rope { pairs, frequencies, magnitude, short_context })
    }

    /// Those of layers with a window: `rope.freq_base_swa`, or `base`, and nothing stretched.
    pub fn local(params: &Params, pairs: Pairs, head_dim: usize, base: f32) -> Result<Rope> {
        let dims = dimensions(params, "rope.dimension_count_swa", head_dim)?;
        let base = f64::from(params.or("rope.freq_base_swa", base)?);
        let frequencies = powers(base, dims).map(|f| f as f32).collect();
        Ok(Rope { pairs, frequencies, magnitude: 1.0, short_context: None })
    }
}

/// What divides the frequencies, and up to what context, if there are others for longer ones.
fn divisors(
    params: &Params,
    weights: &Weights,
    pairs: usize,
) -> Result<(Option<Vec<f32>>, Option<usize>)> {
    if !weights.has("rope_factors_short.weight") {
        // Llama 3.1's smoothing.
        return Ok((weights.opt_vector("rope_freqs.weight", pairs)?, None));
    }
    // LongRoPE (Ding et al. 2024, arXiv:2402.13753).
    let short = params.size("rope.scaling.original_context_length")?;
    let (name, bound) = match params.n_ctx() {
        Some(n_ctx) if n_ctx > short => ("rope_factors_long.weight", None),
        _ => ("rope_factors_short.weight", Some(short)),
    };
    Ok((Some(weights.vector(name, pairs)?), bound))
}

/// `base^(-2i / dims)` for every pair.
fn powers(base: f64, dims: usize) -> impl Iterator<Item = f64> {
    (0..dims / 2).map(move |i| base.powf(-2.0 * i as f64 / dims as f64))
}

/// How many values of a head turn.
fn dimensions(params: &Params, key: &str, head_dim: usize) -> Result<usize> {
    let dims = params.size_or(key, head_dim)?;
    if dims > head_dim || dims % 2 == 1 {
        let wanted = format!("even and at most the head's {head_dim}");
        return Err(params.wrong(key, dims, wanted));
    }
    Ok(dims)
}

/// Applies `rope.scaling.*`; returns the factor of the rotated values.
fn scale(params: &Params, base: f64, dims: usize, frequencies: &mut [f64]) -> Result<f32> {
    // Files written before `rope.scaling.type` have `rope.scale_linear`.
    let old = params.or("rope.scale_linear", 0f32)?;
    let default = if old == 0.0 { "none" } else { "linear" };
    let ty: &str = params.or("rope.scaling.type", default)?;
    let factor = f64::from(params.or("rope.scaling.factor", old)?);
    let factor = if factor > 0.0 { factor } else { 1.0 };
    let magnitude = params.or("rope.scaling.attn_factor", 1f32)?;
    match ty {
        // The factors of "longrope" are tensors; "dynamic" ones are 1 within the context.
        "none" | "longrope" | "dynamic" | "ntk" => Ok(magnitude),
        "linear" => {
            frequencies.iter_mut().for_each(|f| *f /= factor);
            Ok(magnitude)
        }
        "yarn" => {
            let trained = params.size_or("context_length", 4096)?;
            let context = params.size_or("rope.scaling.original_context_length", trained)? as f64;
            let fast = f64::from(params.or("rope.scaling.yarn_beta_fast", 32f32)?);
            let slow = f64::from(params.or("rope.scaling.yarn_beta_slow", 1f32)?);
            let mix = f64::from(params.or("rope.scaling.yarn_ext_factor", 1f32)?);
            yarn(frequencies, &Yarn { base, dims, factor, context, fast, slow, mix });
            // Where the file has this, the scores are scaled instead, if anything is.
            if params.or("rope.scaling.yarn_log_multiplier", 0f32)? != 0.0 {
                return Ok(magnitude);
            }
            Ok(magnitude * (1.0 + 0.1 * factor.ln()) as f32)
        }
        _ => Err(params.wrong("rope.scaling.type", ty, "none, linear, longrope or yarn")),
    }
}

struct Yarn {
    base: f64,
    dims: usize,
    factor: f64,
    context: f64,
    fast: f64,
    slow: f64,
    mix: f64,
}

/// YaRN (Peng et al. 2023, arXiv:2309.00071, section 3.2): pairs that turn more than `fast` times
/// within the original context keep their frequency, those below `slow` times are interpolated by
/// `factor`, with a ramp in between.
fn yarn(frequencies: &mut [f64], y: &Yarn) {
    let pair =
        |turns: f64| y.dims as f64 * (y.context / (turns * 2.0 * PI)).ln() / (2.0 * y.base.ln());
    let last = (y.dims - 1) as f64;
    let (low, high) = (pair(y.fast).floor().clamp(0.0, last), pair(y.slow).ceil().clamp(0.0, last));
    for (i, frequency) in frequencies.iter_mut().enumerate() {
        let ramp = ((i as f64 - low) / (high - low).max(0.001)).clamp(0.0, 1.0);
        let kept = (1.0 - ramp) * y.mix;
        *frequency = *frequency / y.factor * (1.0 - kept) + *frequency * kept;
    }
}
