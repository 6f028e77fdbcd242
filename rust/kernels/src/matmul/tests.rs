use super::*;
use crate::quant::QUANTS;
use crate::testing::{noise, weights};

/// What the kernels compute, in double precision: dequantized weights times the activations as they
/// are for float weights, or as quantized or rounded. Also the sum of magnitudes, to measure errors by.
fn reference(level: Level, w: &Matrix, x: &Activations, row: usize, column: usize) -> (f64, f64) {
    let mut weights = vec![0.0; w.k()];
    w.row(row, &mut weights);
    let products = weights.iter().enumerate().map(|(i, &w0)| {
        let x = if let Some(span) = w.quant.span {
            let group = &x.int8(span).groups(column, i / 32).0[0];
            f64::from(group.scale) * f64::from(group.q[i % 32])
        } else if w.quant.pairs && level.has_pairs() && i < x.k() / 32 * 32 {
            let half = x.halves()[column * x.k() + i];
            f64::from(f32::from_bits(u32::from(half) << 16))
        } else {
            f64::from(x.floats()[column * x.k() + i])
        };
        f64::from(w0) * x
    });
    products.fold((0.0, 0.0), |(sum, size), p| (sum + p, size + p.abs()))
}

fn columns(n: usize, k: usize) -> Activations {
    let mut x = Activations::default();
    x.reset(n, k).copy_from_slice(&noise(n * k, 3));
    x
}

#[test]
fn every_type_at_every_level_agrees_with_its_meaning() {
    let team = Team::new(2).unwrap();
    let _workers = team.muster();
    for quant in QUANTS {
        // More than a chunk of weights, rows of every remainder, more than a block of columns once.
        for (rows, blocks, n) in [(1, 1, 1), (37, 3, 2), (48, 1, 7), (65, 2, 261), (33, 17, 5)] {
            let k = blocks * quant.block_len.max(if quant.int8() { 32 } else { 23 });
            let data = weights(quant, rows, k);
            let w = Matrix::new(quant, &data, rows, k).unwrap();
            for &level in LEVELS.iter() {
                let mut x = columns(n, k);
                let mut out = vec![f32::NAN; rows * n];
                matmul_at(&team, Some(level), &mut x, &mut [(w, &mut out)]);
                for c in (0..n).step_by(1 + n / 5) {
                    for r in 0..rows {
                        let (sum, size) = reference(level, &w, &x, r, c);
                        let error = (f64::from(out[c * rows + r]) - sum).abs();
                        assert!(
                            error <= 1e-5 * size.max(1e-30),
                            "{} at {}: {rows} × {k} × {n}, row {r}, column {c}: {} for {sum}",
                            quant.name,
                            level.name(),
                            out[c * rows + r],
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_column_does_not_depend_on_its_neighbours() {
    let team = Team::new(2).unwrap();
    for quant in QUANTS {
        let (rows, k, n) = (40, 768, 19);
        let data = weights(quant, rows, k);
        let w = Matrix::new(quant, &data, rows, k).unwrap();
        for &level in LEVELS.iter() {
            let mut all = vec![0.0; rows * n];
            let mut x = columns(n, k);
            matmul_at(&team, Some(level), &mut x, &mut [(w, &mut all)]);
            for (c, expected) in all.chunks_exact(rows).enumerate() {
                let mut one = Activations::default();
                one.reset(1, k).copy_from_slice(&x.floats()[c * k..][..k]);
                let mut out = vec![0.0; rows];
                matmul_at(&team, Some(level), &mut one, &mut [(w, &mut out)]);
                assert_eq!(out, expected, "{} at {}, column {c}", quant.name, level.name());
            }
        }
    }
}

#[test]
fn several_matrices_in_one_region() {
    let team = Team::new(2).unwrap();
    let _workers = team.muster();
    let k = 256;
    let data: Vec<_> = QUANTS.iter().map(|q| weights(q, 50, k)).collect();
    let matrices: Vec<_> =
        QUANTS.iter().zip(&data).map(|(q, d)| Matrix::new(q, d, 50, k).unwrap()).collect();
    let mut x = columns(3, k);
    let mut together = vec![vec![0.0; 150]; QUANTS.len()];
    let mut jobs: Vec<_> =
        matrices.iter().zip(&mut together).map(|(w, out)| (*w, out.as_mut_slice())).collect();
    matmul(&team, &mut x, &mut jobs);
    for (w, together) in matrices.iter().zip(&together) {
        let mut alone = vec![0.0; 150];
        matmul(&team, &mut x, &mut [(*w, &mut alone)]);
        assert_eq!(&alone, together, "{}", w.quant.name);
    }
}

#[test]
fn sizes_that_do_not_fit_are_errors() {
    let q4 = Quant::from_ggml_id(2).unwrap();
    let message = |r: Result<Matrix, String>| r.err().unwrap();
    assert!(message(Matrix::new(q4, &[0; 18], 1, 31)).contains("31 weights"));
    assert!(message(Matrix::new(q4, &[0; 17], 1, 32)).contains("17"));
    assert!(Matrix::new(q4, &[], usize::MAX, 32).is_err());
}
