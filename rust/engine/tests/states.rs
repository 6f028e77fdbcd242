//! Models whose layers have states: each run reads the state of exactly the tokens before it, which the
//! fake model checks.

mod common;

use common::{Fake, answer, collect, continuation, greedy, prompt};

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
fn a_beginning_is_taken_up_at_a_checkpoint() {
    for (common, cached) in [(31, 0), (33, 32), (70, 64), (79, 64), (85, 80), (90, 80)] {
        let fake = Fake::new(80, 4).with_states(12);
        let engine = fake.start(2, 100);
        let text = prompt(1, 90);
        assert_eq!(answer(&engine, greedy(text.clone(), 3)).tokens, continuation(&text, 3));
        // Eight pages each, a page's end somewhat before the end, and the end.
        assert_eq!(fake.run_lengths(), [[32], [32], [16], [10], [1], [1]]);
        // Regenerated.
        assert_eq!(answer(&engine, greedy(text.clone(), 3)).finished().1.cached_tokens, 80);
        let other = [&text[..common], &prompt(common as u64, 6)].concat();
        let got = answer(&engine, greedy(other.clone(), 3));
        assert_eq!(got.tokens, continuation(&other, 3));
        assert_eq!(got.finished().1.cached_tokens, cached, "{common} tokens in common");
    }
}

#[test]
fn long_prompts_have_few_checkpoints() {
    let fake = Fake::new(500, 4).with_states(20);
    let engine = fake.start_with(2000, 1, 4096);
    let text = prompt(1, 1600);
    assert_eq!(answer(&engine, greedy(text.clone(), 1)).tokens, continuation(&text, 1));
    assert_eq!(fake.n_passes(), 9);
}

#[test]
fn requests_at_the_same_time_wait_for_a_checkpoint() {
    let fake = Fake::new(200, 4).with_states(24);
    let engine = fake.start(6, 16);
    let texts: Vec<_> = (0..6).map(|i| [prompt(9, 90), vec![i], prompt(7, 4)].concat()).collect();
    let handles: Vec<_> = fake.while_paused(|| {
        texts.iter().map(|p| engine.submit(greedy(p.clone(), 10)).expect("valid")).collect()
    });
    for (nth, (text, handle)) in texts.iter().zip(&handles).enumerate() {
        let got = collect(handle);
        assert_eq!(got.tokens, continuation(text, 10));
        assert_eq!(got.finished().1.cached_tokens, if nth == 0 { 0 } else { 84 });
    }
}

#[test]
fn an_interrupted_pass_leaves_the_state_before_it() {
    let fake = Fake::new(40, 4).with_states(6);
    let engine = fake.start(2, 8);
    let text = prompt(1, 60);
    let handle = fake.while_paused(|| {
        let handle = engine.submit(greedy(text.clone(), 5)).expect("valid");
        fake.advance_to(2);
        handle.cancel();
        handle
    });
    assert!(collect(&handle).tokens.is_empty());
    let got = answer(&engine, greedy(text.clone(), 5));
    assert_eq!(got.tokens, continuation(&text, 5));
    assert!(got.finished().1.cached_tokens >= 8);
}
