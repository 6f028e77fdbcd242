//! Writes a few tiny files for the fuzzer to start from: `fuzz_seeds FOLDER`.

use std::error::Error;
use std::path::Path;

use farthing_gguf::{Array, GgmlType, Split, Writer};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).ok_or("usage: fuzz_seeds FOLDER")?;
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    values(Writer::new(folder.join("values")))?;
    tensors(Writer::new(folder.join("tensors")))?;
    let mut split = Writer::new(folder.join("split"));
    split.split(Split::Tensors(usize::MAX));
    tensors(split)?;
    Ok(())
}

/// Every kind of value.
fn values(mut writer: Writer<'_>) -> farthing_gguf::Result<()> {
    let words = Array::strings(["", "a", "\u{2581}the"]);
    let numbers = Array::from_iter([1.0f32, 2.0]);
    writer.metadata("general.architecture", "llama")?;
    writer.metadata("u8", 1u8)?.metadata("i8", -1i8)?.metadata("bool", true)?;
    writer.metadata("u16", 2u16)?.metadata("i16", -2i16)?;
    writer.metadata("u32", 3u32)?.metadata("i32", -3i32)?.metadata("f32", 0.5f32)?;
    writer.metadata("u64", 4u64)?.metadata("i64", -4i64)?.metadata("f64", 0.5f64)?;
    writer.metadata("flags", Array::from_iter([true, false]))?;
    writer.metadata("nested", Array::nested(vec![words.clone(), numbers.clone()]))?;
    writer.metadata("words", words)?.metadata("numbers", numbers)?;
    writer.finish().map(drop)
}

/// A tensor of one block of every type.
fn tensors(mut writer: Writer<'_>) -> farthing_gguf::Result<()> {
    writer.metadata("general.alignment", 64u32)?;
    for ty in GgmlType::all() {
        let data = vec![ty.id() as u8; ty.block_bytes()];
        writer.tensor(ty.name(), &[ty.block_len(), 1], ty, data)?;
    }
    writer.finish().map(drop)
}
