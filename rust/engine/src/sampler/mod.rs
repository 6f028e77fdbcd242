//! Choosing the next token from a row of logits.
//!
//! A request's own processor comes first, then a grammar's mask, then logit bias, then the chain of samplers
//! (see [`chain`]), each of which changes or removes candidates, and at the end a draw from the softmax of
//! what is left.

mod adaptive_p;
mod candidates;
mod chain;
mod cut;
mod dry;
mod logprob;
mod min_p;
mod mirostat;
#[cfg(test)]
mod naive;
mod penalties;
mod rng;
mod sampling;
mod softmax;
mod temperature;
mod top_k;
mod top_n_sigma;
mod top_p;
mod typ_p;
mod xtc;

pub use chain::samplers;
pub use dry::Breakers;
pub use sampling::Sampling;

use std::sync::Arc;

use candidates::{Candidate, Candidates};
use chain::{Place, Stage, build_chain};
use logprob::logprob;
use rng::Rng;

use crate::grammar::Mask;
use crate::processor::LogitsProcessor;
use crate::request::{Logprob, Request};

/// A request's sampler. [`Sampler::sample`] may be called any number of times for a place;
/// [`Sampler::accept`] leads on to the next one.
pub(crate) struct Sampler {
    processor: Option<Arc<dyn LogitsProcessor>>,
    bias: Vec<(u32, f32)>,
    chain: Vec<Box<dyn Stage>>,
    rng: Rng,
    report: Report,
}

/// Which log-probabilities come with a token: those of so many of the most likely ones.
enum Report {
    Nothing,
    /// As the model gave them.
    Before(usize),
    /// As the token was drawn.
    After(usize),
}

/// Memory that samplers use one after the other.
#[derive(Default)]
pub(crate) struct Scratch {
    list: Vec<Candidate>,
    row: Vec<f32>,
}

impl Sampler {
    /// The sampler of a valid request.
    pub fn new(request: &Request) -> Sampler {
        let sampling = &request.sampling;
        let mut bias = sampling.logit_bias.clone();
        if sampling.ignore_eos {
            bias.extend(request.stop_tokens.iter().map(|&id| (id, f32::NEG_INFINITY)));
        }
        Sampler {
            processor: request.logits_processor.clone(),
            bias,
            chain: build_chain(sampling),
            rng: sampling.seed.map_or_else(Rng::random, Rng::new),
            report: match request.logprobs {
                None => Report::Nothing,
                Some(n) if request.post_sampling_probs => Report::After(n),
                Some(n) => Report::Before(n),
            },
        }
    }

    /// The next token, given its logits, which are changed, those that are allowed, and all tokens
    /// before it: the prompt and those accepted. The message of an error is for the user.
    pub fn sample(
        &mut self,
        logits: &mut [f32],
        mask: &Mask,
        history: &[u32],
        scratch: &mut Scratch,
    ) -> Result<(u32, Option<Logprob>), String> {
        check(logits).map_err(|bad| format!("the model gave {bad}"))?;
        let Scratch { list, row } = scratch;
        if let Report::Before(_) = self.report {
            row.clear();
            row.extend_from_slice(logits);
        }
        if let Some(processor) = &self.processor {
            processor.process(history, logits)?;
            check(logits).map_err(|bad| format!("logits_processor gave {bad}"))?;
        }
        mask.apply(logits);
        for &(id, bias) in &self.bias {
            logits[id as usize] += bias;
        }
        let mut place = Place { history, rng: self.rng.fork(), n_vocab: logits.len() };
        let mut candidates = Candidates::new(logits, list);
        for stage in &mut self.chain {
            stage.apply(&mut candidates, &mut place);
        }
        let id = candidates
            .draw(|| place.rng.uniform())
            .ok_or("no token can be chosen: all of them are forbidden")?;
        let logprob = match self.report {
            Report::Nothing => None,
            Report::Before(n) => Some(logprob(&Candidates::new(row, list), id, n)),
            Report::After(n) => Some(logprob(&candidates, id, n)),
        };
        Ok((id, logprob))
    }

    /// Goes on after this token, which may be another than the one sampled last.
    pub fn accept(&mut self, token: u32) {
        self.rng.step();
        for stage in &mut self.chain {
            stage.accept(token);
        }
    }
}

/// The most likely token and its probability, where the logits are sane.
pub(crate) fn most_likely(logits: &mut [f32]) -> Option<(u32, f64)> {
    check(logits).ok()?;
    let mut list = Vec::new();
    let candidates = Candidates::new(logits, &mut list);
    let best = *candidates.best(1).first()?;
    Some((best.id, candidates.softmax()?.log_probability(best.logit).exp()))
}

/// Minus infinity is a token that cannot come; NaN and infinity are a model that fails.
fn check(logits: &[f32]) -> Result<(), String> {
    // Without an early exit, so that the loop is vectorized. NaN is not below anything.
    if logits.iter().fold(true, |sane, &x| sane & (x < f32::INFINITY)) {
        return Ok(());
    }
    let bad = logits.iter().enumerate().find(|(_, x)| x.is_nan() || **x == f32::INFINITY);
    let (id, logit) = bad.unwrap_or((0, &f32::NAN));
    Err(format!("{logit} as the logit of token {id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logits(n: usize) -> Vec<f32> {
        let mut rng = Rng::new(3);
        (0..n).map(|_| (rng.uniform() * 12.0) as f32).collect()
    }

    fn sampler(sampling: &Sampling) -> Sampler {
        let (sampling, stop_tokens) = (sampling.clone(), vec![0]);
        Sampler::new(&Request { sampling, stop_tokens, ..Request::default() })
    }

    fn sample(sampling: &Sampling, logits: &[f32]) -> Result<u32, String> {
        let mut sampler = sampler(sampling);
        let sampled =
            sampler.sample(&mut logits.to_vec(), &Mask::Any, &[], &mut Scratch::default());
        sampled.map(|(id, _)| id)
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
        let mut sampler = sampler(&sampling);
        let mut scratch = Scratch::default();
        let mut counts = vec![0.0; logits.len()];
        for _ in 0..DRAWS {
            let sampled = sampler.sample(&mut logits.clone(), &Mask::Any, &[], &mut scratch);
            let (id, _) = sampled.expect("sane logits");
            sampler.accept(id);
            counts[id as usize] += 1.0;
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
    fn greedy_takes_the_first_of_the_best_and_little_memory() {
        let mut sampler = sampler(&Sampling { temperature: -1.0, ..Sampling::default() });
        let mut scratch = Scratch::default();
        let mut logits = logits(1000);
        logits[77] = 20.0;
        logits[900] = 20.0;
        assert_eq!(sampler.sample(&mut logits, &Mask::Any, &[], &mut scratch), Ok((77, None)));
        assert!(scratch.list.capacity() < 10);
    }

    #[test]
    fn only_accepting_leads_on() {
        let everything = Sampling {
            temperature: 1.5,
            dynatemp_range: 0.5,
            top_n_sigma: 2.0,
            typical_p: 0.9,
            xtc_probability: 0.5,
            presence_penalty: 0.5,
            dry_multiplier: 0.8,
            adaptive_target: 0.3,
            seed: Some(4),
            ..Sampling::default()
        };
        let mirostat = |mirostat| Sampling { mirostat, ..everything.clone() };
        for sampling in [everything.clone(), mirostat(1), mirostat(2)] {
            let (mut once, mut often) = (sampler(&sampling), sampler(&sampling));
            let mut scratch = Scratch::default();
            let (mut history, mut changed) = (vec![1, 2, 3], 0);
            for step in 0..60 {
                let logits = logits(50 + step);
                let mut get = |sampler: &mut Sampler| {
                    let sampled =
                        sampler.sample(&mut logits.clone(), &Mask::Any, &history, &mut scratch);
                    sampled.expect("sane logits").0
                };
                let id = get(&mut once);
                changed += usize::from(history.last() != Some(&id));
                for _ in 0..step % 4 {
                    assert_eq!(get(&mut often), id, "step {step}");
                }
                once.accept(id);
                if step % 4 == 0 {
                    get(&mut often);
                }
                often.accept(id);
                history.push(id);
            }
            assert!(changed > 30);
        }
    }

    #[test]
    fn probabilities_after_the_chain_are_those_of_the_draw() {
        let logits = logits(300);
        let expected = default_distribution(&logits);
        let sampling = Sampling { seed: Some(6), ..Sampling::default() };
        let request = Request {
            sampling,
            logprobs: Some(4),
            post_sampling_probs: true,
            ..Request::default()
        };
        let sample = |request: &Request| {
            let mut sampler = Sampler::new(request);
            let sampled =
                sampler.sample(&mut logits.clone(), &Mask::Any, &[], &mut Scratch::default());
            let (id, logprob) = sampled.expect("sane logits");
            (id, logprob.expect("it was asked for"))
        };
        let (id, after) = sample(&request);
        let close =
            |id: u32, p: f32| (f64::from(p.exp()) / expected[id as usize] - 1.0).abs() < 1e-4;
        assert!(close(id, after.logprob));
        assert_eq!(after.top.len(), 4);
        assert!(after.top.iter().all(|&(id, p)| close(id, p)) && after.top[0].1 > after.top[3].1);

        let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
        let (id, after) = sample(&Request { sampling: greedy, ..request });
        assert_eq!((after.logprob, after.top), (0.0, vec![(id, 0.0)]), "there is no other");
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
