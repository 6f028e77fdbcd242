use std::sync::LazyLock;

use super::*;
use crate::isa::LEVELS;
use crate::kv::KvType;
use crate::testing::noise;

#[derive(Clone)]
struct Case {
    shape: KvShape,
    what: Attention<'static>,
    n: usize,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    pages: Vec<u32>,
}

/// Numbers of each head.
const HEADS: [f32; 16] =
    [0.5, 0.1, 1.2, 3.0, 0.02, 0.7, 0.0, -1.0, 2.0, 0.3, 0.25, 4.0, 0.01, 0.6, 0.9, 1.5];

/// Some that reach beyond a page, and some that do not.
static FAR: LazyLock<Distances> = LazyLock::new(|| Distances::new(3, 100, number));
static NEAR: LazyLock<Distances> = LazyLock::new(|| Distances::new(8, 5, number));

/// For a head and distance, different in the two directions.
fn number(head: usize, distance: isize) -> f32 {
    (0.7 * distance as f32 + head as f32).sin() + 0.01 * distance as f32
}

fn case(heads: usize, kv_heads: usize, (k_dim, v_dim): (usize, usize), n: usize) -> Case {
    let shape = KvShape { heads: kv_heads, k_dim, v_dim };
    let what = Attention::new(heads, (k_dim as f32).powf(-0.5));
    // Pages in no order, as after some use.
    let pages = (0..n.div_ceil(PAGE) as u32).rev().map(|p| p + 1).collect();
    let half = |x: Vec<f32>| -> Vec<f32> {
        // Numbers that half precision holds.
        x.into_iter().map(|x| f32::from_bits(x.to_bits() & 0xffff_e000)).collect()
    };
    let (q, k) = (noise(n * heads * k_dim, 1), half(noise(n * kv_heads * k_dim, 2)));
    let v = half(noise(n * kv_heads * v_dim, 3));
    Case { shape, what, n, q, k, v, pages }
}

/// What a type of cache makes of a head's numbers, after ggml's definitions.
fn stored(ty: KvType, x: &[f32]) -> Vec<f32> {
    let half = |x: f32| dispatch_at(Level::Portable, Half(x));
    match ty {
        KvType::F32 => x.to_vec(),
        KvType::F16 => x.iter().map(|&x| half(x)).collect(),
        KvType::Bf16 => x
            .iter()
            .map(|x| {
                let bits = x.to_bits();
                f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
            })
            .collect(),
        KvType::Q8_0 => in_blocks(x, |block| {
            let scale = block.iter().fold(0.0f32, |most, x| most.max(x.abs())) / 127.0;
            let code = |x: f32| if scale == 0.0 { 0.0 } else { (x * (1.0 / scale)).round() };
            block.iter().map(|&x| code(x) * half(scale)).collect()
        }),
        KvType::Q4_0 => in_blocks(x, |block| {
            let largest = |a: f32, &b: &f32| if b.abs() > a.abs() { b } else { a };
            let scale = block.iter().fold(0.0, largest) / -8.0;
            let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
            let code = |x: f32| (x * inverse + 8.5).floor().min(15.0) - 8.0;
            block.iter().map(|&x| code(x) * half(scale)).collect()
        }),
    }
}

fn in_blocks(x: &[f32], block: impl Fn(&[f32]) -> Vec<f32>) -> Vec<f32> {
    x.chunks(32).flat_map(block).collect()
}

/// A number in half precision.
struct Half(f32);

impl Kernel for Half {
    type Output = f32;
    #[inline(always)]
    fn run<A: Isa>(self, isa: A) -> f32 {
        isa.half(isa.to_half(crate::isa::F::splat(self.0)))[0]
    }
}

impl Case {
    /// With keys and values as they are stored.
    fn stored(&self, ty: KvType) -> Case {
        let heads = |x: &[f32], dim| x.chunks(dim).flat_map(|x| stored(ty, x)).collect();
        let (k, v) = (heads(&self.k, self.shape.k_dim), heads(&self.v, self.shape.v_dim));
        Case { k, v, ..self.clone() }
    }

    /// The definition, in double precision, for one row and head.
    fn expected(&self, row: usize, head: usize) -> Vec<f64> {
        let Case { shape, what, n, .. } = self;
        let kv_head = head / (what.heads / shape.heads);
        let part = |data: &[f32], at: usize, dim: usize| -> Vec<f64> {
            data[at * dim..][..dim].iter().map(|&x| f64::from(x)).collect()
        };
        let q = part(&self.q, row * what.heads + head, shape.k_dim);
        let sees = |p: usize| match what.mask {
            Mask::Causal => p <= row,
            Mask::Window(n) => p <= row && p + n > row,
            Mask::Chunk(n) => p <= row && p / n == row / n,
            Mask::Full => true,
            Mask::Around(n) => p.abs_diff(row) <= n,
        };
        let score = |p: usize| {
            let k = part(&self.k, p * shape.heads + kv_head, shape.k_dim);
            let dot = q.iter().zip(k).map(|(q, k)| q * k).sum::<f64>();
            let mut score = dot * f64::from(what.scale);
            if let Some(cap) = what.softcap {
                score = f64::from(cap) * (score / f64::from(cap)).tanh();
            }
            if what.distances.is_some() {
                let reach = if what.heads == FAR.heads() { 100 } else { 5 };
                let distance = (p as isize - row as isize).clamp(-reach, reach);
                score += f64::from(number(head, distance));
            }
            score - what.slopes.map_or(0.0, |s| f64::from(s[head]) * p.abs_diff(row) as f64)
        };
        let weights: Vec<(usize, f64)> =
            (0..*n).filter(|&p| sees(p)).map(|p| (p, score(p).exp())).collect();
        let sink = what.sinks.map_or(0.0, |s| f64::from(s[head]).exp());
        let sum = sink + weights.iter().map(|w| w.1).sum::<f64>();
        let mut out = vec![0.0; shape.v_dim];
        for (p, w) in weights {
            let v = part(&self.v, p * shape.heads + kv_head, shape.v_dim);
            for (out, v) in out.iter_mut().zip(v) {
                *out += w / sum * v;
            }
        }
        out
    }

    fn agrees(&self, out: &[f32]) {
        // Rounding moves scores and weights by some thousandths; scores are less than 10 here.
        let allowed = if self.what.rounded { 2e-2 } else { 4e-6 };
        for row in [0, 1, self.n / 2, self.n - 1] {
            for head in 0..self.what.heads {
                let at = (row * self.what.heads + head) * self.shape.v_dim;
                for (&got, expected) in out[at..].iter().zip(self.expected(row, head)) {
                    let error = (f64::from(got) - expected).abs();
                    assert!(error < allowed, "{got} for {expected}: {row} {head} {:?}", self.what);
                }
            }
        }
    }

    /// The whole sequence in chunks, of which each is one pass.
    fn compute(&self, level: Level, team: &Team, ty: KvType, chunk: usize) -> Vec<f32> {
        let Case { shape, what, n, pages, .. } = self;
        let mut layer = KvLayer::new(*shape, ty, pages.len() + 1);
        let mut out = vec![0.0; n * what.heads * shape.v_dim];
        for start in (0..*n).step_by(chunk) {
            let len = chunk.min(n - start);
            let span = [Span { row: 0, n: len, start, end: start + len, pages }];
            let part = |x: &[f32], width: usize| x[start * width..][..len * width].to_vec();
            let k = part(&self.k, shape.heads * shape.k_dim);
            layer.write(team, &span, &k, &part(&self.v, shape.heads * shape.v_dim));
            let q = part(&self.q, what.heads * shape.k_dim);
            let width = what.heads * shape.v_dim;
            let out = &mut out[start * width..][..len * width];
            attention_at(level, team, &layer, *what, &span, &q, out);
        }
        out
    }
}

#[test]
fn agrees_with_the_definition_and_chunks_do_not_matter() {
    let one = Team::new(1).unwrap();
    let three = Team::new(3).unwrap();
    let _workers = three.muster();
    for (heads, kv_heads, dims, n, mask) in [
        (4, 2, (8, 8), 70, Mask::Causal),
        (4, 4, (16, 16), 130, Mask::Window(20)),
        (6, 1, (80, 80), 600, Mask::Causal),
        (8, 2, (64, 64), 1100, Mask::Window(600)),
        (2, 1, (128, 128), 65, Mask::Causal),
        (5, 1, (24, 16), 700, Mask::Chunk(90)),
    ] {
        let mut case = case(heads, kv_heads, dims, n);
        case.what.mask = mask;
        for ty in KvType::ALL {
            let whole = case.compute(level(), &three, ty, n);
            case.stored(ty).agrees(&whole);
            // Singly, from the middle on few rows meet many positions.
            for (team, chunk) in [(&one, 7), (&three, 64), (&one, 33), (&three, 1)] {
                let parts = case.compute(level(), team, ty, chunk);
                assert!(parts == whole, "{n} in chunks of {chunk}");
            }
        }
    }
}

#[test]
fn every_level_does_everything() {
    let team = Team::new(2).unwrap();
    let _workers = team.muster();
    let plain = Attention::new(0, 0.0);
    let near = Attention { distances: Some(&NEAR), ..plain };
    let numbers = Some(&HEADS[..]);
    for (heads, kv_heads, dims, n, what) in [
        (4, 2, (96, 96), 100, Attention { softcap: Some(2.0), ..plain }),
        (6, 3, (64, 64), 100, Attention { slopes: numbers, ..plain }),
        (8, 2, (64, 64), 100, Attention { sinks: numbers, mask: Mask::Window(33), ..plain }),
        (2, 2, (100, 100), 90, Attention { mask: Mask::Full, ..plain }),
        (3, 1, (32, 32), 200, Attention { mask: Mask::Full, slopes: numbers, ..plain }),
        (4, 4, (64, 64), 300, Attention { mask: Mask::Around(64), ..plain }),
        (4, 1, (256, 256), 80, Attention { mask: Mask::Around(5), softcap: Some(30.0), ..plain }),
        (4, 2, (80, 80), 150, Attention { mask: Mask::Chunk(64), ..plain }),
        (3, 1, (32, 32), 300, Attention { mask: Mask::Full, distances: Some(&FAR), ..plain }),
        (8, 2, (64, 64), 300, Attention { mask: Mask::Around(90), ..near }),
        (8, 4, (16, 16), 200, near),
        (16, 1, (576, 512), 70, plain),
        (4, 4, (192, 128), 70, plain),
        (8, 2, (64, 64), 300, Attention { rounded: true, ..plain }),
        (5, 1, (25, 13), 150, Attention { rounded: true, ..plain }),
        (16, 1, (576, 512), 70, Attention { rounded: true, ..plain }),
    ] {
        let mut case = case(heads, kv_heads, dims, n);
        let first = |numbers: Option<&'static [f32]>| numbers.map(|s| &s[..heads]);
        let (slopes, sinks) = (first(what.slopes), first(what.sinks));
        case.what = Attention { heads, scale: case.what.scale, slopes, sinks, ..what };
        for &level in LEVELS.iter() {
            let whole = case.compute(level, &team, KvType::F16, n);
            case.agrees(&whole);
            if !matches!(what.mask, Mask::Full | Mask::Around(_)) {
                assert!(case.compute(level, &team, KvType::F16, 1) == whole);
            }
        }
    }
}

#[test]
fn every_level_stores_every_type() {
    let team = Team::new(2).unwrap();
    let _workers = team.muster();
    for (heads, kv_heads, dims, n) in [
        (4, 2, (64, 64), 100),
        (4, 4, (8, 8), 70),
        (2, 1, (80, 40), 70),
        (5, 1, (25, 13), 150),
        (4, 1, (72, 128), 64),
        (16, 1, (576, 512), 65),
    ] {
        let mut case = case(heads, kv_heads, dims, n);
        // A head of nothing but zeros, and large and small numbers.
        case.k[..dims.0].fill(0.0);
        case.v[..dims.1].fill(0.0);
        case.v[dims.1..][..dims.1].iter_mut().for_each(|x| *x *= 1e-5);
        for ty in KvType::ALL {
            for rounded in [false, true] {
                case.what.rounded = rounded && ty != KvType::F32;
                let expected = case.stored(ty);
                for &level in LEVELS.iter() {
                    let whole = case.compute(level, &team, ty, n);
                    expected.agrees(&whole);
                    assert!(case.compute(level, &team, ty, 1) == whole, "{ty:?}");
                }
            }
        }
    }
}

#[test]
fn pages_are_as_large_as_their_types_say() {
    let shape = KvShape { heads: 3, k_dim: 128, v_dim: 64 };
    let numbers = PAGE * 3 * (128 + 64);
    for (ty, bytes) in [
        (KvType::F32, 4 * numbers),
        (KvType::F16, 2 * numbers),
        (KvType::Bf16, 2 * numbers),
        (KvType::Q8_0, numbers / 32 * 34),
        (KvType::Q4_0, numbers / 32 * 18),
    ] {
        assert_eq!(ty.page_bytes(shape), bytes, "{ty:?}");
    }
    // A block that is not whole takes no more than its numbers, in whole vectors, and a scale.
    let odd = KvShape { heads: 1, k_dim: 40, v_dim: 40 };
    assert_eq!(KvType::Q8_0.page_bytes(odd), PAGE * (40 + 48 + 8));
    assert_eq!(KvType::Q4_0.page_bytes(odd), PAGE * (16 + 8 + 32 + 8));
}

#[test]
fn sequences_do_not_mix() {
    let team = Team::new(2).unwrap();
    let _workers = team.muster();
    let (a, b) = (case(4, 2, (16, 16), 90), case(4, 2, (16, 16), 40));
    let mut layer = KvLayer::new(a.shape, KvType::F16, 8);
    let spans = [
        Span { row: 0, n: 90, start: 0, end: 90, pages: &[5, 2] },
        Span { row: 90, n: 40, start: 0, end: 40, pages: &[0] },
    ];
    let join = |x: &[f32], y: &[f32]| [x, y].concat();
    layer.write(&team, &spans, &join(&a.k, &b.k), &join(&a.v, &b.v));
    for mask in [Mask::Causal, Mask::Full] {
        let mut out = vec![0.0; 130 * 4 * 16];
        let what = Attention { mask, ..a.what };
        attention(&team, &layer, what, &spans, &join(&a.q, &b.q), &mut out);
        let alone = [&a, &b].map(|case| {
            let case = Case { what, ..case.clone() };
            case.compute(level(), &team, KvType::F16, case.n)
        });
        assert_eq!(out, alone.concat());
    }
}

#[test]
fn single_rows_look_ahead() {
    let team = Team::new(2).unwrap();
    let _workers = team.muster();
    for mask in [Mask::Full, Mask::Around(70)] {
        let mut case = case(6, 2, (16, 16), 200);
        case.what.mask = mask;
        let whole = case.compute(level(), &team, KvType::F16, case.n);
        let mut layer = KvLayer::new(case.shape, KvType::F16, case.pages.len() + 1);
        let span = Span { row: 0, n: 200, start: 0, end: 200, pages: &case.pages };
        layer.write(&team, &[span], &case.k, &case.v);
        for row in [0, 63, 64, 150, 199] {
            let one = Span { n: 1, start: row, ..span };
            let at = row * 6 * 16;
            let mut out = vec![0.0; 6 * 16];
            attention(&team, &layer, case.what, &[one], &case.q[at..][..6 * 16], &mut out);
            assert_eq!(out, whole[at..][..6 * 16]);
        }
    }
}
