//! Architectures: a short file each, and one table.

use farthing_gguf::Gguf;

use crate::decoder::Decoder;
use crate::error::{Error, Result};
use crate::params::Params;
use crate::weights::Weights;

mod llama;
mod qwen3;

/// Builds a model from its parameters and weights.
type Build = fn(&Params, &Weights) -> Result<Decoder>;

/// By `general.architecture`.
static ARCHITECTURES: &[(&str, Build)] = &[("llama", llama::build), ("qwen3", qwen3::build)];

/// The names that are known.
pub fn architectures() -> impl Iterator<Item = &'static str> {
    ARCHITECTURES.iter().map(|(name, _)| *name)
}

/// Builds the file's model.
pub fn build(gguf: &Gguf) -> Result<Decoder> {
    let params = Params::new(gguf.metadata())?;
    let name = params.architecture();
    match ARCHITECTURES.iter().find(|(known, _)| *known == name) {
        Some((_, build)) => build(&params, &Weights::new(gguf)),
        None => Err(Error::UnknownArchitecture {
            file: gguf.path().display().to_string(),
            name: name.into(),
            hint: hint(name),
        }),
    }
}

/// The known names, those first that begin most alike.
fn hint(name: &str) -> String {
    let alike = |known: &str| known.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
    let mut names: Vec<&str> = architectures().collect();
    names.sort_by_key(|known| std::cmp::Reverse(alike(known)));
    names.truncate(5);
    format!("known ones are {}", names.join(", "))
}
