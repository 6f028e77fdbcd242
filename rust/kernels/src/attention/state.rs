//! The state of an online softmax, row by row.

use super::padded;

/// For each row the largest score, the sum of `e^(score - max)` and the outputs weighted so.
pub struct State {
    pub max: Vec<f32>,
    pub sum: Vec<f32>,
    /// `[rows][padded(v_dim)]`
    pub out: Vec<f32>,
    pub width: usize,
}

impl State {
    /// Of no positions.
    pub fn new(rows: usize, v_dim: usize) -> State {
        let width = padded(v_dim);
        State {
            max: vec![f32::NEG_INFINITY; rows],
            sum: vec![0.0; rows],
            out: vec![0.0; rows * width],
            width,
        }
    }

    /// A row's result, its head having perhaps a sink.
    pub fn output(&self, row: usize, sink: Option<f32>, out: &mut [f32]) {
        let (mut sum, mut scale) = (self.sum[row], 1.0);
        if let Some(sink) = sink {
            let max = self.max[row].max(sink);
            scale = (self.max[row] - max).exp();
            sum = sum * scale + (sink - max).exp();
        }
        let factor = if sum > 0.0 { scale / sum } else { 0.0 };
        for (out, x) in out.iter_mut().zip(&self.out[row * self.width..]) {
            *out = x * factor;
        }
    }
}

/// Adds later positions to a state.
pub fn merge(total: &mut State, part: &State) {
    let width = total.width;
    for row in 0..total.max.len() {
        if part.max[row] == f32::NEG_INFINITY {
            continue;
        }
        let max = total.max[row].max(part.max[row]);
        let (old, new) = ((total.max[row] - max).exp(), (part.max[row] - max).exp());
        total.max[row] = max;
        total.sum[row] = total.sum[row] * old + part.sum[row] * new;
        let at = row * width..(row + 1) * width;
        for (total, part) in total.out[at.clone()].iter_mut().zip(&part.out[at]) {
            *total = *total * old + part * new;
        }
    }
}
