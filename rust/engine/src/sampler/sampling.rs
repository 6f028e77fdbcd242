//! The parameters, with llama.cpp's names and defaults.

use std::sync::Arc;

use super::chain::samplers;
use super::dry::Breakers;
use crate::error::{Error, Result};

/// How tokens are chosen. Each field's sampler is explained in the file of that name.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// The samplers that are applied and their order, by names that [`samplers`](crate::samplers)
    /// gives; one may come several times, and `adaptive_p` is always the last. Default all of them.
    pub samplers: Option<Vec<String>>,
    /// Divides the logits: lower is more predictable. 0 and below always take the most likely
    /// token. Default 0.8.
    pub temperature: f32,
    /// The temperature goes by the entropy, so far to both sides; 0 leaves it. Default 0.
    pub dynatemp_range: f32,
    /// Bends that: above 1 the temperature stays low for longer. Default 1.
    pub dynatemp_exponent: f32,
    /// Only the `top_k` most likely tokens stay; 0 and below leave all. Default 40.
    pub top_k: i32,
    /// Only the most likely tokens that together have this probability stay; 1 leaves all.
    /// Default 0.95.
    pub top_p: f32,
    /// Only tokens with at least this part of the best one's probability stay; 0 leaves all.
    /// Default 0.05.
    pub min_p: f32,
    /// Only the most typical tokens that together have more than this probability stay; 1 leaves
    /// all. Default 1.
    pub typical_p: f32,
    /// Only tokens with a logit of at most so many standard deviations below the best one's stay; 0
    /// and below leave all. Default -1.
    pub top_n_sigma: f32,
    /// How often the likely tokens are removed, but for the least likely of them. Default 0.
    pub xtc_probability: f32,
    /// The probability from which on a token is likely there; above 0.5 nothing is removed. Default
    /// 0.1.
    pub xtc_threshold: f32,
    /// `typical_p`, `top_p`, `min_p` and xtc leave at least this many tokens. Default 0.
    pub min_keep: usize,
    /// The penalties look at this many tokens before the next one, prompt included; 0 turns them
    /// off, -1 stands for all. Default 64.
    pub repeat_last_n: i32,
    /// Makes tokens seen before less likely (above 1) or more likely (below 1). Default 1.
    pub repeat_penalty: f32,
    /// Taken off the logits of tokens seen before. Default 0.
    pub presence_penalty: f32,
    /// Taken off the logits of tokens seen before, once for each time. Default 0.
    pub frequency_penalty: f32,
    /// Lowers tokens that prolong a repetition, by so much at the allowed length. Default 0, off.
    pub dry_multiplier: f32,
    /// How many times more each further token is lowered. Default 1.75.
    pub dry_base: f32,
    /// Repetitions of fewer tokens are allowed. Default 2.
    pub dry_allowed_length: usize,
    /// Repetitions are looked for in this many tokens, prompt included; 0 turns it off, -1 stands
    /// for all. Default 64.
    pub dry_penalty_last_n: i32,
    /// What a repetition does not go across. Default none.
    pub dry_sequence_breakers: Arc<Breakers>,
    /// 1 or 2 for that version of mirostat, which stands in the place of all samplers but the
    /// temperature; 0 for none. Default 0.
    pub mirostat: u32,
    /// The surprise that it aims at, in bits. Default 5.
    pub mirostat_tau: f32,
    /// How fast it corrects. Default 0.1.
    pub mirostat_eta: f32,
    /// Prefers tokens with probabilities near this one; below 0 is off. Default -1.
    pub adaptive_target: f32,
    /// How much less a token counts than the next one in the mean that is led to the target. Default
    /// 0.9.
    pub adaptive_decay: f32,
    /// Added to the logits of tokens; minus infinity forbids one. Default none.
    pub logit_bias: Vec<(u32, f32)>,
    /// Forbids the request's stop tokens. Default false.
    pub ignore_eos: bool,
    /// The same seed with the same request gives the same tokens; `None` takes a random one. Default
    /// `None`.
    pub seed: Option<u64>,
}

impl Default for Sampling {
    fn default() -> Sampling {
        Sampling {
            samplers: None,
            temperature: 0.8,
            dynatemp_range: 0.0,
            dynatemp_exponent: 1.0,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            typical_p: 1.0,
            top_n_sigma: -1.0,
            xtc_probability: 0.0,
            xtc_threshold: 0.1,
            min_keep: 0,
            repeat_last_n: 64,
            repeat_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            dry_multiplier: 0.0,
            dry_base: 1.75,
            dry_allowed_length: 2,
            dry_penalty_last_n: 64,
            dry_sequence_breakers: Arc::default(),
            mirostat: 0,
            mirostat_tau: 5.0,
            mirostat_eta: 0.1,
            adaptive_target: -1.0,
            adaptive_decay: 0.9,
            logit_bias: Vec::new(),
            ignore_eos: false,
            seed: None,
        }
    }
}

impl Sampling {
    /// Checks every field; the error names the first one outside its range, its value and the range.
    pub fn validate(&self) -> Result<()> {
        for (name, value) in [
            ("temperature", self.temperature),
            ("top_n_sigma", self.top_n_sigma),
            ("presence_penalty", self.presence_penalty),
            ("frequency_penalty", self.frequency_penalty),
        ] {
            check(name, value, "finite", f32::is_finite)?;
        }
        for (name, value) in [
            ("dynatemp_range", self.dynatemp_range),
            ("dynatemp_exponent", self.dynatemp_exponent),
            ("dry_multiplier", self.dry_multiplier),
            ("mirostat_tau", self.mirostat_tau),
            ("mirostat_eta", self.mirostat_eta),
        ] {
            check(name, value, "finite and 0 or more", |x| x.is_finite() && x >= 0.0)?;
        }
        for (name, value) in [
            ("top_p", self.top_p),
            ("min_p", self.min_p),
            ("typical_p", self.typical_p),
            ("xtc_probability", self.xtc_probability),
            ("xtc_threshold", self.xtc_threshold),
        ] {
            check(name, value, "0 to 1", |p| (0.0..=1.0).contains(&p))?;
        }
        for (name, value) in
            [("repeat_last_n", self.repeat_last_n), ("dry_penalty_last_n", self.dry_penalty_last_n)]
        {
            check(name, value, "-1 or more", |n| n >= -1)?;
        }
        check("repeat_penalty", self.repeat_penalty, "finite and above 0", |p| {
            p.is_finite() && p > 0.0
        })?;
        check("dry_base", self.dry_base, "finite and 1 or more", |x| x.is_finite() && x >= 1.0)?;
        check("mirostat", self.mirostat, "0, 1 or 2", |version| version <= 2)?;
        check("adaptive_target", self.adaptive_target, "finite and 1 or less", |p| {
            p.is_finite() && p <= 1.0
        })?;
        check("adaptive_decay", self.adaptive_decay, "0 to 0.99", |d| (0.0..=0.99).contains(&d))?;
        for &(id, bias) in &self.logit_bias {
            if bias.is_nan() || bias == f32::INFINITY {
                return Err(Error::parameter(
                    "logit_bias",
                    format!("{bias} for token {id}"),
                    "finite or minus infinity",
                ));
            }
        }
        for name in self.samplers.iter().flatten() {
            if !samplers().any(|(known, _)| known == name) {
                let known: Vec<&str> = samplers().map(|(name, _)| name).collect();
                let allowed = format!("some of {}", known.join(", "));
                return Err(Error::parameter("samplers", format!("{name:?}"), allowed));
            }
        }
        Ok(())
    }
}

fn check<T: Copy + ToString>(
    name: &'static str,
    value: T,
    allowed: &str,
    is_allowed: impl Fn(T) -> bool,
) -> Result<()> {
    if is_allowed(value) { Ok(()) } else { Err(Error::parameter(name, value, allowed)) }
}
