use super::*;
use crate::kv::KvType;
use crate::testing::noise;

/// The definition, in double precision.
fn reference(
    what: Attention,
    shape: KvShape,
    position: usize,
    q: &[f32],
    keys: &[f32],
    values: &[f32],
    kv_head: usize,
) -> Vec<f64> {
    let oldest = what.window.map_or(0, |w| (position + 1).saturating_sub(w));
    let row = |data: &[f32], p: usize, dim: usize| -> Vec<f64> {
        let at = (p * shape.heads + kv_head) * dim;
        data[at..][..dim].iter().map(|&x| f64::from(x)).collect()
    };
    let scores: Vec<f64> = (oldest..=position)
        .map(|p| {
            let k = row(keys, p, shape.k_dim);
            q.iter().zip(k).map(|(&q, k)| f64::from(q) * k).sum::<f64>() * f64::from(what.scale)
        })
        .collect();
    let max = scores.iter().fold(f64::MIN, |m, &s| m.max(s));
    let weights: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
    let sum: f64 = weights.iter().sum();
    let mut out = vec![0.0; shape.v_dim];
    for (p, w) in (oldest..).zip(weights) {
        for (out, v) in out.iter_mut().zip(row(values, p, shape.v_dim)) {
            *out += w / sum * v;
        }
    }
    out
}

struct Case {
    shape: KvShape,
    what: Attention,
    n: usize,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    pages: Vec<u32>,
}

fn case(heads: usize, kv_heads: usize, dim: usize, n: usize, window: Option<usize>) -> Case {
    let shape = KvShape { heads: kv_heads, k_dim: dim, v_dim: dim };
    let what = Attention { heads, scale: (dim as f32).powf(-0.5), window };
    // Pages in no order, as after some use.
    let pages = (0..n.div_ceil(PAGE) as u32).rev().map(|p| p + 1).collect();
    let half = |x: Vec<f32>| -> Vec<f32> {
        // Numbers that half precision holds.
        x.into_iter().map(|x| f32::from_bits(x.to_bits() & 0xffff_e000)).collect()
    };
    let (q, k) = (noise(n * heads * dim, 1), half(noise(n * kv_heads * dim, 2)));
    let v = half(noise(n * kv_heads * dim, 3));
    Case { shape, what, n, q, k, v, pages }
}

/// The whole sequence in chunks, of which each is one pass.
fn compute(case: &Case, team: &Team, ty: KvType, chunk: usize) -> Vec<f32> {
    let Case { shape, what, n, q, k, v, pages } = case;
    let mut layer = KvLayer::new(*shape, ty, pages.len() + 1);
    let mut out = vec![0.0; n * what.heads * shape.v_dim];
    for start in (0..*n).step_by(chunk) {
        let len = chunk.min(n - start);
        let span = [Span { row: 0, n: len, start, pages }];
        let part = |x: &[f32], width: usize| x[start * width..][..len * width].to_vec();
        let width = shape.heads * shape.k_dim;
        layer.write(team, &span, &part(k, width), &part(v, width));
        let width = what.heads * shape.k_dim;
        let out = &mut out[start * width..][..len * width];
        attention(team, &layer, *what, &span, &part(q, width), out);
    }
    out
}

#[test]
fn agrees_with_the_definition_and_chunks_do_not_matter() {
    let one = Team::new(1).unwrap();
    let three = Team::new(3).unwrap();
    let _workers = three.muster();
    for (heads, kv_heads, dim, n, window) in [
        (4, 2, 8, 70, None),
        (4, 4, 16, 130, Some(20)),
        (6, 1, 80, 600, None),
        (8, 2, 64, 1100, Some(600)),
        (2, 1, 128, 65, None),
    ] {
        let case = case(heads, kv_heads, dim, n, window);
        for ty in KvType::ALL {
            let whole = compute(&case, &three, ty, n);
            for row in [0, 1, n / 2, n - 1] {
                for head in 0..heads {
                    let at = (row * heads + head) * dim;
                    let kv_head = head / (heads / kv_heads);
                    let q = &case.q[at..][..dim];
                    let expected =
                        reference(case.what, case.shape, row, q, &case.k, &case.v, kv_head);
                    for (got, expected) in whole[at..][..dim].iter().zip(expected) {
                        assert!((f64::from(*got) - expected).abs() < 2e-6, "{got} {expected}");
                    }
                }
            }
            for (team, chunk) in [(&one, 7), (&three, 64), (&one, 33)] {
                assert_eq!(compute(&case, team, ty, chunk), whole, "{n} in chunks of {chunk}");
            }
            // One by one from the middle, where few rows meet many positions.
            let single = compute(&case, &three, ty, 1);
            assert_eq!(single, whole);
        }
    }
}

#[test]
fn sequences_do_not_mix() {
    let team = Team::new(2).unwrap();
    let _workers = team.muster();
    let (a, b) = (case(4, 2, 16, 90, None), case(4, 2, 16, 40, None));
    let mut layer = KvLayer::new(a.shape, KvType::F16, 8);
    let spans = [
        Span { row: 0, n: 90, start: 0, pages: &[5, 2] },
        Span { row: 90, n: 40, start: 0, pages: &[0] },
    ];
    let join = |x: &[f32], y: &[f32]| [x, y].concat();
    layer.write(&team, &spans, &join(&a.k, &b.k), &join(&a.v, &b.v));
    let mut out = vec![0.0; 130 * 4 * 16];
    attention(&team, &layer, a.what, &spans, &join(&a.q, &b.q), &mut out);
    let alone = [compute(&a, &team, KvType::F16, 90), compute(&b, &team, KvType::F16, 40)].concat();
    assert_eq!(out, alone);
}
