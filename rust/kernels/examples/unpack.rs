//! What the weights of every type cost: `cargo run --release -p farthing-kernels --example unpack`,
//! with names of types as arguments for some only and `FARTHING_ISA` for another level.
//!
//! One thread multiplies 32 rows of 4096 weights, which the second-level cache holds. With one column
//! most of the time is unpacking, with 256 it is next to nothing.

use std::time::Instant;

use farthing_kernels::quant::QUANTS;
use farthing_kernels::{Activations, Matrix, Quant, Team, matmul};

const ROWS: usize = 32;
const K: usize = 4096;
const MANY: usize = 256;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let team = Team::new(1).expect("one thread is always there");
    println!("{:8} {:>22} {:>22}", "", "1 column", "256 columns");
    println!("{:8} {:>22} {:>22}", "type", "ns for 16 x 256", "ns for 16 x 256 x 1");
    for quant in QUANTS {
        if wanted.is_empty() || wanted.iter().any(|name| name == quant.name) {
            let (one, many) = (seconds(&team, quant, 1), seconds(&team, quant, MANY));
            let tiles = (ROWS * K / (16 * 256)) as f64 / 1e9;
            let per_column = many / MANY as f64;
            println!("{:8} {:22.1} {:22.1}", quant.name, one / tiles, per_column / tiles);
        }
    }
}

/// The best of many times.
fn seconds(team: &Team, quant: &'static Quant, n: usize) -> f64 {
    // Bytes of many kinds, as scales neither infinite nor very small.
    let bytes = ROWS * K / quant.block_len * quant.block_bytes;
    let data: Vec<u8> = (0..bytes).map(|i| (i * i / 7 % 251) as u8 & 0x3b | 0x20).collect();
    let matrix = Matrix::new(quant, &data, ROWS, K).expect("whole blocks");
    let mut x = Activations::default();
    for (i, x) in x.reset(n, K).iter_mut().enumerate() {
        *x = (i % 13) as f32 - 6.0;
    }
    let mut out = vec![0.0; ROWS * n];
    let mut best = f64::INFINITY;
    for _ in 0..2000 / n.isqrt() {
        let start = Instant::now();
        matmul(team, &mut x, &mut [(matrix, &mut out)]);
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}
