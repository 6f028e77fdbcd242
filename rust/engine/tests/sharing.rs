//! Many requests at once: the outputs are those of each alone.

mod common;

use std::time::Duration;

use common::*;
use farthing_engine::{Config, Engine, FinishReason, Handle, Request, Sampling};

fn submit(engine: &Engine, request: Request) -> Handle {
    engine.submit(request).expect("a valid request")
}

fn submit_together(
    fake: &Fake,
    engine: &Engine,
    requests: impl Iterator<Item = Request>,
) -> Vec<Handle> {
    fake.while_paused(|| requests.map(|request| submit(engine, request)).collect())
}

#[test]
fn concurrent_requests_do_not_disturb_each_other() {
    let fake = Fake::new(128, 4);
    let engine = fake.start(8, 16);
    let request = |i: u64| greedy(prompt(i, 1 + 3 * i as usize % 50), 20);
    let handles = submit_together(&fake, &engine, (0..20).map(request));
    for (i, handle) in handles.iter().enumerate() {
        let expected = continuation(&prompt(i as u64, 1 + 3 * i % 50), 20);
        assert_eq!(collect(handle).tokens, expected, "request {i}");
    }
    assert!(fake.run_lengths().iter().any(|runs| runs.len() == 8));
    assert!(fake.run_lengths().iter().all(|runs| runs.len() <= 8));
    assert!(fake.run_lengths().iter().all(|runs| runs.iter().sum::<usize>() <= 16));
}

#[test]
fn sampling_does_not_depend_on_the_company() {
    let request = |seed| Request {
        tokens: prompt(5, 10),
        max_tokens: Some(25),
        sampling: Sampling { seed: Some(seed), repeat_penalty: 1.3, ..Sampling::default() },
        ..Request::default()
    };
    let alone: Vec<Vec<u32>> =
        (0..6).map(|seed| answer(&Fake::new(64, 4).start(1, 64), request(seed)).tokens).collect();
    let fake = Fake::new(128, 4);
    let engine = fake.start(4, 8);
    let handles = submit_together(&fake, &engine, (0..6).map(request));
    let together: Vec<Vec<u32>> = handles.iter().map(|h| collect(h).tokens).collect();
    assert_eq!(together, alone);
}

#[test]
fn a_long_prompt_does_not_hold_up_others() {
    let fake = Fake::new(256, 4);
    let engine = fake.start(4, 16);
    let texts = [prompt(1, 4), prompt(2, 400), prompt(3, 6)];
    let lengths = [60, 1, 1];
    let requests = texts.iter().zip(lengths);
    let requests = requests.map(|(text, n)| greedy(text.clone(), n));
    let handles = submit_together(&fake, &engine, requests);
    for ((handle, text), n) in handles.iter().zip(&texts).zip(lengths) {
        assert_eq!(collect(handle).tokens, continuation(text, n));
    }
    let passes = fake.run_lengths();
    // The first one's token is in every pass, and the last one does not wait for the second.
    let all = passes.iter().filter(|runs| runs.len() == 3).count();
    assert!((1..=2).contains(&all), "{passes:?}");
    let chunks = passes.iter().filter(|runs| runs.len() == 2);
    assert!(chunks.clone().all(|runs| runs[0] == 1 && runs[1] <= 15));
    assert!(chunks.count() > 20);
}

#[test]
fn everyone_advances_in_every_pass() {
    let fake = Fake::new(64, 4);
    let engine = fake.start(4, 1);
    let handles = submit_together(&fake, &engine, (0..4).map(|i| greedy(vec![i], 10)));
    for (i, handle) in handles.iter().enumerate() {
        assert_eq!(collect(handle).tokens, continuation(&[i as u32], 10));
    }
    let passes = fake.run_lengths();
    assert!(passes.iter().filter(|runs| runs.len() == 4).count() >= 9, "{passes:?}");
}

#[test]
fn preempted_requests_give_the_same_tokens() {
    // Three want 15 pages each of 20.
    let fake = Fake::new(20, 4);
    let engine = fake.start(3, 16);
    let requests = (0..5).map(|i| greedy(prompt(i, 12), 48));
    let handles = submit_together(&fake, &engine, requests);
    for (i, handle) in handles.iter().enumerate() {
        let answer = collect(handle);
        assert_eq!(answer.tokens, continuation(&prompt(i as u64, 12), 48));
        assert_eq!(answer.finished().1.cached_tokens, 0);
    }
    let computed: usize = fake.run_lengths().iter().flatten().sum();
    assert!(computed > 5 * 59, "nothing was preempted: {computed} tokens computed");
}

#[test]
fn a_sampled_request_survives_preemption() {
    let request = |i: u64| Request {
        tokens: prompt(i, 12),
        max_tokens: Some(48),
        sampling: Sampling { seed: Some(i), frequency_penalty: 0.1, ..Sampling::default() },
        ..Request::default()
    };
    let fake = Fake::new(20, 4);
    let engine = fake.start(3, 16);
    let handles = submit_together(&fake, &engine, (0..4).map(request));
    for (i, handle) in handles.iter().enumerate() {
        let alone = answer(&Fake::new(20, 4).start(1, 16), request(i as u64));
        assert_eq!(collect(handle).tokens, alone.tokens);
    }
}

#[test]
fn a_preempted_evaluation_gives_every_row_once() {
    let fake = Fake::new(14, 4);
    let engine = fake.start(2, 2);
    let text = prompt(2, 40);
    let (talker, evaluation) = fake.while_paused(|| {
        let talker = submit(&engine, greedy(prompt(1, 4), 45));
        (talker, engine.evaluate(text.clone()).expect("valid"))
    });
    assert_eq!(collect(&talker).tokens, continuation(&prompt(1, 4), 45));
    let expected: Vec<f32> = (1..=40).flat_map(|n| logits_after(&text[..n])).collect();
    assert!(evaluation.wait(PATIENCE) == Some(Ok(expected)));
    let computed: usize = fake.run_lengths().iter().flatten().sum();
    assert!(computed > 48 + 40, "it was not preempted");
}

#[test]
fn a_conversation_computes_only_what_is_new() {
    let fake = Fake::new(64, 4);
    let engine = fake.start(2, 64);
    let first = answer(&engine, greedy(prompt(1, 21), 10));
    let mut conversation = prompt(1, 21);
    conversation.extend(&first.tokens);
    conversation.extend(prompt(2, 5));
    let passes = fake.n_passes();
    let second = answer(&engine, greedy(conversation.clone(), 10));
    assert_eq!(second.tokens, continuation(&conversation, 10));
    // All but the last token of the first answer was computed.
    assert_eq!(second.finished().1.cached_tokens, 30);
    assert_eq!(fake.run_lengths()[passes], [6]);
}

#[test]
fn a_repeated_prompt_computes_its_last_token() {
    let fake = Fake::new(64, 4);
    let engine = fake.start(2, 64);
    for n in [16, 17, 19] {
        let expected = continuation(&prompt(n, n as usize), 6);
        let cold = answer(&engine, greedy(prompt(n, n as usize), 6));
        let warm = answer(&engine, greedy(prompt(n, n as usize), 6));
        assert_eq!((&cold.tokens, &warm.tokens), (&expected, &expected));
        assert_eq!(cold.finished().1.cached_tokens, 0);
        // The page that goes on with the first answer was copied.
        assert_eq!(warm.finished().1.cached_tokens, n as usize - 1);
    }
}

#[test]
fn a_common_beginning_is_shared_by_requests_at_the_same_time() {
    let fake = Fake::new(40, 4);
    let engine = fake.start(4, 64);
    let mut texts: Vec<Vec<u32>> = (0..4).map(|_| prompt(9, 42)).collect();
    answer(&engine, greedy(texts[0].clone(), 0));
    for (i, text) in texts.iter_mut().enumerate() {
        text.extend(prompt(100 + i as u64, 5));
    }
    let requests = texts.iter().map(|text| greedy(text.clone(), 20));
    let handles = submit_together(&fake, &engine, requests);
    for (handle, text) in handles.iter().zip(&texts) {
        let answer = collect(handle);
        assert_eq!(answer.tokens, continuation(text, 20));
        assert!(answer.finished().1.cached_tokens >= 40);
    }
    // Ten pages in common and seven more each fit where four times seventeen do not.
    assert!(fake.run_lengths().iter().any(|runs| runs.len() == 4));
}

/// Texts that begin with the same `n` tokens.
fn alike(n: usize, n_texts: u64) -> Vec<Vec<u32>> {
    (0..n_texts).map(|i| [prompt(9, n), vec![i as u32; 3], prompt(100 + i, 4)].concat()).collect()
}

fn n_computed(fake: &Fake) -> usize {
    fake.run_lengths().iter().flatten().sum()
}

#[test]
fn a_beginning_is_computed_once_for_requests_at_the_same_time() {
    let fake = Fake::new(200, 4);
    let engine = fake.start(6, 16);
    let texts = alike(90, 6);
    let requests = texts.iter().map(|text| greedy(text.clone(), 10));
    let handles = submit_together(&fake, &engine, requests);
    let cached: Vec<usize> = handles
        .iter()
        .zip(&texts)
        .map(|(handle, text)| {
            let answer = collect(handle);
            assert_eq!(answer.tokens, continuation(text, 10));
            answer.finished().1.cached_tokens
        })
        .collect();
    assert_eq!(cached, [0, 90, 90, 90, 90, 90]);
    assert_eq!(n_computed(&fake), 90 + 6 * (7 + 9));
    // They run together after that.
    assert!(fake.run_lengths().iter().any(|runs| runs.len() == 6));
}

#[test]
fn equal_requests_at_the_same_time_are_computed_once() {
    for n in [1, 2, 7, 16, 33] {
        let fake = Fake::new(100, 4);
        let engine = fake.start(4, 64);
        let requests = (0..4).map(|_| greedy(prompt(3, n), 6));
        let handles = submit_together(&fake, &engine, requests);
        for handle in &handles {
            assert_eq!(collect(handle).tokens, continuation(&prompt(3, n), 6));
        }
        assert_eq!(n_computed(&fake), n + 3 + 4 * 5, "prompts of {n}");
    }
}

#[test]
fn others_go_past_who_waits_for_a_beginning() {
    let fake = Fake::new(200, 4);
    let engine = fake.start(3, 8);
    let texts = alike(90, 2);
    let requests =
        [greedy(texts[0].clone(), 1), greedy(texts[1].clone(), 1), greedy(prompt(1, 9), 1)];
    let handles = submit_together(&fake, &engine, requests.into_iter());
    for (handle, text) in handles.iter().zip([&texts[0], &texts[1], &prompt(1, 9)]) {
        assert_eq!(collect(handle).tokens, continuation(text, 1));
    }
    let log = fake.log.lock().expect("not poisoned");
    let pass_of = |text: &[u32]| {
        let has = |run: &farthing_models::Run| run.tokens.last() == text.last();
        log.passes.iter().rposition(|runs| runs.iter().any(has)).expect("it ran")
    };
    assert!(pass_of(&prompt(1, 9)) < pass_of(&texts[1]));
}

#[test]
fn a_short_common_beginning_is_not_waited_for() {
    let fake = Fake::new(200, 4);
    let engine = fake.start(2, 32);
    let texts = [[vec![1, 2], prompt(1, 90)].concat(), [vec![1, 2], prompt(2, 8)].concat()];
    let requests = texts.iter().map(|text| greedy(text.clone(), 1));
    let handles = submit_together(&fake, &engine, requests);
    for (handle, text) in handles.iter().zip(&texts) {
        assert_eq!(collect(handle).tokens, continuation(text, 1));
    }
    assert_eq!(fake.run_lengths()[0], [22, 10]);
}

#[test]
fn a_waiting_request_goes_on_when_the_other_ends() {
    // Cancelled, failed at a token behind the common beginning, or at its end.
    for end in [None, Some((30, FAILS)), Some((59, GIVES_NAN))] {
        let fake = Fake::new(100, 4);
        let engine = fake.start(2, 8);
        let mut first = prompt(5, 60);
        let second = [&first[..28], &prompt(6, 5)].concat();
        if let Some((at, token)) = end {
            first[at] = token;
        }
        let handles = fake.while_paused(|| {
            let handles = [first, second.clone()].map(|text| submit(&engine, greedy(text, 5)));
            fake.advance_to(1);
            if end.is_none() {
                handles[0].cancel();
            }
            handles
        });
        assert!(collect(&handles[0]).tokens.is_empty());
        assert_eq!(collect(&handles[1]).tokens, continuation(&second, 5));
        wait_until("all is over", || engine.status().running == 0);
        assert_eq!(engine.status().used_pages, 0);
    }
}

#[test]
fn a_waiting_request_goes_on_when_the_other_is_preempted() {
    let fake = Fake::new(24, 4);
    let engine = fake.start(3, 8);
    let texts = alike(40, 2);
    let talker = prompt(77, 4);
    let requests =
        [greedy(talker.clone(), 70), greedy(texts[0].clone(), 20), greedy(texts[1].clone(), 20)];
    let handles = submit_together(&fake, &engine, requests.into_iter());
    assert_eq!(collect(&handles[0]).tokens, continuation(&talker, 70));
    for (handle, text) in handles[1..].iter().zip(&texts) {
        assert_eq!(collect(handle).tokens, continuation(text, 20));
    }
}

#[test]
fn a_request_may_keep_to_itself() {
    let fake = Fake::new(64, 4);
    let engine = fake.start(4, 64);
    let alone = || Request { unshared: true, ..greedy(prompt(1, 30), 4) };
    answer(&engine, greedy(prompt(1, 30), 4));
    let second = answer(&engine, alone());
    assert_eq!(second.tokens, continuation(&prompt(1, 30), 4));
    assert_eq!(second.finished().1.cached_tokens, 0);
    // It leaves nothing, and nobody waits for it.
    answer(&engine, Request { unshared: true, ..greedy(prompt(2, 30), 4) });
    assert_eq!(answer(&engine, greedy(prompt(2, 30), 4)).finished().1.cached_tokens, 0);
    let passes = fake.n_passes();
    let handles = submit_together(&fake, &engine, (0..2).map(|_| alone()));
    for handle in &handles {
        assert_eq!(collect(handle).finished().1.cached_tokens, 0);
    }
    assert_eq!(fake.run_lengths()[passes..].iter().flatten().sum::<usize>(), 2 * 33);
}

#[test]
fn requests_of_other_namespaces_share_nothing() {
    let fake = Fake::new(64, 4);
    let engine = fake.start(2, 64);
    let request = |namespace| Request { namespace, ..greedy(prompt(1, 30), 4) };
    let cached = [0, 1, 0, 1, 2].map(|namespace| {
        let answer = answer(&engine, request(namespace));
        assert_eq!(answer.tokens, continuation(&prompt(1, 30), 4));
        answer.finished().1.cached_tokens
    });
    assert_eq!(cached, [0, 0, 29, 29, 0]);
}

#[test]
fn no_more_pages_are_kept_than_allowed() {
    for kept_pages in [0, 1, 5] {
        let fake = Fake::new(64, 4);
        let engine = fake.start_config(Config { n_ctx: 100, kept_pages, ..Config::default() });
        for seed in 0..3 {
            let handles = submit_together(
                &fake,
                &engine,
                (0..3).map(|i| greedy(prompt(seed * 2 + i % 2, 10), 8)),
            );
            for (handle, i) in handles.iter().zip(0..) {
                let expected = continuation(&prompt(seed * 2 + i % 2, 10), 8);
                assert_eq!(collect(handle).tokens, expected);
            }
        }
        wait_until("all is over", || engine.status().running == 0);
        assert_eq!((engine.status().used_pages, engine.status().kept_pages), (0, kept_pages));
        let again = answer(&engine, greedy(prompt(4, 10), 1)).finished().1;
        assert_eq!(again.cached_tokens, [0, 4, 9][kept_pages.min(2)], "{kept_pages} pages");
    }
}

#[test]
fn the_queue_is_first_come_first_served() {
    let fake = Fake::new(32, 4);
    let engine = fake.start(1, 16);
    let handles: Vec<Handle> = (0..5).map(|i| submit(&engine, greedy(prompt(i, 8), 8))).collect();
    assert!(handles.windows(2).all(|pair| pair[0].id() < pair[1].id()));
    handles.iter().for_each(|handle| drop(collect(handle)));
    let log = fake.log.lock().expect("not poisoned");
    let starts = log.passes.iter().flatten().filter(|run| run.start == 0);
    let expected: Vec<Vec<u32>> = (0..5).map(|i| prompt(i, 8)).collect();
    assert_eq!(starts.map(|run| run.tokens.clone()).collect::<Vec<_>>(), expected);
}

#[test]
fn two_hundred_requests_with_random_cancels_leak_nothing() {
    let fake = Fake::new(60, 4).slow(Duration::from_micros(1));
    let engine = fake.start_with(160, 6, 24);
    let mut random = prompt(1234, 4000).into_iter();
    let mut next = |below: u32| random.next().expect("enough") % below;
    let mut waiting: Vec<(Handle, Vec<u32>, usize, bool)> = Vec::new();
    for _ in 0..200 {
        let mut text = prompt(u64::from(next(3)), next(40) as usize);
        text.extend(prompt(50 + u64::from(next(40)), 1 + next(30) as usize));
        let n = 1 + next(40) as usize;
        let handle = submit(&engine, greedy(text.clone(), n));
        let cancelled = next(4) == 0;
        waiting.push((handle, text, n, cancelled));
        if waiting.len() > 12 {
            let victim = next(12) as usize;
            if waiting[victim].3 {
                waiting[victim].0.cancel();
            }
            finish(waiting.remove(0));
        }
    }
    waiting.into_iter().for_each(finish);
    wait_until("all is over", || engine.status().running == 0);
    let status = engine.status();
    assert_eq!((status.waiting, status.used_pages, status.n_pages), (0, 0, 60));
    assert!(status.kept_pages > 0);
    // Every page can still be had.
    let all = answer(&engine, greedy(prompt(7, 159), 1));
    assert_eq!(all.tokens, continuation(&prompt(7, 159), 1));
}

fn finish((handle, text, n, may_be_cancelled): (Handle, Vec<u32>, usize, bool)) {
    let answer = collect(&handle);
    let expected = continuation(&text, n);
    if may_be_cancelled {
        assert_eq!(answer.tokens, expected[..answer.tokens.len()]);
    } else {
        assert_eq!(answer.tokens, expected);
        assert_eq!(answer.reason(), FinishReason::Length);
    }
}
