//! Slow references, and the comparison of a sampler with its own.

use super::Sampling;
use super::candidates::{Candidate, Candidates};
use super::chain::{Place, Stage};
use super::rng::Rng;

/// All tokens.
pub(crate) fn by_id(logits: &[f32]) -> Vec<Candidate> {
    logits.iter().enumerate().map(|(id, &logit)| Candidate { id: id as u32, logit }).collect()
}

/// All tokens, the most likely first, of equal ones the lower id.
pub(crate) fn sorted(logits: &[f32]) -> Vec<Candidate> {
    let mut list = by_id(logits);
    // The sort is stable, so ids stay in order.
    list.sort_by(|a, b| b.logit.total_cmp(&a.logit));
    list
}

pub(crate) fn softmax(list: &[Candidate]) -> Vec<f64> {
    let exps: Vec<f64> = list.iter().map(|c| f64::from(c.logit).exp()).collect();
    let total: f64 = exps.iter().sum();
    exps.iter().map(|x| x / total).collect()
}

/// What a sampler leaves of these logits, by id.
pub(crate) fn apply(logits: &[f32], stage: Option<Box<dyn Stage>>) -> Vec<Candidate> {
    let mut logits = logits.to_vec();
    let mut list = Vec::new();
    let mut candidates = Candidates::new(&mut logits, &mut list);
    if let Some(mut stage) = stage {
        stage.apply(&mut candidates, &mut Place::for_test(&[], Rng::new(0)));
    }
    candidates.list().sort_by_key(|c| c.id);
    list
}

pub(crate) fn ids(logits: &[f32], stage: Option<Box<dyn Stage>>) -> Vec<u32> {
    sorted_ids(&apply(logits, stage))
}

/// The same when the candidates are listed already.
fn ids_of_listed(logits: &[f32], stage: Option<Box<dyn Stage>>) -> Vec<u32> {
    let (mut logits, mut list) = (logits.to_vec(), Vec::new());
    let mut candidates = Candidates::new(&mut logits, &mut list);
    candidates.list();
    if let Some(mut stage) = stage {
        stage.apply(&mut candidates, &mut Place::for_test(&[], Rng::new(0)));
    }
    sorted_ids(&list)
}

pub(crate) fn sorted_ids(list: &[Candidate]) -> Vec<u32> {
    let mut ids: Vec<u32> = list.iter().map(|c| c.id).collect();
    ids.sort_unstable();
    ids
}

/// Compares a sampler with its definition for vocabularies of several sizes, flat and steep
/// distributions, and values of its parameter; `set` sets that, and `reference` gets all candidates
/// sorted.
pub(crate) fn compare(
    set: impl Fn(&mut Sampling, f32),
    build: fn(&Sampling) -> Option<Box<dyn Stage>>,
    reference: impl Fn(Vec<Candidate>, &Sampling) -> Vec<Candidate>,
) {
    let mut rng = Rng::new(7);
    for n in [1, 2, 5, 64, 300, 2000] {
        for scale in [0.1, 3.0, 30.0] {
            let logits: Vec<f32> = (0..n).map(|_| (rng.uniform() * scale) as f32).collect();
            for p in [0.01, 0.3, 0.5, 0.9, 0.99] {
                for min_keep in [0, 3, 100] {
                    let mut sampling = Sampling { min_keep, ..Sampling::default() };
                    set(&mut sampling, p);
                    let expected = sorted_ids(&reference(sorted(&logits), &sampling));
                    let case = format!("n {n}, scale {scale}, p {p}, keep {min_keep}");
                    assert_eq!(ids(&logits, build(&sampling)), expected, "{case}");
                    assert_eq!(
                        ids_of_listed(&logits, build(&sampling)),
                        expected,
                        "{case}, listed"
                    );
                }
            }
        }
    }
}
