//! Times attention alone, in milliseconds a token:
//!
//!     cargo run --release --example attention -- [threads] [heads] [kv_heads] [dim] [layers]
//!
//! The default is 2 threads and the shape of a Llama of 1 B: 32 heads, 8 KV heads, 64, 16 layers. Every
//! row adds up each layer's best of several runs; each layer has pages of its own, so that memory counts.

use std::time::Instant;

use farthing_kernels::Team;
use farthing_kernels::attention::{Attention, attention};
use farthing_kernels::kv::{KvLayer, KvShape, KvType, PAGE, Span};

/// Name, sequences, tokens of each, positions before them.
const ROWS: [(&str, usize, usize, usize); 6] = [
    ("prefill 256 at 0", 1, 256, 0),
    ("prefill 256 at 4096", 1, 256, 4096),
    ("decode at 512", 1, 1, 511),
    ("decode at 4096", 1, 1, 4095),
    ("decode at 16384", 1, 1, 16383),
    ("decode 8 at 2048", 8, 1, 2047),
];
/// Positions of memory.
const ROOM: usize = 16384;

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).map_while(|n| n.parse().ok()).collect();
    let number = |i: usize, default| numbers.get(i).copied().unwrap_or(default);
    let (threads, heads, kv_heads) = (number(0, 2), number(1, 32), number(2, 8));
    let (dim, n_layers) = (number(3, 64), number(4, 16));
    let team = Team::new(threads).expect("threads");
    let _workers = team.muster();
    let shape = KvShape { heads: kv_heads, k_dim: dim, v_dim: dim };
    let rounded = std::env::args().all(|a| a != "precise");
    let what = Attention { rounded, ..Attention::new(heads, (dim as f32).powf(-0.5)) };
    for ty in KvType::ALL {
        let mut layers: Vec<KvLayer> =
            (0..n_layers).map(|_| KvLayer::new(shape, ty, ROOM / PAGE)).collect();
        let pages: Vec<u32> = (0..(ROOM / PAGE) as u32).collect();
        let k = noise(ROOM * kv_heads * dim);
        for layer in &mut layers {
            let all = Span { row: 0, n: ROOM, start: 0, end: ROOM, pages: &pages };
            layer.write(&team, &[all], &k, &k);
        }
        for (name, sequences, n, start) in ROWS {
            let pages_of = |s: usize| &pages[s * ROOM / sequences / PAGE..];
            let span = |s| Span { row: s * n, n, start, end: start + n, pages: pages_of(s) };
            let spans: Vec<Span> = (0..sequences).map(span).collect();
            let q = noise(sequences * n * heads * dim);
            let mut out = vec![0.0; q.len()];
            let mut best = vec![f64::INFINITY; n_layers];
            for _ in 0..(2_000_000 / (n * (start + n) * sequences)).clamp(3, 20) {
                for (layer, best) in layers.iter().zip(&mut best) {
                    let begin = Instant::now();
                    attention(&team, layer, what, &spans, &q, &mut out);
                    *best = best.min(begin.elapsed().as_secs_f64());
                }
            }
            let each = best.iter().sum::<f64>() * 1e3 / (sequences * n) as f64;
            println!("{:4} {name:20} {each:8.3} ms/token", ty.name());
        }
    }
}

/// Numbers of about unit variance.
fn noise(n: usize) -> Vec<f32> {
    let mut state = 1_u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next() * 1.7).collect()
}
