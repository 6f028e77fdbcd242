//! What the tests of several files use.

use crate::quant::Quant;

/// Numbers of about unit variance, the same for the same seed.
pub fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32
    };
    (0..n).map(|_| (0..4).map(|_| uniform()).sum::<f32>() * 1.7 - 3.4).collect()
}

/// Bytes of every value, the same for the same seed.
pub fn bytes(n: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..n).map(|_| next()).collect()
}

/// The bytes of a matrix of some type: random bits, but only blocks of weights of a sane size.
pub fn weights(quant: &Quant, rows: usize, k: usize) -> Vec<u8> {
    let n_blocks = rows * k / quant.block_len;
    let mut random = bytes(64 * n_blocks * quant.block_bytes + 65_536, k as u64 + 11);
    let mut values = vec![0.0; quant.block_len];
    let mut data = Vec::new();
    while data.len() < n_blocks * quant.block_bytes {
        let block = random.split_off(random.len() - quant.block_bytes);
        quant.dequantize(&block, &mut values);
        let size = values.iter().fold(0.0, |size: f32, v| size.max(v.abs()));
        if values.iter().all(|v| v.is_finite()) && (1e-3..1e3).contains(&size) {
            data.extend(block);
        }
    }
    data
}
