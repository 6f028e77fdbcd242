//! Architectures: a short file each, and one table.

use farthing_gguf::Gguf;

use crate::decoder::Decoder;
use crate::error::{Error, Result};
use crate::params::Params;
use crate::weights::Weights;

mod apertus;
mod arcee;
mod baichuan;
mod bloom;
mod cohere2;
mod command_r;
mod deepseek2;
mod dots1;
mod ernie4_5_moe;
mod exaone4;
mod falcon;
mod falcon_h1;
mod gemma;
mod gemma2;
mod gemma3;
mod gemma3n;
mod gemma4;
mod glm4;
mod glm4moe;
mod gpt2;
mod gpt_oss;
mod gptneox;
mod granite;
mod granitehybrid;
mod granitemoe;
mod hunyuan;
mod jamba;
mod lfm2;
mod llama;
mod llama4;
mod mamba;
mod mamba2;
mod minicpm;
mod minicpm3;
mod mistral3;
mod mpt;
mod nemotron;
mod nemotron_h;
mod olmo;
mod olmo2;
mod phi2;
mod phimoe;
mod qwen;
mod qwen2;
mod qwen3moe;
mod qwen3next;
mod recurrent;
mod rwkv6;
mod rwkv7;
mod seed_oss;
mod smollm3;
mod stablelm;
mod starcoder2;

/// Builds a model from its parameters and weights.
type Build = fn(&Params, &Weights) -> Result<Decoder>;

/// By `general.architecture`.
static ARCHITECTURES: &[(&str, Build)] = &[
    ("apertus", apertus::build),
    ("arcee", arcee::build),
    ("baichuan", baichuan::build),
    ("bloom", bloom::build),
    ("chatglm", llama::build),
    ("cohere2", cohere2::build),
    ("command-r", command_r::build),
    ("deepseek2", deepseek2::build),
    ("dots1", dots1::build),
    ("ernie4_5", llama::build),
    ("ernie4_5-moe", ernie4_5_moe::build),
    ("exaone", qwen2::build),
    ("exaone4", exaone4::build),
    ("falcon", falcon::build),
    ("falcon-h1", falcon_h1::build),
    ("gemma", gemma::build),
    ("gemma2", gemma2::build),
    ("gemma3", gemma3::build),
    ("gemma3n", gemma3n::build),
    ("gemma4", gemma4::build),
    ("glm4", glm4::build),
    ("glm4moe", glm4moe::build),
    ("gpt-oss", gpt_oss::build),
    ("gpt2", gpt2::build),
    ("gptneox", gptneox::build),
    ("granite", granite::build),
    ("granitehybrid", granitehybrid::build),
    ("granitemoe", granitemoe::build),
    ("hunyuan-dense", hunyuan::build),
    ("hunyuan-moe", hunyuan::build),
    ("internlm2", llama::build),
    ("jamba", jamba::build),
    ("lfm2", lfm2::build),
    ("lfm2moe", lfm2::build),
    ("llama", llama::build),
    ("llama4", llama4::build),
    ("mamba", mamba::build),
    ("mamba2", mamba2::build),
    ("minicpm", minicpm::build),
    ("minicpm3", minicpm3::build),
    ("mistral3", mistral3::build),
    ("mpt", mpt::build),
    ("nemotron", nemotron::build),
    ("nemotron_h", nemotron_h::build),
    ("olmo", olmo::build),
    ("olmo2", olmo2::build),
    ("olmoe", qwen2::build),
    ("phi2", phi2::build),
    ("phi3", qwen2::build),
    ("phimoe", phimoe::build),
    ("qwen", qwen::build),
    ("qwen2", qwen2::build),
    ("qwen2moe", qwen2::build),
    ("qwen3", qwen2::build),
    ("qwen35", qwen3next::tiled),
    ("qwen35moe", qwen3next::tiled),
    ("qwen3moe", qwen3moe::build),
    ("qwen3next", qwen3next::build),
    ("rwkv6", rwkv6::build),
    ("rwkv7", rwkv7::build),
    ("seed_oss", seed_oss::build),
    ("smollm3", smollm3::build),
    ("stablelm", stablelm::build),
    ("starcoder2", starcoder2::build),
];

/// The names that are known.
pub fn architectures() -> impl Iterator<Item = &'static str> {
    ARCHITECTURES.iter().map(|(name, _)| *name)
}

/// Builds the file's model, for a context of `n_ctx` positions if that is known; see
/// [`Weights::new`] for `repack`.
pub fn build(gguf: &Gguf, n_ctx: Option<usize>, repack: bool) -> Result<Decoder> {
    let params = Params::new(gguf.metadata(), n_ctx)?;
    let name = params.architecture();
    match ARCHITECTURES.iter().find(|(known, _)| *known == name) {
        Some((_, build)) => build(&params, &Weights::new(gguf, repack)?),
        None => Err(Error::UnknownArchitecture {
            file: gguf.path().display().to_string(),
            name: name.into(),
            hint: hint(name),
        }),
    }
}

/// The known names that are nearest, by the letters to be inserted, left out or replaced.
fn hint(name: &str) -> String {
    let mut names: Vec<&str> = architectures().collect();
    names.sort_by_key(|known| distance(known, name));
    names.truncate(5);
    format!("the nearest of those known are {}", names.join(", "))
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.bytes().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in b.bytes().enumerate() {
            let best = (row[j] + 1).min(row[j + 1] + 1).min(corner + usize::from(a != b));
            corner = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order_and_near_names_are_found() {
        assert!(ARCHITECTURES.is_sorted_by_key(|(name, _)| *name));
        assert!(hint("lama").contains("are llama, "));
        assert!(hint("qwen-2").contains("are qwen2, "));
    }
}
