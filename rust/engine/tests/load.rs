//! More requests than there is room for: the queue, priorities, deadlines, and how long a token waits.

mod common;

use std::time::{Duration, Instant};

use common::*;
use farthing_engine::{Config, Error, FinishReason, Handle, Request};

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_full_queue_refuses_at_once_and_says_how_full_it_is() {
    let fake = Fake::new(600, 4).very_slow();
    let engine = fake.start_config(Config { max_sequences: 2, max_queue: 3, ..fake.config() });
    let submit = || engine.submit(greedy(prompt(1, 4), LONG_PASS));
    let handles: Vec<Handle> = (0..5).map(|_| submit().expect("there is a place")).collect();
    let error = submit().err().expect("there is none");
    assert_eq!(error, Error::QueueFull { n: 5, limit: 5, max_sequences: 2, max_queue: 3 });
    assert_eq!(
        error.to_string(),
        "the queue is full: of 5 requests that may run (2) and wait (3), 5 have not ended"
    );
    assert!(engine.evaluate(vec![1]).is_err());
    handles[4].cancel();
    collect(&handles[4]);
    // Who has the last output of a request finds its place free.
    let evaluation = engine.evaluate(vec![1]).expect("there is a place");
    assert!(submit().is_err());
    evaluation.cancel();
}

#[test]
fn higher_priorities_go_first() {
    let fake = Fake::new(32, 4);
    let engine = fake.start_config(Config { max_sequences: 1, ..fake.config() });
    let request = |priority| Request { priority, ..greedy(vec![(priority + 5) as u32], 1) };
    let handles: Vec<Handle> = fake.while_paused(|| {
        let first = engine.submit(greedy(vec![1], 1)).expect("valid");
        wait_until("it runs", || fake.n_passes() == 1);
        let others = [-2, 0, 7, 3].map(|priority| engine.submit(request(priority)).expect("valid"));
        [first].into_iter().chain(others).collect()
    });
    handles.iter().for_each(|handle| drop(collect(handle)));
    let log = fake.log.lock().expect("not poisoned");
    let order: Vec<u32> = log.passes.iter().map(|runs| runs[0].tokens[0]).collect();
    assert_eq!(order, [1, 12, 8, 5, 3]);
}

#[test]
fn the_least_important_gives_its_pages_and_ends_as_it_would_alone() {
    // Two want 15 pages each of 20.
    let fake = Fake::new(20, 4);
    let engine = fake.start_config(Config { max_sequences: 2, n_batch: 16, ..fake.config() });
    let request = |i: u64| Request { priority: i as i32, ..greedy(prompt(i, 12), 48) };
    let handles: Vec<Handle> =
        fake.while_paused(|| (0..2).map(|i| engine.submit(request(i)).expect("valid")).collect());
    let answers: Vec<Answer> = handles.iter().map(collect).collect();
    for (i, answer) in answers.iter().enumerate() {
        assert_eq!(answer.tokens, continuation(&prompt(i as u64, 12), 48));
    }
    let log = fake.log.lock().expect("not poisoned");
    let computed: usize = log.passes.iter().flatten().map(|run| run.tokens.len()).sum();
    assert!(computed > 2 * 59, "one was preempted");
    // The more important one, though the younger, never stood still.
    let begin = log.passes.iter().position(|runs| runs[0].tokens == prompt(1, 12));
    let passes = &log.passes[begin.expect("it goes before the other")..];
    assert!((1..48).all(|i| passes[i][0].start == 11 + i));
}

#[test]
fn a_timeout_ends_an_answer_as_far_as_it_came() {
    let fake = Fake::new(600, 4).very_slow();
    let engine = fake.start_config(Config { max_sequences: 1, ..fake.config() });
    let timed = |tokens, n, timeout| Request { timeout: Some(timeout), ..greedy(tokens, n) };
    let before = Instant::now();
    let running = engine.submit(greedy(prompt(1, 4), LONG_PASS)).expect("valid");
    let waiting = engine.submit(timed(prompt(2, 4), LONG_PASS, 50 * MS)).expect("valid");
    let late = collect(&waiting);
    assert_eq!((late.reason(), late.tokens.len()), (FinishReason::Timeout, 0));
    assert!(before.elapsed() >= 50 * MS);
    running.cancel();
    assert_eq!(collect(&running).reason(), FinishReason::Cancelled, "it had not ended");
    // Where other programs leave it no time, there is no token in less.
    let some = [200 * MS, 2 * SECOND, LONG_PASS_TIME / 2].into_iter().find_map(|timeout| {
        let before = Instant::now();
        let answer = answer(&engine, timed(prompt(1, 4), LONG_PASS, timeout));
        assert_eq!(answer.reason(), FinishReason::Timeout);
        assert!(before.elapsed() >= timeout);
        (!answer.tokens.is_empty()).then_some(answer.tokens)
    });
    let some = some.expect("a token in time");
    assert_eq!(some, continuation(&prompt(1, 4), some.len()));
    let none = collect(&engine.submit(timed(vec![1], 400, Duration::ZERO)).expect("valid"));
    assert_eq!((none.reason(), none.tokens.len()), (FinishReason::Timeout, 0));
    let all = collect(&engine.submit(timed(vec![1], 4, PATIENCE)).expect("valid"));
    assert_eq!(all.reason(), FinishReason::Length);
}

#[test]
fn a_pass_does_not_go_far_beyond_a_deadline() {
    let fake = Fake::new(256, 8).slow(MS).timed(Duration::ZERO, MS);
    let engine = fake.start_config(Config { n_batch: 2048, ..fake.config() });
    // It learns how long a token takes.
    answer(&engine, greedy(prompt(1, 100), 1));
    let n_passes = fake.n_passes();
    let request = Request { timeout: Some(200 * MS), ..greedy(prompt(2, 2000), 1) };
    let answer = collect(&engine.submit(request).expect("valid"));
    assert_eq!(answer.reason(), FinishReason::Timeout);
    let lengths = &fake.run_lengths()[n_passes..];
    assert!(lengths.iter().flatten().all(|&n| n <= 200), "{lengths:?}");
}

#[test]
fn a_prompt_beside_a_stream_keeps_to_the_gap() {
    let fake = Fake::new(256, 8).timed(5 * MS, MS);
    let engine = fake.start_config(Config { max_gap: Some(40 * MS), ..fake.config() });
    let (stream, other) = fake.while_paused(|| {
        let stream = engine.submit(greedy(prompt(1, 4), 1500)).expect("valid");
        fake.advance_to(1);
        (stream, engine.submit(greedy(prompt(2, 600), 1)).expect("valid"))
    });
    collect(&other);
    stream.cancel();
    let lengths = fake.run_lengths();
    let chunks: Vec<usize> = lengths.iter().filter(|r| r.len() == 2).map(|r| r[1]).collect();
    // The first is a guess; with the stream's token 34 take 39 ms.
    assert_eq!(chunks[0], 31, "{chunks:?}");
    assert!(chunks[1..chunks.len() - 1].iter().all(|&n| n == 33), "{chunks:?}");
}

#[test]
fn cancelling_one_of_two_in_a_pass_frees_it_with_the_pass() {
    let fake = Fake::new(256, 8).timed(Duration::ZERO, MS);
    let engine = fake.start_config(Config { max_gap: Some(40 * MS), ..fake.config() });
    let (_stream, other) = fake.while_paused(|| {
        let stream = engine.submit(greedy(prompt(1, 4), 1500)).expect("valid");
        let other = engine.submit(greedy(prompt(2, 1500), 1)).expect("valid");
        fake.advance_to(2);
        other.cancel();
        (stream, other)
    });
    assert_eq!(collect(&other).reason(), FinishReason::Cancelled);
    let lengths = fake.run_lengths();
    assert_eq!(lengths[2].len(), 2);
    assert!(lengths[3..].iter().all(|lengths| lengths.len() == 1));
}
