//! The samplers in their order.
//!
//! A sampler is a file with a [`Stage`] and a `build` that gives one, or nothing where the
//! parameters turn it off, and a row here.

use super::candidates::Candidates;
use super::rng::Rng;
use super::{Sampling, adaptive_p, dry, min_p, mirostat, penalties, temperature, top_k};
use super::{top_n_sigma, top_p, typ_p, xtc};

/// What a sampler knows of the place of the next token.
pub(crate) struct Place<'a> {
    /// All tokens before it, the prompt's first.
    pub history: &'a [u32],
    /// Random numbers of this place.
    pub rng: Rng,
    pub n_vocab: usize,
}

#[cfg(test)]
impl Place<'_> {
    /// In a vocabulary of 2000 tokens.
    pub fn for_test(history: &[u32], rng: Rng) -> Place<'_> {
        Place { history, rng, n_vocab: 2000 }
    }
}

/// One sampler of a request's chain.
pub(crate) trait Stage: Send {
    /// Changes or removes candidates, never all of them. May be called again for the same place, and
    /// gives the same then: only `accept` leads on.
    fn apply(&mut self, candidates: &mut Candidates, place: &mut Place);

    /// `token` is the next one.
    fn accept(&mut self, _token: u32) {}

    /// What its effect is at most.
    fn effect(&self) -> Effect {
        Effect::Any
    }
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Effect {
    Any,
    /// It removes candidates that are not the best.
    Narrows,
    /// It leaves the best one.
    TakesBest,
}

type Build = fn(&Sampling) -> Option<Box<dyn Stage>>;

/// A sampler that `samplers` may name.
struct Row {
    name: &'static str,
    /// Its name in llama.cpp's `--sampler-seq`.
    letter: char,
    build: Build,
}

impl Row {
    const fn new(name: &'static str, letter: char, build: Build) -> Row {
        Row { name, letter, build }
    }
}

/// llama.cpp's default order. `adaptive_p` is off unless it has a target; llama.cpp also wants it
/// named.
const CHAIN: &[Row] = &[
    Row::new("penalties", 'e', penalties::build),
    Row::new("dry", 'd', dry::build),
    Row::new("top_n_sigma", 's', top_n_sigma::build),
    Row::new("top_k", 'k', top_k::build),
    Row::new("typ_p", 'y', typ_p::build),
    Row::new("top_p", 'p', top_p::build),
    Row::new("min_p", 'm', min_p::build),
    Row::new("xtc", 'x', xtc::build),
    Row::new("temperature", 't', temperature::build),
    Row::new(LAST, 'a', adaptive_p::build),
];

/// The sampler that comes last wherever it is named.
const LAST: &str = "adaptive_p";

/// The samplers' names (llama.cpp's) with their letters, in the order in which they are applied where
/// a request names none.
pub fn samplers() -> impl Iterator<Item = (&'static str, char)> {
    CHAIN.iter().map(|row| (row.name, row.letter))
}

/// The samplers that are on, in the order in which the request wants them.
pub(crate) fn build_chain(sampling: &Sampling) -> Vec<Box<dyn Stage>> {
    let mut builds: Vec<Build> = match &sampling.samplers {
        _ if sampling.mirostat != 0 => vec![temperature::build_constant, mirostat::build],
        None => CHAIN.iter().map(|row| row.build).collect(),
        Some(names) => {
            let (last, others): (Vec<&str>, _) =
                names.iter().map(String::as_str).partition(|&name| name == LAST);
            let row = |name: &str| CHAIN.iter().find(|row| row.name == name);
            others
                .into_iter()
                .chain(last.first().copied())
                .filter_map(row)
                .map(|row| row.build)
                .collect()
        }
    };
    let mut chain: Vec<Box<dyn Stage>> = Vec::new();
    for stage in builds.drain(..).filter_map(|build| build(sampling)) {
        if stage.effect() == Effect::TakesBest {
            // The best candidate is the same before and after narrowing, and then there is no other.
            while chain.pop_if(|stage| stage.effect() == Effect::Narrows).is_some() {}
            chain.push(stage);
            break;
        }
        chain.push(stage);
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greedy_request_narrows_nothing_in_vain() {
        let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
        assert_eq!(build_chain(&greedy).len(), 1);
        assert_eq!(build_chain(&Sampling::default()).len(), 4);
        let typical = Sampling { typical_p: 0.5, ..greedy.clone() };
        assert_eq!(build_chain(&typical).len(), 3, "top_k, typ_p and temperature");
        let penalized = Sampling { presence_penalty: 0.5, adaptive_target: 0.5, ..greedy };
        assert_eq!(build_chain(&penalized).len(), 2, "penalties and temperature");
    }

    #[test]
    fn the_request_says_which_and_in_what_order() {
        let named = |names: &[&str], temperature| {
            let samplers = Some(names.iter().map(|&name| name.to_owned()).collect());
            build_chain(&Sampling {
                samplers,
                temperature,
                adaptive_target: 0.5,
                ..Sampling::default()
            })
        };
        assert_eq!(named(&[], 0.8).len(), 0);
        assert_eq!(named(&["top_k", "top_k", "dry"], 0.8).len(), 2, "dry is off");
        assert_eq!(named(&["temperature", "top_k"], 0.0).len(), 1);
        assert_eq!(named(&["top_k"], 0.0).len(), 1, "no temperature, so not greedy");
        assert_eq!(named(&["adaptive_p", "temperature", "adaptive_p"], 0.8).len(), 2);
    }

    #[test]
    fn mirostat_replaces_the_chain() {
        let sampling =
            Sampling { mirostat: 2, min_p: 0.5, presence_penalty: 1.0, ..Sampling::default() };
        assert_eq!(build_chain(&sampling).len(), 2);
        assert_eq!(build_chain(&Sampling { temperature: 1.0, ..sampling }).len(), 1);
    }
}
