//! Per-layer embeddings (Gemma 3n): each layer has a small embedding of the token of its own, which
//! gates what is added to the stream at the layer's end.

use farthing_kernels::activation::{Activation, activate_gate};
use farthing_kernels::norm::Norm;
use farthing_kernels::vector::{add, scale};
use farthing_kernels::{Activations, Team};

use super::{Work, sized};
use crate::description::NormShape;
use crate::error::Result;
use crate::weights::{Linear, Weights, linear};

/// What makes the inputs of all layers.
pub struct PerLayerInputs {
    /// A row for each token, `[layers][width]`.
    table: Linear,
    /// The same from the stream.
    projection: Linear,
    norm: Norm,
}

impl PerLayerInputs {
    /// `per_layer_token_embd` and so on, `width` values for each layer.
    pub fn load(
        weights: &Weights,
        (d, n_vocab): (usize, usize),
        (n_layers, width): (usize, usize),
        norm: NormShape,
    ) -> Result<PerLayerInputs> {
        Ok(PerLayerInputs {
            table: weights.table("per_layer_token_embd", n_vocab, n_layers * width)?,
            projection: weights.linear("per_layer_model_proj", n_layers * width, d)?,
            norm: weights.norm("per_layer_proj_norm", width, norm)?,
        })
    }

    /// Writes `[n][layers][width]` for the tokens, `x` being their embeddings.
    pub fn compute(
        &self,
        team: &Team,
        tokens: impl Iterator<Item = usize>,
        x: &mut Activations,
        tables: &mut Vec<f32>,
        out: &mut Vec<f32>,
    ) {
        self.table.rows_of(team, tokens, tables);
        out.resize(tables.len(), 0.0);
        linear(team, x, &mut [(&self.projection, &mut out[..])]);
        scale(team, out, (x.k() as f32).powf(-0.5));
        self.norm.apply_in_place(team, out);
        scale(team, tables, (self.norm.d() as f32).sqrt());
        add(team, out, tables);
        scale(team, out, std::f32::consts::FRAC_1_SQRT_2);
    }
}

/// A layer's part.
pub struct PerLayer {
    index: usize,
    n_layers: usize,
    gate: Linear,
    projection: Linear,
    norm: Norm,
}

/// Memory that layers use in turn.
#[derive(Default)]
pub struct Scratch {
    gate: Activations,
    inputs: Vec<f32>,
}

impl PerLayer {
    /// `blk.<i>.inp_gate` and so on.
    pub fn load(
        weights: &Weights,
        (index, n_layers): (usize, usize),
        (d, width): (usize, usize),
        norm: NormShape,
    ) -> Result<PerLayer> {
        let name = |part: &str| format!("blk.{index}.{part}");
        Ok(PerLayer {
            index,
            n_layers,
            gate: weights.linear(&name("inp_gate"), width, d)?,
            projection: weights.linear(&name("proj"), d, width)?,
            norm: weights.norm(&name("post_norm"), d, norm)?,
        })
    }

    /// Writes what is to be added for the rows of `x`, which is the stream; `inputs` are those of all
    /// layers.
    pub fn forward(&self, work: Work, s: &mut Scratch, inputs: &[f32]) {
        let Work { team, x, out } = work;
        let (n, width) = (x.n(), self.gate.rows());
        let row = self.n_layers * width;
        let mine = sized(&mut s.inputs, n * width);
        for (i, to) in mine.chunks_exact_mut(width).enumerate() {
            let from = i * row + self.index * width;
            to.copy_from_slice(&inputs[from..from + width]);
        }
        linear(team, x, &mut [(&self.gate, s.gate.reset(n, width))]);
        activate_gate(team, Activation::GeluTanh, s.gate.floats_mut(), mine);
        let out = sized(out, n * self.projection.rows());
        linear(team, &mut s.gate, &mut [(&self.projection, &mut *out)]);
        self.norm.apply_in_place(team, out);
    }
}
