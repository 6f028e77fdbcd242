//! Low-rank adapters (Hu et al. 2021, arXiv:2106.09685): `y = W x + scale * alpha / rank * B (A x)`.
//!
//! A file of an adapter has tensors `<name>.lora_a` and `<name>.lora_b` for a tensor `<name>` of the model,
//! as llama.cpp's converter writes them. Matrices that take adapters are [`Target`]s, and for each pass it
//! is set which rows of the batch have which adapters. So the base weights stay as they are, requests with
//! different adapters are computed together, and the blocks know nothing of it.

pub mod experts;

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use farthing_gguf::Gguf;
use farthing_kernels::thin::{Thin, add_thin};
use farthing_kernels::{Activations, Team, matmul};

use crate::batch::Run;
use crate::error::{Error, Result};
use crate::rows::Wanted;
use crate::storage::Storage;
use crate::weights::Weights;

/// A low-rank adapter of one model.
pub struct Adapter {
    /// Rising in the order of loading.
    id: u64,
    lora: Lora,
    /// By the number of the target.
    pairs: HashMap<usize, Pair>,
    ignored: Vec<String>,
    bytes: usize,
}

/// What is added to one matrix.
struct Pair {
    /// `rank` × inputs, in the file's memory map; of a table, a row of `rank` for each of its rows.
    a: Storage,
    /// Outputs × `rank`, in panels.
    b: Storage,
    outputs: usize,
    rank: usize,
    /// `alpha / rank`
    factor: f32,
}

impl Adapter {
    /// A number that no other adapter has.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// How many matrices it changes.
    pub fn n_matrices(&self) -> usize {
        self.pairs.len()
    }

    /// The tensors of its file that are of no use: norms, which are not of low rank.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Bytes of its matrices.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl fmt::Debug for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Adapter").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The adapters of some rows, each once, and their scales.
pub type Adapters = Arc<[(Arc<Adapter>, f32)]>;

/// What the matrices of a model have in common about adapters.
#[derive(Clone)]
pub struct Lora(Arc<Shared>);

struct Shared {
    architecture: String,
    matrices: Mutex<Vec<Shape>>,
    /// Whether any row of the pass has an adapter.
    active: AtomicBool,
    pass: Mutex<Pass>,
}

/// A matrix that takes adapters.
#[derive(Clone)]
struct Shape {
    name: String,
    rows: usize,
    k: usize,
    /// If it is one of a stack in one tensor, how many there are: they follow each other.
    stacked: Option<usize>,
    /// Whether its rows are looked up instead of multiplied with.
    table: bool,
}

/// Some rows of a matrix that takes adapters.
#[derive(Clone)]
pub struct Target {
    lora: Lora,
    /// The matrix's number.
    index: usize,
    rows: Range<usize>,
    table: bool,
}

/// The rows of the pass in progress, and memory that is used again.
#[derive(Default)]
struct Pass {
    /// Rows of the batch, and of its last layer, where they may be fewer.
    n: [usize; 3],
    /// In the order of loading, so that a row's sums do not depend on the others'.
    uses: Vec<Use>,
    columns: Activations,
    low: Vec<Vec<f32>>,
}

/// An adapter's rows with their scales, among all and among those of the last layer.
struct Use {
    adapter: Arc<Adapter>,
    rows: [Vec<(usize, f32)>; 3],
}

/// Ends a pass's adapters.
pub struct Begun<'a>(&'a Lora);

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if self.0.0.active.swap(false, Ordering::Relaxed) {
            lock(&self.0.0.pass).uses.clear();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lora {
    /// Of a model of this architecture, without matrices yet.
    pub fn new(architecture: &str) -> Lora {
        Lora(Arc::new(Shared {
            architecture: architecture.into(),
            matrices: Mutex::default(),
            active: AtomicBool::new(false),
            pass: Mutex::default(),
        }))
    }

    /// Takes in a matrix, or finds it again. `table` says that its rows are looked up.
    pub fn target(&self, name: &str, rows: usize, k: usize, table: bool) -> Target {
        self.take(Shape { name: name.into(), rows, k, stacked: None, table }, 0)
    }

    /// The same of the matrices of a stack.
    pub fn targets(&self, name: &str, n: usize, rows: usize, k: usize) -> Vec<Target> {
        let shape = || Shape { name: name.into(), rows, k, stacked: Some(n), table: false };
        (0..n).map(|i| self.take(shape(), i)).collect()
    }

    /// The matrix at place `i` of its stack.
    fn take(&self, shape: Shape, i: usize) -> Target {
        let (rows, table) = (0..shape.rows, shape.table);
        let mut matrices = lock(&self.0.matrices);
        let first = matrices.iter().position(|m| m.name == shape.name).unwrap_or(matrices.len());
        if first == matrices.len() {
            matrices.extend(std::iter::repeat_n(shape.clone(), shape.stacked.unwrap_or(1)));
        }
        Target { lora: self.clone(), index: first + i, rows, table }
    }

    /// Reads a file's adapter.
    ///
    /// # Errors
    /// The file is no such adapter, or one for another architecture; a tensor has another shape than the
    /// model's asks for, or the model has none of its name that takes adapters.
    pub fn load(&self, gguf: &Gguf) -> Result<Adapter> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (file, metadata) = (gguf.path().display().to_string(), gguf.metadata());
        let wrong = |reason: String| Error::Adapter { file: file.clone(), reason };
        let model = &*self.0.architecture;
        for (key, wanted) in
            [("general.type", "adapter"), ("adapter.type", "lora"), ("general.architecture", model)]
        {
            let found: Option<&str> = metadata.opt(key)?;
            if found != Some(wanted) {
                let found = found.map_or("missing".into(), |found| format!("\"{found}\""));
                return Err(wrong(format!("{key} is {found}, but must be \"{wanted}\"")));
            }
        }
        let invocation = "adapter.alora.invocation_tokens";
        if metadata.get(invocation).is_some() {
            let reason = "adapters for a part of the text are not known";
            return Err(wrong(format!("{invocation} is set, but {reason}")));
        }
        let alpha = metadata.opt::<f32>("adapter.lora.alpha")?.unwrap_or(0.0);
        let tensors = Weights::new(gguf, false)?;
        let mut adapter = Adapter {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            lora: self.clone(),
            pairs: HashMap::new(),
            ignored: Vec::new(),
            bytes: 0,
        };
        let matrices = lock(&self.0.matrices);
        for tensor in gguf.tensors() {
            let name = tensor.name.as_str();
            let Some(base) = name.strip_suffix(".lora_a").or(name.strip_suffix(".lora_b")) else {
                if !name.ends_with("_norm.weight") {
                    return Err(wrong(format!("tensor {name} is no lora_a or lora_b")));
                }
                adapter.ignored.push(name.into());
                continue;
            };
            let Some(index) = matrices.iter().position(|m| m.name == base) else {
                let reason = "the model has no matrix of that name that takes adapters";
                return Err(wrong(format!("tensor {name}: {reason}")));
            };
            adapter.bytes += tensor.n_bytes();
            if !adapter.pairs.contains_key(&index) {
                let pairs = Pair::load(&tensors, &matrices[index], alpha)?;
                adapter.pairs.extend((index..).zip(pairs));
            }
        }
        Ok(adapter)
    }

    /// Whether an adapter is one of this model's.
    pub fn owns(&self, adapter: &Adapter) -> bool {
        Arc::ptr_eq(&self.0, &adapter.lora.0)
    }

    /// Sets the adapters of a pass's rows until what this returns is dropped.
    pub fn begin(&self, runs: &[Run], wanted: &Wanted) -> Begun<'_> {
        if runs.iter().any(|run| !run.adapters.is_empty()) {
            lock(&self.0.pass).set(runs, wanted);
            self.0.active.store(true, Ordering::Relaxed);
        }
        Begun(self)
    }
}

impl Pair {
    /// The pairs of a matrix, or of all of its stack.
    fn load(tensors: &Weights, matrix: &Shape, alpha: f32) -> Result<Vec<Pair>> {
        let Shape { name, rows, k, stacked, table } = matrix;
        let (a, b) = (format!("{name}.lora_a"), format!("{name}.lora_b"));
        let rank = tensors.shape(&b)?.first().copied().unwrap_or(1);
        let (a, b) = match table {
            true => {
                (tensors.storages(&a, None, *rows, rank)?, tensors.storages(&b, None, *k, rank)?)
            }
            false => (
                tensors.storages(&a, *stacked, rank, *k)?,
                tensors.storages(&b, *stacked, *rows, rank)?,
            ),
        };
        let factor = if alpha == 0.0 { 1.0 } else { alpha / rank as f32 };
        let no_memory = |e| Error::Option(format!("no memory for {name}.lora_b: {e}"));
        let pairs = a.into_iter().zip(b).map(|(a, b)| {
            let outputs = b.rows();
            let b = b.in_thin_panels().map_err(no_memory)?;
            Ok(Pair { a, b, outputs, rank, factor })
        });
        pairs.collect()
    }
}

impl Target {
    /// Whether any row of the pass has an adapter.
    fn is_active(&self) -> bool {
        self.lora.0.active.load(Ordering::Relaxed)
    }

    /// Some of its rows.
    pub fn part(&self, rows: Range<usize>) -> Target {
        let start = self.rows.start;
        Target { rows: start + rows.start..start + rows.end, ..self.clone() }
    }
}

/// Adds to products of `x` with some targets, `[n][rows]` each, what the rows' adapters say.
pub fn add_products<'a>(
    team: &Team,
    x: &mut Activations,
    jobs: impl Iterator<Item = (&'a Target, &'a mut [f32])>,
) {
    let mut jobs = jobs.filter(|(target, _)| target.is_active());
    let Some(first) = jobs.next() else {
        return;
    };
    let shared = first.0.lora.0.clone();
    let jobs = std::iter::once(first).chain(jobs).filter(|(target, _)| !target.table);
    let mut jobs: Vec<_> = jobs.collect();
    let Pass { n, uses, columns, low } = &mut *lock(&shared.pass);
    for Use { adapter, rows } in uses {
        let rows = &rows[of(*n, x.n())];
        let pair = |target: &Target| adapter.pairs.get(&target.index);
        let pairs: Vec<&Pair> = jobs.iter().filter_map(|(target, _)| pair(target)).collect();
        if rows.is_empty() || pairs.is_empty() {
            continue;
        }
        let columns = match rows.len() == x.n() {
            true => &mut *x,
            false => gather(columns, x, rows),
        };
        low.resize_with(low.len().max(pairs.len()), Vec::new);
        let products = pairs.iter().zip(&mut *low).map(|(pair, low)| {
            low.resize(rows.len() * pair.rank, 0.0);
            (pair.a.matrix(), &mut low[..])
        });
        matmul(team, columns, &mut products.collect::<Vec<_>>());
        let adapted =
            jobs.iter_mut().filter_map(|(target, out)| Some((pair(target)?, target, out)));
        let thin = adapted.zip(&*low).map(|((pair, target, out), low)| {
            let (w, outputs) = (pair.b.matrix(), target.rows.clone());
            Thin { x: low, w, outputs, factor: pair.factor, out }
        });
        add_thin(team, rows, &mut thin.collect::<Vec<_>>());
    }
}

/// Adds to some rows of a table, `[n][k]`, what the adapters of the batch's rows say.
pub fn add_rows(team: &Team, target: &Target, rows: &[usize], out: &mut [f32]) {
    if !target.is_active() {
        return;
    }
    let Pass { uses, low, .. } = &mut *lock(&target.lora.0.pass);
    low.resize_with(low.len().max(1), Vec::new);
    for Use { adapter, rows: places } in uses {
        let Some(pair) = adapter.pairs.get(&target.index) else {
            continue;
        };
        let (places, a, low) = (&places[0], pair.a.matrix(), &mut low[0]);
        low.resize(places.len() * pair.rank, 0.0);
        for (low, &(place, _)) in low.chunks_exact_mut(pair.rank).zip(places) {
            a.row(target.rows.start + rows[place], low);
        }
        let (w, outputs) = (pair.b.matrix(), 0..pair.outputs);
        add_thin(team, places, &mut [Thin { x: low, w, outputs, factor: pair.factor, out }]);
    }
}

impl Pass {
    fn set(&mut self, runs: &[Run], wanted: &Wanted) {
        let mut uses: Vec<Use> = Vec::new();
        let mut first = 0;
        for run in runs {
            let rows = first..first + run.tokens.len();
            first = rows.end;
            for (adapter, scale) in run.adapters.iter().filter(|(_, scale)| *scale != 0.0) {
                let place = uses.binary_search_by_key(&adapter.id, |u| u.adapter.id);
                let place = place.unwrap_or_else(|place| {
                    let rows = Default::default();
                    uses.insert(place, Use { adapter: adapter.clone(), rows });
                    place
                });
                uses[place].rows[0].extend(rows.clone().map(|row| (row, *scale)));
            }
        }
        for Use { rows: [all, kept, last], .. } in &mut uses {
            let among = |all: &[(usize, f32)], some: &[usize]| {
                let place = |&(row, scale)| Some((some.binary_search(&row).ok()?, scale));
                all.iter().filter_map(place).collect()
            };
            *kept = among(all, &wanted.rows);
            *last = among(kept, &wanted.logits);
        }
        self.n = [first, wanted.rows.len(), wanted.logits.len()];
        self.uses = uses;
    }
}

/// Whether `n` rows are all of a pass, those of which something is wanted, or those whose logits are: where two
/// of them are as many, they are the same.
fn of(numbers: [usize; 3], n: usize) -> usize {
    numbers.iter().position(|&number| number == n).unwrap_or_else(|| {
        let [all, kept, last] = numbers;
        panic!("{n} rows in a pass of {all}, {kept} of them wanted and the logits of {last}")
    })
}

/// Some rows of `x`.
fn gather<'a>(
    to: &'a mut Activations,
    x: &Activations,
    rows: &[(usize, f32)],
) -> &'a mut Activations {
    let k = x.k();
    for (to, &(row, _)) in to.reset(rows.len(), k).chunks_exact_mut(k).zip(rows) {
        to.copy_from_slice(&x.floats()[row * k..][..k]);
    }
    to
}
