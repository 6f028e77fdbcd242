//! A loaded model: weights, cache and threads.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use farthing_gguf::{Gguf, ReadAhead};
use farthing_kernels::kv::KvType;
use farthing_kernels::profile::{Part, Profile};
use farthing_kernels::threads::{self, Threads};
use farthing_kernels::{Team, isa};

use crate::abilities::{Abilities, Pooling};
use crate::arch;
use crate::batch::Run;
use crate::cache::Cache;
use crate::decoder::Decoder;
use crate::error::{Error, Result};
use crate::identity::identity;
use crate::lora::Lora;
use crate::memory;
use crate::params::Params;
use crate::readahead;

/// How a model is to be loaded.
#[derive(Clone, Debug)]
pub struct Options {
    /// Positions of one sequence; by default the model's own, or as many as memory has room for. A
    /// model with two sets of rotary factors has only those of the short one by default.
    pub n_ctx: Option<usize>,
    /// Sequences that the cache should have room for at once, memory permitting.
    pub n_sequences: usize,
    /// Threads; see [`threads::default_threads`] for the default.
    pub n_threads: Option<usize>,
    /// Whether weights are rearranged in memory at their second use; by default if there is
    /// room for it. Otherwise they stay in the file's memory map.
    pub repack: Option<bool>,
    /// How keys and values are stored.
    pub kv_type: KvType,
    /// Bytes of the cache, pages and states, at most; less where memory has no room for it.
    pub cache_bytes: Option<u64>,
    /// Room in bytes for pages that are kept beside those of the sequences; by default there is none, and
    /// pages are kept while sequences do not need them.
    pub kept_bytes: Option<u64>,
    /// States that are kept beside those of the sequences, in models with recurrent layers, memory permitting.
    pub n_checkpoints: usize,
    /// Whether to read the weights in the background from now on, for a quick first pass.
    pub read_ahead: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            n_ctx: None,
            n_sequences: 1,
            n_threads: None,
            repack: None,
            kv_type: KvType::F16,
            cache_bytes: None,
            kept_bytes: None,
            n_checkpoints: 32,
            read_ahead: true,
        }
    }
}

/// A model with its KV cache and threads.
pub struct Model {
    decoder: Decoder,
    cache: Cache,
    team: Team,
    threads: Threads,
    n_ctx: usize,
    n_ctx_train: usize,
    /// Whether memory has made it fewer positions than the model's own.
    is_fitted: bool,
    /// Bytes that the pages could have taken.
    cache_budget: u64,
    page_bytes: u64,
    kv_type: KvType,
    repack: bool,
    _read_ahead: Option<ReadAhead>,
}

/// The part of the available memory that rearranged weights may take.
const WEIGHTS_SHARE: f64 = 0.4;
/// The part of the available memory that the cache may take.
const CACHE_SHARE: f64 = 0.5;
/// The part of the cache's memory that states may take.
const STATES_SHARE: f64 = 0.5;

impl Model {
    /// Loads the file's model. Weights are in the file's memory map until they are rearranged.
    ///
    /// # Errors
    /// The architecture or a tensor's type is unknown, tensors or keys are missing or misshapen, a
    /// context asked for does not fit in memory, or the environment's `FARTHING_ISA` is unusable.
    pub fn load(gguf: &Gguf, options: &Options) -> Result<Model> {
        isa::LEVEL.as_ref().map_err(|e| Error::Option(e.clone()))?;
        let weights: usize = gguf.tensors().iter().map(|t| t.data().len()).sum();
        let room = (memory::available() as f64 * WEIGHTS_SHARE) as u64;
        let repack = options.repack.unwrap_or(weights as u64 <= room);
        let decoder = arch::build(gguf, options.n_ctx, repack)?;
        let read_ahead = options.read_ahead.then(|| readahead::start(gguf));
        let n_ctx_train = Params::new(gguf.metadata(), None)?.size_or("context_length", 4096)?;
        let page_bytes = Cache::page_bytes(&decoder.kv_shapes(), options.kv_type);
        let budget = (memory::available() as f64 * CACHE_SHARE) as u64;
        let budget = budget.min(options.cache_bytes.unwrap_or(u64::MAX));
        let states = decoder.states();
        let (n_states, budget) = n_states(Cache::state_bytes(&states), options, budget)?;
        let most = (budget / page_bytes.max(1)) as usize;
        let pages = |n: usize| n.div_ceil(Cache::PAGE);
        let bound = decoder.n_positions().unwrap_or(usize::MAX);
        let usual = n_ctx_train.min(decoder.usual_context());
        let n_ctx = match options.n_ctx {
            Some(n) if n > bound => {
                let text = format!("n_ctx is {n}, but the model has only {bound} positions");
                return Err(Error::Option(text));
            }
            Some(n) => n,
            None => usual.min(most.saturating_mul(Cache::PAGE)),
        };
        if n_ctx == 0 || pages(n_ctx) > most {
            return Err(Error::OutOfMemory {
                wanted: n_ctx.max(1),
                needed: pages(n_ctx.max(1)) as u64 * page_bytes,
                available: budget,
            });
        }
        let kept = options.kept_bytes.unwrap_or(0) / page_bytes.max(1);
        let n_pages = pages(n_ctx).saturating_mul(options.n_sequences.max(1));
        let n_pages = n_pages.saturating_add(kept as usize).min(most);
        let threads = match options.n_threads {
            Some(n) => Threads { n, reason: "n_threads".into() },
            None => threads::default_threads().map_err(Error::Option)?,
        };
        Ok(Model {
            cache: Cache::new(
                (&decoder.kv_shapes(), options.kv_type, n_pages),
                (&states, n_states),
            ),
            team: Team::new(threads.n).map_err(Error::Option)?,
            threads,
            decoder,
            n_ctx,
            n_ctx_train,
            is_fitted: options.n_ctx.is_none() && n_ctx < usual,
            cache_budget: budget,
            page_bytes,
            kv_type: options.kv_type,
            repack,
            _read_ahead: read_ahead,
        })
    }

    /// What it can be asked for.
    pub fn abilities(&self) -> Abilities {
        self.decoder.abilities()
    }

    /// What the head makes of the pooled vectors of `n` sequences, `[n][width]`: embeddings, or with
    /// [`Pooling::Rank`] scores of the classifier; one row for each sequence, all of one length.
    pub fn head(&mut self, pooling: Pooling, n: usize, vectors: &mut Vec<f32>) {
        let _workers = self.team.muster();
        let _part = self.team.part(Part::Pass);
        self.decoder.finish(&self.team, pooling, n, vectors);
    }

    /// Entries of the vocabulary, the length of a row of logits.
    pub fn n_vocab(&self) -> usize {
        self.decoder.n_vocab()
    }

    /// Positions of one sequence.
    pub fn n_ctx(&self) -> usize {
        self.n_ctx
    }

    /// Positions that the model was trained for.
    pub fn n_ctx_train(&self) -> usize {
        self.n_ctx_train
    }

    /// Whether the context is shorter than the model's own for lack of memory.
    pub fn is_fitted(&self) -> bool {
        self.is_fitted
    }

    /// Bytes of memory that the pages could have had.
    pub fn cache_budget(&self) -> u64 {
        self.cache_budget
    }

    /// Positions in a page of the cache.
    pub fn page_len(&self) -> usize {
        Cache::PAGE
    }

    /// Pages of the cache.
    pub fn n_pages(&self) -> usize {
        self.cache.n_pages()
    }

    /// Slots of states, 0 in a model without recurrent layers.
    pub fn n_states(&self) -> usize {
        self.cache.n_states()
    }

    /// Bytes of a page in all layers.
    pub fn page_bytes(&self) -> u64 {
        self.page_bytes
    }

    /// Bytes of a state in all layers.
    pub fn state_bytes(&self) -> u64 {
        Cache::state_bytes(&self.decoder.states())
    }

    /// Threads at work in a pass.
    pub fn n_threads(&self) -> usize {
        self.team.n_threads()
    }

    /// Whether weights are rearranged at their second use.
    pub fn repacks(&self) -> bool {
        self.repack
    }

    /// Why that many, in words.
    pub fn n_threads_reason(&self) -> &str {
        &self.threads.reason
    }

    /// What loads its adapters.
    pub fn lora(&self) -> Lora {
        self.decoder.lora().clone()
    }

    /// Where the time of passes goes.
    pub fn profile(&self) -> Arc<Profile> {
        Arc::clone(self.team.profile())
    }

    /// While this is set, a pass ends early with [`Error::Interrupted`].
    pub fn interrupt(&self) -> Arc<AtomicBool> {
        self.team.interrupt()
    }

    /// A number that changes with whatever changes what pages and states mean, for the file it was loaded from.
    pub fn identity(&self, gguf: &Gguf) -> u128 {
        identity(gguf, &self.decoder, self.kv_type)
    }

    /// The pages and states.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The same, to be written.
    pub fn cache_mut(&mut self) -> &mut Cache {
        &mut self.cache
    }

    /// Keeps the threads spinning between passes, or lets them sleep.
    pub fn awake(&self, awake: bool) {
        self.team.awake(awake);
    }

    /// Computes the runs: their positions are in the cache afterwards, and `rows` holds what was asked
    /// for, in the order of the runs: all the logits, `[rows][n_vocab]`, and then all the vectors,
    /// `[rows][width]`. After an error the content of the runs' positions is undefined, earlier ones being
    /// untouched.
    ///
    /// # Errors
    /// A token is not in the vocabulary; or the pass was interrupted.
    ///
    /// # Panics
    /// A run has no tokens, or not the pages or the slots that it needs, or positions beyond the context.
    pub fn forward(&mut self, runs: &[Run], rows: &mut Vec<f32>) -> Result<()> {
        let _workers = self.team.muster();
        let _part = self.team.part(Part::Pass);
        self.team.profile().pass(runs.iter().map(|run| run.tokens.len()).sum());
        self.decoder.forward(&self.team, &mut self.cache, runs, rows)
    }
}

/// How many states of so many bytes there is room for, and what they leave of the budget: two for each
/// of the sequences, to read and to write, and those to be kept.
fn n_states(bytes: u64, options: &Options, budget: u64) -> Result<(usize, u64)> {
    if bytes == 0 {
        return Ok((0, budget));
    }
    let available = (budget as f64 * STATES_SHARE) as u64;
    let wanted = options.n_sequences.max(1).saturating_mul(2).saturating_add(options.n_checkpoints);
    let n = (available / bytes).min(wanted as u64);
    if n < 2 {
        let needed = bytes.saturating_mul(2);
        return Err(Error::States { needed, available });
    }
    Ok((n as usize, budget - n * bytes))
}
