//! The machine's limits, measured: how fast memory is read and how fast bytes are multiplied.
//!
//! A token cannot be had faster than the weights it touches can be read, and a prompt not faster than
//! its products can be taken, so these are what the speeds of models are compared with.

use std::cell::Cell;
use std::hint::black_box;
use std::ops::Range;
use std::simd::num::SimdUint;
use std::time::{Duration, Instant};

use crate::isa::{B, I, Isa, Kernel, Level, dispatch_at, prefetch};
use crate::team::Team;

/// Memory to read from: many times larger than the caches.
pub const READ_BYTES: usize = 512 << 20;

/// Parts of one sample for each thread, of which a free thread takes over some.
const PARTS: usize = 8;
/// Vectors read in one part: a megabyte.
const SLICE: usize = (1 << 20) / size_of::<B>();

/// Bytes that are asked for ahead of the reader, within each stream.
const AHEAD: usize = 2048;
/// Vectors in a step of one stream: a line of cache each.
const STEP: usize = 8;
/// Values of a column in the tile of products.
const K: usize = 256;
/// Times that a tile is computed in one part.
const TILES: usize = 500;
/// Samples of each variant at least, however long they take.
const SAMPLES: usize = 3;

/// Bytes a second that all threads of the team read together from `bytes` of memory, at least 8 MB for
/// each thread: the best of one, two and four streams in a thread, each the median of samples that take
/// about `time` together. A sample takes less than a millisecond, so most are not disturbed by others.
///
/// # Errors
/// The memory cannot be had.
pub fn read_rate(team: &Team, level: Level, bytes: usize, time: Duration) -> Result<f64, String> {
    let parts = PARTS * team.n_threads();
    let n = (bytes / size_of::<B>()).max(parts * SLICE);
    let mut buffer: Vec<B> = Vec::new();
    buffer.try_reserve_exact(n).map_err(|e| format!("no memory to read {bytes} bytes: {e}"))?;
    // Not zeros, for which the system may give one page again and again.
    buffer.resize(n, B::splat(1));
    let next = Cell::new(0);
    Ok(best([1, 2, 4], team, time, |streams| {
        let start = next.get();
        let end = start + parts * SLICE;
        next.set(if end + parts * SLICE <= n { end } else { 0 });
        let slices = &buffer[start..end];
        team.for_each(parts, 1, &|part| {
            let data = &slices[part.start * SLICE..part.end * SLICE];
            black_box(dispatch_at(level, Read { data, streams }));
        });
        size_of_val(slices) as f64
    }))
}

/// Operations a second, a multiplication and an addition being two, of all threads of the team
/// together in the level's dot product of bytes, with operands from the first-level cache: the best
/// of a few tiles, each the median of samples that take about `time` together.
pub fn dot_rate(team: &Team, level: Level, time: Duration) -> f64 {
    best(TILE_SHAPES, team, time, |(groups, columns)| {
        let parts = PARTS * team.n_threads();
        team.for_each(parts, 1, &|_| {
            black_box(dispatch_at(level, Dots { groups, columns }));
        });
        (2 * parts * TILES * K * 16 * groups * columns) as f64
    })
}

/// The highest rate of the variants; `run` gives the amount that it did.
fn best<V: Copy, const N: usize>(
    variants: [V; N],
    team: &Team,
    time: Duration,
    run: impl Fn(V) -> f64,
) -> f64 {
    let _guard = team.muster();
    let time = time / N as u32;
    let rates = variants.map(|variant| {
        run(variant);
        let start = Instant::now();
        let mut rates = Vec::new();
        while rates.len() < SAMPLES || start.elapsed() < time {
            let start = Instant::now();
            let amount = run(variant);
            rates.push(amount / start.elapsed().as_secs_f64().max(1e-9));
        }
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    rates.into_iter().fold(0.0, f64::max)
}

/// Reads all of the data, as several streams side by side.
struct Read<'a> {
    data: &'a [B],
    streams: usize,
}

impl Kernel for Read<'_> {
    type Output = u64;

    #[inline(always)]
    fn run<A: Isa>(self, _: A) -> u64 {
        match self.streams {
            1 => read::<1>(self.data),
            2 => read::<2>(self.data),
            _ => read::<4>(self.data),
        }
    }
}

#[inline(always)]
fn read<const STREAMS: usize>(data: &[B]) -> u64 {
    let length = data.len() / STREAMS;
    let mut sums = [B::splat(0); STEP];
    for start in (0..length - length % STEP).step_by(STEP) {
        for stream in 0..STREAMS {
            let Range { start, end } = stream * length + start..stream * length + start + STEP;
            let ahead = data.as_ptr().wrapping_add(start).cast::<u8>().wrapping_add(AHEAD);
            prefetch(ahead, STEP * size_of::<B>());
            for (sum, value) in sums.iter_mut().zip(&data[start..end]) {
                *sum ^= *value;
            }
        }
    }
    sums.iter().map(|sum| u64::from(sum.reduce_xor())).sum()
}

/// Groups of 16 rows and columns of a tile: what various numbers of registers hold.
const TILE_SHAPES: [(usize, usize); 4] = [(1, 4), (1, 6), (2, 6), (2, 8)];

/// A tile of products over and over.
struct Dots {
    groups: usize,
    columns: usize,
}

impl Kernel for Dots {
    type Output = i32;

    #[inline(always)]
    fn run<A: Isa>(self, isa: A) -> i32 {
        match (self.groups, self.columns) {
            (1, 4) => tiles::<A, 1, 4>(isa),
            (1, 6) => tiles::<A, 1, 6>(isa),
            (2, 6) => tiles::<A, 2, 6>(isa),
            _ => tiles::<A, 2, 8>(isa),
        }
    }
}

#[inline(always)]
fn tiles<A: Isa, const GROUPS: usize, const COLUMNS: usize>(isa: A) -> i32 {
    let weights = [[B::splat(3); GROUPS]; K / 4];
    let values = [[[1i8; 4]; COLUMNS]; K / 4];
    let mut total = I::splat(0);
    for _ in 0..TILES {
        // Hidden from the compiler, which would otherwise take the tile's sums once for all.
        let (weights, values) = (black_box(&weights), black_box(&values));
        let mut sums = [[I::splat(0); COLUMNS]; GROUPS];
        for (w, x) in weights.iter().zip(values) {
            for group in 0..GROUPS {
                for column in 0..COLUMNS {
                    sums[group][column] = isa.dot_u7(sums[group][column], w[group], x[column]);
                }
            }
        }
        for sum in sums.as_flattened() {
            total += *sum;
        }
    }
    total[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::LEVELS;

    #[test]
    fn rates_are_plausible() {
        for threads in [1, 2] {
            let team = Team::new(threads).unwrap();
            for &level in LEVELS.iter() {
                let read = read_rate(&team, level, 4 << 20, Duration::ZERO).unwrap();
                assert!((1e6..1e14).contains(&read), "{read} bytes a second");
            }
            let dot = dot_rate(&team, LEVELS[LEVELS.len() - 1], Duration::ZERO);
            assert!((1e7..1e16).contains(&dot), "{dot} operations a second");
        }
    }

    #[test]
    fn everything_is_read() {
        for n in [STEP, 3 * STEP, 8 * STEP] {
            for streams in [1, 2, 4] {
                let count = |data: &[B]| dispatch_at(LEVELS[0], Read { data, streams });
                let mut data = vec![B::splat(0); n * streams];
                assert_eq!(count(&data), 0);
                for i in 0..data.len() {
                    data[i][5] = 7;
                    assert_eq!(count(&data), 7, "vector {i} of {n} in each of {streams}");
                    data[i][5] = 0;
                }
            }
        }
    }

    #[test]
    fn all_products_are_taken() {
        let tile = K as i32 * 3 * TILES as i32;
        let best = LEVELS[LEVELS.len() - 1];
        for (groups, columns) in TILE_SHAPES {
            let sums = dispatch_at(best, Dots { groups, columns });
            assert_eq!(sums, tile * (groups * columns) as i32);
        }
    }
}
