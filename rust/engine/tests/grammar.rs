//! Constrained requests: what is generated keeps to the grammar, whatever the model wants.

mod common;

use std::time::Duration;

use common::{Fake, N_VOCAB, answer, collect, continuation, greedy, prompt};
use farthing_engine::{Constraint, FinishReason, Request, Sampling, Source, TokenText, Vocabulary};

/// The fake model's tokens.
const END: u32 = 0;
const TEXTS: [&str; N_VOCAB] = [
    "<end>", "{", "}", "[", "]", "\"", ":", ",", " ", "\n", "a", "b", "c", "0", "1", "2", "\"a\"",
    "{\"", "\":", "true", "null", "-", ".", "ab", "<call>", "</call>", "<think>", "</think>", "x",
    "y", "z", "ca", "ll", "<", ">", "call", "think", "/", "(", ")", "+", "*", "1,", "]]", "\n\n",
    "é", "d", "e", "f", "g",
];
/// Special tokens of these.
const SPECIAL: [u32; 3] = [END, 24, 25];

fn vocabulary() -> Vocabulary {
    let texts = TEXTS.iter().zip(0..).map(|(text, id)| match SPECIAL.contains(&id) {
        true => TokenText::Special(text.as_bytes()),
        false => TokenText::Text(text.as_bytes()),
    });
    Vocabulary::new(texts.collect::<Vec<_>>().into_iter(), &[END]).expect("a vocabulary")
}

fn text(tokens: &[u32]) -> String {
    tokens.iter().map(|&id| TEXTS[id as usize]).collect()
}

fn schema(text: &str) -> Source {
    Source::JsonSchema(text.to_owned())
}

fn request(constraint: Constraint, max_tokens: usize, seed: u64) -> Request {
    Request {
        tokens: prompt(seed, 5),
        max_tokens: Some(max_tokens),
        stop_tokens: vec![END],
        constraint: Some(constraint),
        sampling: Sampling { temperature: 1.5, seed: Some(seed), ..Sampling::default() },
        ..Request::default()
    }
}

fn whole(source: &Source) -> Constraint {
    Constraint::whole(vocabulary().compile(source).expect("a grammar"))
}

#[test]
fn documents_are_valid_and_end_by_themselves() {
    let engine = Fake::new(64, 8).start(4, 64);
    let constraint = whole(&schema(
        r#"{"type": "array", "items": {"enum": [1, 12, "a", null]}, "minItems": 1, "maxItems": 4}"#,
    ));
    let requests = (0..40).map(|seed| request(constraint.clone(), 200, seed));
    let handles: Vec<_> = requests.map(|request| engine.submit(request).expect("valid")).collect();
    let mut texts = std::collections::BTreeSet::new();
    for handle in &handles {
        let answer = collect(handle);
        assert_eq!(answer.reason(), FinishReason::Stop);
        let text: String = text(&answer.tokens).split_whitespace().collect();
        let items = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let items: Vec<&str> = items.expect("an array").split(',').collect();
        assert!((1..=4).contains(&items.len()), "{text}");
        assert!(items.iter().all(|item| ["1", "12", "\"a\"", "null"].contains(item)), "{text}");
        texts.insert(text);
    }
    assert!(texts.len() > 5, "the model has a choice: {texts:?}");
}

#[test]
fn greedy_takes_the_best_of_what_is_allowed() {
    let engine = Fake::new(64, 8).start(4, 64);
    let constraint = whole(&Source::Choices(vec!["call".into(), "a".into(), "true".into()]));
    let mut request = request(constraint, 10, 3);
    request.sampling = Sampling { temperature: 0.0, ..Sampling::default() };
    let logits = common::logits_after(&request.tokens);
    // "ca", "call", "c", "a" and "true"; "a" may follow "c".
    let first = [31, 35, 12, 10, 19]
        .into_iter()
        .max_by(|&a, &b| logits[a as usize].total_cmp(&logits[b as usize]));
    let answer = answer(&engine, request);
    assert_eq!(answer.tokens.first().copied(), first);
    assert!(["call", "a", "true"].contains(&text(&answer.tokens).as_str()));
    assert_eq!(answer.reason(), FinishReason::Stop);
}

#[test]
fn the_end_comes_only_where_the_grammar_may_end() {
    let engine = Fake::new(64, 8).start(4, 64);
    let constraint = whole(&Source::Regex("(?:ab){3,}".into()));
    for seed in 0..20 {
        let mut request = request(constraint.clone(), 60, seed);
        // The model would rather end.
        request.sampling.logit_bias = vec![(END, 5.0)];
        let answer = answer(&engine, request);
        assert_eq!(answer.reason(), FinishReason::Stop);
        assert!(text(&answer.tokens).len() >= 6, "{}", text(&answer.tokens));
    }
}

#[test]
fn too_few_tokens_end_in_the_middle() {
    let engine = Fake::new(64, 8).start(4, 64);
    let constraint = whole(&Source::Regex("a{30}".into()));
    let answer = answer(&engine, request(constraint.clone(), 7, 1));
    assert_eq!((answer.reason(), answer.tokens.len()), (FinishReason::Length, 7));
    // The last token allowed also ends the text.
    let exact = common::answer(&engine, request(constraint, 30, 1));
    assert_eq!((exact.reason(), exact.tokens.len()), (FinishReason::Stop, 30));
}

#[test]
fn without_a_stop_token_the_end_is_found_all_the_same() {
    let engine = Fake::new(64, 8).start(4, 64);
    let mut request = request(whole(&Source::Choices(vec!["ab".into()])), 9, 1);
    request.sampling.ignore_eos = true;
    let answer = answer(&engine, request);
    assert_eq!((answer.reason(), text(&answer.tokens)), (FinishReason::Stop, "ab".into()));
}

#[test]
fn logprobs_are_those_of_the_model() {
    let engine = Fake::new(64, 8).start(4, 64);
    let mut request = request(whole(&Source::Choices(vec!["ab".into()])), 9, 1);
    request.logprobs = Some(20);
    let free = common::logits_after(&request.tokens);
    let best = (0..N_VOCAB).max_by(|&a, &b| free[a].total_cmp(&free[b])).expect("a vocabulary");
    let answer = answer(&engine, request);
    let farthing_engine::Output::Token { logprob: Some(logprob), .. } = &answer.outputs[0] else {
        panic!("{:?}", answer.outputs)
    };
    assert_eq!(logprob.top[0].0 as usize, best, "a token that the grammar forbids");
}

#[test]
fn a_request_with_a_grammar_leaves_the_others_alone() {
    let engine = Fake::new(64, 8).start(4, 64);
    let handle = engine.submit(request(whole(&Source::JsonObject), 40, 1)).expect("valid");
    let free = answer(&engine, greedy(prompt(7, 9), 30));
    assert_eq!(free.tokens, continuation(&prompt(7, 9), 30));
    collect(&handle);
}

#[test]
fn a_preempted_request_goes_on_where_it_was() {
    // Pages for a little more than one of them.
    let engine = Fake::new(9, 4).start(4, 64);
    let constraint = whole(&Source::Regex("(?:ab|c){12}".into()));
    let handles: Vec<_> = (0..3)
        .map(|seed| engine.submit(request(constraint.clone(), 30, seed)).expect("valid"))
        .collect();
    for handle in &handles {
        let text = text(&collect(handle).tokens);
        assert_eq!(text.replace("ab", "c"), "c".repeat(12));
    }
}

#[test]
fn cancelling_does_not_wait_for_masks() {
    let fake = Fake::new(64, 8);
    let engine = fake.start(4, 64);
    let handle = fake.while_paused(|| {
        let handle = engine.submit(request(whole(&Source::JsonObject), 400, 1)).expect("valid");
        fake.advance_to(2);
        handle.cancel();
        handle
    });
    assert_eq!(collect(&handle).reason(), FinishReason::Cancelled);
}

#[test]
fn special_tokens_come_where_a_grammar_asks_for_them() {
    let engine = Fake::new(64, 8).start(1, 64);
    let call = Source::Gbnf("root ::= \"a\" <call> [0-2]{3} <[25]> \"b\"".into());
    for seed in 0..5 {
        let answer = answer(&engine, request(whole(&call), 20, seed));
        let text = text(&answer.tokens);
        assert_eq!(answer.reason(), FinishReason::Stop);
        assert!(text.starts_with("a<call>") && text.ends_with("</call>b"), "{text}");
        assert_eq!(text.len(), "a<call>000</call>b".len());
    }
    let other = Source::Gbnf("root ::= !<[24]> \"a\"".into());
    assert_ne!(answer(&engine, request(whole(&other), 5, 1)).tokens.first(), Some(&24));
}

#[test]
fn guesses_change_nothing_and_what_must_come_is_guessed() {
    let fake = Fake::new(256, 4).of_order(1).drafting(16);
    let engine = fake.timed(Duration::from_millis(20), Duration::from_millis(1)).start(1, 64);
    let list = r#"{"type": "array", "items": {"enum": ["a", 12, true]}, "minItems": 30}"#;
    let (mut drafted, mut accepted) = (0, 0);
    for (nth, constraint) in
        [whole(&schema(list)), whole(&Source::Regex("(?:call|true|null){20}".into()))]
            .into_iter()
            .enumerate()
    {
        for seed in 0..20 {
            let request = request(constraint.clone(), 200, seed);
            let plain = answer(&engine, Request { n_draft_max: Some(0), ..request.clone() });
            let quick = answer(&engine, request);
            let ends = (quick.reason(), plain.reason());
            assert_eq!((&quick.tokens, ends.0), (&plain.tokens, ends.1), "{nth} {seed}");
            drafted += quick.timings().draft_n;
            accepted += quick.timings().draft_n_accepted;
        }
    }
    assert!(accepted > 100 && drafted > accepted, "{accepted} of {drafted}");
}
