//! Models whose layers have states: each run reads the state of exactly the tokens before it, which the
//! fake model checks.

mod common;

use common::{Fake, SECOND, answer, collect, continuation, greedy, prompt, wait_until};
use std::time::Duration;

#[test]
fn more_requests_than_states() {
    // Pages for two at a time, so that some are preempted, and states for three.
    let fake = Fake::new(20, 4).with_states(6);
    let engine = fake.start(8, 16);
    let prompts: Vec<_> = (0..10).map(|seed| prompt(seed, 5 + 3 * seed as usize)).collect();
    let handles: Vec<_> = fake.while_paused(|| {
        prompts.iter().map(|p| engine.submit(greedy(p.clone(), 12)).expect("valid")).collect()
    });
    for (prompt, handle) in prompts.iter().zip(&handles) {
        assert_eq!(collect(handle).tokens, continuation(prompt, 12));
    }
    assert!(fake.run_lengths().iter().all(|lengths| lengths.len() <= 3));
}

#[test]
fn a_conversation_goes_on_from_its_state() {
    let fake = Fake::new(40, 4).with_states(3);
    let engine = fake.start(1, 16);
    let mut text = prompt(1, 10);
    for turn in 0..4 {
        let got = answer(&engine, greedy(text.clone(), 5));
        assert_eq!(got.tokens, continuation(&text, 5));
        // All but the last token were computed before.
        let cached = got.finished().1.cached_tokens;
        assert_eq!(cached, if turn == 0 { 0 } else { text.len() - 1 - 3 });
        text.extend(got.tokens);
        text.extend(prompt(turn, 3));
    }
}

#[test]
fn a_beginning_without_its_state_is_computed_again() {
    let fake = Fake::new(40, 4).with_states(6);
    let engine = fake.start(2, 16);
    let text = prompt(1, 20);
    assert_eq!(answer(&engine, greedy(text.clone(), 3)).tokens, continuation(&text, 3));
    let other = [&text[..16], &prompt(2, 6)].concat();
    let got = answer(&engine, greedy(other.clone(), 3));
    assert_eq!(got.tokens, continuation(&other, 3));
    assert_eq!(got.finished().1.cached_tokens, 0);
}

#[test]
fn an_interrupted_pass_leaves_the_state_before_it() {
    let fake = Fake::new(40, 4).with_states(6).slow(Duration::from_millis(2));
    let engine = fake.start(2, 8);
    let text = prompt(1, 60);
    let handle = engine.submit(greedy(text.clone(), 5)).expect("valid");
    wait_until("three passes", || fake.n_passes() >= 3);
    handle.cancel();
    handle.take(SECOND);
    let got = answer(&engine, greedy(text.clone(), 5));
    assert_eq!(got.tokens, continuation(&text, 5));
    assert!(got.finished().1.cached_tokens >= 8);
}
