//! Architectures: a short file each, and one table.

use farthing_gguf::Gguf;

use crate::decoder::Decoder;
use crate::error::{Error, Result};
use crate::params::Params;
use crate::weights::Weights;

mod arcee;
mod baichuan;
mod bloom;
mod cohere2;
mod command_r;
mod exaone4;
mod falcon;
mod gemma;
mod gemma2;
mod gemma3;
mod glm4;
mod gpt2;
mod gptneox;
mod granite;
mod hunyuan;
mod llama;
mod minicpm;
mod mistral3;
mod mpt;
mod nemotron;
mod olmo;
mod olmo2;
mod phi2;
mod qwen;
mod qwen2;
mod seed_oss;
mod smollm3;
mod stablelm;
mod starcoder2;

/// Builds a model from its parameters and weights.
type Build = fn(&Params, &Weights) -> Result<Decoder>;

/// By `general.architecture`.
static ARCHITECTURES: &[(&str, Build)] = &[
    ("arcee", arcee::build),
    ("baichuan", baichuan::build),
    ("bloom", bloom::build),
    ("chatglm", llama::build),
    ("codeshell", starcoder2::build),
    ("cohere2", cohere2::build),
    ("command-r", command_r::build),
    ("ernie4_5", llama::build),
    ("exaone", qwen2::build),
    ("exaone4", exaone4::build),
    ("falcon", falcon::build),
    ("gemma", gemma::build),
    ("gemma2", gemma2::build),
    ("gemma3", gemma3::build),
    ("glm4", glm4::build),
    ("gpt2", gpt2::build),
    ("gptneox", gptneox::build),
    ("granite", granite::build),
    ("hunyuan-dense", hunyuan::build),
    ("internlm2", llama::build),
    ("llama", llama::build),
    ("minicpm", minicpm::build),
    ("mistral3", mistral3::build),
    ("mpt", mpt::build),
    ("nemotron", nemotron::build),
    ("olmo", olmo::build),
    ("olmo2", olmo2::build),
    ("orion", qwen2::build),
    ("phi2", phi2::build),
    ("phi3", qwen2::build),
    ("qwen", qwen::build),
    ("qwen2", qwen2::build),
    ("qwen2vl", qwen2::build),
    ("qwen3", qwen2::build),
    ("qwen3vl", qwen2::build),
    ("seed_oss", seed_oss::build),
    ("smollm3", smollm3::build),
    ("stablelm", stablelm::build),
    ("starcoder2", starcoder2::build),
    ("xverse", llama::build),
];

/// The names that are known.
pub fn architectures() -> impl Iterator<Item = &'static str> {
    ARCHITECTURES.iter().map(|(name, _)| *name)
}

/// Builds the file's model.
pub fn build(gguf: &Gguf, repack: bool) -> Result<Decoder> {
    let params = Params::new(gguf.metadata())?;
    let name = params.architecture();
    match ARCHITECTURES.iter().find(|(known, _)| *known == name) {
        Some((_, build)) => build(&params, &Weights::new(gguf, repack)),
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
