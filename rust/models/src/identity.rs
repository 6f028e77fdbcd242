//! Which model it is: a number for what keys, values and states mean.

use farthing_gguf::{Array, Gguf, Value};
use farthing_kernels::isa;
use farthing_kernels::kv::KvType;
use xxhash_rust::xxh3::Xxh3;

use crate::cache::Cache;
use crate::decoder::Decoder;

/// Bytes at the beginning, the middle and the end of each tensor that stand for it.
const SAMPLE: usize = 512;

/// A number that changes with whatever changes the cache's content: the file's metadata and tensors, of which
/// samples are read, how the cache is laid out, the instruction set and this package's version.
pub fn identity(gguf: &Gguf, decoder: &Decoder, kv_type: KvType) -> u128 {
    let mut hash = Hash(Xxh3::new());
    hash.text(env!("CARGO_PKG_VERSION"));
    hash.text(isa::level().name());
    hash.text(kv_type.name());
    let layout = (Cache::PAGE, decoder.kv_shapes(), decoder.states(), decoder.usual_context());
    hash.text(&format!("{layout:?}"));
    for (key, value) in gguf.metadata().iter() {
        hash.text(key);
        hash.value(value);
    }
    for tensor in gguf.tensors() {
        hash.text(&tensor.name);
        hash.text(&format!("{:?} {:?}", tensor.shape, tensor.ty));
        let data = tensor.data();
        for start in [0, data.len() / 2, data.len().saturating_sub(SAMPLE)] {
            hash.bytes(&data[start..(start + SAMPLE).min(data.len())]);
        }
    }
    hash.0.digest128()
}

struct Hash(Xxh3);

impl Hash {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(&bytes.len().to_le_bytes());
        self.0.update(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Array(array) => self.array(array),
            Value::String(text) => self.bytes(text.as_bytes()),
            Value::Bool(value) => self.0.update(&[u8::from(*value)]),
            value => {
                self.0.update(&value.as_integer().unwrap_or_default().to_le_bytes());
                self.0.update(&value.as_float().unwrap_or_default().to_le_bytes());
            }
        }
    }

    fn array(&mut self, array: &Array) {
        self.0.update(&array.len().to_le_bytes());
        match array.bytes() {
            Some(strings) => strings.for_each(|text| self.bytes(text)),
            None => array.iter().for_each(|value| self.value(&value)),
        }
    }
}
