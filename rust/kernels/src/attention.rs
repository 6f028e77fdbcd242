//! Softmax attention over the pages of a KV layer.
//!
//! The plain algorithm, for one query `q` at position `t`: `s[p] = scale * q · k[p]` for the visible
//! positions `p` ([`Mask`]), `w = softmax(s)`, `out = sum w[p] * v[p]`. Before the softmax a score may be
//! capped, `cap * tanh(s[p] / cap)` (Gemma 2, arXiv:2408.00118), lessened by `slope * |p - t|` (ALiBi,
//! arXiv:2108.12409) or moved by a number that depends on `p - t` (T5, arXiv:1910.10683); in the softmax
//! there may be one more score for each head, a sink, that has no value (gpt-oss, arXiv:2508.10925).
//!
//! Here a task is one KV head and a tile of queries: all query heads that share it, of several
//! consecutive tokens, are rows of one small matrix. A page's keys and values are unpacked once for all
//! rows; scores and outputs are then matrix products of some rows at a time, of floats or, where that
//! was asked for and is faster, of numbers rounded to bfloat16, whose products are added as floats. The
//! softmax is online (Milakov and Gimelshein 2018, arXiv:1805.02867), to the base 2: a maximum, a sum
//! and an output per row, rescaled when the maximum grows. Positions are taken in segments with a state
//! of their own, merged in order, so that few rows over many positions can be spread over the threads.
//! All that is added for a row is added in the same order whatever else is in the batch.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::Range;

use crate::isa::{Isa, Kernel, Level, dispatch_at, level};
use crate::kv::{Format, KvLayer, KvShape, PAGE, Span, Visit};
use crate::profile::Part;
use crate::raw::RawMut;
use crate::team::Team;

mod distances;
mod mask;
mod page;
mod product;
mod rows;
mod state;
#[cfg(test)]
mod tests;

pub use distances::Distances;
pub use mask::Mask;
use page::{Pages, Scratch};
use rows::Rows;
use state::State;

/// Rows of a task, about: as many as their outputs leave room for in the second-level cache.
const ROWS: usize = 128;
/// Rows below which unpacking the pages costs as much as the products.
const FEW_ROWS: usize = 24;
/// Tasks for each thread, for the end to be even.
const TASKS: usize = 4;
/// Pages in a segment.
const SEGMENT: usize = 8;

/// What an attention layer does beside its sizes.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// Query heads, a multiple of the KV heads.
    pub heads: usize,
    /// The factor of `q · k`.
    pub scale: f32,
    /// Which positions a query sees.
    pub mask: Mask,
    /// The bound of scores, applied before all that follows.
    pub softcap: Option<f32>,
    /// For each query head, how much a score loses for each position between query and key.
    pub slopes: Option<&'a [f32]>,
    /// For each query head and distance, what is added to a score.
    pub distances: Option<&'a Distances>,
    /// For each query head, a score without a value.
    pub sinks: Option<&'a [f32]>,
    /// Whether queries, keys, values and the softmax's weights may be rounded to bfloat16, a relative
    /// error of up to 2^-8, where the CPU multiplies those faster. It concerns no type of cache with
    /// more precision than F16.
    pub rounded: bool,
}

impl Attention<'_> {
    /// Causal attention to all positions, not rounded, and nothing besides.
    pub fn new(heads: usize, scale: f32) -> Self {
        Attention {
            heads,
            scale,
            mask: Mask::Causal,
            softcap: None,
            slopes: None,
            distances: None,
            sinks: None,
            rounded: false,
        }
    }
}

/// `out[row][head]` for all rows of the spans, from `q`, `[n][heads][k_dim]`, and the layer's keys and
/// values, which include the spans' own; `out` is `[n][heads][v_dim]`.
///
/// # Panics
/// Sizes that do not agree.
pub fn attention(
    team: &Team,
    layer: &KvLayer,
    what: Attention,
    spans: &[Span],
    q: &[f32],
    out: &mut [f32],
) {
    let _part = team.part(Part::Attention);
    attention_at(level(), team, layer, what, spans, q, out);
}

/// [`attention`] at one of the CPU's levels.
fn attention_at(
    level: Level,
    team: &Team,
    layer: &KvLayer,
    what: Attention,
    spans: &[Span],
    q: &[f32],
    out: &mut [f32],
) {
    let shape = layer.shape();
    assert!(what.heads.is_multiple_of(shape.heads), "{} / {}", what.heads, shape.heads);
    for numbers in [what.slopes, what.sinks].into_iter().flatten() {
        assert_eq!(numbers.len(), what.heads, "one number for each head");
    }
    assert!(what.distances.is_none_or(|d| d.heads() == what.heads), "numbers for each head");
    let (pages, page_bytes) = (layer.pages(), layer.ty().page_bytes(shape));
    for span in spans {
        let rows = span.row + span.n;
        assert!(rows * what.heads * shape.k_dim <= q.len());
        assert!(rows * what.heads * shape.v_dim <= out.len());
        assert!(span.start + span.n <= span.end);
        let span_pages = &span.pages[..span.end.div_ceil(PAGE)];
        assert!(span_pages.iter().all(|&p| (p as usize + 1) * page_bytes <= pages.len()));
    }
    let group = what.heads / shape.heads;
    let out = RawMut::new(out);
    let job = Job { level, shape, pages, what, spans, q, out, group };
    layer.ty().format(Run { team, job });
}

/// A task's place: a span, a KV head, some of the span's rows.
#[derive(Clone, Copy)]
struct Task {
    span: usize,
    head: usize,
    first: usize,
    n: usize,
}

/// All that tasks share.
struct Job<'a> {
    level: Level,
    shape: KvShape,
    pages: &'a [u8],
    what: Attention<'a>,
    spans: &'a [Span<'a>],
    q: &'a [f32],
    out: RawMut<f32>,
    group: usize,
}

thread_local! {
    static SCRATCH: RefCell<(Scratch, Vec<f32>)> = RefCell::default();
    static PARTS: RefCell<Vec<f32>> = RefCell::default();
}

struct Run<'a> {
    team: &'a Team,
    job: Job<'a>,
}

impl Visit for Run<'_> {
    type Output = ();

    fn visit<T: Format>(self) {
        let Run { team, job } = self;
        let job = &job;
        let enough = TASKS * team.n_threads();
        let tasks = job.tasks(enough);
        let n_segments: usize = tasks.iter().map(|task| job.segments(task).len()).sum();
        if tasks.len() >= enough || n_segments == tasks.len() || team.n_threads() == 1 {
            team.for_each(tasks.len(), 1, &|range| {
                for task in &tasks[range] {
                    // A closure would not take on the level's features, so it stays outside.
                    SCRATCH.with_borrow_mut(|(scratch, states)| {
                        let whole = Whole::<T> { job, task, scratch, states, format: PhantomData };
                        dispatch_at(job.level, whole);
                    });
                }
            });
            return;
        }
        // Every segment has a state, in the order of tasks.
        let mut parts = Vec::with_capacity(n_segments);
        let mut starts = Vec::with_capacity(tasks.len());
        let mut len = 0;
        for task in &tasks {
            starts.push(len);
            for segment in job.segments(task) {
                parts.push((task, segment, len));
                len += State::len(task.n * job.group, job.shape);
            }
        }
        PARTS.with_borrow_mut(|memory| {
            memory.resize(len.max(memory.len()), 0.0);
            let states = RawMut::new(memory);
            team.for_each(parts.len(), 1, &|range| {
                for &(task, segment, at) in &parts[range] {
                    let len = State::len(task.n * job.group, job.shape);
                    // SAFETY: states do not overlap, and each is written by one caller.
                    let state = unsafe { states.slice(at, len) };
                    SCRATCH.with_borrow_mut(|(scratch, _)| {
                        let format = PhantomData;
                        let part = One::<T> { job, task, segment, scratch, state, format };
                        dispatch_at(job.level, part);
                    });
                }
            });
            if team.interrupted() {
                return;
            }
            team.for_each(tasks.len(), 1, &|range| {
                for (task, &at) in tasks[range.clone()].iter().zip(&starts[range]) {
                    let len = State::len(task.n * job.group, job.shape) * job.segments(task).len();
                    // SAFETY: as above; each task is merged by one caller.
                    let states = unsafe { states.slice(at, len) };
                    dispatch_at(job.level, Merge { job, task, states });
                }
            });
        });
    }
}

impl Job<'_> {
    /// Whether products are taken in bfloat16.
    #[inline(always)]
    fn rounds<A: Isa, T: Format>(&self) -> bool {
        A::PAIRS && !T::PRECISE && self.what.rounded
    }

    /// At least `enough` of them, if rows are not few; those of a KV head stand together.
    fn tasks(&self, enough: usize) -> Vec<Task> {
        let heads = self.shape.heads;
        let n_tokens: usize = self.spans.iter().map(|s| s.n).sum();
        let even = (n_tokens * heads).div_ceil(enough);
        let tokens = even.clamp(FEW_ROWS.div_ceil(self.group), ROWS.div_ceil(self.group));
        let mut tasks = Vec::new();
        for head in 0..heads {
            for (i, span) in self.spans.iter().enumerate() {
                for first in (0..span.n).step_by(tokens) {
                    tasks.push(Task { span: i, head, first, n: tokens.min(span.n - first) });
                }
            }
        }
        tasks
    }

    /// The segments that some row of the task sees.
    #[inline(always)]
    fn segments(&self, task: &Task) -> Range<usize> {
        let rows = self.rows(task);
        let end = rows.visible(rows.n - 1).end.div_ceil(SEGMENT * PAGE);
        (rows.visible(0).start / (SEGMENT * PAGE)).min(end)..end
    }

    #[inline(always)]
    fn rows(&self, task: &Task) -> Rows<'_> {
        let span = &self.spans[task.span];
        let heads = task.head * self.group..(task.head + 1) * self.group;
        Rows {
            n: task.n * self.group,
            group: self.group,
            first: span.start + task.first,
            end: span.end,
            mask: self.what.mask,
            softcap: self.what.softcap,
            slopes: self.what.slopes.map(|s| &s[heads.clone()]),
            distances: self.what.distances.map(|d| d.of(heads)),
        }
    }

    /// Makes the scratch ready, with the task's queries.
    #[inline(always)]
    fn queries<A: Isa, T: Format, const PAIRS: bool>(
        &self,
        isa: A,
        task: &Task,
        pages: &Pages<T, PAIRS>,
        scratch: &mut Scratch,
    ) {
        let span = &self.spans[task.span];
        let k_dim = self.shape.k_dim;
        pages.prepare(scratch, task.n * self.group);
        let scale = self.what.scale * self.rows(task).unit();
        for i in 0..task.n {
            let row = span.row + task.first + i;
            let at = (row * self.what.heads + task.head * self.group) * k_dim;
            let q = &self.q[at..][..self.group * k_dim];
            pages.query(isa, scratch, i * self.group, q, scale);
        }
    }

    /// One segment into a state; the queries are in `scratch`.
    #[inline(always)]
    fn segment<A: Isa, T: Format, const PAIRS: bool>(
        &self,
        isa: A,
        (task, segment): (&Task, usize),
        pages: &Pages<T, PAIRS>,
        scratch: &mut Scratch,
        state: &mut State,
    ) {
        state.clear();
        let rows = self.rows(task);
        let seen = rows.visible(0).start..rows.visible(rows.n - 1).end;
        let first = (seen.start / PAGE).max(segment * SEGMENT);
        let end = seen.end.div_ceil(PAGE).min((segment + 1) * SEGMENT);
        let span_pages = self.spans[task.span].pages;
        let bytes = T::bytes(self.shape);
        for page in first..end {
            // The last one fetches what is there already.
            let next = if (page + 1) * PAGE < seen.end { page + 1 } else { page };
            let mut parts = [std::ptr::null(); 2];
            for (part, page) in parts.iter_mut().zip([page, next]) {
                let number = span_pages[page] as usize * self.shape.heads + task.head;
                *part = self.pages[number * bytes..][..bytes].as_ptr();
            }
            // SAFETY: the part is in the memory; `queries` has prepared the scratch.
            unsafe {
                pages.attend(isa, &rows, page * PAGE, (parts[0], parts[1]), scratch, state);
            }
        }
    }

    /// Writes a task's outputs.
    #[inline(always)]
    fn finish<A: Isa>(&self, isa: A, task: &Task, state: &State) {
        let v_dim = self.shape.v_dim;
        for i in 0..task.n {
            let row = self.spans[task.span].row + task.first + i;
            for g in 0..self.group {
                let head = task.head * self.group + g;
                let at = (row * self.what.heads + head) * v_dim;
                // SAFETY: inside, as `attention_at` has checked; each row and head of the output
                // belongs to one task.
                let out = unsafe { self.out.slice(at, v_dim) };
                state.output(isa, i * self.group + g, self.what.sinks.map(|s| s[head]), out);
            }
        }
    }
}

/// A task from its queries to its outputs.
struct Whole<'a, T> {
    job: &'a Job<'a>,
    task: &'a Task,
    scratch: &'a mut Scratch,
    states: &'a mut Vec<f32>,
    format: PhantomData<T>,
}

impl<T: Format> Kernel for Whole<'_, T> {
    type Output = ();
    const PAIRS: bool = true;

    #[inline(always)]
    fn run<A: Isa>(self, isa: A) {
        if self.job.rounds::<A, T>() {
            self.compute::<A, true>(isa);
        } else {
            self.compute::<A, false>(isa);
        }
    }
}

impl<T: Format> Whole<'_, T> {
    #[inline(always)]
    fn compute<A: Isa, const PAIRS: bool>(self, isa: A) {
        let Whole { job, task, scratch, states, .. } = self;
        let pages = Pages::<T, PAIRS>::new(job.shape);
        let rows = task.n * job.group;
        let len = State::len(rows, job.shape);
        if states.len() < 2 * len {
            states.resize(2 * len, 0.0);
        }
        let (total, part) = states.split_at_mut(len);
        let mut total = State::new(total, rows, job.shape);
        let mut part = State::new(part, rows, job.shape);
        total.clear();
        job.queries(isa, task, &pages, scratch);
        for segment in job.segments(task) {
            job.segment(isa, (task, segment), &pages, scratch, &mut part);
            total.merge(isa, &part);
        }
        job.finish(isa, task, &total);
    }
}

/// One segment of a task, into a state of its own.
struct One<'a, T> {
    job: &'a Job<'a>,
    task: &'a Task,
    segment: usize,
    scratch: &'a mut Scratch,
    state: &'a mut [f32],
    format: PhantomData<T>,
}

impl<T: Format> Kernel for One<'_, T> {
    type Output = ();
    const PAIRS: bool = true;

    #[inline(always)]
    fn run<A: Isa>(self, isa: A) {
        if self.job.rounds::<A, T>() {
            self.compute::<A, true>(isa);
        } else {
            self.compute::<A, false>(isa);
        }
    }
}

impl<T: Format> One<'_, T> {
    #[inline(always)]
    fn compute<A: Isa, const PAIRS: bool>(self, isa: A) {
        let One { job, task, segment, scratch, state, .. } = self;
        let pages = Pages::<T, PAIRS>::new(job.shape);
        let mut state = State::new(state, task.n * job.group, job.shape);
        job.queries(isa, task, &pages, scratch);
        job.segment(isa, (task, segment), &pages, scratch, &mut state);
    }
}

/// A task's segments become its outputs.
struct Merge<'a> {
    job: &'a Job<'a>,
    task: &'a Task,
    states: &'a mut [f32],
}

impl Kernel for Merge<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Isa>(self, isa: A) {
        let Merge { job, task, states } = self;
        let rows = task.n * job.group;
        let mut parts = states.chunks_exact_mut(State::len(rows, job.shape));
        let Some(total) = parts.next() else {
            return;
        };
        let mut total = State::new(total, rows, job.shape);
        for part in parts {
            total.merge(isa, &State::new(part, rows, job.shape));
        }
        job.finish(isa, task, &total);
    }
}
