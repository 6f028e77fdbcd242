//! Guesses of a smaller model.

mod common;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use common::*;
use farthing_engine::{
    Config, Engine, FinishReason, Forward, ForwardError, Handle, Request, Sampling,
};
use farthing_models::{Abilities, Pooling, Run};

const MS: Duration = Duration::from_millis(1);

/// The large model, which says nothing twice.
fn large(n_pages: usize) -> Fake {
    Fake::new(n_pages, 4).of_order(6).timed(20 * MS, MS)
}

/// One that nearly always agrees with it.
fn small(n_pages: usize) -> Fake {
    Fake::new(n_pages, 4).of_order(6).sure().timed(2 * MS, MS / 10)
}

fn start(fake: &Fake, draft: &Fake, max_sequences: usize, n_batch: usize) -> Engine {
    let n_ctx = fake.n_pages * fake.page_len;
    start_with(fake, draft, Config { n_ctx, max_sequences, n_batch, ..Config::default() })
}

fn start_with(fake: &Fake, draft: &Fake, config: Config) -> Engine {
    let draft = Box::new(draft.clone());
    let config = Config { prompt_lookup: false, ..config };
    Engine::start_with_draft(Box::new(fake.clone()), Some(draft), config).expect("valid")
}

fn sampled(tokens: Vec<u32>, max_tokens: usize, temperature: f32, seed: u64) -> Request {
    let sampling = Sampling { temperature, seed: Some(seed), ..Sampling::default() };
    Request { sampling, logprobs: Some(1), ..greedy(tokens, max_tokens) }
}

/// The answer of the large model alone.
fn plain(request: &Request) -> Answer {
    answer(&large(700).start(1, 64), request.clone())
}

#[test]
fn a_model_that_agrees_saves_passes() {
    let (fake, draft) = (large(128), small(128));
    let engine = start(&fake, &draft, 1, 64);
    let request = greedy(prompt(1, 30), 300);
    let got = answer(&engine, request.clone());
    assert_eq!(got.tokens, plain(&request).tokens);
    let timings = got.timings();
    assert!(fake.n_passes() < 100, "{} passes, {timings:?}", fake.n_passes());
    assert_eq!(timings.predicted_n, fake.n_passes() + timings.draft_n_accepted);
    // The prompt, and then each token about once.
    let n_drafted: usize = draft.run_lengths().iter().flatten().sum();
    assert!(n_drafted < 30 + 300 + 2 * fake.n_passes(), "{n_drafted}");
}

#[test]
fn sampled_text_is_the_same_to_the_last_detail() {
    let engine = start(&large(256), &small(256), 1, 64);
    let (mut drafted, mut accepted) = (0, 0);
    for seed in 0..40 {
        let n = 1 + seed as usize % 20;
        let request = sampled(prompt(seed % 7, n), 80, 0.01 + 0.01 * seed as f32, seed);
        let (got, expected) = (answer(&engine, request.clone()), plain(&request));
        assert_eq!(got.tokens, expected.tokens, "seed {seed}");
        assert_eq!(got.outputs[..80], expected.outputs[..80], "seed {seed}");
        drafted += got.timings().draft_n;
        accepted += got.timings().draft_n_accepted;
    }
    assert!(accepted > 500 && drafted > accepted + 200, "{accepted} of {drafted}");
}

#[test]
fn a_model_that_never_agrees_is_asked_rarely() {
    let (fake, draft) = (large(128), Fake::new(128, 4).sure().timed(2 * MS, MS / 10));
    let engine = start(&fake, &draft, 1, 64);
    let request = greedy(prompt(1, 9), 400);
    let got = answer(&engine, request.clone());
    assert_eq!(got.tokens, plain(&request).tokens);
    assert!(got.timings().draft_n < 60, "{:?}", got.timings());
    assert!(draft.n_passes() < 60, "{}", draft.n_passes());
}

#[test]
fn a_model_that_is_not_quicker_is_asked_rarely() {
    let (fake, draft) = (large(128), small(128).timed(40 * MS, MS));
    let engine = start(&fake, &draft, 1, 64);
    answer(&engine, greedy(prompt(1, 9), 200));
    assert!(draft.n_passes() < 20, "{}", draft.n_passes());
}

#[test]
fn a_price_that_was_wrong_at_first_is_found_out() {
    for n_slow in [2, 3, 4] {
        let draft = small(700).slow_at_first(n_slow, 2000 * MS);
        let engine = start(&large(700), &draft, 1, 64);
        let request = greedy(prompt(1, 9), 2500);
        let got = answer(&engine, request.clone());
        assert_eq!(got.tokens, plain(&request).tokens);
        let accepted = got.timings().draft_n_accepted;
        assert!(accepted > 1000, "{accepted} after {n_slow} slow passes");
    }
}

#[test]
fn asking_again_for_the_price_costs_little() {
    for (pass, n_tokens) in [(30 * MS, 2000), (150 * MS, 4000)] {
        let (fake, draft) = (large(1100), small(1100).timed(pass, MS));
        let engine = start(&fake, &draft, 1, 64);
        answer(&engine, greedy(prompt(1, 9), 64));
        let (before, of_large) = (draft.n_passes(), fake.n_passes());
        answer(&engine, greedy(prompt(2, 9), n_tokens));
        let n_passes = draft.n_passes() - before;
        assert!(n_passes > 1, "it is asked again");
        let part = (pass + MS) * n_passes as u32;
        let all = 21 * MS * (fake.n_passes() - of_large) as u32;
        assert!(100 * part < all, "{n_passes} passes, {part:?} of {all:?}");
    }
}

#[test]
fn company_and_few_pages_change_nothing() {
    for (n_pages, n_draft_pages, n_batch) in [(400, 400, 64), (50, 30, 16), (36, 10, 5), (30, 3, 1)]
    {
        let (fake, draft) = (large(n_pages), small(n_draft_pages));
        let engine = start_with(
            &fake,
            &draft,
            Config { n_ctx: 118, max_sequences: 4, n_batch, ..Config::default() },
        );
        let requests: Vec<Request> = (0..16)
            .map(|seed| {
                let temperature = if seed % 4 == 0 { 0.0 } else { 0.05 };
                sampled(prompt(seed, 3 + 2 * seed as usize), 50 + seed as usize, temperature, seed)
            })
            .collect();
        let submit = |request: &Request| engine.submit(request.clone()).expect("valid");
        let handles: Vec<Handle> = fake.while_paused(|| requests.iter().map(submit).collect());
        let mut accepted = 0;
        for (request, handle) in requests.iter().zip(&handles) {
            let got = collect(handle);
            assert_eq!(got.tokens, plain(request).tokens, "{n_pages} pages");
            accepted += got.timings().draft_n_accepted;
        }
        assert!(accepted > 50 || n_batch < 16, "{accepted} accepted with {n_pages} pages");
        wait_until("all is over", || engine.status().running == 0);
        assert_eq!(engine.status().used_pages, 0);
    }
}

#[test]
fn a_conversation_is_taken_up_where_it_was() {
    let (fake, draft) = (large(200), small(200));
    let engine = start(&fake, &draft, 1, 64);
    let mut text = prompt(1, 200);
    for turn in 0..4 {
        let before = draft.run_lengths().len();
        let request = greedy(text.clone(), 30);
        let got = answer(&engine, request.clone());
        assert_eq!(got.tokens, plain(&request).tokens);
        let computed: usize = draft.run_lengths()[before..].iter().flatten().sum();
        assert!((computed >= 200) == (turn == 0), "{computed} in turn {turn}");
        text.extend(&got.tokens);
        text.extend(prompt(turn, 5));
    }
}

#[test]
fn a_long_prompt_is_caught_up_with_in_parts() {
    let (fake, draft) = (large(200), small(200));
    let engine = start(&fake, &draft, 2, 16);
    let short = engine.submit(greedy(prompt(1, 4), 100)).expect("valid");
    let long = engine.submit(greedy(prompt(2, 300), 100)).expect("valid");
    assert_eq!(collect(&short).tokens, plain(&greedy(prompt(1, 4), 100)).tokens);
    assert_eq!(collect(&long).tokens, plain(&greedy(prompt(2, 300), 100)).tokens);
    assert!(draft.run_lengths().iter().all(|lengths| lengths.iter().sum::<usize>() <= 16));
    assert!(draft.run_lengths().iter().flatten().filter(|&&n| n > 8).count() > 10);
}

#[test]
fn cancelling_interrupts_the_draft_too() {
    let fake = large(600);
    let draft = small(600).very_slow();
    let engine = start(&fake, &draft, 1, 2400);
    let handle = engine.submit(greedy(prompt(1, LONG_PASS), 50)).expect("valid");
    wait_until("the draft is on", || draft.n_passes() == 1);
    let before = std::time::Instant::now();
    handle.cancel();
    assert_eq!(collect(&handle).reason(), FinishReason::Cancelled);
    assert!(before.elapsed() < LONG_PASS_TIME / 2, "{:?}", before.elapsed());
    let request = greedy(prompt(2, 5), 20);
    assert_eq!(answer(&engine, request.clone()).tokens, plain(&request).tokens);
}

/// A draft model that fails in one way or the other.
struct Broken(bool);

impl Forward for Broken {
    fn n_vocab(&self) -> usize {
        N_VOCAB
    }

    fn page_len(&self) -> usize {
        4
    }

    fn n_pages(&self) -> usize {
        64
    }

    fn interrupt(&self) -> Arc<AtomicBool> {
        Arc::default()
    }

    fn forward(&mut self, _runs: &[Run], _logits: &mut Vec<f32>) -> Result<(), ForwardError> {
        assert!(self.0, "it panics");
        Err(ForwardError::Failed("it fails".into()))
    }

    fn copy_page(&mut self, _from: u32, _to: u32) {}

    fn page_bytes(&self) -> usize {
        0
    }

    fn read_page(&self, _page: u32, _bytes: &mut Vec<u8>) {}

    fn write_page(&mut self, _page: u32, _bytes: &[u8]) {}

    fn state_bytes(&self) -> usize {
        0
    }

    fn read_state(&self, _slot: u32, _bytes: &mut Vec<u8>) {}

    fn write_state(&mut self, _slot: u32, _bytes: &[u8]) {}

    fn abilities(&self) -> Abilities {
        Abilities {
            generates: true,
            looks_ahead: false,
            width: 1,
            embedding: 1,
            pooling: Pooling::Mean,
            classified: None,
        }
    }

    fn head(&mut self, _pooling: Pooling, _n: usize, _vectors: &mut Vec<f32>) {}

    fn awake(&mut self, _awake: bool) {}
}

#[test]
fn a_failing_draft_model_is_not_asked_any_more() {
    for (fails, message) in [(true, "it fails"), (false, "the draft model's pass panicked")] {
        let config = Config { n_ctx: 256, max_sequences: 2, ..Config::default() };
        let draft = Box::new(Broken(fails));
        let engine = Engine::start_with_draft(Box::new(large(128)), Some(draft), config);
        let engine = engine.expect("valid");
        let requests = [greedy(vec![1, 2, 3], 50), sampled(vec![4, 5], 50, 0.5, 7)];
        let handles = requests.clone().map(|request| engine.submit(request).expect("valid"));
        for (request, handle) in requests.iter().zip(&handles) {
            let got = collect(handle);
            assert_eq!(got.reason(), FinishReason::Length);
            assert_eq!(got.outputs[..50], plain(request).outputs[..50]);
        }
        let notices = engine.wait_notices(SECOND).expect("not closed");
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert!(notices[0].contains(message), "{}", notices[0]);
    }
}

#[test]
fn a_draft_model_with_states_is_refused() {
    let draft = Box::new(small(64).with_states(4));
    let error = Engine::start_with_draft(Box::new(large(64)), Some(draft), Config::default()).err();
    let text = error.map(|error| error.to_string());
    assert!(text.is_some_and(|text| text.contains("a model with recurrent layers")));
}

#[test]
fn both_kinds_of_guesses_together() {
    let fake = Fake::new(256, 4).of_order(1).timed(20 * MS, MS);
    let draft = Fake::new(256, 4).of_order(1).sure().timed(2 * MS, MS / 10);
    let config = Config { n_ctx: 1024, ..Config::default() };
    let engine =
        Engine::start_with_draft(Box::new(fake.clone()), Some(Box::new(draft.clone())), config)
            .expect("valid");
    let request = greedy(prompt(1, 9), 300);
    let got = answer(&engine, request.clone());
    assert_eq!(got.tokens, answer(&Fake::new(256, 4).of_order(1).start(1, 64), request).tokens);
    assert!(fake.n_passes() < 80, "{}", fake.n_passes());
    // Once the text repeats itself, it is not asked.
    assert!(draft.n_passes() < 60, "{}", draft.n_passes());
}
