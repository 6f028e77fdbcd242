//! Opens any bytes as a file and touches everything that it then gives.
//!
//! The compiler's fuzzing flags are unstable, so on the pinned stable compiler:
//!
//! ```sh
//! cargo run -p farthing-gguf --example fuzz_seeds -- rust/gguf/fuzz/corpus/open
//! RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir rust/gguf/fuzz open -- \
//!     -max_total_time=60 -timeout=60 -max_len=16384 -malloc_limit_mb=4
//! ```
//!
//! The limits make a hang or an allocation out of proportion to the file a failure.

#![no_main]

use std::hint::black_box;

use farthing_gguf::{Gguf, Value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    match Gguf::from_bytes(data.to_vec()) {
        Ok(gguf) => walk(&gguf),
        Err(error) => drop(black_box(error.to_string())),
    }
});

fn walk(gguf: &Gguf) {
    let metadata = gguf.metadata();
    for (key, value) in metadata.iter() {
        touch(value);
        let _ = black_box((
            metadata.opt_u32(key),
            metadata.opt_f32(key),
            metadata.opt_str(key),
        ));
        let _ = black_box((metadata.opt_i32s(key), metadata.opt_strs(key)));
    }
    for tensor in gguf.tensors() {
        assert_eq!(tensor.shape.iter().product::<usize>(), tensor.n_elements());
        assert_eq!(tensor.data().len(), tensor.n_bytes());
        black_box(
            tensor
                .data()
                .iter()
                .fold(0u8, |sum, &byte| sum.wrapping_add(byte)),
        );
    }
}

fn touch(value: &Value) {
    match value {
        Value::Array(array) => {
            assert_eq!(array.iter().count(), array.len());
            array.iter().for_each(|value| touch(&value));
        }
        Value::String(text) => drop(black_box(text.to_string_lossy())),
        _ => {
            black_box((value.as_integer(), value.as_float()));
        }
    }
}
