//! Cancelling, closing, failures, notifications.

mod common;

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use common::*;
use farthing_engine::{Config, Error, FinishReason};

const MS: Duration = Duration::from_millis(1);

#[test]
fn cancelling_ends_a_long_pass() {
    let fake = Fake::new(256, 8).very_slow();
    let engine = fake.start(2, LONG_PASS);
    let handle = engine.submit(greedy(prompt(1, LONG_PASS), 5)).expect("valid");
    wait_until("the pass is on", || fake.n_passes() == 1);
    let before = Instant::now();
    handle.cancel();
    handle.cancel();
    let answer = collect(&handle);
    assert!(before.elapsed() < LONG_PASS_TIME / 2, "{:?}", before.elapsed());
    assert_eq!(answer.reason(), FinishReason::Cancelled);
    assert!(!fake.interrupt.load(Ordering::SeqCst));
    assert_eq!(
        collect(&engine.submit(greedy(prompt(2, 5), 5)).expect("valid")).tokens,
        continuation(&prompt(2, 5), 5)
    );
    assert!(handle.take(PATIENCE).is_empty(), "nothing after the end, and at once");
}

#[test]
fn a_dropped_handle_cancels() {
    let fake = Fake::new(256, 8).very_slow();
    let engine = fake.start(2, LONG_PASS);
    let before = Instant::now();
    drop(engine.submit(greedy(prompt(1, LONG_PASS), 5)).expect("valid"));
    let answer = answer(&engine, greedy(prompt(2, 5), 5));
    assert_eq!(answer.tokens, continuation(&prompt(2, 5), 5));
    assert!(before.elapsed() < LONG_PASS_TIME / 2, "{:?}", before.elapsed());
}

#[test]
fn who_shares_a_pass_with_a_cancelled_request_loses_nothing() {
    let fake = Fake::new(128, 4).slow(MS / 10);
    let engine = fake.start(3, 64);
    for i in 0..10 {
        let kept = engine.submit(greedy(prompt(i, 40), 10)).expect("valid");
        let cancelled = engine.submit(greedy(prompt(i + 50, 60), 10)).expect("valid");
        thread::sleep(MS * i as u32 / 2);
        cancelled.cancel();
        assert_eq!(collect(&kept).tokens, continuation(&prompt(i, 40), 10));
        let reason = collect(&cancelled).reason();
        assert!(matches!(reason, FinishReason::Cancelled | FinishReason::Length));
    }
}

#[test]
fn cancelling_what_waits_takes_it_out_of_the_queue() {
    let fake = Fake::new(600, 4).very_slow();
    let engine = fake.start(1, 16);
    let running = engine.submit(greedy(prompt(1, 4), LONG_PASS)).expect("valid");
    let waiting = engine.submit(greedy(prompt(2, 4), 100)).expect("valid");
    waiting.cancel();
    let answer = collect(&waiting);
    assert_eq!((answer.reason(), answer.tokens.len()), (FinishReason::Cancelled, 0));
    assert_eq!(answer.finished().1.prompt_tokens, 4);
    running.cancel();
    assert_eq!(collect(&running).reason(), FinishReason::Cancelled);
}

#[test]
fn an_interrupted_prompt_is_computed_again_correctly() {
    // What the interrupted pass left behind in the pages is rubbish.
    let fake = Fake::new(128, 4);
    let engine = fake.start(1, 32);
    for n_passes in [1, 3, 4] {
        let handle = fake.while_paused(|| {
            let handle = engine.submit(greedy(prompt(8, 300), 3)).expect("valid");
            fake.advance_to(fake.n_passes() + n_passes);
            handle.cancel();
            handle
        });
        assert_eq!(collect(&handle).reason(), FinishReason::Cancelled);
    }
    let answer = answer(&engine, greedy(prompt(8, 300), 3));
    assert!(answer.finished().1.cached_tokens > 0);
    assert_eq!(answer.tokens, continuation(&prompt(8, 300), 3));
}

#[test]
fn closing_ends_all_and_refuses_more() {
    let fake = Fake::new(256, 8).very_slow();
    let engine = fake.start(1, LONG_PASS);
    let running = engine.submit(greedy(prompt(1, LONG_PASS), 5)).expect("valid");
    let waiting = engine.submit(greedy(prompt(2, 10), 5)).expect("valid");
    let evaluation = engine.evaluate(prompt(3, 10)).expect("valid");
    wait_until("the pass is on", || fake.n_passes() == 1);
    let before = Instant::now();
    engine.close();
    engine.close();
    assert!(before.elapsed() < LONG_PASS_TIME / 2, "{:?}", before.elapsed());
    assert!(engine.is_closed());
    for handle in [running, waiting] {
        assert_eq!(collect(&handle).reason(), FinishReason::Cancelled);
    }
    assert_eq!(evaluation.wait(PATIENCE), Some(Err(Error::Cancelled)));
    assert_eq!(engine.submit(greedy(vec![1], 1)).err(), Some(Error::Closed));
    assert_eq!(engine.evaluate(vec![1]).err(), Some(Error::Closed));
    assert!(engine.wait_ready(PATIENCE).is_empty());
    let log = fake.log.lock().expect("not poisoned");
    assert_eq!(log.awake, [true, false]);
}

#[test]
fn a_failing_pass_ends_its_requests_and_no_others() {
    let engine = Fake::new(64, 4).start(4, 64);
    for (bad, message) in [
        (PANICS, "the forward pass panicked"),
        (FAILS, "broken"),
        (GIVES_NAN, "the model gave NaN as the logit of token 0"),
    ] {
        let failed = answer(&engine, greedy(vec![1, 2, bad], 5));
        assert!(failed.error().contains(message), "{}", failed.error());
        let next = answer(&engine, greedy(prompt(1, 20), 5));
        assert_eq!(next.tokens, continuation(&prompt(1, 20), 5));
    }
    assert!(
        engine.evaluate(vec![1, FAILS]).expect("valid").wait(PATIENCE)
            == Some(Err(Error::Failed("broken".into())))
    );
    wait_until("all is over", || engine.status().used_pages == 0);
}

#[test]
fn who_shares_a_pass_with_one_that_fails_loses_nothing() {
    for (n_states, bad) in [(0, PANICS), (0, FAILS), (16, PANICS), (16, FAILS)] {
        let fake = Fake::new(64, 4).with_states(n_states);
        let engine = fake.start(6, 64);
        let (good, failing, evaluations) = fake.while_paused(|| {
            let submit = |tokens| engine.submit(greedy(tokens, 5)).expect("valid");
            let good = [1, 2, 3].map(|seed| submit(prompt(seed, 9)));
            let failing = [submit(vec![1, 2, bad]), submit([prompt(4, 20), vec![bad]].concat())];
            let texts = [vec![3, bad], prompt(5, 9)];
            (good, failing, texts.map(|text| engine.evaluate(text).expect("valid")))
        });
        for (handle, seed) in good.iter().zip(1..) {
            assert_eq!(collect(handle).tokens, continuation(&prompt(seed, 9), 5));
        }
        for handle in &failing {
            assert!(!collect(handle).error().is_empty());
        }
        let [broken, whole] = evaluations.map(|evaluation| evaluation.wait(PATIENCE));
        assert!(matches!(broken, Some(Err(Error::Failed(_)))));
        assert!(
            whole == Some(Ok((1..=9).flat_map(|n| logits_after(&prompt(5, 9)[..n])).collect()))
        );
        assert!(fake.run_lengths().iter().any(|lengths| lengths.len() > 3), "they share passes");
        wait_until("all is over", || engine.status().used_pages == 0);
    }
}

#[test]
fn forbidding_all_tokens_is_an_error() {
    let engine = Fake::new(8, 4).start(1, 8);
    let mut request = greedy(vec![1], 5);
    request.sampling.logit_bias = (0..N_VOCAB as u32).map(|id| (id, f32::NEG_INFINITY)).collect();
    for temperature in [0.0, 0.8] {
        request.sampling.temperature = temperature;
        assert_eq!(
            answer(&engine, request.clone()).error(),
            "no token can be chosen: all of them are forbidden"
        );
    }
}

#[test]
fn an_evaluation_gives_the_logits_of_every_position() {
    let engine = Fake::new(16, 4).start(2, 10);
    let text = prompt(1, 64);
    answer(&engine, greedy(text[..20].to_vec(), 1));
    let other = engine.submit(greedy(prompt(2, 5), 30)).expect("valid");
    let evaluation = engine.evaluate(text.clone()).expect("valid");
    let expected: Vec<f32> = (1..=64).flat_map(|n| logits_after(&text[..n])).collect();
    assert!(evaluation.wait(PATIENCE) == Some(Ok(expected)));
    assert_eq!(evaluation.wait(PATIENCE), None, "given once");
    assert_eq!(collect(&other).tokens, continuation(&prompt(2, 5), 30));
    wait_until("all is over", || engine.status().used_pages == 0);
}

#[test]
fn an_evaluation_can_be_cancelled() {
    let fake = Fake::new(256, 8).very_slow();
    let engine = fake.start(2, LONG_PASS);
    let evaluation = engine.evaluate(prompt(1, LONG_PASS)).expect("valid");
    assert_eq!(evaluation.wait(Duration::ZERO), None);
    wait_until("the pass is on", || fake.n_passes() == 1);
    let before = Instant::now();
    evaluation.cancel();
    assert_eq!(evaluation.wait(PATIENCE), Some(Err(Error::Cancelled)));
    assert!(before.elapsed() < LONG_PASS_TIME / 2);
}

#[test]
fn readers_are_told_of_what_they_asked_for() {
    let engine = Fake::new(32, 4).slow(MS).start(4, 16);
    let request = greedy(prompt(1, 4), 5);
    let silent = engine.submit(request.clone()).expect("valid");
    let told = engine.submit(request).expect("valid");
    told.watch();
    let mut outputs = told.take(Duration::ZERO);
    while outputs.len() < 6 {
        assert_eq!(engine.wait_ready(PATIENCE), [told.id()]);
        outputs.extend(told.take(Duration::ZERO));
    }
    collect(&silent);
    // The last outputs may have been taken before they were reported.
    let rest = engine.wait_ready(Duration::ZERO);
    assert!(rest.is_empty() || rest == [told.id()]);

    let cancelled = engine.submit(greedy(prompt(2, 4), 100)).expect("valid");
    cancelled.watch();
    cancelled.cancel();
    assert_eq!(engine.wait_ready(PATIENCE), [cancelled.id()]);
}

#[test]
fn nothing_is_reported_that_nobody_watches() {
    let engine = Fake::new(32, 4).start(1, 16);
    for n in 1..200 {
        answer(&engine, greedy(vec![1, n % 40], 2));
    }
    assert!(engine.wait_ready(Duration::ZERO).is_empty());
}

#[test]
fn whoever_has_the_last_output_sees_the_state_after_it() {
    let fake = Fake::new(64, 4);
    let engine = fake.start_config(Config { max_sequences: 1, max_queue: 0, ..fake.config() });
    for n in 0..200 {
        // There is no place for another one, so the one before must be gone.
        answer(&engine, greedy(vec![1, n % 40], 2));
        assert_eq!((engine.status().running, engine.status().used_pages), (0, 0));
    }
}

#[test]
fn workers_sleep_when_there_is_nothing_to_do() {
    let fake = Fake::new(32, 4);
    let engine = fake.start(1, 16);
    answer(&engine, greedy(prompt(1, 4), 5));
    let awake = || fake.log.lock().expect("not poisoned").awake.clone();
    wait_until("it sleeps", || awake() == [true, false]);
    answer(&engine, greedy(prompt(1, 4), 5));
    wait_until("it sleeps again", || awake() == [true, false, true, false]);
}
