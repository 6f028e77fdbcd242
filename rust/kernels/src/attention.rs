//! Softmax attention over the pages of a KV layer.
//!
//! The plain algorithm, for one query `q` at position `t`: `s[p] = scale * q · k[p]` for the visible
//! positions `p` ([`Mask`]), `w = softmax(s)`, `out = sum w[p] * v[p]`. Before the softmax a score may be
//! capped, `cap * tanh(s[p] / cap)` (Gemma 2, arXiv:2408.00118), and lessened by `slope * |p - t|` (ALiBi,
//! arXiv:2108.12409); in the softmax there may be one more score for each head, a sink, that has no value
//! (gpt-oss, arXiv:2508.10925).
//!
//! Here a task is one KV head and a tile of queries: all query heads that share it, of several
//! consecutive tokens, are rows of one small matrix. A page's keys and values are converted to floats
//! once for all rows; scores and outputs are then float matrix products of 4 to 6 rows at a time. The
//! softmax is online (Milakov and Gimelshein 2018, arXiv:1805.02867): a maximum, a sum and an output
//! per row, rescaled when the maximum grows. Positions are taken in segments with a state of their
//! own, merged in order, so that few rows over many positions can be spread over the threads. All
//! that is added for a row is added in the same order whatever else is in the batch.

use std::cell::RefCell;

use crate::isa::{Isa, Kernel, LANES, Level, dispatch_at, level};
use crate::kv::{Element, KvLayer, KvShape, PAGE, Span, Store};
use crate::profile::Part;
use crate::raw::RawMut;
use crate::team::Team;

mod mask;
mod state;
#[cfg(test)]
mod tests;
mod tile;

pub use mask::Mask;
use state::{State, merge};
use tile::{Rows, Scratch, attend_page};

/// Rows of a task, about.
const ROWS: usize = 48;
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
    /// For each query head, a score without a value.
    pub sinks: Option<&'a [f32]>,
}

impl Attention<'_> {
    /// Causal attention to all positions, and nothing besides.
    pub fn new(heads: usize, scale: f32) -> Self {
        Attention { heads, scale, mask: Mask::Causal, softcap: None, slopes: None, sinks: None }
    }
}

/// A task's place: a span, a KV head, some of the span's rows.
#[derive(Clone, Copy)]
struct Task {
    span: usize,
    head: usize,
    first: usize,
    n: usize,
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
    match &layer.store {
        Store::F16(data) => run(level, team, (layer.shape(), data), what, spans, q, out),
        Store::F32(data) => run(level, team, (layer.shape(), data), what, spans, q, out),
    }
}

fn run<E: Element>(
    level: Level,
    team: &Team,
    (shape, data): (KvShape, &[E]),
    what: Attention,
    spans: &[Span],
    q: &[f32],
    out: &mut [f32],
) {
    assert!(what.heads.is_multiple_of(shape.heads), "{} / {}", what.heads, shape.heads);
    for numbers in [what.slopes, what.sinks].into_iter().flatten() {
        assert_eq!(numbers.len(), what.heads, "one number for each head");
    }
    for span in spans {
        let rows = span.row + span.n;
        assert!(rows * what.heads * shape.k_dim <= q.len());
        assert!(rows * what.heads * shape.v_dim <= out.len());
        let pages = &span.pages[..(span.start + span.n).div_ceil(PAGE)];
        assert!(pages.iter().all(|&p| (p as usize + 1) * shape.page_elements() <= data.len()));
    }
    let group = what.heads / shape.heads;
    let per_tile = (ROWS / group).max(1);
    let mut tasks = Vec::new();
    for head in 0..shape.heads {
        for (i, span) in spans.iter().enumerate() {
            for first in (0..span.n).step_by(per_tile) {
                tasks.push(Task { span: i, head, first, n: per_tile.min(span.n - first) });
            }
        }
    }
    let all = All { level, shape, data, what, spans, q, group };
    let out = RawMut::new(out);
    let segments = |task: &Task| all.segments(task).len();
    if tasks.len() >= 2 * team.n_threads() || tasks.iter().all(|t| segments(t) == 1) {
        team.for_each(tasks.len(), 1, &|range| {
            for task in &tasks[range] {
                let mut total = State::new(task.n * group, shape.v_dim);
                for segment in all.segments(task) {
                    merge(&mut total, &all.segment(task, segment));
                }
                // SAFETY: each row and head of the output belongs to one task.
                unsafe { all.finish(task, &total, out) };
            }
        });
        return;
    }
    let parts: Vec<(usize, usize)> = tasks
        .iter()
        .enumerate()
        .flat_map(|(t, task)| all.segments(task).map(move |segment| (t, segment)))
        .collect();
    let mut states: Vec<Option<State>> = parts.iter().map(|_| None).collect();
    let slots = RawMut::new(&mut states);
    team.for_each(parts.len(), 1, &|range| {
        for i in range {
            let (task, segment) = parts[i];
            let state = all.segment(&tasks[task], segment);
            // SAFETY: each slot is written by one caller; it holds no state yet.
            unsafe { slots.write(i, Some(state)) };
        }
    });
    let mut states = parts.iter().zip(states);
    for (t, task) in tasks.iter().enumerate() {
        let mut total = State::new(task.n * group, shape.v_dim);
        for _ in all.segments(task) {
            let Some(((owner, _), state)) = states.next() else {
                break;
            };
            debug_assert_eq!(*owner, t);
            // A segment that an interrupt left out has no state.
            if let Some(state) = state {
                merge(&mut total, &state);
            }
        }
        // SAFETY: no other thread is at work.
        unsafe { all.finish(task, &total, out) };
    }
}

/// All that tasks share.
struct All<'a, E> {
    level: Level,
    shape: KvShape,
    data: &'a [E],
    what: Attention<'a>,
    spans: &'a [Span<'a>],
    q: &'a [f32],
    group: usize,
}

impl<E: Element> All<'_, E> {
    /// The segments that some row of the task sees.
    fn segments(&self, task: &Task) -> std::ops::Range<usize> {
        let rows = self.rows(task);
        rows.visible(0).start / (SEGMENT * PAGE)
            ..rows.visible(rows.n - 1).end.div_ceil(SEGMENT * PAGE)
    }

    fn rows(&self, task: &Task) -> Rows<'_> {
        let span = &self.spans[task.span];
        let heads = task.head * self.group..(task.head + 1) * self.group;
        Rows {
            n: task.n * self.group,
            group: self.group,
            first: span.start + task.first,
            end: span.start + span.n,
            mask: self.what.mask,
            softcap: self.what.softcap,
            slopes: self.what.slopes.map(|s| &s[heads]),
        }
    }

    /// The state after one segment.
    fn segment(&self, task: &Task, segment: usize) -> State {
        // A closure would not take on the level's features, so it stays outside.
        SCRATCH.with_borrow_mut(|scratch| {
            dispatch_at(self.level, Segment { all: self, task, segment, scratch })
        })
    }

    /// Writes a task's outputs.
    ///
    /// # Safety
    /// No other thread writes these rows of this KV head's query heads.
    unsafe fn finish(&self, task: &Task, state: &State, out: RawMut<f32>) {
        let v_dim = self.shape.v_dim;
        for i in 0..task.n {
            let row = self.spans[task.span].row + task.first + i;
            for g in 0..self.group {
                let head = task.head * self.group + g;
                let at = (row * self.what.heads + head) * v_dim;
                // SAFETY: the caller's condition; `run` has checked the sizes.
                let out = unsafe { out.slice(at, v_dim) };
                state.output(i * self.group + g, self.what.sinks.map(|s| s[head]), out);
            }
        }
    }
}

/// One segment of a task.
struct Segment<'a, E> {
    all: &'a All<'a, E>,
    task: &'a Task,
    segment: usize,
    scratch: &'a mut Scratch,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::default());
}

impl<E: Element> Kernel for Segment<'_, E> {
    type Output = State;

    #[inline(always)]
    fn run<A: Isa>(self, isa: A) -> State {
        let Segment { all, task, segment, scratch } = self;
        let KvShape { k_dim, v_dim, .. } = all.shape;
        let span = &all.spans[task.span];
        let rows = all.rows(task);
        let mut state = State::new(rows.n, v_dim);
        scratch.resize(rows.n, k_dim, v_dim);
        for i in 0..task.n {
            let at = ((span.row + task.first + i) * all.what.heads + task.head * all.group) * k_dim;
            let from = &all.q[at..][..all.group * k_dim];
            let to = &mut scratch.q[i * all.group * k_dim..][..all.group * k_dim];
            for (to, from) in to.iter_mut().zip(from) {
                *to = from * all.what.scale;
            }
        }
        for page in segment * SEGMENT..(segment + 1) * SEGMENT {
            if rows.sees(page) {
                let at = all.shape.offset(span.pages[page], task.head);
                let keys = &all.data[at..][..PAGE * k_dim];
                let values = &all.data[at + PAGE * k_dim..][..PAGE * v_dim];
                attend_page(isa, &rows, page * PAGE, (keys, values), scratch, &mut state);
            }
        }
        state
    }
}

/// Rounded up to whole vectors.
fn padded(dim: usize) -> usize {
    dim.next_multiple_of(LANES)
}
