//! The first block of RWKV 6 (Peng et al. 2024, arXiv:2404.05892): heads whose states' rows decay at rates that depend
//! on the token; how much of the token before is read depends on it, too.

use farthing_kernels::activation::{Activation, activate_gate};
use farthing_kernels::norm::{Norm, NormKind};
use farthing_kernels::profile::Part;
use farthing_kernels::recurrence::wkv::Inputs;
use farthing_kernels::recurrence::{Wkv, wkv};
use farthing_kernels::vector::{add_bias, exp_of_times, tanh};

use super::recurrent::{Recurrent, Scratch, add_bonus, rows};
use super::token_shift::{TokenShift, mix};
use super::{Batch, Work, sized};
use crate::cache::{StateLayer, StateShape};
use crate::error::Result;
use crate::weights::{Linear, Weights, linear};

/// What keeps the divisor of a head's values from 0; no file says it.
pub const HEAD_EPS: f32 = 64e-5;
/// What reads a mixture of its own, in the file's order.
const READERS: [&str; 5] = ["w", "k", "v", "r", "g"];

/// Its weights.
pub struct Rwkv6 {
    wkv: Wkv,
    shift: TokenShift,
    /// Shares of the token before in what makes the others' shares.
    shares: Vec<f32>,
    down: Linear,
    /// For each reader, in their order, with shares to add to.
    up: Vec<(Linear, Vec<f32>)>,
    decay_down: Linear,
    decay_up: Linear,
    decay: Vec<f32>,
    key: Linear,
    value: Linear,
    receptance: Linear,
    gate: Linear,
    /// What a position's own key counts for it.
    bonus: Vec<f32>,
    norm: Norm,
    output: Linear,
}

impl Rwkv6 {
    /// `<prefix>.time_mix_*` of a model of width `d`.
    pub fn load(weights: &Weights, prefix: &str, d: usize, heads: Wkv) -> Result<Rwkv6> {
        let name = |part: &str| format!("{prefix}.time_mix_{part}");
        let weight = |part: &str| name(&format!("{part}.weight"));
        let square = |part: &str| weights.linear(&name(part), d, d);
        let outputs = |part: &str| -> Result<usize> {
            Ok(weights.shape(&weight(part))?.get(1).copied().unwrap_or(1))
        };
        let (rank, decay_rank) = (outputs("w1")? / READERS.len(), outputs("decay_w1")?);
        let shares: Vec<f32> = if weights.has(&weight("lerp_fused")) {
            weights.matrix(&weight("lerp_fused"), READERS.len(), d)?
        } else {
            let apart = |reader| weights.vector(&weight(&format!("lerp_{reader}")), d);
            READERS.map(apart).into_iter().collect::<Result<Vec<_>>>()?.concat()
        };
        let up = weights.stack(&name("w2"), READERS.len(), d, rank)?;
        let Wkv { heads: n, size } = heads;
        Ok(Rwkv6 {
            wkv: heads,
            shift: TokenShift::new(d),
            shares: weights.vector(&weight("lerp_x"), d)?,
            down: weights.linear(&name("w1"), READERS.len() * rank, d)?,
            up: up.into_iter().zip(shares.chunks_exact(d).map(<[f32]>::to_vec)).collect(),
            decay_down: weights.linear(&name("decay_w1"), decay_rank, d)?,
            decay_up: weights.linear(&name("decay_w2"), d, decay_rank)?,
            decay: weights.vector(&weight("decay"), d)?,
            key: square("key")?,
            value: square("value")?,
            receptance: square("receptance")?,
            gate: square("gate")?,
            bonus: weights.matrix(&weight("first"), n, size)?,
            norm: Norm::new(
                NormKind::Layer,
                HEAD_EPS,
                size,
                weights.vector(&weight("ln"), d)?,
                weights.vector(&name("ln.bias"), d)?,
            ),
            output: square("output")?,
        })
    }
}

impl Recurrent for Rwkv6 {
    fn state(&self) -> StateShape {
        StateShape { window: self.shift.state_len(), matrix: self.wkv.state_len() }
    }

    fn forward(&self, work: Work, s: &mut Scratch, batch: &Batch, states: &mut StateLayer) {
        let Work { team, x, out } = work;
        let (n, d, x) = (x.n(), x.k(), x.floats());
        let Scratch { input: before, hidden: mixed, gate, low, steps, keys, .. } = s;
        let Scratch { queries, decays, rates: shares, values, y, mixed: gated, .. } = s;
        let before = sized(before, n * d);
        self.shift.before(team, &mut states.window, batch.turns, x, before);
        let [gate, keys, queries, decays, values, shares, y] =
            [gate, keys, queries, decays, values, shares, y].map(|v| sized(v, n * d));
        {
            let _part = team.part(Part::Qkv);
            let rank = self.down.rows() / READERS.len();
            let steps = sized(steps, n * self.down.rows());
            mix(team, (x, before), &self.shares, d, mixed.reset(n, d));
            linear(team, mixed, &mut [(&self.down, &mut *steps)]);
            tanh(team, steps);
            let readers = [None, Some((&self.key, &mut *keys)), Some((&self.value, &mut *values))];
            let others = [Some((&self.receptance, &mut *queries)), Some((&self.gate, &mut *gate))];
            for (i, reader) in readers.into_iter().chain(others).enumerate() {
                let (up, more) = &self.up[i];
                let rows = low.reset(n, rank).chunks_exact_mut(rank);
                for (to, from) in rows.zip(steps.chunks_exact(self.down.rows())) {
                    to.copy_from_slice(&from[i * rank..][..rank]);
                }
                linear(team, low, &mut [(up, &mut *shares)]);
                add_bias(team, shares, more);
                mix(team, (x, before), shares, d, mixed.reset(n, d));
                match reader {
                    Some((matrix, out)) => linear(team, mixed, &mut [(matrix, out)]),
                    None => {
                        let rank = self.decay_down.rows();
                        linear(team, mixed, &mut [(&self.decay_down, low.reset(n, rank))]);
                        tanh(team, low.floats_mut());
                        linear(team, low, &mut [(&self.decay_up, &mut *decays)]);
                    }
                }
            }
        }
        add_bias(team, decays, &self.decay);
        exp_of_times(team, decays, 1.0);
        exp_of_times(team, decays, -1.0);
        let inputs = Inputs {
            queries: rows(queries, d),
            keys: rows(keys, d),
            values: rows(values, d),
            decays: rows(decays, d),
            removal: None,
        };
        wkv(team, &self.wkv, &mut states.matrix, batch.turns, inputs, y);
        add_bonus(team, self.wkv, (queries, keys, values), &self.bonus, y);
        self.norm.apply_in_place(team, y);
        let (y, gate) = (batch.keep(y, d), batch.keep(gate, d));
        let n = y.len() / d;
        gated.reset(n, d).copy_from_slice(gate);
        activate_gate(team, Activation::Silu, gated.floats_mut(), y);
        let _part = team.part(Part::Output);
        linear(team, gated, &mut [(&self.output, sized(out, n * d))]);
    }
}
