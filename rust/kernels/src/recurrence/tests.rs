use super::outer::Inputs as OuterInputs;
use super::scan::Inputs as ScanInputs;
use super::wkv::{Inputs as WkvInputs, Removal};
use super::*;
use crate::isa::{Kernel, LEVELS, dispatch_at};
use crate::team::Team;
use crate::testing::noise;

type Run<'a> = &'a dyn Fn(&Team, &mut States, &[Turn], &mut [f32]);

/// Runs rows `1..` of the batch as one sequence, in turns of these lengths, beside another sequence that
/// is row 0; gives back the outputs and the last state.
fn in_turns(lengths: &[usize], state_len: usize, out_len: usize, run: Run) -> Vec<f32> {
    let team = Team::new(2).unwrap();
    let _workers = team.muster();
    let mut states = States::new(state_len, 3);
    // What was there before must not matter.
    states.data.fill(f32::NAN);
    let mut out = vec![f32::NAN; out_len];
    let (mut row, mut from) = (1, None);
    for (i, &n) in lengths.iter().enumerate() {
        let to = (i % 2) as u32;
        let turns = [Turn { row: 0, n: 1, from: None, to: 2 }, Turn { row, n, from, to }];
        run(&team, &mut states, &turns, &mut out);
        (row, from) = (row + n, Some(to));
    }
    out.extend(&states.data[from.unwrap() as usize * state_len..][..state_len]);
    out
}

/// Checks all `n` rows in one turn against the expected outputs of rows `1..`, and bit by bit the same
/// in several turns.
fn check(n: usize, state_len: usize, expected: &[f64], run: Run) {
    let width = expected.len() / n;
    let whole = in_turns(&[n], state_len, (n + 1) * width, run);
    for (i, (got, expected)) in whole[width..].iter().zip(expected).enumerate() {
        let error = (f64::from(*got) - expected).abs();
        assert!(error <= 1e-5 * expected.abs().max(1.0), "{i}: {got} for {expected}");
    }
    for lengths in [vec![1; n], vec![2, n - 3, 1]] {
        let pieces = in_turns(&lengths, state_len, (n + 1) * width, run);
        assert!(whole.iter().zip(&pieces).all(|(a, b)| a.to_bits() == b.to_bits()), "{lengths:?}");
    }
}

#[test]
fn convolutions_agree_with_double_precision() {
    let n = 9;
    for (channels, width) in [(5, 4), (16, 3), (300, 4), (300, 1)] {
        let x = noise((n + 1) * channels, 1);
        let (weight, bias) = (noise(channels * width, 2), noise(channels, 3));
        let value = |i: usize| {
            let (t, c) = (i / channels, i % channels);
            let mut sum = f64::from(bias[c]);
            for j in (0..width).filter(|j| t + j + 1 >= width) {
                let x = f64::from(x[(t + j + 2 - width) * channels + c]);
                sum += x * f64::from(weight[c * width + j]);
            }
            sum / (1.0 + (-sum).exp())
        };
        let expected: Vec<f64> = (0..n * channels).map(value).collect();
        let how = Convolution::new(width, &weight, bias.clone(), true);
        let x = Rows::new(&x, channels, 0, channels);
        check(n, how.state_len(), &expected, &|team, states, turns, out| {
            convolve(team, &how, states, turns, x, out);
        });
    }
}

#[test]
fn scans_agree_with_double_precision() {
    let n = 9;
    for (channels, size) in [(5, 3), (100, 16)] {
        let a: Vec<f32> = noise(channels * size, 1).iter().map(|a| -a.abs()).collect();
        let skip = noise(channels, 2);
        let [x, step] = [3, 4].map(|seed| noise((n + 1) * channels, seed));
        let both = noise((n + 1) * 2 * size, 5);
        let wide = |x: f32| f64::from(x);
        let mut state = vec![0.0; channels * size];
        let mut expected = Vec::new();
        for t in 1..=n {
            for c in 0..channels {
                let (x, step) = (wide(x[t * channels + c]), wide(step[t * channels + c]));
                let dt = step.exp().ln_1p();
                let mut sum = wide(skip[c]) * x;
                for s in 0..size {
                    let row = &both[t * 2 * size..];
                    let h = &mut state[c * size + s];
                    *h = *h * (dt * wide(a[c * size + s])).exp() + dt * x * wide(row[s]);
                    sum += *h * wide(row[size + s]);
                }
                expected.push(sum);
            }
        }
        let how = Scan::new(size, &a, skip);
        let rows = |x, width| Rows::new(x, width, 0, width);
        let inputs = ScanInputs {
            x: rows(&x, channels),
            step: rows(&step, channels),
            b: Rows::new(&both, 2 * size, 0, size),
            c: Rows::new(&both, 2 * size, size, size),
        };
        check(n, how.state_len(), &expected, &|team, states, turns, out| {
            scan(team, &how, states, turns, inputs, out);
        });
    }
}

#[test]
fn outer_products_agree_with_double_precision() {
    let n = 9;
    for (value, sharing) in [(5, Sharing::Grouped), (64, Sharing::Tiled), (80, Sharing::Grouped)] {
        for delta in [false, true] {
            let how = Outer { heads: 6, groups: 2, sharing, key: 7, value, delta };
            let Outer { heads, groups, key, .. } = how;
            let unit = |seed| noise((n + 1) * groups * key, seed).iter().map(|x| x * 0.3).collect();
            let (queries, keys): (Vec<f32>, Vec<f32>) = (unit(1), unit(2));
            let values = noise((n + 1) * heads * value, 3);
            let share = |seed| noise((n + 1) * heads, seed).iter().map(|x| x.abs() * 0.4).collect();
            let (decays, rates): (Vec<f32>, Vec<f32>) = (share(4), share(5));
            let wide = |x: f32| f64::from(x);
            let mut states = vec![0.0; heads * key * value];
            let mut expected = Vec::new();
            for t in 1..=n {
                for h in 0..heads {
                    let group = match sharing {
                        Sharing::Grouped => h / 3,
                        Sharing::Tiled => h % 2,
                    };
                    let (q, k) = (
                        &queries[(t * groups + group) * key..],
                        &keys[(t * groups + group) * key..],
                    );
                    let (decay, rate) = (wide(decays[t * heads + h]), wide(rates[t * heads + h]));
                    for v in 0..value {
                        let s = |k: usize| (h * key + k) * value + v;
                        (0..key).for_each(|k| states[s(k)] *= decay);
                        let known: f64 = (0..key).map(|i| states[s(i)] * wide(k[i])).sum();
                        let value = wide(values[(t * heads + h) * value + v]);
                        let u = rate * (value - if delta { known } else { 0.0 });
                        (0..key).for_each(|i| states[s(i)] += wide(k[i]) * u);
                        expected.push((0..key).map(|i| states[s(i)] * wide(q[i])).sum());
                    }
                }
            }
            let rows = |x, width| Rows::new(x, width, 0, width);
            let inputs = OuterInputs {
                queries: rows(&queries, groups * key),
                keys: rows(&keys, groups * key),
                values: rows(&values, heads * value),
                decays: rows(&decays, heads),
                rates: rows(&rates, heads),
            };
            check(n, how.state_len(), &expected, &|team, states, turns, out| {
                outer(team, &how, states, turns, inputs, out);
            });
        }
    }
}

#[test]
fn rwkv_states_agree_with_double_precision() {
    let n = 9;
    for (heads, size) in [(2, 5), (3, 64)] {
        let width = heads * size;
        let vectors = |seed, scale: f32| -> Vec<f32> {
            noise((n + 1) * width, seed).iter().map(|x| x * scale).collect()
        };
        let (queries, keys, values) = (vectors(1, 0.3), vectors(2, 0.3), vectors(3, 1.0));
        let decays: Vec<f32> = vectors(4, 1.0).iter().map(|x| (-x.abs()).exp()).collect();
        let (from, to) = (vectors(5, 0.2), vectors(6, 0.2));
        let wide = |x: f32| f64::from(x);
        for removes in [false, true] {
            let mut states = vec![0.0; heads * size * size];
            let mut expected = Vec::new();
            for t in 1..=n {
                for h in 0..heads {
                    let at = |k: usize| t * width + h * size + k;
                    for v in 0..size {
                        let s = |k: usize| (h * size + k) * size + v;
                        let read = |states: &[f64], by: &[f32]| -> f64 {
                            (0..size).map(|k| states[s(k)] * wide(by[at(k)])).sum()
                        };
                        let (before, known) = (read(&states, &queries), read(&states, &from));
                        for k in 0..size {
                            let added = wide(keys[at(k)]) * wide(values[at(v)]);
                            let removed = if removes { wide(to[at(k)]) * known } else { 0.0 };
                            states[s(k)] = states[s(k)] * wide(decays[at(k)]) + added - removed;
                        }
                        expected.push(if removes { read(&states, &queries) } else { before });
                    }
                }
            }
            let rows = |x| Rows::new(x, width, 0, width);
            let inputs = WkvInputs {
                queries: rows(&queries),
                keys: rows(&keys),
                values: rows(&values),
                decays: rows(&decays),
                removal: removes.then(|| Removal { from: rows(&from), to: rows(&to) }),
            };
            let how = Wkv { heads, size };
            check(n, how.state_len(), &expected, &|team, states, turns, out| {
                wkv(team, &how, states, turns, inputs, out);
            });
        }
    }
}

struct Softplus(F);
impl Kernel for Softplus {
    type Output = F;
    #[inline(always)]
    fn run<A: Isa>(self, isa: A) -> F {
        softplus(isa, self.0)
    }
}

#[test]
fn softplus_is_near() {
    for &level in LEVELS.iter() {
        for i in -8000..8000 {
            let x = i as f32 * 0.01;
            let got = f64::from(dispatch_at(level, Softplus(F::splat(x)))[0]);
            let expected = f64::from(x).max(0.0) + (-f64::from(x).abs()).exp().ln_1p();
            assert!((got / expected - 1.0).abs() < 5e-7, "{x}: {got} for {expected}");
        }
    }
}

#[test]
#[should_panic(expected = "Turn")]
fn a_slot_has_one_writer() {
    let states = States::new(1, 2);
    let turn = Turn { row: 0, n: 1, from: None, to: 1 };
    states.check(&[turn, Turn { row: 1, from: Some(1), to: 0, ..turn }], 2, 1);
}
