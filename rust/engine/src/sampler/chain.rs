//! The samplers in their order.
//!
//! A sampler is a file with a [`Stage`] and a `build` that gives one, or nothing where the
//! parameters turn it off, and a row here.

use super::candidates::Candidates;
use super::{Sampling, min_p, penalties, temperature, top_k, top_p, typ_p};

/// One sampler of a request's chain.
pub(crate) trait Stage: Send {
    /// Changes or removes candidates for the token after `history`. Removes all of them never.
    fn apply(&mut self, candidates: &mut Candidates, history: &[u32]);
}

struct Row {
    name: &'static str,
    build: fn(&Sampling) -> Option<Box<dyn Stage>>,
    /// It removes unlikely candidates and does nothing else.
    narrows: bool,
}

/// llama.cpp's default order.
const CHAIN: &[Row] = &[
    Row { name: "penalties", build: penalties::build, narrows: false },
    Row { name: "top_k", build: top_k::build, narrows: true },
    Row { name: "typ_p", build: typ_p::build, narrows: false },
    Row { name: "top_p", build: top_p::build, narrows: true },
    Row { name: "min_p", build: min_p::build, narrows: true },
    Row { name: "temperature", build: temperature::build, narrows: false },
];

/// The samplers' names (llama.cpp's), in the order in which they are applied.
pub fn sampler_names() -> impl Iterator<Item = &'static str> {
    CHAIN.iter().map(|row| row.name)
}

/// The samplers that are on.
pub(crate) fn build_chain(sampling: &Sampling) -> Vec<Box<dyn Stage>> {
    let mut chain: Vec<(bool, Box<dyn Stage>)> =
        CHAIN.iter().filter_map(|row| Some((row.narrows, (row.build)(sampling)?))).collect();
    // The best candidate is the same before and after narrowing.
    while sampling.is_greedy() && chain.pop_if(|(narrows, _)| *narrows).is_some() {}
    chain.into_iter().map(|(_, stage)| stage).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greedy_request_narrows_nothing_in_vain() {
        let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
        assert_eq!(build_chain(&greedy).len(), 0);
        assert_eq!(build_chain(&Sampling::default()).len(), 4);
        let typical = Sampling { typical_p: 0.5, ..greedy };
        assert_eq!(build_chain(&typical).len(), 2, "top_k and typ_p");
    }
}
