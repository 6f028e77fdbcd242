//! The parts that decoders are made of.

mod altup;
mod attention;
mod beside;
mod channel_mix;
mod delta_net;
mod ffn;
mod latent;
mod laurel;
mod mamba;
mod mamba2;
mod moe;
mod per_layer;
mod recurrent;
mod router;
mod rwkv6;
mod rwkv7;
mod short_conv;
mod token_shift;

pub use altup::{AltUp, AltUpEnds, AltUpShape};
pub use attention::{Attention, AttentionShape, Temperature};
pub use beside::Beside;
pub use channel_mix::ChannelMix;
pub use delta_net::DeltaNetShape;
pub use ffn::Ffn;
pub use latent::{Latent, LatentShape};
pub use laurel::Laurel;
pub use mamba::MambaShape;
pub use mamba2::Mamba2Shape;
pub use moe::{Experts, Moe};
pub use per_layer::{PerLayer, PerLayerInputs};
pub use recurrent::{Recurrent, RecurrentShape};
pub use router::{Choice, Gating};
pub use rwkv7::Rwkv7Shape;

use farthing_kernels::kv::Span;
use farthing_kernels::recurrence::Turn;
use farthing_kernels::rope::Rotations;
use farthing_kernels::{Activations, Team};

/// What every block is given: the threads and memory that is used again.
pub struct Work<'a> {
    /// The threads.
    pub team: &'a Team,
    /// The block's input, normalized, `[n][d]`.
    pub x: &'a mut Activations,
    /// The block's output, `[n][d]`.
    pub out: &'a mut Vec<f32>,
}

/// What the rows of a pass have to do with positions.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    /// Of each row.
    pub positions: &'a [usize],
    /// The rows' angles, for each of the model's rotary positions.
    pub rotations: &'a [Rotations],
    /// The rows in runs.
    pub spans: &'a [Span<'a>],
    /// The runs' states, in models with recurrent layers.
    pub turns: &'a [Turn],
    /// The runs to give outputs for, rows counted among the outputs.
    pub wanted: &'a [Span<'a>],
    /// Which of the rows these are, if not all.
    pub kept: Option<&'a [usize]>,
}

impl Batch<'_> {
    /// Moves the wanted rows of `width` to the front and returns them.
    fn keep<'x>(&self, x: &'x mut [f32], width: usize) -> &'x mut [f32] {
        let Some(kept) = self.kept else {
            return x;
        };
        for (to, &from) in kept.iter().enumerate() {
            x.copy_within(from * width..(from + 1) * width, to * width);
        }
        &mut x[..kept.len() * width]
    }
}

/// Memory that blocks use again from layer to layer.
#[derive(Default)]
pub struct Scratch {
    /// Of several streams.
    pub altup: altup::Scratch,
    /// Attention's.
    pub attention: attention::Scratch,
    /// That of experts beside a dense layer.
    pub beside: beside::Scratch,
    /// That of feed-forward layers that look back.
    pub channel_mix: channel_mix::Scratch,
    /// Per-layer embeddings'.
    pub per_layer: per_layer::Scratch,
    /// Latent attention's.
    pub latent: latent::Scratch,
    /// The output of a recurrent block beside attention.
    pub beside_attention: Vec<f32>,
    /// The recurrent blocks'.
    pub recurrent: recurrent::Scratch,
    /// Between the matrices of a learned residual.
    pub laurel: Activations,
    /// The feed-forward layers'.
    pub ffn: ffn::Scratch,
    /// The experts'.
    pub moe: moe::Scratch,
}

/// A vector as some `len` floats of any value.
fn sized(v: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if v.len() < len {
        v.resize(len, 0.0);
    }
    &mut v[..len]
}
