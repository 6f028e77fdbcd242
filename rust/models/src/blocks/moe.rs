//! A mixture of feed-forward layers, of which each token uses a few (Jiang et al. 2024,
//! arXiv:2401.04088).

use farthing_kernels::Team;
use farthing_kernels::activation::{Activation, activate_gate};
use farthing_kernels::matmul::groups::{Forms, Groups};
use farthing_kernels::profile::Part;
use farthing_kernels::vector::weighted_sums;

use super::{Work, sized};
use crate::error::Result;
use crate::weights::{Linear, Weights, forms, linear, linear_groups};

/// How many experts there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Experts {
    /// In all.
    pub n: usize,
    /// For each token.
    pub used: usize,
    /// How wide each is inside.
    pub width: usize,
}

/// The weights of a mixture, experts in their order.
pub struct Moe {
    shape: Experts,
    router: Linear,
    gate: Vec<Linear>,
    up: Vec<Linear>,
    down: Vec<Linear>,
    inner: Forms,
    outer: Forms,
}

/// Memory that layers use in turn.
#[derive(Default)]
pub struct Scratch {
    logits: Vec<f32>,
    routes: Routes,
    columns: Groups,
    gate: Vec<f32>,
    up: Vec<f32>,
    gated: Groups,
    out: Vec<f32>,
}

impl Moe {
    /// `<prefix>.ffn_gate_inp` and the experts, stacked in `<prefix>.ffn_gate_exps` and so on or, in
    /// older files, apart as `<prefix>.ffn_gate.<i>`.
    pub fn load(weights: &Weights, prefix: &str, d: usize, shape: Experts) -> Result<Moe> {
        let Experts { n, width, .. } = shape;
        let all = |part: &str, rows: usize, k: usize| -> Result<Vec<Linear>> {
            let stacked = format!("{prefix}.ffn_{part}_exps");
            if weights.has(&format!("{prefix}.ffn_{part}.0.weight")) {
                let one = |i| weights.linear(&format!("{prefix}.ffn_{part}.{i}"), rows, k);
                return (0..n).map(one).collect();
            }
            weights.stack(&stacked, n, rows, k)
        };
        let (gate, up) = (all("gate", width, d)?, all("up", width, d)?);
        let down = all("down", d, width)?;
        Ok(Moe {
            shape,
            router: weights.linear(&format!("{prefix}.ffn_gate_inp"), n, d)?,
            inner: forms(gate.iter().chain(&up)),
            outer: forms(&down),
            gate,
            up,
            down,
        })
    }

    /// Writes the layer's output: tokens are gathered by expert, so that each expert's weights are
    /// read once, and all experts are computed together.
    pub fn forward(&self, work: Work, scratch: &mut Scratch) {
        let Work { team, x, out } = work;
        let (n, d) = (x.n(), x.k());
        let Experts { n: n_experts, used, width } = self.shape;
        let Scratch { logits, routes, columns, gate, up, gated, out: parts } = scratch;
        let part = team.part(Part::Router);
        let logits = sized(logits, n * n_experts);
        linear(team, x, &mut [(&self.router, &mut *logits)]);
        routes.set(team, logits, n_experts, used);
        drop(part);
        let _part = team.part(Part::Experts);
        let total = n * used;
        let (gate, up) = (sized(gate, total * width), sized(up, total * width));
        columns.gather(team, self.inner, x, &routes.starts, &routes.tokens);
        let starts = &routes.starts;
        let mut jobs = by_expert(&self.gate, starts, gate);
        jobs.extend(by_expert(&self.up, starts, up));
        linear_groups(team, columns, jobs);
        activate_gate(team, Activation::Silu, gate, up);
        gated.split(team, self.outer, gate, width, starts);
        let parts = sized(parts, total * d);
        linear_groups(team, gated, by_expert(&self.down, starts, parts));
        weighted_sums(team, parts, &routes.places, d, sized(out, n * d));
    }
}

/// The matrices of the experts that have tokens, each with its part of `out`, `[total][rows]`.
fn by_expert<'a>(
    matrices: &'a [Linear],
    starts: &[usize],
    out: &'a mut [f32],
) -> Vec<(usize, &'a Linear, &'a mut [f32])> {
    let mut rest = out;
    let mut jobs = Vec::new();
    for (expert, matrix) in matrices.iter().enumerate() {
        let n = starts[expert + 1] - starts[expert];
        let (part, others) = rest.split_at_mut(n * matrix.rows());
        rest = others;
        if n > 0 {
            jobs.push((expert, matrix, part));
        }
    }
    jobs
}

/// Which token goes to which experts.
#[derive(Default)]
struct Routes {
    /// `[n][used]`: experts with their shares of the output, the largest first.
    chosen: Vec<(u32, f32)>,
    /// Where each expert's tokens begin in `tokens`, and the end.
    starts: Vec<usize>,
    /// Tokens by expert.
    tokens: Vec<u32>,
    /// `[n][used]`: places in `tokens`, with the shares.
    places: Vec<(u32, f32)>,
}

impl Routes {
    /// From the router's logits, `[n][n_experts]`.
    fn set(&mut self, team: &Team, logits: &[f32], n_experts: usize, used: usize) {
        self.chosen.clear();
        self.chosen.resize(logits.len() / n_experts * used, (0, 0.0));
        team.for_rows(&mut self.chosen, used, (1 << 12) / n_experts + 1, &|first, rows| {
            let mut order = Vec::with_capacity(n_experts);
            let logits = logits.chunks_exact(n_experts).skip(first);
            for (chosen, logits) in rows.chunks_exact_mut(used).zip(logits) {
                choose(logits, &mut order, chosen);
            }
        });
        self.starts.clear();
        self.starts.resize(n_experts + 1, 0);
        for &(expert, _) in &self.chosen {
            self.starts[expert as usize + 1] += 1;
        }
        for expert in 0..n_experts {
            self.starts[expert + 1] += self.starts[expert];
        }
        let mut next = self.starts.clone();
        self.tokens.resize(self.chosen.len(), 0);
        self.places.clear();
        for (i, &(expert, share)) in self.chosen.iter().enumerate() {
            let place = &mut next[expert as usize];
            self.tokens[*place] = (i / used) as u32;
            self.places.push((*place as u32, share));
            *place += 1;
        }
    }
}

/// The most likely experts and their shares: the softmax over the chosen ones. `order` is memory.
fn choose(logits: &[f32], order: &mut Vec<u32>, chosen: &mut [(u32, f32)]) {
    let falling =
        |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    order.clear();
    order.extend(0..logits.len() as u32);
    if chosen.len() < order.len() {
        order.select_nth_unstable_by(chosen.len(), falling);
    }
    let order = &mut order[..chosen.len()];
    order.sort_unstable_by(falling);
    let max = logits[order[0] as usize];
    let mut sum = 0.0;
    for (chosen, &expert) in chosen.iter_mut().zip(&*order) {
        *chosen = (expert, (logits[expert as usize] - max).exp());
        sum += chosen.1;
    }
    chosen.iter_mut().for_each(|(_, share)| *share /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_sorted_by_expert() {
        let team = Team::new(2).unwrap();
        let _workers = team.muster();
        let (n, n_experts, used) = (3000, 7, 3);
        // Expert 6 is never among the best.
        let logit = |i: usize| if i % 7 == 6 { -9.0 } else { (i * 37 % 101) as f32 * 0.1 };
        let logits: Vec<f32> = (0..n * n_experts).map(logit).collect();
        let mut routes = Routes::default();
        for _ in 0..2 {
            routes.set(&team, &logits, n_experts, used);
        }
        assert_eq!((routes.starts[0], routes.starts[6], routes.starts[7]), (0, n * used, n * used));
        for token in 0..n {
            let row = &logits[token * n_experts..][..n_experts];
            let mut sorted: Vec<usize> = (0..n_experts).collect();
            sorted.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
            let total: f32 = sorted[..used].iter().map(|&e| row[e].exp()).sum();
            for (&expert, &(place, share)) in
                sorted[..used].iter().zip(&routes.places[token * used..])
            {
                let range = routes.starts[expert]..routes.starts[expert + 1];
                assert!(range.contains(&(place as usize)), "token {token}, expert {expert}");
                assert_eq!(routes.tokens[place as usize] as usize, token);
                assert!((share - row[expert].exp() / total).abs() < 1e-5);
            }
        }
    }
}
