//! Which weights are read ahead, and in which order.

use farthing_gguf::{Bytes, Gguf, ReadAhead, Tensor};

use crate::memory;

/// The part of the available memory that may be filled.
const SHARE: f64 = 0.8;

/// Reads a model's weights in the order in which a first pass needs them, in the background, as far
/// as memory allows: layer after layer as in the file, and then what is outside them, of which the
/// embedding is needed first but only a few rows of it.
pub fn start(gguf: &Gguf) -> ReadAhead {
    ReadAhead::start(plan(gguf.tensors(), (memory::available() as f64 * SHARE) as u64))
}

/// Tensors of no more than `budget` bytes together.
fn plan(tensors: &[Tensor], budget: u64) -> Vec<Bytes> {
    let in_layer = |tensor: &&Tensor| layer(&tensor.name).is_some();
    let mut inside: Vec<&Tensor> = tensors.iter().filter(in_layer).collect();
    inside.sort_by_key(|tensor| layer(&tensor.name));
    let outside = tensors.iter().filter(|tensor| !in_layer(tensor));
    let mut left = budget;
    inside
        .into_iter()
        .chain(outside)
        .map_while(|tensor| {
            left = left.checked_sub(tensor.n_bytes() as u64)?;
            Some(tensor.data())
        })
        .collect()
}

/// The number in `blk.<number>.`.
fn layer(name: &str) -> Option<usize> {
    name.strip_prefix("blk.")?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use farthing_gguf::{GgmlType, Writer};

    use super::*;

    #[test]
    fn layers_come_first_and_the_budget_is_kept() {
        let mut file = Vec::new();
        let mut writer = Writer::stream(&mut file);
        for (i, name) in ["token_embd.weight", "blk.10.x", "blk.2.x", "blk.2.y"].iter().enumerate()
        {
            writer.tensor(name, &[8], GgmlType::F32, vec![i as u8; 32]).unwrap();
        }
        writer.finish().unwrap();
        let gguf = Gguf::from_bytes(file).unwrap();
        let order = |budget| -> Vec<u8> {
            plan(gguf.tensors(), budget).iter().map(|bytes| bytes[0]).collect()
        };
        assert_eq!(order(1000), [2, 3, 1, 0]);
        assert_eq!(order(64), [2, 3]);
        assert_eq!(order(31), []);
    }
}
