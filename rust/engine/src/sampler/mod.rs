//! Choosing the next token from a row of logits.
//!
//! Logit bias comes first, then the chain of samplers (see [`chain`]), each of which changes or
//! removes candidates, and at the end a draw from the softmax of what is left, or the most likely
//! candidate where `temperature` is 0 or below.

mod candidates;
mod chain;
mod logprob;
mod min_p;
#[cfg(test)]
mod naive;
mod penalties;
mod rng;
mod sampling;
mod temperature;
mod top_k;
mod top_p;
mod typ_p;

pub use chain::sampler_names;
pub(crate) use logprob::logprob;
pub use sampling::Sampling;

use candidates::{Candidate, Candidates};
use chain::{Stage, build_chain};
use rng::Rng;

/// A request's sampler.
pub(crate) struct Sampler {
    bias: Vec<(u32, f32)>,
    chain: Vec<Box<dyn Stage>>,
    greedy: bool,
    rng: Rng,
}

/// Memory that samplers use one after the other.
#[derive(Default)]
pub(crate) struct Scratch {
    list: Vec<Candidate>,
    row: Vec<f32>,
}

impl Scratch {
    /// A copy of a row, in memory to be given back.
    pub fn copy(&mut self, row: &[f32]) -> Vec<f32> {
        let mut copy = std::mem::take(&mut self.row);
        copy.clear();
        copy.extend_from_slice(row);
        copy
    }

    pub fn give_back(&mut self, row: Vec<f32>) {
        self.row = row;
    }
}

impl Sampler {
    /// The sampler of a request with these stop tokens; their ids and those of the bias must be in
    /// the vocabulary.
    pub fn new(sampling: &Sampling, stop_tokens: &[u32]) -> Sampler {
        let mut bias = sampling.logit_bias.clone();
        if sampling.ignore_eos {
            bias.extend(stop_tokens.iter().map(|&id| (id, f32::NEG_INFINITY)));
        }
        Sampler {
            bias,
            chain: build_chain(sampling),
            greedy: sampling.is_greedy(),
            rng: sampling.seed.map_or_else(Rng::random, Rng::new),
        }
    }

    /// The next token, given its logits, which are changed, and all tokens before it. The message of
    /// an error is for the user.
    pub fn sample(
        &mut self,
        logits: &mut [f32],
        history: &[u32],
        scratch: &mut Scratch,
    ) -> Result<u32, String> {
        check(logits)?;
        for &(id, bias) in &self.bias {
            logits[id as usize] += bias;
        }
        let mut candidates = Candidates::new(logits, &mut scratch.list);
        for stage in &mut self.chain {
            stage.apply(&mut candidates, history);
        }
        let chosen = if self.greedy {
            candidates.best()
        } else {
            candidates.draw(|| self.rng.uniform())
        };
        chosen.ok_or_else(|| "no token can be chosen: all of them are forbidden".into())
    }
}

/// Minus infinity is a token that cannot come; NaN and infinity are a model that fails.
fn check(logits: &[f32]) -> Result<(), String> {
    // Without an early exit, so that the loop is vectorized. NaN is not below anything.
    if logits
        .iter()
        .fold(true, |sane, &x| sane & (x < f32::INFINITY))
    {
        return Ok(());
    }
    let bad = logits
        .iter()
        .enumerate()
        .find(|(_, x)| x.is_nan() || **x == f32::INFINITY);
    let (id, logit) = bad.unwrap_or((0, &f32::NAN));
    Err(format!("the model gave {logit} as the logit of token {id}"))
}
