//! Bytes in, floats out: the kernels of the forward pass and the threads that run them.
//!
//! Every kernel is written once over `std::simd` and compiled for each instruction-set level, see
//! [`isa`]; the level is chosen at run time. Threads are outside ([`team`]), levels inside.

#![feature(portable_simd)]
// Indices of tiles name a row and a column; iterators would hide which.
#![allow(clippy::needless_range_loop)]
#![cfg_attr(target_arch = "aarch64", feature(stdarch_neon_dotprod, stdarch_neon_i8mm))]
// The features are the entry's, into which all of it is inlined.
#![cfg_attr(target_arch = "aarch64", allow(inline_always_mismatching_target_features))]

pub mod activation;
pub mod activations;
pub mod attention;
pub mod cgroup;
mod few;
mod float;
pub mod isa;
pub mod kv;
mod math;
pub mod matmul;
pub mod norm;
pub mod panels;
pub mod peak;
mod products;
pub mod profile;
pub mod quant;
mod raw;
pub mod recurrence;
pub mod rope;
pub mod team;
#[cfg(test)]
mod testing;
pub mod thin;
pub mod threads;
mod tile;
pub mod vector;

pub use activations::Activations;
pub use matmul::{Matrix, matmul};
pub use quant::Quant;
pub use team::Team;
