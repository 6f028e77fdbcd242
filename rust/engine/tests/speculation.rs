//! Guessed tokens: the text is the same, in fewer passes.

mod common;

use std::time::Duration;

use common::*;
use farthing_engine::{Config, Engine, FinishReason, Handle, Output, Request, Sampling};

const MS: Duration = Duration::from_millis(1);

/// A model whose text repeats itself, so that guesses are often right, and whose passes take little longer
/// with them.
fn repetitive(n_pages: usize) -> Fake {
    Fake::new(n_pages, 4).of_order(1).drafting(16).timed(20 * MS, MS)
}

fn sampled(tokens: Vec<u32>, max_tokens: usize, temperature: f32, seed: u64) -> Request {
    let sampling = Sampling { temperature, seed: Some(seed), ..Sampling::default() };
    Request { sampling, ..greedy(tokens, max_tokens) }
}

fn without(request: &Request) -> Request {
    Request { n_draft_max: Some(0), ..request.clone() }
}

/// The outputs but for the end's times.
fn pieces(answer: &Answer) -> (Vec<Output>, FinishReason) {
    (answer.outputs[..answer.outputs.len() - 1].to_vec(), answer.reason())
}

#[test]
fn repetition_takes_fewer_passes() {
    let fake = repetitive(128);
    let engine = fake.start(1, 64);
    let plain = answer(&engine, without(&greedy(prompt(1, 9), 400)));
    assert_eq!((plain.timings().draft_n, fake.n_passes()), (0, 400));
    let before = fake.n_passes();
    let quick = answer(&engine, greedy(prompt(1, 9), 400));
    assert_eq!(quick.tokens, plain.tokens);
    assert_eq!(quick.finished().1.completion_tokens, 400);
    let (timings, n_passes) = (quick.timings(), fake.n_passes() - before);
    assert!(n_passes < 150, "{n_passes} passes");
    assert_eq!(timings.predicted_n, n_passes + timings.draft_n_accepted);
    assert!(timings.draft_n_accepted <= timings.draft_n);
}

#[test]
fn sampled_text_is_the_same_to_the_last_detail() {
    let engine = repetitive(256).start(1, 64);
    let (mut drafted, mut accepted) = (0, 0);
    for seed in 0..60 {
        let n = 1 + seed as usize % 20;
        let mut request = sampled(prompt(seed % 7, n), 120, 0.02 + 0.005 * seed as f32, seed);
        request.sampling.repeat_penalty = 1.0 + 0.05 * (seed % 3) as f32;
        request.logprobs = (seed % 2 == 0).then_some(3);
        request.stop_tokens = if seed % 4 == 0 { vec![seed as u32 % 47] } else { Vec::new() };
        let plain = answer(&engine, without(&request));
        let quick = answer(&engine, request);
        assert_eq!(pieces(&quick), pieces(&plain), "seed {seed}");
        drafted += quick.timings().draft_n;
        accepted += quick.timings().draft_n_accepted;
    }
    assert!(accepted > 200 && drafted > accepted + 100, "{accepted} of {drafted}");
}

#[test]
fn a_draft_ends_where_the_answer_must() {
    let fake = repetitive(40);
    let engine = fake.start_with(150, 1, 64);
    for max_tokens in [1, 2, 3, 50, 51, 52, 1000] {
        let answer = answer(&engine, greedy(vec![5; 20], max_tokens));
        let n = max_tokens.min(130);
        assert_eq!((answer.tokens.len(), answer.reason()), (n, FinishReason::Length));
        let log = fake.log.lock().expect("not poisoned");
        // The last token is given out but not computed.
        let end = log.passes.iter().flatten().map(|run| run.start + run.tokens.len()).max();
        assert_eq!(end, Some(20 + n - 1));
    }
}

#[test]
fn a_stop_token_ends_within_a_draft() {
    let engine = repetitive(64).start(1, 64);
    let all = answer(&engine, greedy(prompt(3, 10), 200)).tokens;
    let late = all.iter().enumerate().rev().find(|&(i, id)| !all[..i].contains(id));
    let (at, &stop) = late.expect("a token");
    let mut request = greedy([prompt(3, 10), all.clone(), prompt(3, 10)].concat(), 200);
    request.tokens.truncate(100);
    request.tokens.extend(prompt(3, 10));
    request.stop_tokens = vec![stop];
    let stopped = answer(&engine, request.clone());
    assert_eq!(pieces(&stopped), pieces(&answer(&engine, without(&request))));
    assert_eq!((stopped.reason(), &stopped.tokens[..]), (FinishReason::Stop, &all[..at]));
}

#[test]
fn wrong_guesses_do_not_stay_in_the_cache() {
    let fake = repetitive(256);
    let engine = fake.start(2, 64);
    for seed in 0..20 {
        let mut text = prompt(seed % 4, 12);
        for turn in 0..4 {
            let mut request = sampled(text.clone(), 40, 0.4, seed);
            // Tokens of guesses in cached pages would change these.
            request.logprobs = Some(1);
            let plain = answer(&Fake::new(64, 4).of_order(1).start(1, 64), without(&request));
            let quick = answer(&engine, request);
            assert_eq!(pieces(&quick), pieces(&plain), "seed {seed}, turn {turn}");
            if turn > 0 {
                assert_eq!(quick.finished().1.cached_tokens, text.len() - 1 - 3);
            }
            text.extend(&quick.tokens);
            text.extend(prompt(100 + seed, 3));
        }
    }
}

#[test]
fn company_changes_nothing() {
    // Pages for some of them only, so that sequences are preempted with guesses after them.
    for (n_pages, n_batch) in [(400, 64), (50, 16), (36, 5), (30, 1)] {
        let fake = repetitive(n_pages);
        let engine = fake.start_with(118, 4, n_batch);
        let requests: Vec<Request> = (0..16)
            .map(|seed| {
                let text = prompt(seed, 3 + 2 * seed as usize);
                sampled(text, 60 + seed as usize, if seed % 4 == 0 { 0.0 } else { 0.4 }, seed)
            })
            .collect();
        let submit = |request: &Request| engine.submit(request.clone()).expect("valid");
        let handles: Vec<Handle> = fake.while_paused(|| requests.iter().map(submit).collect());
        let mut accepted = 0;
        for (request, handle) in requests.iter().zip(&handles) {
            let alone = answer(&Fake::new(64, 4).of_order(1).start(1, 64), without(request));
            let together = collect(handle);
            assert_eq!(pieces(&together), pieces(&alone), "{n_pages} pages");
            accepted += together.timings().draft_n_accepted;
        }
        assert!(accepted > 100 || n_batch < 16, "{accepted} accepted with {n_pages} pages");
        wait_until("all is over", || engine.status().running == 0);
        assert_eq!(engine.status().used_pages, 0);
    }
}

#[test]
fn guesses_take_pages_from_nobody() {
    // Two sequences that fit exactly, and nothing besides.
    let fake = repetitive(26);
    let engine = fake.start_with(52, 2, 64);
    let requests: Vec<Request> = (0..2).map(|i| greedy(vec![i; 12], 40)).collect();
    let handles: Vec<Handle> = fake.while_paused(|| {
        requests.iter().map(|r| engine.submit(r.clone()).expect("valid")).collect()
    });
    handles.iter().for_each(|handle| drop(collect(handle)));
    let log = fake.log.lock().expect("not poisoned");
    // A sequence that had been preempted would begin again.
    let begun = log.passes.iter().flatten().filter(|run| run.start == 0).count();
    assert_eq!(begun, 2);
}

#[test]
fn cancelled_amid_guesses() {
    let fake = repetitive(60).slow(Duration::from_micros(20));
    let engine = fake.start_with(160, 4, 24);
    let handles: Vec<(Handle, Request)> = (0..60)
        .map(|seed| {
            let request = sampled(prompt(seed % 5, 20), 100, 0.3, seed % 6);
            (engine.submit(request.clone()).expect("valid"), request)
        })
        .collect();
    for (i, (handle, request)) in handles.iter().enumerate() {
        if i % 3 == 0 {
            handle.take(Duration::from_millis(2));
            handle.cancel();
            continue;
        }
        let plain = answer(&Fake::new(64, 4).of_order(1).start(1, 64), without(request));
        assert_eq!(collect(handle).tokens, plain.tokens);
    }
    wait_until("all is over", || engine.status().running == 0);
    assert_eq!((engine.status().used_pages, engine.status().waiting), (0, 0));
}

#[test]
fn where_each_token_costs_its_time_nothing_is_guessed_for_long() {
    let fake = Fake::new(128, 4).of_order(1).drafting(16).timed(MS, MS);
    let engine = fake.start(1, 64);
    let timings = answer(&engine, sampled(prompt(1, 9), 400, 0.6, 1)).timings();
    assert!(timings.draft_n - timings.draft_n_accepted < 20, "{timings:?}");
}

#[test]
fn text_without_matches_is_not_guessed() {
    let fake = Fake::new(128, 4).drafting(16).timed(20 * MS, MS);
    let engine = fake.start(1, 64);
    let timings = answer(&engine, greedy(prompt(1, 9), 300)).timings();
    // A pair of 50 tokens is seen again now and then.
    assert!(timings.draft_n < 60, "{timings:?}");
}

#[test]
fn states_cannot_go_back() {
    let fake = repetitive(128).with_states(4);
    let engine = fake.start(1, 64);
    assert_eq!(answer(&engine, greedy(vec![1; 9], 50)).timings().draft_n, 0);
}

#[test]
fn speculation_can_be_switched_off() {
    let fake = repetitive(128);
    for change in [|c: &mut Config| c.n_draft_max = 0, |c: &mut Config| c.prompt_lookup = false] {
        let mut config = Config { n_ctx: 256, ..Config::default() };
        change(&mut config);
        let engine = Engine::start(Box::new(fake.clone()), config).expect("valid");
        assert_eq!(answer(&engine, greedy(vec![1; 9], 50)).timings().draft_n, 0);
    }
    let config = Config { n_ctx: 256, n_draft_max: 2, ..Config::default() };
    let engine = Engine::start(Box::new(fake.clone()), config).expect("valid");
    let before = fake.n_passes();
    assert!(answer(&engine, greedy(vec![1; 9], 100)).timings().draft_n > 20);
    assert!(fake.run_lengths()[before + 1..].iter().all(|lengths| lengths[0] <= 3));
}
