//! Products with weights that come from memory: `cargo run --release -p farthing-kernels --example matmul --
//! 2 1,2,4,8,16 Q4_0 Q4_K`, the arguments being threads, columns and types; `FARTHING_ISA` sets another level.
//!
//! The matrix is as large as a small model's layers together. Weights are in panels where the type can be
//! kept in them. Beside each time stand the bytes read and the multiply-adds, a second, and what the machine
//! reads at best.

use std::time::{Duration, Instant};

use farthing_kernels::quant::QUANTS;
use farthing_kernels::{Activations, Matrix, Quant, Team, isa, matmul, panels, peak};

const ROWS: usize = 1 << 16;
const K: usize = 2048;

fn main() {
    let mut words = std::env::args().skip(1);
    let n_threads = words.next().and_then(|word| word.parse().ok()).unwrap_or(1);
    let columns = words.next().unwrap_or_else(|| "1,2,4,8,16".into());
    let columns: Vec<usize> = columns.split(',').filter_map(|word| word.parse().ok()).collect();
    let wanted: Vec<String> = words.collect();
    let team = Team::new(n_threads).expect("so many threads");
    println!("{:8} {:>4} {:>9} {:>7} {:>8} {:>7}", "type", "n", "ms", "GB/s", "GMAC/s", "of read");
    for quant in QUANTS {
        if wanted.is_empty() || wanted.iter().any(|name| name == quant.name) {
            measure(&team, quant, &columns);
        }
    }
}

fn measure(team: &Team, quant: &'static Quant, columns: &[usize]) {
    let bytes = ROWS * K / quant.block_len * quant.block_bytes;
    let mut data: Vec<u8> = (0..bytes).map(|i| (i * i / 7 % 251) as u8 & 0x3b | 0x20).collect();
    let in_panels = panels::fits(quant, ROWS);
    if in_panels {
        let mut kept = vec![0; bytes];
        panels::rearrange(team, quant, bytes / ROWS, &data, &mut kept);
        data = kept;
    }
    let new = if in_panels { Matrix::in_panels } else { Matrix::new };
    let matrix = new(quant, &data, ROWS, K).expect("whole blocks");
    for &n in columns {
        let mut x = Activations::default();
        for (i, x) in x.reset(n, K).iter_mut().enumerate() {
            *x = (i % 13) as f32 - 6.0;
        }
        let mut out = vec![0.0; ROWS * n];
        let (mut best, mut read) = (f64::INFINITY, 0.0);
        for _ in 0..3 {
            // Not longer: measuring the memory lets the workers go.
            let _workers = team.muster();
            for _ in 0..6 {
                let start = Instant::now();
                matmul(team, &mut x, &mut [(matrix, &mut out)]);
                best = start.elapsed().as_secs_f64().min(best);
            }
            let time = Duration::from_millis(50);
            let rate = peak::read_rate(team, isa::level(), 128 << 20, time).expect("memory");
            read = rate.max(read);
        }
        let macs = (ROWS * K * n) as f64 / best / 1e9;
        let (ms, rate) = (best * 1e3, bytes as f64 / best / 1e9);
        println!("{:8} {n:4} {ms:9.2} {rate:7.1} {macs:8.0} {:7.2}", quant.name, rate / read * 1e9);
    }
}
