//! Answers that go on when the context is full.

mod common;

use std::time::Duration;

use common::*;
use farthing_engine::{Config, Request, Sampling, Shift};

const N_CTX: usize = 40;
const MS: Duration = Duration::from_millis(1);

fn shifting(tokens: Vec<u32>, max_tokens: usize, shift: Shift) -> Request {
    Request { shift: Some(shift), ..greedy(tokens, max_tokens) }
}

/// The definition: the answer, and how many tokens were thrown away.
fn expected(prompt: &[u32], n: usize, keep: usize) -> (Vec<u32>, usize) {
    let (mut tokens, mut answer, mut thrown) = (prompt.to_vec(), Vec::new(), 0);
    while answer.len() < n {
        let next = continuation(&tokens, 1)[0];
        answer.push(next);
        tokens.push(next);
        if tokens.len() > N_CTX && answer.len() < n {
            let gap = (N_CTX - keep).div_ceil(2);
            tokens.drain(keep..keep + gap);
            thrown += gap;
        }
    }
    (answer, thrown)
}

#[test]
fn it_is_the_answer_to_what_is_left() {
    for (keep, kept) in [(Some(0), 0), (Some(7), 7), (None, 10), (Some(99), N_CTX - 4)] {
        let shift = Shift { keep, first: None };
        for fake in [Fake::new(30, 4), Fake::new(30, 4).with_states(8)] {
            let engine = fake.start_with(N_CTX, 2, 16);
            let (tokens, thrown) = expected(&prompt(1, 10), 150, kept);
            let answer = answer(&engine, shifting(prompt(1, 10), 150, shift));
            assert_eq!(answer.tokens, tokens, "{keep:?}");
            let usage = answer.finished().1;
            assert_eq!((usage.shifted_tokens, usage.completion_tokens), (thrown, 150));
            assert_eq!(usage.prompt_tokens, 10);
        }
    }
}

#[test]
fn a_first_token_stays_besides() {
    let engine = Fake::new(30, 4).start_with(N_CTX, 1, 16);
    let text = prompt(2, 9);
    for (first, kept) in [(Some(text[0]), 6), (Some(46), 5), (None, 5)] {
        let shift = Shift { keep: Some(5), first };
        let answer = answer(&engine, shifting(text.clone(), 100, shift));
        assert_eq!(answer.tokens, expected(&text, 100, kept).0);
    }
}

#[test]
fn without_it_the_answer_ends() {
    let engine = Fake::new(30, 4).start_with(N_CTX, 1, 16);
    let answer = answer(&engine, greedy(prompt(1, 10), 150));
    assert_eq!(answer.tokens, continuation(&prompt(1, 10), 30));
    assert_eq!(answer.finished().1.shifted_tokens, 0);
}

#[test]
fn an_answer_without_bound_goes_on_until_it_is_cancelled() {
    let engine = Fake::new(30, 4).start_with(N_CTX, 1, 16);
    let request = Request { max_tokens: None, ..shifting(prompt(1, 10), 0, Shift::default()) };
    let handle = engine.submit(request).expect("valid");
    let mut n = 0;
    while n < 500 {
        n += handle.take(SECOND).len();
    }
    handle.cancel();
    assert!(collect(&handle).finished().1.shifted_tokens > 200);
}

#[test]
fn several_shift_in_little_memory() {
    // Not enough for all of them at once.
    let fake = Fake::new(25, 4);
    let engine = fake.start_with(N_CTX, 4, 16);
    let handles: Vec<_> = (0..6)
        .map(|seed| {
            let shift = Shift { keep: Some(seed), first: None };
            engine.submit(shifting(prompt(seed as u64, 12), 90, shift)).expect("valid")
        })
        .collect();
    for (seed, handle) in handles.iter().enumerate() {
        let (tokens, _) = expected(&prompt(seed as u64, 12), 90, seed);
        assert_eq!(collect(handle).tokens, tokens, "{seed}");
    }
}

#[test]
fn guesses_and_penalties_see_what_is_left() {
    let fake = Fake::new(60, 4).of_order(2).drafting(8).timed(20 * MS, MS);
    let engine = fake.start_config(Config { n_ctx: 64, ..fake.config() });
    for seed in 0..20 {
        let sampling = Sampling {
            temperature: 0.05,
            seed: Some(seed),
            repeat_penalty: 1.0 + 0.1 * (seed % 3) as f32,
            repeat_last_n: 30,
            ..Sampling::default()
        };
        let shift = Some(Shift { keep: Some(3), first: None });
        let request = Request { sampling, shift, ..greedy(prompt(seed, 5), 300) };
        let plain = answer(&engine, Request { n_draft_max: Some(0), ..request.clone() });
        let quick = answer(&engine, request);
        assert_eq!(quick.tokens, plain.tokens, "seed {seed}");
        assert_eq!(quick.tokens.len(), 300);
        assert_eq!(quick.finished().1.shifted_tokens, plain.finished().1.shifted_tokens);
    }
}
