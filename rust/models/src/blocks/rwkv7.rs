//! The first block of RWKV 7 (Peng et al. 2025, arXiv:2503.14456): what a state has for a key is partly
//! replaced; layers after the first mix its values into theirs.

use farthing_kernels::norm::{Norm, NormKind};
use farthing_kernels::profile::Part;
use farthing_kernels::recurrence::wkv::{Inputs, Removal};
use farthing_kernels::recurrence::{Wkv, wkv};
use farthing_kernels::vector::{add_bias, exp_of_times, mul, sigmoid, tanh};
use farthing_kernels::{Activations, Team};

use super::recurrent::{Recurrent, Scratch, add_bonus, rows};
use super::rwkv6::HEAD_EPS;
use super::token_shift::{TokenShift, mix};
use super::{Batch, Work, sized};
use crate::cache::{StateLayer, StateShape};
use crate::error::Result;
use crate::weights::{Linear, Weights, linear};

/// What keeps the divisor of keys from 0; no file says it.
const UNIT_EPS: f32 = 1e-12;
/// The least that is left of a state's row is `e^-e^(-1/2)`.
const FASTEST: f32 = 0.606_530_66;

/// Its heads, and whether it is the first layer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rwkv7Shape {
    /// Heads.
    pub heads: Wkv,
    /// Whether its values are those that the other layers mix into theirs.
    pub first: bool,
}

/// Its weights.
pub struct Rwkv7 {
    wkv: Wkv,
    shift: TokenShift,
    /// Shares of the token before for each reader: receptances, decays, keys, values, rates, gates.
    shares: Vec<f32>,
    receptance: Linear,
    key: Linear,
    value: Linear,
    decay: Low,
    rate: Low,
    /// How much of the first layer's values is mixed in.
    first: Option<Low>,
    gate: [Linear; 2],
    /// Factors of keys before they become unit vectors.
    unit_factors: Vec<f32>,
    unit: Norm,
    /// How far rates change keys.
    key_rates: Vec<f32>,
    /// What a position's own key counts for it.
    bonus: Vec<f32>,
    norm: Norm,
    output: Linear,
}

/// `up(f(down(x))) + bias`, narrow inside.
struct Low {
    down: Linear,
    up: Linear,
    bias: Vec<f32>,
}

impl Low {
    fn forward(
        &self,
        team: &Team,
        x: &mut Activations,
        f: impl Fn(&Team, &mut [f32]),
        low: &mut Activations,
        out: &mut [f32],
    ) {
        linear(team, x, &mut [(&self.down, low.reset(x.n(), self.down.rows()))]);
        f(team, low.floats_mut());
        linear(team, low, &mut [(&self.up, &mut *out)]);
        add_bias(team, out, &self.bias);
    }
}

impl Rwkv7 {
    /// `<prefix>.time_mix_*` of a model of width `d`.
    pub fn load(weights: &Weights, prefix: &str, d: usize, shape: Rwkv7Shape) -> Result<Rwkv7> {
        let name = |part: &str| format!("{prefix}.time_mix_{part}");
        let vector = |part: &str| weights.vector(&name(&format!("{part}.weight")), d);
        let square = |part: &str| weights.linear(&name(part), d, d);
        let pair = |part: &str| -> Result<[Linear; 2]> {
            let (down, up) = (format!("{part}1"), format!("{part}2"));
            let rank = weights.shape(&name(&format!("{down}.weight")))?;
            let rank = rank.get(1).copied().unwrap_or(1);
            Ok([weights.linear(&name(&down), rank, d)?, weights.linear(&name(&up), d, rank)?])
        };
        let low = |part: &str| -> Result<Low> {
            let [down, up] = pair(part)?;
            Ok(Low { down, up, bias: vector(&format!("{part}0"))? })
        };
        let size = shape.heads.size;
        let unit = vec![(size as f32).powf(-0.5); size];
        Ok(Rwkv7 {
            wkv: shape.heads,
            shift: TokenShift::new(d),
            shares: weights.matrix(&name("lerp_fused.weight"), 6, d)?,
            receptance: square("receptance")?,
            key: square("key")?,
            value: square("value")?,
            decay: low("w")?,
            rate: low("a")?,
            first: (!shape.first).then(|| low("v")).transpose()?,
            gate: pair("g")?,
            unit_factors: vector("k_k")?,
            unit: Norm::new(NormKind::Rms, UNIT_EPS / size as f32, size, unit, Vec::new()),
            key_rates: vector("k_a")?,
            bonus: vector("r_k")?,
            norm: Norm::new(
                NormKind::Layer,
                HEAD_EPS,
                size,
                vector("ln")?,
                weights.vector(&name("ln.bias"), d)?,
            ),
            output: square("output")?,
        })
    }
}

impl Recurrent for Rwkv7 {
    fn state(&self) -> StateShape {
        StateShape { window: self.shift.state_len(), matrix: self.wkv.state_len() }
    }

    fn forward(&self, work: Work, s: &mut Scratch, batch: &Batch, states: &mut StateLayer) {
        let Work { team, x, out } = work;
        let (n, d, x) = (x.n(), x.k(), x.floats());
        let Scratch { input: before, hidden: mixed, gate, low, steps, keys, .. } = s;
        let Scratch { queries, decays, rates, values, first_values, y, mixed: gated, .. } = s;
        let before = sized(before, n * d);
        self.shift.before(team, &mut states.window, batch.turns, x, before);
        let [gate, keys, queries, decays, values, rates, units, first_values, y] =
            [gate, keys, queries, decays, values, rates, steps, first_values, y]
                .map(|v| sized(v, n * d));
        {
            let _part = team.part(Part::Qkv);
            let read = |i: usize, mixed: &mut Activations| {
                mix(team, (x, before), &self.shares[i * d..][..d], d, mixed.reset(n, d));
            };
            read(0, mixed);
            linear(team, mixed, &mut [(&self.receptance, &mut *queries)]);
            read(1, mixed);
            self.decay.forward(team, mixed, tanh, low, decays);
            read(2, mixed);
            linear(team, mixed, &mut [(&self.key, &mut *keys)]);
            read(3, mixed);
            linear(team, mixed, &mut [(&self.value, &mut *values)]);
            match &self.first {
                None => first_values.copy_from_slice(values),
                Some(shares) => {
                    shares.forward(team, mixed, |_, _| {}, low, y);
                    sigmoid(team, y);
                    mix_values(team, values, first_values, y);
                }
            }
            read(4, mixed);
            self.rate.forward(team, mixed, |_, _| {}, low, rates);
            read(5, mixed);
            let [down, up] = &self.gate;
            linear(team, mixed, &mut [(down, low.reset(n, down.rows()))]);
            sigmoid(team, low.floats_mut());
            linear(team, low, &mut [(up, &mut *gate)]);
        }
        sigmoid(team, decays);
        exp_of_times(team, decays, -FASTEST);
        sigmoid(team, rates);
        for (units, keys) in units.chunks_exact_mut(d).zip(keys.chunks_exact(d)) {
            for ((unit, key), factor) in units.iter_mut().zip(keys).zip(&self.unit_factors) {
                *unit = key * factor;
            }
        }
        self.unit.apply_in_place(team, units);
        for (keys, rates) in keys.chunks_exact_mut(d).zip(rates.chunks_exact(d)) {
            for ((key, rate), share) in keys.iter_mut().zip(rates).zip(&self.key_rates) {
                *key *= 1.0 + (rate - 1.0) * share;
            }
        }
        mul(team, rates, units);
        let inputs = Inputs {
            queries: rows(queries, d),
            keys: rows(keys, d),
            values: rows(values, d),
            decays: rows(decays, d),
            removal: Some(Removal { from: rows(units, d), to: rows(rates, d) }),
        };
        wkv(team, &self.wkv, &mut states.matrix, batch.turns, inputs, y);
        self.norm.apply_in_place(team, y);
        add_bonus(team, self.wkv, (queries, keys, values), &self.bonus, y);
        mul(team, y, gate);
        let y = batch.keep(y, d);
        let n = y.len() / d;
        gated.reset(n, d).copy_from_slice(y);
        let _part = team.part(Part::Output);
        linear(team, gated, &mut [(&self.output, sized(out, n * d))]);
    }
}

/// `values += shares * (first - values)`.
fn mix_values(team: &Team, values: &mut [f32], first: &[f32], shares: &[f32]) {
    team.for_rows(values, 1, 1 << 14, &|at, values| {
        for ((value, first), share) in values.iter_mut().zip(&first[at..]).zip(&shares[at..]) {
            *value += share * (first - *value);
        }
    });
}
