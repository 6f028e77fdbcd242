//! Sampling with guesses draws from the model's own distribution: a chi-squared test of what follows each
//! token, over many answers with fixed seeds.

mod common;

use std::time::Duration;

use common::*;
use farthing_engine::{Config, Engine, Request, Sampling};

const MS: Duration = Duration::from_millis(1);
const N_ANSWERS: u64 = 120;
const N_TOKENS: usize = 120;

/// The samplers that narrow or change a distribution; the others are off.
fn samplings() -> [Sampling; 4] {
    let off =
        Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, ..Sampling::default() };
    [
        Sampling { temperature: 0.8, ..off.clone() },
        Sampling { temperature: 1.3, top_k: 6, ..off.clone() },
        Sampling { temperature: 0.7, top_p: 0.8, ..off.clone() },
        Sampling { temperature: 1.1, top_k: 12, top_p: 0.9, min_p: 0.1, ..off },
    ]
}

/// A model whose text depends on its last token nearly alone, so that it repeats itself, and whose passes take
/// little longer with guesses.
fn large() -> Fake {
    let mut fake = Fake::new(64, 4).of_order(1).drafting(16).timed(20 * MS, MS);
    fake.sharpness = 2.0;
    fake
}

fn softmax(logits: impl Iterator<Item = f64>) -> Vec<f64> {
    let weights: Vec<f64> = logits.map(f64::exp).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

/// The probability of each token, 0 of those that the samplers remove.
fn distribution(logits: &[f32], sampling: &Sampling) -> [f64; N_VOCAB] {
    let mut order: Vec<usize> = (0..N_VOCAB).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    if sampling.top_k > 0 {
        order.truncate(sampling.top_k as usize);
    }
    let all = softmax(order.iter().map(|&id| f64::from(logits[id])));
    let mut sum = 0.0;
    let n = all.iter().take_while(|&&p| {
        let reached = sum >= f64::from(sampling.top_p);
        sum += p;
        !reached
    });
    let n = n.count().min(all.iter().filter(|&&p| p >= f64::from(sampling.min_p) * all[0]).count());
    order.truncate(n);
    let left = softmax(order.iter().map(|&id| f64::from(logits[id] / sampling.temperature)));
    let mut by_id = [0.0; N_VOCAB];
    order.iter().zip(left).for_each(|(&id, p)| by_id[id] = p);
    by_id
}

/// Answers of an engine have the distribution, and guesses of both outcomes are among their tokens.
fn check(engine: &Engine, sampling: &Sampling) {
    let model = large();
    // By the token before, how often each comes and how often it is expected to.
    let mut counts = [[(0.0, 0.0); N_VOCAB]; N_VOCAB];
    let (mut drafted, mut accepted) = (0, 0);
    for seed in 0..N_ANSWERS {
        let sampling = Sampling { seed: Some(seed), ..sampling.clone() };
        let mut text = prompt(seed % 5, 6);
        let request = Request { sampling: sampling.clone(), ..greedy(text.clone(), N_TOKENS) };
        let answer = answer(engine, request);
        drafted += answer.timings().draft_n;
        accepted += answer.timings().draft_n_accepted;
        for &token in &answer.tokens {
            let after = distribution(&model.logits_after(&text), &sampling);
            assert!(after[token as usize] > 0.0, "{token} is removed after {text:?}");
            let counts = &mut counts[text[text.len() - 1] as usize];
            counts.iter_mut().zip(after).for_each(|((_, expected), p)| *expected += p);
            counts[token as usize].0 += 1.0;
            text.push(token);
        }
    }
    let n = N_ANSWERS as usize * N_TOKENS;
    assert!(accepted > n / 50 && drafted - accepted > n / 50, "{accepted} of {drafted} in {n}");
    let (mut chi_squared, mut degrees) = (0.0, 0.0);
    for counts in &counts {
        let (common, rare): (Vec<_>, Vec<_>) =
            counts.iter().copied().partition(|&(_, expected)| expected > 5.0);
        let rare = rare.iter().fold((0.0, 0.0), |sum, next| (sum.0 + next.0, sum.1 + next.1));
        let cells: Vec<_> = common.into_iter().chain((rare.1 > 5.0).then_some(rare)).collect();
        let terms = cells.iter().map(|(count, expected)| f64::powi(count - expected, 2) / expected);
        chi_squared += terms.sum::<f64>();
        degrees += cells.len().saturating_sub(1) as f64;
    }
    // Mean `degrees`, variance twice that; four standard deviations.
    assert!(degrees > 20.0);
    let bound = degrees + 4.0 * f64::sqrt(2.0 * degrees);
    assert!(chi_squared < bound, "{chi_squared} of {degrees} degrees, {sampling:?}");
}

#[test]
fn with_prompt_lookup() {
    samplings().iter().for_each(|sampling| check(&large().start(1, 64), sampling));
}

#[test]
fn with_a_draft_model() {
    for sampling in samplings() {
        let draft = Fake::new(64, 4).of_order(1).sure().timed(2 * MS, MS / 10);
        let config = Config { prompt_lookup: false, ..large().config() };
        let (large, draft) = (Box::new(large()), Some(Box::new(draft) as _));
        check(&Engine::start_with_draft(large, draft, config).expect("valid"), &sampling);
    }
}
