//! The parameters, with llama.cpp's names and defaults.

use crate::error::{Error, Result};

/// How tokens are chosen. Each field's sampler is explained in the file of that name.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits: lower is more predictable. 0 and below always take the most likely
    /// token. Default 0.8.
    pub temperature: f32,
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
    /// `typical_p`, `top_p` and `min_p` leave at least this many tokens. Default 0.
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
            temperature: 0.8,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            typical_p: 1.0,
            min_keep: 0,
            repeat_last_n: 64,
            repeat_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            logit_bias: Vec::new(),
            ignore_eos: false,
            seed: None,
        }
    }
}

impl Sampling {
    /// Whether always the most likely token is taken.
    pub(crate) fn is_greedy(&self) -> bool {
        self.temperature <= 0.0
    }

    /// Checks every field; the error names the first one outside its range, its value and the range.
    pub fn validate(&self) -> Result<()> {
        check("temperature", self.temperature, "finite", f32::is_finite)?;
        let part = |p| (0.0..=1.0).contains(&p);
        check("top_p", self.top_p, "0 to 1", part)?;
        check("min_p", self.min_p, "0 to 1", part)?;
        check("typical_p", self.typical_p, "0 to 1", part)?;
        check("repeat_last_n", self.repeat_last_n, "-1 or more", |n| n >= -1)?;
        check("repeat_penalty", self.repeat_penalty, "finite and above 0", |p| {
            p.is_finite() && p > 0.0
        })?;
        check("presence_penalty", self.presence_penalty, "finite", f32::is_finite)?;
        check("frequency_penalty", self.frequency_penalty, "finite", f32::is_finite)?;
        for &(id, bias) in &self.logit_bias {
            if bias.is_nan() || bias == f32::INFINITY {
                return Err(Error::parameter(
                    "logit_bias",
                    format!("{bias} for token {id}"),
                    "finite or minus infinity",
                ));
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
