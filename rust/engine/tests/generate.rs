//! One request at a time: what comes out, and how it ends.

mod common;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use common::*;
use farthing_engine::{
    Config, Engine, Error, FinishReason, LogitsProcessor, Output, Request, Sampling, samplers,
};

#[test]
fn greedy_output_is_the_models() {
    for (page_len, n_batch) in [(4, 1), (4, 7), (16, 64)] {
        let engine = Fake::new(64, page_len).start(2, n_batch);
        let answer = answer(&engine, greedy(prompt(1, 37), 20));
        assert_eq!(answer.tokens, continuation(&prompt(1, 37), 20));
        let (reason, usage) = answer.finished();
        assert_eq!(reason, FinishReason::Length);
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (37, 20));
    }
}

#[test]
fn a_stop_token_ends_without_being_given_out() {
    let engine = Fake::new(16, 4).start(1, 16);
    let expected = continuation(&[1, 2, 3], 10);
    let mut request = greedy(vec![1, 2, 3], 10);
    request.stop_tokens = vec![expected[4]];
    let end = expected.iter().position(|&id| id == expected[4]).expect("it is there");
    let stopped = answer(&engine, request.clone());
    assert_eq!(stopped.tokens, expected[..end]);
    assert_eq!(stopped.reason(), FinishReason::Stop);
    let Some(Output::Finished { timings, usage, .. }) = stopped.outputs.last() else {
        panic!("not finished");
    };
    assert_eq!((timings.predicted_n, usage.completion_tokens), (end + 1, end));

    request.sampling.ignore_eos = true;
    let ignoring = answer(&engine, request);
    assert_eq!(ignoring.tokens.len(), 10);
    assert!(!ignoring.tokens.contains(&expected[4]));
}

#[test]
fn without_max_tokens_the_context_is_the_end() {
    let engine = Fake::new(8, 4).start_with(30, 1, 16);
    let mut request = greedy(prompt(2, 10), 0);
    request.max_tokens = None;
    let all = answer(&engine, request.clone());
    assert_eq!((all.tokens.len(), all.reason()), (20, FinishReason::Length));
    request.max_tokens = Some(1000);
    assert_eq!(answer(&engine, request.clone()).tokens.len(), 20);
    request.max_tokens = Some(0);
    let none = answer(&engine, request);
    assert_eq!((none.tokens.len(), none.reason()), (0, FinishReason::Length));
}

#[test]
fn bad_requests_are_refused_with_names_and_numbers() {
    let engine = Fake::new(8, 4).start_with(30, 1, 16);
    let refusal = |change: fn(&mut Request)| {
        let mut request = greedy(vec![1], 1);
        change(&mut request);
        let error = engine.submit(request).err().expect("it is refused");
        error.to_string()
    };
    assert_eq!(refusal(|r| r.tokens.clear()), "the prompt has no tokens; it must have at least 1");
    assert_eq!(
        refusal(|r| r.tokens = vec![1; 30]),
        "the prompt has 30 tokens; the context of 30 tokens allows at most 29"
    );
    assert_eq!(
        refusal(|r| r.tokens = vec![1, 50]),
        "tokens[1] is 50, but the vocabulary ends at 49"
    );
    assert_eq!(
        refusal(|r| r.stop_tokens = vec![99]),
        "stop_tokens[0] is 99, but the vocabulary ends at 49"
    );
    assert_eq!(
        refusal(|r| r.sampling.logit_bias = vec![(77, 1.0)]),
        "logit_bias[0] is 77, but the vocabulary ends at 49"
    );
    assert_eq!(
        refusal(|r| r.sampling.logit_bias = vec![(7, f32::NAN)]),
        "logit_bias is NaN for token 7, but must be finite or minus infinity"
    );
    assert_eq!(refusal(|r| r.logprobs = Some(21)), "logprobs is 21, but must be 0 to 20");
    assert_eq!(refusal(|r| r.sampling.top_p = 1.5), "top_p is 1.5, but must be 0 to 1");
    assert_eq!(refusal(|r| r.sampling.min_p = -0.1), "min_p is -0.1, but must be 0 to 1");
    assert_eq!(
        refusal(|r| r.sampling.typical_p = f32::NAN),
        "typical_p is NaN, but must be 0 to 1"
    );
    assert_eq!(
        refusal(|r| r.sampling.temperature = f32::INFINITY),
        "temperature is inf, but must be finite"
    );
    assert_eq!(
        refusal(|r| r.sampling.repeat_penalty = 0.0),
        "repeat_penalty is 0, but must be finite and above 0"
    );
    assert_eq!(
        refusal(|r| r.sampling.repeat_last_n = -2),
        "repeat_last_n is -2, but must be -1 or more"
    );
    assert_eq!(
        refusal(|r| r.sampling.dry_base = 0.5),
        "dry_base is 0.5, but must be finite and 1 or more"
    );
    assert_eq!(refusal(|r| r.sampling.mirostat = 3), "mirostat is 3, but must be 0, 1 or 2");
    assert_eq!(
        refusal(|r| r.sampling.xtc_threshold = 2.0),
        "xtc_threshold is 2, but must be 0 to 1"
    );
    assert_eq!(
        refusal(|r| r.sampling.adaptive_decay = 1.0),
        "adaptive_decay is 1, but must be 0 to 0.99"
    );
    assert_eq!(
        refusal(|r| r.sampling.samplers = Some(vec!["top_k".into(), "top_q".into()])),
        "samplers is \"top_q\", but must be some of penalties, dry, top_n_sigma, top_k, typ_p, \
         top_p, min_p, xtc, temperature, adaptive_p"
    );
    assert_eq!(
        refusal(|r| r.post_sampling_probs = true),
        "post_sampling_probs is true, but must be false without logprobs"
    );
    assert!(engine.evaluate(vec![1; 31]).is_err());
    assert!(engine.evaluate(vec![]).is_err());
}

#[test]
fn bad_limits_are_refused() {
    let good = || Config { n_ctx: 32, max_sequences: 1, n_batch: 1, ..Config::default() };
    let refusal = |config| {
        let engine = Engine::start(Box::new(Fake::new(8, 4)), config);
        engine.err().map(|error: Error| error.to_string())
    };
    assert_eq!(refusal(good()), None);
    assert_eq!(
        refusal(Config { n_ctx: 33, ..good() }).as_deref(),
        Some("n_ctx is 33, but must be 1 to 32, the positions of the KV cache")
    );
    assert!(refusal(Config { n_batch: 0, ..good() }).is_some());
    assert!(refusal(Config { max_sequences: 0, ..good() }).is_some());
}

#[test]
fn a_seed_repeats_and_another_one_does_not() {
    let engine = Fake::new(64, 4).start(4, 64);
    let sampled = |seed| {
        let mut request = greedy(prompt(3, 9), 30);
        request.sampling = Sampling { seed, ..Sampling::default() };
        answer(&engine, request).tokens
    };
    let first = sampled(Some(11));
    assert_eq!(sampled(Some(11)), first);
    assert_ne!(sampled(Some(12)), first);
    assert_ne!(sampled(None), sampled(None));
}

#[test]
fn logprobs_are_of_the_raw_logits() {
    let engine = Fake::new(16, 4).start(1, 16);
    let mut request = greedy(vec![5, 6], 1);
    request.logprobs = Some(3);
    let logits = logits_after(&[5, 6]);
    let mut order: Vec<u32> = (0..N_VOCAB as u32).collect();
    order.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]));
    let total: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
    let expected = |id: u32| f64::from(logits[id as usize]) - total.ln();
    // A bias decides for the third, but is not in the number.
    request.sampling.logit_bias = vec![(order[2], 100.0)];
    let answer = answer(&engine, request);
    let Output::Token { id, logprob: Some(logprob) } = &answer.outputs[0] else {
        panic!("{answer:?}");
    };
    assert_eq!(*id, order[2]);
    assert!((f64::from(logprob.logprob) - expected(*id)).abs() < 1e-5);
    let ids: Vec<u32> = logprob.top.iter().map(|t| t.0).collect();
    assert_eq!(ids, order[..3]);
    assert!(logprob.top.iter().all(|&(id, p)| (f64::from(p) - expected(id)).abs() < 1e-5));
}

/// Lets nothing but the number of tokens so far come; fails from some number on.
#[derive(Debug)]
struct Counting {
    until: usize,
}

impl LogitsProcessor for Counting {
    fn process(&self, tokens: &[u32], logits: &mut [f32]) -> Result<(), String> {
        if tokens.len() >= self.until {
            return Err(format!("enough with {}", tokens.len()));
        }
        assert_eq!(logits, logits_after(tokens));
        logits.fill(f32::NEG_INFINITY);
        logits[tokens.len()] = 1.0;
        Ok(())
    }
}

#[test]
fn a_processor_changes_the_logits_and_fails_its_own_request_alone() {
    let engine = Fake::new(64, 4).start(2, 16);
    let with = |until| {
        let logits_processor: Option<Arc<dyn LogitsProcessor>> = Some(Arc::new(Counting { until }));
        let request = Request { logits_processor, ..greedy(vec![5, 6, 7], 4) };
        engine.submit(request).expect("a valid request")
    };
    let (working, failing) = (with(100), with(5));
    let plain = engine.submit(greedy(vec![5, 6, 7], 4)).expect("a valid request");
    assert_eq!(collect(&working).tokens, [3, 4, 5, 6]);
    let failed = collect(&failing);
    assert_eq!((failed.tokens.as_slice(), failed.error()), (&[3, 4][..], "enough with 5"));
    assert_eq!(collect(&plain).tokens, continuation(&[5, 6, 7], 4));
}

struct Closing(Arc<OnceLock<Engine>>);

impl fmt::Debug for Closing {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Closing")
    }
}

impl LogitsProcessor for Closing {
    fn process(&self, tokens: &[u32], _logits: &mut [f32]) -> Result<(), String> {
        let engine = self.0.get().expect("it was set");
        assert!(matches!(engine.evaluate(tokens.to_vec()), Err(Error::OwnThread)));
        assert!(matches!(engine.submit(greedy(vec![1], 1)), Err(Error::OwnThread)));
        assert!(!engine.close());
        Ok(())
    }
}

#[test]
fn a_processor_cannot_wait_for_its_engine_but_close_it() {
    let engine = Arc::new(OnceLock::new());
    assert!(engine.set(Fake::new(8, 4).start(1, 16)).is_ok());
    let logits_processor: Option<Arc<dyn LogitsProcessor>> =
        Some(Arc::new(Closing(engine.clone())));
    let request = Request { logits_processor, ..greedy(vec![1, 2], 10) };
    let running = engine.get().expect("it was set");
    let answer = answer(running, request);
    assert_eq!((answer.tokens.len(), answer.reason()), (1, FinishReason::Cancelled));
    assert!(running.close());
}

#[test]
fn penalties_see_the_prompt() {
    let engine = Fake::new(16, 4).start(1, 16);
    let favourite = continuation(&[1, 2, 3], 1)[0];
    let with = |last: u32| {
        let mut request = greedy(vec![1, 2, last], 1);
        request.sampling.presence_penalty = 50.0;
        answer(&engine, request).tokens[0]
    };
    assert_eq!(with(3), favourite);
    let tokens = [1, 2, favourite];
    assert!(!tokens.contains(&with(favourite)));
}

#[test]
fn timings_add_up() {
    let fake = Fake::new(16, 4).slow(Duration::from_millis(1));
    let engine = fake.start(1, 4);
    let timings = answer(&engine, greedy(prompt(4, 12), 5)).timings();
    assert_eq!((timings.prompt_n, timings.predicted_n, timings.cached_n), (12, 5, 0));
    assert!(timings.prompt_ms >= 12.0 && timings.predicted_ms >= 4.0, "{timings:?}");
    let [_first, second] = fake.while_paused(|| {
        let submit = |seed| engine.submit(greedy(prompt(seed, 4), 1)).expect("a valid request");
        let both = [5, 6].map(submit);
        thread::sleep(Duration::from_millis(30));
        both
    });
    assert!(collect(&second).timings().queue_ms >= 30.0);
}

#[test]
fn samplers_have_their_default_order() {
    let (names, letters): (Vec<&str>, String) = samplers().unzip();
    let expected = [
        "penalties",
        "dry",
        "top_n_sigma",
        "top_k",
        "typ_p",
        "top_p",
        "min_p",
        "xtc",
        "temperature",
    ];
    assert_eq!(names[..9], expected);
    assert_eq!(names[9..], ["adaptive_p"]);
    assert_eq!(letters, "edskypmxta");
}
