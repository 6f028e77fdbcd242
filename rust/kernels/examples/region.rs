//! What a region costs: `cargo run --release --example region -- [threads]`.
//!
//! Prints the time of an empty region, of one whose threads have a microsecond of work each, and of
//! the same work without a region; the least of several rounds, for others use the machine too.

use std::hint::black_box;
use std::time::Instant;

use farthing_kernels::Team;

const REGIONS: u32 = 20_000;
const ROUNDS: usize = 20;

/// About a microsecond.
fn work() {
    let mut x = 1u64;
    for i in 0..1000 {
        x = black_box(x ^ i);
    }
}

fn least(f: impl Fn()) -> f64 {
    let round = |_| {
        let start = Instant::now();
        (0..REGIONS).for_each(|_| f());
        start.elapsed().as_secs_f64() * 1e9 / f64::from(REGIONS)
    };
    (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min)
}

fn main() -> Result<(), String> {
    let n_threads = std::env::args().nth(1).map_or(Ok(2), |n| n.parse());
    let team = Team::new(n_threads.map_err(|e| format!("the number of threads: {e}"))?)?;
    let _workers = team.muster();
    let n = team.n_threads();
    let alone = least(work);
    let empty = least(|| team.for_each(n, 1, &|_| ()));
    let full = least(|| team.for_each(n, 1, &|_| work()));
    println!("{n} threads: an empty region {empty:.0} ns");
    println!(
        "{alone:.0} ns of work on each: a region takes {full:.0} ns, {:.0} more",
        full - alone
    );
    Ok(())
}
