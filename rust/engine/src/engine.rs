//! The engine as its callers see it, from any thread.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use farthing_models::{Abilities, Adapters, Pooling, Profile};

use crate::answer::{Answer, answer};
use crate::disk::DiskCache;
use crate::embedding::{EmbeddingRequest, Embeddings};
use crate::error::{Error, Result};
use crate::evaluation::Collector;
use crate::forward::Forward;
use crate::gate::Gate;
use crate::handle::{Handle, Ready, check_thread, mailbox};
use crate::notices::Notices;
use crate::request::{Request, check_prompt, check_texts};
use crate::worker::{Command, EmbedCommand, EvaluateCommand, GenerateCommand, Worker};

/// The engine's limits.
#[derive(Clone, Debug)]
pub struct Config {
    /// Positions that one sequence may have; its pages must fit into the model's cache.
    pub n_ctx: usize,
    /// Requests that are computed at the same time; others wait in their order.
    pub max_sequences: usize,
    /// Tokens that one pass computes; raised to `max_sequences`, so that each sequence advances in
    /// each pass.
    pub n_batch: usize,
    /// Requests that may wait beside those that run; more are refused.
    pub max_queue: usize,
    /// About how long a pass may take while some sequence generates: prompts beside it are computed in
    /// smaller pieces. `None` stands for `n_batch` tokens always.
    pub max_gap: Option<Duration>,
    /// Tokens guessed for a sequence in one pass, at most; 0 switches speculation off. It is off in any
    /// case in models with states, which cannot go back.
    pub n_draft_max: usize,
    /// Whether tokens are guessed that came after the same ones before, in the prompt or the answer.
    pub prompt_lookup: bool,
    /// Pages that are kept for requests to come, at most, beside those in use. With 0 nothing is kept, and
    /// requests at the same time do not share pages either.
    pub kept_pages: usize,
    /// Files for what is kept, which outlive the engine.
    pub disk: Option<DiskCache>,
}

impl Default for Config {
    /// A context of 4096, 8 sequences, 512 tokens a pass, 1024 waiting requests, gaps of 100 ms, up to 16
    /// guesses by prompt lookup, all pages kept that are not needed.
    fn default() -> Config {
        Config {
            n_ctx: 4096,
            max_sequences: 8,
            n_batch: 512,
            max_queue: 1024,
            max_gap: Some(Duration::from_millis(100)),
            n_draft_max: 16,
            prompt_lookup: true,
            kept_pages: usize::MAX,
            disk: None,
        }
    }
}

/// What the engine was doing after its last step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Requests being computed.
    pub running: usize,
    /// Requests in the queue.
    pub waiting: usize,
    /// Pages of the cache.
    pub n_pages: usize,
    /// Pages that requests being computed use.
    pub used_pages: usize,
    /// Pages kept from earlier requests, for reuse.
    pub kept_pages: usize,
}

/// Runs a model for many requests at once, on a thread of its own. Dropping it closes it.
pub struct Engine {
    inbox: Mutex<Option<Inbox>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    thread_id: ThreadId,
    shared: Arc<Shared>,
    n_vocab: usize,
    abilities: Abilities,
    config: Config,
}

/// The way to the thread; its lock keeps the requests' numbers in the order of their arrival.
struct Inbox {
    commands: Sender<Command>,
    next_id: u64,
}

/// What the engine's thread shares with the callers.
pub(crate) struct Shared {
    pub gate: Arc<Gate>,
    pub ready: Ready,
    pub status: Mutex<Status>,
    /// Requests that have not ended.
    pub unfinished: AtomicUsize,
    pub profile: Arc<Profile>,
    pub notices: Arc<Notices>,
}

impl Engine {
    /// Starts the thread. Errors: a limit of 0, a context larger than the model's cache, or no
    /// thread to be had.
    pub fn start(model: Box<dyn Forward>, config: Config) -> Result<Engine> {
        Engine::start_with_draft(model, None, config)
    }

    /// The same with a smaller model of the same vocabulary that guesses tokens. Errors also: one of them
    /// has states.
    pub fn start_with_draft(
        model: Box<dyn Forward>,
        draft: Option<Box<dyn Forward>>,
        mut config: Config,
    ) -> Result<Engine> {
        if draft.is_some() && model.n_states() > 0 {
            let allowed = "left out for a model with recurrent layers, which cannot go back";
            return Err(Error::parameter("draft", "given", allowed));
        }
        if draft.as_ref().is_some_and(|draft| draft.n_states() > 0) {
            let allowed = "one without: states cannot go back to before a wrong guess";
            return Err(Error::parameter("draft", "a model with recurrent layers", allowed));
        }
        for (name, value) in [("max_sequences", config.max_sequences), ("n_batch", config.n_batch)]
        {
            if value == 0 {
                return Err(Error::parameter(name, value, "1 or more"));
            }
        }
        let capacity = model.n_pages().saturating_mul(model.page_len());
        if config.n_ctx == 0 || config.n_ctx > capacity {
            return Err(Error::parameter(
                "n_ctx",
                config.n_ctx,
                format!("1 to {capacity}, the positions of the KV cache"),
            ));
        }
        if model.n_states() > 0 {
            // A state cannot go back to before a wrong guess.
            config.n_draft_max = 0;
        }
        let (n_vocab, abilities) = (model.n_vocab(), model.abilities());
        let mut interrupts = vec![model.interrupt()];
        interrupts.extend(draft.as_ref().map(|draft| draft.interrupt()));
        let shared = Arc::new(Shared {
            gate: Arc::new(Gate::new(interrupts)),
            ready: Ready::default(),
            status: Mutex::default(),
            unfinished: AtomicUsize::new(0),
            profile: model.profile(),
            notices: Arc::default(),
        });
        let (commands, received) = mpsc::channel();
        let worker =
            Worker::new(model, draft, config.clone(), (commands.clone(), received), shared.clone());
        let thread = thread::Builder::new()
            .name("farthing-engine".into())
            .spawn(move || worker.run())
            .map_err(|error| {
                Error::Failed(format!("the engine's thread did not start: {error}"))
            })?;
        Ok(Engine {
            inbox: Mutex::new(Some(Inbox { commands, next_id: 0 })),
            thread_id: thread.thread().id(),
            thread: Mutex::new(Some(thread)),
            shared,
            n_vocab,
            abilities,
            config,
        })
    }

    /// Checks a request: a prompt that is empty or does not fit, an unknown token and a parameter
    /// outside its range are errors, and any for a model without logits.
    pub fn check(&self, request: &Request) -> Result<()> {
        self.check_logits()?;
        request.validate(self.n_vocab, self.config.n_ctx)
    }

    /// Puts a request into the queue. Errors: those of [`Engine::check`], a full queue, a closed engine, a
    /// call on the engine's own thread.
    pub fn submit(&self, request: Request) -> Result<Handle> {
        self.check(&request)?;
        self.send(1, |id| {
            let (handle, outbox) = mailbox(id, self.thread_id, self.shared.gate.clone());
            let command = GenerateCommand { id, request, outbox, submitted: Instant::now() };
            (handle, Command::Generate(Box::new(command)))
        })
    }

    /// Computes the logits after each of the tokens. They may be as many as the context has
    /// positions. Errors as for [`Engine::submit`].
    pub fn evaluate(&self, tokens: Vec<u32>) -> Result<Answer<Vec<f32>>> {
        self.evaluate_with(tokens, Adapters::default())
    }

    /// The same with adapters.
    pub fn evaluate_with(&self, tokens: Vec<u32>, adapters: Adapters) -> Result<Answer<Vec<f32>>> {
        self.check_logits()?;
        let n_ctx = self.config.n_ctx;
        check_prompt(&tokens, self.n_vocab, n_ctx, n_ctx)?;
        let memory = reserve(tokens.len().saturating_mul(self.n_vocab))?;
        self.send(1, |id| {
            let (caller, promise) = answer(id, self.shared.gate.clone());
            let collector = Collector::new(promise, memory);
            (caller, Command::Evaluate(EvaluateCommand { id, tokens, adapters, collector }))
        })
    }

    /// Computes the embeddings of texts: for each of them a row, with [`Pooling::None`] all its tokens'
    /// vectors one after the other, with [`Pooling::Rank`] its scores. Errors: a text that is empty or
    /// does not fit, an unknown token, scores from a model without a classifier, a full queue, a closed
    /// engine.
    pub fn embed(&self, request: EmbeddingRequest) -> Result<Answer<Vec<Vec<f32>>>> {
        let EmbeddingRequest { texts, pooling } = request;
        check_texts(&texts, self.n_vocab, self.config.n_ctx)?;
        let pooling = pooling.unwrap_or(self.abilities.pooling);
        let how = match (pooling, self.abilities.classified) {
            (Pooling::Rank, None) => return Err(Error::Unsupported(NO_CLASSIFIER)),
            (Pooling::Rank, Some(how)) => how,
            (how, _) => how,
        };
        self.send(texts.len() as u64, |id| {
            let (caller, promise) = answer(id, self.shared.gate.clone());
            let of = Embeddings::new(id, (pooling, how), texts.len(), promise);
            (caller, Command::Embed(EmbedCommand { of, texts }))
        })
    }

    /// What the model can be asked for.
    pub fn abilities(&self) -> Abilities {
        self.abilities
    }

    fn check_logits(&self) -> Result<()> {
        if self.abilities.generates { Ok(()) } else { Err(Error::Unsupported(NO_LOGITS)) }
    }

    /// Sends a command that takes `n` numbers, the first of which is given to `make`.
    fn send<T>(&self, n: u64, make: impl FnOnce(u64) -> (T, Command)) -> Result<T> {
        check_thread(self.thread_id)?;
        let mut inbox = lock(&self.inbox);
        let inbox = inbox.as_mut().ok_or(Error::Closed)?;
        self.take_place()?;
        let (caller, command) = make(inbox.next_id);
        inbox.next_id += n;
        inbox.commands.send(command).map_err(|_| Error::Closed)?;
        Ok(caller)
    }

    /// Counts one request more, if there may be one.
    fn take_place(&self) -> Result<()> {
        let Config { max_sequences, max_queue, .. } = self.config;
        let limit = max_sequences.saturating_add(max_queue);
        // Nobody else adds: the inbox is locked.
        let n = self.shared.unfinished.load(Ordering::SeqCst);
        if n >= limit {
            return Err(Error::QueueFull { n, limit, max_sequences, max_queue });
        }
        self.shared.unfinished.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// The watched requests that have got outputs since the last call, rising. Waits up to `timeout`
    /// for the first; returns at once when the engine is closed.
    pub fn wait_ready(&self, timeout: Duration) -> Vec<u64> {
        self.shared.ready.wait(timeout)
    }

    /// What the user should hear of, such as files that are damaged or a draft model that failed. Waits up to
    /// `timeout` for the first text; `None` when the engine is closed and all are taken.
    pub fn wait_notices(&self, timeout: Duration) -> Option<Vec<String>> {
        self.shared.notices.wait(timeout)
    }

    /// What the engine was doing after its last step.
    pub fn status(&self) -> Status {
        *lock(&self.shared.status)
    }

    /// Where the time goes, the model's and the engine's.
    pub fn profile(&self) -> &Profile {
        &self.shared.profile
    }

    /// Whether the engine has ended: it was closed, or its thread failed.
    pub fn is_closed(&self) -> bool {
        self.shared.ready.is_closed()
    }

    /// Ends all requests as `Cancelled`, interrupts the pass in progress, and waits for the thread
    /// to end. On that thread itself it does not wait, and gives false. Closing again does nothing.
    pub fn close(&self) -> bool {
        if let Some(inbox) = lock(&self.inbox).take() {
            // A thread that is gone needs no word.
            let _ = inbox.commands.send(Command::Close);
            self.shared.gate.close();
        }
        if check_thread(self.thread_id).is_err() {
            return false;
        }
        if let Some(thread) = lock(&self.thread).take() {
            // It has told the requests of a panic itself.
            let _ = thread.join();
        }
        true
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}

/// Why there are no scores.
const NO_CLASSIFIER: &str = "the model has no classifier: it is no reranker";
/// Why there are no logits.
const NO_LOGITS: &str = "the model is an encoder: it makes embeddings and continues no text";

/// Room for so many logits.
fn reserve(n: usize) -> Result<Vec<f32>> {
    let mut logits = Vec::new();
    let failed = |_| Error::Failed(format!("there is no memory for {n} logits of 4 bytes"));
    logits.try_reserve_exact(n).map_err(failed)?;
    Ok(logits)
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
