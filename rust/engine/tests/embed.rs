//! Embeddings: whole texts, together, beside generations.

mod common;

use std::thread;
use std::time::{Duration, Instant};

use common::{
    FAILS, Fake, GIVES_NAN, LONG_PASS, LONG_PASS_TIME, PANICS, PATIENCE, SECOND, WIDTH, collect,
    continuation, greedy, prompt, vector, wait_until,
};
use farthing_engine::{Answer, EmbeddingRequest, Engine, Error, FinishReason};
use farthing_models::{Pooling, Run, Wants};

type Embeddings = Answer<Vec<Vec<f32>>>;

fn ask(engine: &Engine, texts: &[Vec<u32>], pooling: Option<Pooling>) -> Embeddings {
    let request = EmbeddingRequest { texts: texts.to_vec(), pooling };
    engine.embed(request).expect("a valid request")
}

fn result(answer: &Embeddings) -> Result<Vec<Vec<f32>>, Error> {
    answer.wait(PATIENCE).expect("an answer in time")
}

fn texts(lengths: &[usize]) -> Vec<Vec<u32>> {
    lengths.iter().enumerate().map(|(i, &n)| prompt(i as u64, n)).collect()
}

/// The definition.
fn expected(text: &[u32], encoder: bool, pooling: Pooling) -> Vec<f32> {
    let n = text.len();
    let seen = |i: usize| if encoder { text } else { &text[..=i] };
    let vectors: Vec<[f32; WIDTH]> = (0..n).map(|i| vector(seen(i), i)).collect();
    match pooling {
        Pooling::None => vectors.concat(),
        Pooling::Mean => {
            let sum = |k: usize| vectors.iter().fold(0.0, |sum, vector| sum + vector[k]);
            (0..WIDTH).map(|k| sum(k) / n as f32).collect()
        }
        Pooling::Cls => vectors[0].to_vec(),
        Pooling::Last => vectors[n - 1].to_vec(),
        Pooling::Rank => {
            let vector = vectors[if encoder { 0 } else { n - 1 }];
            vec![vector.iter().sum()]
        }
    }
}

#[test]
fn every_pooling_of_every_length() {
    let texts = texts(&[1, 3, 40, 7, 8, 9, 30]);
    for encoder in [true, false] {
        let fake = Fake::new(40, 4);
        let fake = if encoder { fake.encoder() } else { fake };
        let engine = fake.start_with(40, 3, 16);
        for pooling in Pooling::ALL {
            let expected: Vec<_> = texts.iter().map(|t| expected(t, encoder, pooling)).collect();
            assert_eq!(result(&ask(&engine, &texts, Some(pooling))), Ok(expected), "{pooling:?}");
        }
        assert_eq!(
            result(&ask(&engine, &texts, None)),
            Ok(texts.iter().map(|t| self::expected(t, encoder, Pooling::Mean)).collect())
        );
        wait_until("no page is used", || engine.status().used_pages == 0);
    }
}

#[test]
fn an_encoder_computes_many_texts_in_one_pass_and_each_in_one_run() {
    let fake = Fake::new(100, 4).encoder();
    let engine = fake.start_with(40, 2, 16);
    let texts = texts(&[4; 12]);
    result(&ask(&engine, &texts, None)).unwrap();
    assert_eq!(fake.run_lengths(), [vec![4; 4], vec![4; 4], vec![4; 4]]);
    result(&ask(&engine, &[prompt(1, 40)], None)).unwrap();
    assert_eq!(fake.run_lengths().last(), Some(&vec![40]), "more than a pass has otherwise");
}

#[test]
fn fewer_pages_than_texts_of_a_pass() {
    let fake = Fake::new(10, 4).encoder();
    let engine = fake.start_with(40, 1, 100);
    let texts = texts(&[1; 25]);
    let expected: Vec<_> = texts.iter().map(|t| expected(t, true, Pooling::Cls)).collect();
    assert_eq!(result(&ask(&engine, &texts, Some(Pooling::Cls))), Ok(expected));
    assert_eq!(engine.status().kept_pages, 0, "nothing of an encoder's is kept");
}

#[test]
fn a_short_request_does_not_wait_for_a_long_one() {
    let fake = Fake::new(100, 4).encoder();
    let engine = fake.start_with(40, 2, 16);
    let (long, short) = fake.while_paused(|| {
        let long = ask(&engine, &texts(&[8; 400]), None);
        fake.advance_to(1);
        (long, ask(&engine, &[prompt(9, 20)], None))
    });
    result(&short).unwrap();
    result(&long).unwrap();
    let passes = fake.run_lengths();
    let its_pass = passes.iter().position(|lengths| lengths.contains(&20)).expect("it ran");
    assert!(its_pass < 5 && passes.len() > 100, "{its_pass} of {}", passes.len());
}

#[test]
fn streams_go_on_beside_embeddings() {
    let fake = Fake::new(100, 4);
    let engine = fake.start_with(100, 4, 16);
    let (long, other) = (prompt(1, 20), prompt(2, 10));
    let texts = texts(&[6; 60]);
    let (stream, embeddings, late) = fake.while_paused(|| {
        let stream = engine.submit(greedy(long.clone(), 40)).unwrap();
        let embeddings = ask(&engine, &texts, Some(Pooling::Last));
        (stream, embeddings, engine.submit(greedy(other.clone(), 5)).unwrap())
    });
    assert_eq!(collect(&late).tokens, continuation(&other, 5));
    let expected: Vec<_> = texts.iter().map(|t| expected(t, false, Pooling::Last)).collect();
    assert_eq!(result(&embeddings), Ok(expected));
    assert_eq!(collect(&stream).tokens, continuation(&long, 40));
    let log = fake.log.lock().expect("not poisoned");
    let last = |of: &dyn Fn(&Run) -> bool| log.passes.iter().rposition(|runs| runs.iter().any(of));
    // The last token of the late one, computed alone, and the texts.
    let late = last(&|run| run.start == other.len() + 3).expect("it ran");
    let embedded = last(&|run| matches!(run.wants, Wants::Vectors(_))).expect("they ran");
    assert!(late + 5 < embedded, "60 texts were before 5 tokens");
}

#[test]
fn texts_that_begin_alike_are_computed_once_where_the_last_token_counts() {
    let fake = Fake::new(100, 4);
    let engine = fake.start_with(100, 1, 100);
    let begin = prompt(1, 20);
    for end in 0..3 {
        let text = [begin.clone(), prompt(50 + end, 3)].concat();
        let expected = expected(&text, false, Pooling::Rank);
        assert_eq!(result(&ask(&engine, &[text], Some(Pooling::Rank))), Ok(vec![expected]));
    }
    assert_eq!(fake.run_lengths(), [[23], [3], [3]]);
}

#[test]
fn cancelling_interrupts_and_leaves_the_engine_usable() {
    let fake = Fake::new(500, 4).encoder().very_slow();
    let engine = fake.start_with(LONG_PASS, 2, 16);
    let slow = ask(&engine, &[prompt(1, LONG_PASS), prompt(2, LONG_PASS)], None);
    wait_until("it runs", || fake.n_passes() > 0);
    let begin = Instant::now();
    slow.cancel();
    assert_eq!(result(&slow), Err(Error::Cancelled));
    assert!(begin.elapsed() < LONG_PASS_TIME / 2);
    assert_eq!(result(&ask(&engine, &[prompt(3, 2)], None)).map(|rows| rows.len()), Ok(1));
    let dropped = ask(&engine, &[prompt(1, LONG_PASS)], None);
    drop(dropped);
    wait_until("nothing is left", || engine.status().running == 0);
    let last = ask(&engine, &[prompt(1, LONG_PASS)], None);
    engine.close();
    assert_eq!(result(&last), Err(Error::Cancelled));
}

#[test]
fn failures_end_their_requests_only() {
    let fake = Fake::new(100, 4);
    let engine = fake.start_with(100, 4, 8);
    for bad in [FAILS, PANICS] {
        let failing = ask(&engine, &[prompt(1, 8), vec![bad], prompt(2, 8)], None);
        assert!(matches!(result(&failing), Err(Error::Failed(_))));
        let fine = [prompt(4, 5)];
        let expected = vec![expected(&fine[0], false, Pooling::Mean)];
        assert_eq!(result(&ask(&engine, &fine, None)), Ok(expected));
    }
    let nan = result(&ask(&engine, &[vec![GIVES_NAN]], None)).unwrap();
    assert_eq!(nan[0].len(), WIDTH);
}

#[test]
fn requests_are_checked() {
    let engine = Fake::new(10, 4).encoder().start_with(20, 2, 8);
    let refused = |texts: &[Vec<u32>]| {
        let request = EmbeddingRequest { texts: texts.to_vec(), pooling: None };
        engine.embed(request).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(refused(&[]), "texts is an empty list, but must be 1 text or more");
    assert_eq!(refused(&[vec![1], vec![]]), "texts[1] has no tokens; it must have at least 1");
    let too_long = "texts[1] has 21 tokens; the context has room for 20";
    assert_eq!(refused(&[vec![1], vec![1; 21]]), too_long);
    assert_eq!(refused(&[vec![1, 50]]), "texts[0][1] is 50, but the vocabulary ends at 49");
    let request = greedy(vec![1], 3);
    assert!(matches!(engine.submit(request), Err(Error::Unsupported(_))));
    assert!(matches!(engine.evaluate(vec![1]), Err(Error::Unsupported(_))));
}

#[test]
fn readers_are_told_when_all_is_done() {
    let engine = Fake::new(100, 4).encoder().start_with(40, 2, 8);
    let answer = ask(&engine, &texts(&[8, 8, 8]), Some(Pooling::Cls));
    answer.watch();
    let begin = Instant::now();
    let mut rows = None;
    while rows.is_none() && begin.elapsed() < PATIENCE {
        if engine.wait_ready(SECOND).contains(&answer.id()) {
            rows = answer.wait(Duration::ZERO);
        }
        thread::yield_now();
    }
    assert_eq!(rows.map(|rows| rows.map(|rows| rows.len())), Some(Ok(3)));
}

#[test]
fn a_generation_is_cancelled_without_harm_to_embeddings() {
    let fake = Fake::new(100, 4);
    let engine = fake.start_with(100, 4, 16);
    let texts = texts(&[6; 20]);
    let (stream, embeddings) = fake.while_paused(|| {
        let stream = engine.submit(greedy(prompt(1, 20), 60)).unwrap();
        let embeddings = ask(&engine, &texts, Some(Pooling::None));
        fake.advance_to(2);
        stream.cancel();
        (stream, embeddings)
    });
    assert_eq!(collect(&stream).reason(), FinishReason::Cancelled);
    let expected: Vec<_> = texts.iter().map(|t| expected(t, false, Pooling::None)).collect();
    assert_eq!(result(&embeddings), Ok(expected));
}
