//! `mirostat` (Basu et al. 2021, "Mirostat: A Neural Text Decoding Algorithm that Directly Controls
//! Perplexity"): keeps the surprise of the tokens, `-log2 p`, near `mirostat_tau`. What is likely
//! enough to stay is ruled by mu, which goes by `mirostat_eta` times the error after each token.
//!
//! Version 1 takes probabilities for those of a Zipf distribution, estimates its exponent, and leaves
//! the number of tokens with which the mean surprise would be mu. Version 2 leaves the tokens whose
//! surprise is at most mu.

use super::Sampling;
use super::candidates::{Candidate, Candidates};
use super::chain::{Place, Stage};
use super::softmax::Softmax;

/// Version 1 estimates the exponent from so many of the most likely tokens.
const ESTIMATED: usize = 100;

struct Mirostat {
    version: u32,
    tau: f64,
    eta: f64,
    mu: f64,
    /// The candidates for the next token.
    next: Vec<Candidate>,
}

pub(crate) fn build(sampling: &Sampling) -> Option<Box<dyn Stage>> {
    let tau = f64::from(sampling.mirostat_tau);
    (sampling.mirostat != 0).then(|| {
        Box::new(Mirostat {
            version: sampling.mirostat,
            tau,
            eta: f64::from(sampling.mirostat_eta),
            mu: 2.0 * tau,
            next: Vec::new(),
        }) as _
    })
}

impl Stage for Mirostat {
    fn apply(&mut self, candidates: &mut Candidates, place: &mut Place) {
        self.next.clear();
        let Some(softmax) = candidates.softmax() else {
            return;
        };
        if self.version == 1 {
            let best = candidates.best(ESTIMATED);
            if best.len() > 1 {
                let k = zipf_rank(zipf_exponent(&best), self.mu, place.n_vocab as f64);
                candidates.keep_best(k);
            }
        } else {
            let surprise = self.mu * std::f64::consts::LN_2;
            let threshold = softmax.normalizer() - surprise;
            candidates.keep_from(softmax.max.min(threshold as f32), 0);
        }
        self.next.extend_from_slice(candidates.list());
    }

    fn accept(&mut self, token: u32) {
        let chosen = self.next.iter().find(|candidate| candidate.id == token);
        if let (Some(chosen), Some(softmax)) = (chosen, Softmax::of(&self.next[..])) {
            let surprise = -softmax.log_probability(chosen.logit) / std::f64::consts::LN_2;
            self.mu -= self.eta * (surprise - self.tau);
        }
        self.next.clear();
    }
}

/// The exponent s of `p ~ rank^-s` that fits the ratios of neighbours best: least squares over
/// `ln(p_i / p_i+1) = s ln((i + 1) / i)`.
fn zipf_exponent(best: &[Candidate]) -> f64 {
    let (mut products, mut squares) = (0.0, 0.0);
    for (i, pair) in best.windows(2).enumerate() {
        let ranks = ((i + 2) as f64 / (i + 1) as f64).ln();
        products += ranks * f64::from(pair[0].logit - pair[1].logit);
        squares += ranks * ranks;
    }
    products / squares
}

/// How many of `n` tokens with that exponent have the mean surprise mu; at least 1.
fn zipf_rank(s: f64, mu: f64, n: f64) -> usize {
    let epsilon = s - 1.0;
    // The limit of `(1 - n^-e) / e` for e = 0 is ln n.
    let sum = if epsilon.abs() < 1e-9 { n.ln() } else { (1.0 - n.powf(-epsilon)) / epsilon };
    // A conversion of what is too large, or not a number, is the nearest integer or 0.
    ((mu.exp2() / sum).powf(1.0 / s) as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::naive;
    use crate::sampler::rng::Rng;

    fn zipf(s: f32, n: usize) -> Vec<f32> {
        (1..=n).map(|rank| -s * (rank as f32).ln()).collect()
    }

    fn left(version: u32, tau: f32, logits: &[f32]) -> usize {
        let sampling = Sampling { mirostat: version, mirostat_tau: tau, ..Sampling::default() };
        naive::apply(logits, build(&sampling)).len()
    }

    #[test]
    fn the_exponent_of_a_zipf_distribution_is_found() {
        for s in [0.3, 0.9, 1.1, 2.5] {
            let found = zipf_exponent(&naive::sorted(&zipf(s, 1000))[..100]);
            assert!((found - f64::from(s)).abs() < 1e-4, "{found} for {s}");
        }
    }

    #[test]
    fn the_first_version_leaves_as_many_as_the_formula_says() {
        for (s, tau) in [(1.1f64, 2.0), (1.1, 3.0), (0.8, 3.0), (2.0, 1.0)] {
            let n = 2000f64;
            let epsilon = s - 1.0;
            let k = (epsilon * 2f64.powf(2.0 * tau) / (1.0 - n.powf(-epsilon))).powf(1.0 / s);
            let got = left(1, tau as f32, &zipf(s as f32, 2000)) as f64;
            assert!((got - k.floor()).abs() <= 1.0, "{got} for {k}");
        }
        let near_one = |s| zipf_rank(s, 10.0, 5000.0);
        assert_eq!(near_one(1.0), near_one(1.0 + 1e-7));
        // All alike, none but one, and more than there are.
        assert_eq!(left(1, 1.0, &[3.0; 50]), 1);
        assert_eq!(left(1, 5.0, &[3.0]), 1);
        assert_eq!(left(1, 60.0, &zipf(1.2, 300)), 300);
        assert_eq!(left(1, 5.0, &[f32::NEG_INFINITY; 4]), 0);
    }

    #[test]
    fn the_second_version_leaves_what_surprises_little() {
        // Probabilities 1/2, 1/4, 1/8, 1/8: surprises 1, 2, 3, 3, and mu is twice tau.
        let logits = [4.0f32, 2.0, 1.0, 1.0].map(f32::ln);
        assert_eq!(left(2, 1.51, &logits), 4);
        assert_eq!(left(2, 1.01, &logits), 2);
        assert_eq!(left(2, 0.51, &logits), 1);
        assert_eq!(left(2, 0.0, &logits), 1, "the best one always stays");
        assert_eq!(left(2, 5.0, &[f32::NEG_INFINITY; 4]), 0);
    }

    #[test]
    fn mu_moves_with_accepted_tokens_alone() {
        for version in [1, 2] {
            let sampling = Sampling {
                mirostat: version,
                mirostat_tau: 1.0,
                mirostat_eta: 0.5,
                ..Sampling::default()
            };
            let mut stage = build(&sampling).expect("it is on");
            let mut kept_then = |accepted: Option<u32>| {
                let (mut logits, mut list) = (zipf(1.2, 40), Vec::new());
                let mut candidates = Candidates::new(&mut logits, &mut list);
                stage.apply(&mut candidates, &mut Place::for_test(&[], Rng::new(0)));
                accepted.into_iter().for_each(|token| stage.accept(token));
                list.len()
            };
            let first = kept_then(None);
            assert_eq!(kept_then(Some(39)), first);
            assert_eq!(kept_then(Some(0)), first, "39 was no candidate");
            // Less surprise than wanted lets more in.
            for _ in 0..3 {
                kept_then(Some(0));
            }
            assert!(kept_then(None) > first);
        }
    }

    #[test]
    fn the_surprise_tends_to_tau() {
        for (version, tau) in [(1, 2.0), (2, 2.0), (2, 4.0)] {
            let sampling = Sampling { mirostat: version, mirostat_tau: tau, ..Sampling::default() };
            let mut stage = build(&sampling).expect("it is on");
            let mut rng = Rng::new(13);
            let (mut sum, n) = (0.0, 3000);
            for _ in 0..n {
                let (mut logits, mut list) = (zipf(1.1, 2000), Vec::new());
                let mut candidates = Candidates::new(&mut logits, &mut list);
                let mut place = Place::for_test(&[], rng.fork());
                stage.apply(&mut candidates, &mut place);
                let softmax = candidates.softmax().expect("candidates");
                let chosen = candidates.draw(|| rng.uniform()).expect("a candidate");
                let logit = candidates.logit(chosen).expect("it is one");
                sum -= softmax.log_probability(logit) / std::f64::consts::LN_2;
                stage.accept(chosen);
            }
            let mean = sum / f64::from(n);
            assert!((mean - f64::from(tau)).abs() < 0.1, "{mean} for {tau}");
        }
    }
}
