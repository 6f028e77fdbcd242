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
        let chosen =
            if self.greedy { candidates.best() } else { candidates.draw(|| self.rng.uniform()) };
        chosen.ok_or_else(|| "no token can be chosen: all of them are forbidden".into())
    }
}

/// Minus infinity is a token that cannot come; NaN and infinity are a model that fails.
fn check(logits: &[f32]) -> Result<(), String> {
    // Without an early exit, so that the loop is vectorized. NaN is not below anything.
    if logits.iter().fold(true, |sane, &x| sane & (x < f32::INFINITY)) {
        return Ok(());
    }
    let bad = logits.iter().enumerate().find(|(_, x)| x.is_nan() || **x == f32::INFINITY);
    let (id, logit) = bad.unwrap_or((0, &f32::NAN));
    Err(format!("the model gave {logit} as the logit of token {id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logits(n: usize) -> Vec<f32> {
        let mut rng = Rng::new(3);
        (0..n).map(|_| (rng.uniform() * 12.0) as f32).collect()
    }

    fn sample(sampling: &Sampling, logits: &[f32]) -> Result<u32, String> {
        let mut sampler = Sampler::new(sampling, &[0]);
        sampler.sample(&mut logits.to_vec(), &[], &mut Scratch::default())
    }

    /// The distribution after the default chain, by id, computed plainly.
    fn default_distribution(logits: &[f32]) -> Vec<f64> {
        let mut list = naive::sorted(logits);
        list.truncate(40);
        let p = naive::softmax(&list);
        let mut n = 1;
        while p[..n].iter().sum::<f64>() < 0.95 {
            n += 1;
        }
        n = n.min(p.iter().filter(|&&x| x >= 0.05 * p[0]).count());
        list.truncate(n);
        for candidate in &mut list {
            candidate.logit /= 0.8;
        }
        let mut distribution = vec![0.0; logits.len()];
        for (candidate, p) in list.iter().zip(naive::softmax(&list)) {
            distribution[candidate.id as usize] = p;
        }
        distribution
    }

    #[test]
    fn the_default_chain_draws_from_its_distribution() {
        const DRAWS: usize = 20_000;
        let logits = logits(300);
        let expected = default_distribution(&logits);
        let sampling = Sampling { seed: Some(5), ..Sampling::default() };
        let mut sampler = Sampler::new(&sampling, &[]);
        let mut scratch = Scratch::default();
        let mut counts = vec![0.0; logits.len()];
        for _ in 0..DRAWS {
            let id = sampler.sample(&mut logits.clone(), &[], &mut scratch);
            counts[id.expect("sane logits") as usize] += 1.0;
        }
        let (mut chi_squared, mut degrees) = (0.0, -1.0);
        for (count, p) in counts.iter().zip(&expected) {
            if *p == 0.0 {
                assert_eq!(*count, 0.0);
            } else {
                let mean = p * DRAWS as f64;
                chi_squared += (count - mean) * (count - mean) / mean;
                degrees += 1.0;
            }
        }
        // Mean `degrees`, variance twice that; four standard deviations.
        assert!(degrees > 5.0);
        let bound: f64 = degrees + 4.0 * f64::sqrt(2.0 * degrees);
        assert!(chi_squared < bound, "{chi_squared} of {degrees} degrees");
    }

    #[test]
    fn greedy_takes_the_first_of_the_best_and_no_memory() {
        let mut sampler = Sampler::new(&Sampling { temperature: -1.0, ..Sampling::default() }, &[]);
        let mut scratch = Scratch::default();
        let mut logits = logits(1000);
        logits[77] = 20.0;
        logits[900] = 20.0;
        assert_eq!(sampler.sample(&mut logits, &[], &mut scratch), Ok(77));
        assert_eq!(scratch.list.capacity(), 0);
    }

    #[test]
    fn bias_and_ignored_stop_tokens_decide() {
        let mut sampling = Sampling { temperature: 0.0, ..Sampling::default() };
        let logits = [3.0, 2.0, 1.0];
        assert_eq!(sample(&sampling, &logits), Ok(0));
        sampling.ignore_eos = true;
        assert_eq!(sample(&sampling, &logits), Ok(1));
        sampling.logit_bias = vec![(0, 100.0), (2, 1.5)];
        assert_eq!(sample(&sampling, &logits), Ok(2));
    }

    #[test]
    fn broken_logits_are_named() {
        let message = |bad: f32| {
            let mut logits = logits(100);
            logits[42] = bad;
            sample(&Sampling::default(), &logits).expect_err("they are broken")
        };
        assert_eq!(message(f32::NAN), "the model gave NaN as the logit of token 42");
        assert_eq!(message(f32::INFINITY), "the model gave inf as the logit of token 42");
        let mut logits = logits(100);
        logits[42] = f32::NEG_INFINITY;
        assert!(sample(&Sampling::default(), &logits).is_ok());
    }
}
