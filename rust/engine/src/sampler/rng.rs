//! Random numbers that are the same on every machine: PCG32, XSH-RR 64/32 (O'Neill 2014, "PCG: A
//! Family of Simple Fast Space-Efficient Statistically Good Algorithms for Random Number
//! Generation").

use std::hash::{BuildHasher, RandomState};

const MULTIPLIER: u64 = 6364136223846793005;
const STREAM: u64 = 54;

#[derive(Clone)]
pub(crate) struct Rng {
    state: u64,
    increment: u64,
}

impl Rng {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Rng {
        let mut rng = Rng { state: 0, increment: STREAM << 1 | 1 };
        rng.next_u32();
        rng.state = rng.state.wrapping_add(seed);
        rng.next_u32();
        rng
    }

    /// A generator that nobody can foretell.
    pub fn random() -> Rng {
        // The standard library's hash keys come from the operating system's random numbers.
        Rng::new(RandomState::new().hash_one(0))
    }

    /// A generator of its own for what comes next; the same one until `step`.
    pub fn fork(&self) -> Rng {
        Rng::new(self.clone().next_u64())
    }

    /// Goes on to what comes after.
    pub fn step(&mut self) {
        self.next_u64();
    }

    fn next_u64(&mut self) -> u64 {
        u64::from(self.next_u32()) << 32 | u64::from(self.next_u32())
    }

    pub fn next_u32(&mut self) -> u32 {
        let old = self.state;
        self.state = old.wrapping_mul(MULTIPLIER).wrapping_add(self.increment);
        let shifted = ((old >> 18 ^ old) >> 27) as u32;
        shifted.rotate_right((old >> 59) as u32)
    }

    /// A number of [0, 1) with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_published_numbers() {
        // The first round of the reference's pcg32-demo: seed 42, stream 54.
        let mut rng = Rng::new(42);
        let numbers: [u32; 6] = std::array::from_fn(|_| rng.next_u32());
        let published = [0xa15c02b7, 0x7b47f409, 0xba1d3330, 0x83d2f293, 0xbfa4784b, 0xcbed606e];
        assert_eq!(numbers, published);
    }

    #[test]
    fn uniform_numbers_fill_the_interval() {
        let mut rng = Rng::new(1);
        let mut counts = [0; 10];
        for _ in 0..10_000 {
            counts[(rng.uniform() * 10.0) as usize] += 1;
        }
        assert!(counts.iter().all(|n| (900..1100).contains(n)), "{counts:?}");
    }

    #[test]
    fn forks_are_the_same_until_the_next_step() {
        let mut rng = Rng::new(7);
        let first = rng.fork().next_u64();
        assert_eq!(rng.fork().next_u64(), first);
        rng.step();
        assert_ne!(rng.fork().next_u64(), first);
    }

    #[test]
    fn random_generators_differ() {
        assert_ne!(Rng::random().next_u32(), Rng::random().next_u32());
    }
}
