//! A mixture of feed-forward layers, of which each token uses a few (Jiang et al. 2024,
//! arXiv:2401.04088).

use farthing_kernels::Activations;
use farthing_kernels::activation::{Activation, activate, activate_gate};
use farthing_kernels::matmul::groups::{Forms, Groups};
use farthing_kernels::profile::Part;
use farthing_kernels::vector::{add, weighted_sums};

use super::ffn::{self, Ffn};
use super::router::{Choice, Routes};
use super::{Work, sized};
use crate::description::Dense;
use crate::error::Result;
use crate::lora::experts::Columns;
use crate::weights::{Linear, Weights, forms, linear, linear_groups};

/// A mixture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Experts {
    /// How many experts there are and how they are chosen.
    pub choice: Choice,
    /// How wide each is inside.
    pub width: usize,
    /// The function inside.
    pub activation: Activation,
    /// Whether its value is a gate, as in a [`Dense`] layer.
    pub gated: bool,
    /// Whether an expert's share multiplies its input instead of its output.
    pub shares_before: bool,
    /// The width of an expert that every token uses besides, or 0.
    pub shared: usize,
}

/// The weights of a mixture, experts in their order.
pub struct Moe {
    shape: Experts,
    router: Linear,
    bias: Option<Vec<f32>>,
    scales: Option<Vec<f32>>,
    /// What the function is applied to: without gates, the only matrices before it.
    gate: Vec<Linear>,
    up: Vec<Linear>,
    down: Vec<Linear>,
    inner: Forms,
    outer: Forms,
    shared: Option<(Ffn, Option<Linear>)>,
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
    ffn: ffn::Scratch,
}

impl Moe {
    /// `<prefix>.ffn_gate_inp` and the experts, stacked in `<prefix>.ffn_gate_exps` and so on, gates
    /// perhaps in one tensor `ffn_gate_up_exps` with the others, or, in older files, apart as
    /// `<prefix>.ffn_gate.<i>`. A bias of the choice is there or not, and so are factors of the
    /// experts' outputs and a gate of the shared expert.
    pub fn load(weights: &Weights, prefix: &str, d: usize, shape: Experts) -> Result<Moe> {
        let Experts { choice: Choice { n, .. }, width, .. } = shape;
        let name = |part: &str| format!("{prefix}.ffn_{part}");
        let all = |part: &str, rows: usize, k: usize| -> Result<Vec<Linear>> {
            if weights.has(&name(&format!("{part}.0.weight"))) {
                let one = |i| weights.linear(&name(&format!("{part}.{i}")), rows, k);
                return (0..n).map(one).collect();
            }
            weights.stack(&name(&format!("{part}_exps")), n, rows, k)
        };
        let (gate, up): (Vec<_>, Vec<_>) = if !shape.gated {
            (all("up", width, d)?, Vec::new())
        } else if weights.has(&name("gate_up_exps.weight")) {
            let both = all("gate_up", 2 * width, d)?;
            both.iter().map(|both| (both.part(0..width), both.part(width..2 * width))).unzip()
        } else {
            (all("gate", width, d)?, all("up", width, d)?)
        };
        let down = all("down", d, width)?;
        // Of types that have scales of their own, the matrices know them.
        let scales = match down.iter().any(Linear::scaled) {
            true => None,
            false => weights.opt_vector(&name("down_exps.scale"), n)?,
        };
        let shared = || -> Result<_> {
            let Experts { shared: width, activation, gated, .. } = shape;
            let shape = Dense::new(width, activation, gated);
            let gate = weights.has(&name("gate_inp_shexp.weight"));
            let gate = gate.then(|| weights.linear(&name("gate_inp_shexp"), 1, d)).transpose()?;
            Ok((Ffn::load_as(weights, prefix, "_shexp", d, shape)?, gate))
        };
        Ok(Moe {
            shape,
            router: weights.linear(&name("gate_inp"), n, d)?,
            bias: weights.opt_vector(&format!("{prefix}.exp_probs_b.bias"), n)?,
            scales,
            inner: forms(gate.iter().chain(&up)),
            outer: forms(&down),
            gate,
            up,
            down,
            shared: (shape.shared > 0).then(shared).transpose()?,
        })
    }

    /// Writes the layer's output: tokens are gathered by expert, so that each expert's weights are
    /// read once, and all experts are computed together.
    /// The router reads the same as the experts unless it is given something else.
    pub fn forward(&self, work: Work, scratch: &mut Scratch, router: Option<&mut Activations>) {
        let Work { team, x, out } = work;
        let (n, d) = (x.n(), x.k());
        let Experts { choice, width, .. } = self.shape;
        let Scratch { logits, routes, columns, gate, up, gated, out: parts, ffn } = scratch;
        let part = team.part(Part::Router);
        let logits = sized(logits, n * choice.n);
        linear(team, router.unwrap_or(&mut *x), &mut [(&self.router, &mut *logits)]);
        routes.set(team, logits, &choice, self.bias.as_deref(), self.scales.as_deref());
        drop(part);
        let _part = team.part(Part::Experts);
        let total = n * choice.used;
        let others = if self.shape.gated { total } else { 0 };
        let (gate, up) = (sized(gate, total * width), sized(up, others * width));
        columns.gather(team, self.inner, x, &routes.starts, &routes.tokens);
        let (starts, tokens) = (&routes.starts, &routes.tokens);
        let inputs = Columns { x: x.floats(), apart: false, tokens, starts, n };
        let mut jobs = by_expert(&self.gate, starts, gate);
        jobs.extend(by_expert(&self.up, starts, up));
        linear_groups(team, columns, inputs, jobs);
        if self.shape.shares_before {
            // Instead of the input, what the matrices make of it.
            for (place, share) in &mut routes.places {
                let row = *place as usize * width..(*place as usize + 1) * width;
                let up = up.get_mut(row.clone()).unwrap_or_default();
                gate[row].iter_mut().chain(up).for_each(|x| *x *= *share);
                *share = 1.0;
            }
        }
        match self.shape.gated {
            true => activate_gate(team, self.shape.activation, gate, up),
            false => activate(team, self.shape.activation, gate),
        }
        gated.split(team, self.outer, gate, width, starts);
        let parts = sized(parts, total * d);
        let inner = Columns { x: gate, apart: true, tokens, starts, n };
        linear_groups(team, gated, inner, by_expert(&self.down, starts, parts));
        weighted_sums(team, parts, &routes.places, d, sized(out, n * d));
        if let Some((shared, gate)) = &self.shared {
            let parts = &mut parts[..n * d];
            shared.apply(team, x, parts, ffn);
            if let Some(gate) = gate {
                linear(team, x, &mut [(gate, &mut logits[..n])]);
                for (part, logit) in parts.chunks_exact_mut(d).zip(&*logits) {
                    let factor = 1.0 / (1.0 + (-logit).exp());
                    part.iter_mut().for_each(|x| *x *= factor);
                }
            }
            add(team, &mut out[..n * d], parts);
        }
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
