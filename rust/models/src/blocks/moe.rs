//! A mixture of feed-forward layers, of which each token uses a few (Jiang et al. 2024,
//! arXiv:2401.04088).

use farthing_kernels::Activations;
use farthing_kernels::vector::add_scaled;

use super::{Ffn, Work, ffn, sized};
use crate::error::Result;
use crate::weights::{Linear, Weights, linear};

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

/// The weights of a mixture.
pub struct Moe {
    shape: Experts,
    router: Linear,
    experts: Vec<Ffn>,
}

/// Memory that layers use in turn.
#[derive(Default)]
pub struct Scratch {
    logits: Vec<f32>,
    columns: Activations,
    out: Vec<f32>,
    ffn: ffn::Scratch,
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
        let experts = gate.into_iter().zip(up).zip(all("down", d, width)?);
        Ok(Moe {
            shape,
            router: weights.linear(&format!("{prefix}.ffn_gate_inp"), n, d)?,
            experts: experts.map(|((gate, up), down)| Ffn { gate, up, down }).collect(),
        })
    }

    /// Writes the layer's output: tokens are gathered by expert, so that each expert's weights are
    /// read once.
    pub fn forward(&self, work: Work, scratch: &mut Scratch) {
        let Work { team, x, out } = work;
        let (n, d) = (x.n(), x.k());
        let Scratch { logits, columns, out: part, ffn } = scratch;
        let logits = sized(logits, n * self.shape.n);
        linear(team, x, &mut [(&self.router, &mut *logits)]);
        let mut users: Vec<Vec<(usize, f32)>> = vec![Vec::new(); self.shape.n];
        for (token, logits) in logits.chunks_exact(self.shape.n).enumerate() {
            for (expert, weight) in choose(logits, self.shape.used) {
                users[expert].push((token, weight));
            }
        }
        let out = sized(out, n * d);
        out.fill(0.0);
        for (expert, users) in self.experts.iter().zip(&users) {
            if users.is_empty() {
                continue;
            }
            let to = columns.reset(users.len(), d);
            for (to, &(token, _)) in to.chunks_exact_mut(d).zip(users) {
                to.copy_from_slice(&x.floats()[token * d..][..d]);
            }
            let part = sized(part, users.len() * d);
            expert.apply(team, columns, part, ffn);
            for (part, &(token, weight)) in part.chunks_exact(d).zip(users) {
                add_scaled(&mut out[token * d..][..d], part, weight);
            }
        }
    }
}

/// The most likely experts and their shares: the softmax over the chosen ones.
fn choose(logits: &[f32], used: usize) -> Vec<(usize, f32)> {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    order.truncate(used);
    let max = logits[order[0]];
    let weights: Vec<f32> = order.iter().map(|&e| (logits[e] - max).exp()).collect();
    let sum: f32 = weights.iter().sum();
    order.into_iter().zip(weights).map(|(e, w)| (e, w / sum)).collect()
}
