//! The memory of keys and values of one layer, in pages of 64 positions.
//!
//! A page has for each KV head a part with its keys, `[k_dim][64]`, so that a vector of positions meets
//! one value of a query, and its values, `[64][v_dim]`. How numbers are stored in it is a [`Format`].

use std::marker::PhantomData;

use crate::isa::{F, Isa, Kernel, LANES, dispatch};
use crate::profile;
use crate::raw::RawMut;
use crate::team::Team;

mod blocks;
mod plain;

/// Positions in a page.
pub const PAGE: usize = 64;

/// What stores a part of a page, in which it is at the same place for every head and page. Parts begin
/// at multiples of 64 bytes.
pub(crate) trait Format: 'static {
    /// Whether products are never taken in bfloat16, which keeps 8 bits of a number. That is for a type
    /// chosen for its precision; of BF16 nothing is lost, of blocks less than they have lost already.
    const PRECISE: bool;

    /// Bytes of a part, a multiple of 64.
    fn bytes(shape: KvShape) -> usize;

    /// Stores a position's key and value; must be `#[inline(always)]`.
    ///
    /// # Safety
    /// `part` can be written and is used by no other thread; `place < 64`, `k` and `v` have the lengths
    /// that the shape says.
    unsafe fn store<A: Isa>(
        isa: A,
        part: *mut u8,
        shape: KvShape,
        place: usize,
        k: &[f32],
        v: &[f32],
    );

    /// How many scales a part has, a multiple of 64.
    fn n_scales(_: KvShape) -> usize {
        0
    }

    /// Writes a part's scales as floats; must be `#[inline(always)]`.
    ///
    /// # Safety
    /// `part` can be read; `to` has [`Format::n_scales`] elements.
    #[inline(always)]
    unsafe fn scales<A: Isa>(_: A, _: *const u8, _: KvShape, _: &mut [f32]) {}

    /// A dimension of 16 keys, the first of which is at `place`; must be `#[inline(always)]`.
    ///
    /// # Safety
    /// The part can be read and its scales are these, `place` is a multiple of 16 below 64 and
    /// `dim < k_dim`.
    unsafe fn key<A: Isa>(isa: A, part: Part, shape: KvShape, dim: usize, place: usize) -> F;

    /// 16 dimensions of a value, from `dim` on, 0 beyond its last; must be `#[inline(always)]`.
    ///
    /// # Safety
    /// The part can be read and its scales are these, `place < 64` and `dim` is a multiple of 16 below
    /// `v_dim`.
    unsafe fn value<A: Isa>(isa: A, part: Part, shape: KvShape, place: usize, dim: usize) -> F;
}

/// A part of a page and what [`Format::scales`] has written of it.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    pub bytes: *const u8,
    pub scales: *const f32,
}

/// Something to be done for one format.
pub(crate) trait Visit {
    type Output;
    fn visit<T: Format>(self) -> Self::Output;
}

macro_rules! types {
    ($($(#[$doc:meta])* $ty:ident, $name:literal: $format:ty;)*) => {
        /// How keys and values are stored.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum KvType {
            $($(#[$doc])* $ty),*
        }

        impl KvType {
            /// All of them, the default first.
            pub const ALL: [KvType; [$($name),*].len()] = [$(KvType::$ty),*];

            /// The name as in ggml's tools.
            pub fn name(self) -> &'static str {
                match self {
                    $(KvType::$ty => $name),*
                }
            }

            /// Runs `visit` with its format.
            pub(crate) fn format<V: Visit>(self, visit: V) -> V::Output {
                match self {
                    $(KvType::$ty => visit.visit::<$format>()),*
                }
            }
        }
    };
}

types! {
    /// Half precision.
    F16, "f16": plain::Plain<plain::Half>;
    /// Single precision.
    F32, "f32": plain::Plain<plain::Single>;
    /// bfloat16.
    Bf16, "bf16": plain::Plain<plain::Brain>;
    /// 8 bits in blocks of 32 values of a head.
    Q8_0, "q8_0": blocks::Blocks<blocks::Eight>;
    /// 4 bits in the same blocks.
    Q4_0, "q4_0": blocks::Blocks<blocks::Four>;
}

impl KvType {
    /// Bytes of a page.
    pub fn page_bytes(self, shape: KvShape) -> usize {
        struct Bytes(KvShape);
        impl Visit for Bytes {
            type Output = usize;
            fn visit<T: Format>(self) -> usize {
                self.0.heads * T::bytes(self.0)
            }
        }
        self.format(Bytes(shape))
    }
}

/// How large keys and values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvShape {
    /// KV heads.
    pub heads: usize,
    /// Values in a key.
    pub k_dim: usize,
    /// Values in a value.
    pub v_dim: usize,
}

impl KvShape {
    /// Values of a value in whole vectors.
    #[inline(always)]
    pub(crate) fn padded_v(&self) -> usize {
        self.v_dim.next_multiple_of(LANES)
    }
}

/// One layer's pages.
pub struct KvLayer {
    shape: KvShape,
    ty: KvType,
    /// The pages, from the first multiple of 64 on.
    memory: Vec<u8>,
}

/// Consecutive positions of one sequence, whose rows stand together in a batch.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// The first row in the batch.
    pub row: usize,
    /// Rows.
    pub n: usize,
    /// The first row's position.
    pub start: usize,
    /// How many positions the sequence has.
    pub end: usize,
    /// The sequence's pages.
    pub pages: &'a [u32],
}

impl KvLayer {
    /// Zeroed memory for some pages. The system gives it when it is first written.
    pub fn new(shape: KvShape, ty: KvType, n_pages: usize) -> KvLayer {
        KvLayer { shape, ty, memory: vec![0; n_pages * ty.page_bytes(shape) + ALIGN] }
    }

    /// Its sizes.
    pub fn shape(&self) -> KvShape {
        self.shape
    }

    /// How it stores numbers.
    pub fn ty(&self) -> KvType {
        self.ty
    }

    /// The pages' bytes.
    pub(crate) fn pages(&self) -> &[u8] {
        &self.memory[self.start()..][..self.memory.len() - ALIGN]
    }

    /// The bytes of a page, as they stand in memory.
    ///
    /// # Panics
    /// There is no such page.
    pub fn page(&self, page: u32) -> &[u8] {
        &self.pages()[self.place(page)]
    }

    /// The same to be written.
    ///
    /// # Panics
    /// There is no such page.
    pub fn page_mut(&mut self, page: u32) -> &mut [u8] {
        let (start, place) = (self.start(), self.place(page));
        &mut self.memory[start..][place]
    }

    /// Copies a page's bytes to another page.
    ///
    /// # Panics
    /// There are no such pages.
    pub fn copy_page(&mut self, from: u32, to: u32) {
        let (start, len) = (self.start(), self.pages().len());
        let (from, to) = (self.place(from), self.place(to));
        self.memory[start..][..len].copy_within(from, to.start);
    }

    fn place(&self, page: u32) -> std::ops::Range<usize> {
        let bytes = self.ty.page_bytes(self.shape);
        page as usize * bytes..(page as usize + 1) * bytes
    }

    fn start(&self) -> usize {
        self.memory.as_ptr().addr().next_multiple_of(ALIGN) - self.memory.as_ptr().addr()
    }

    /// Stores the keys `[n][heads][k_dim]` and values `[n][heads][v_dim]` of a batch.
    ///
    /// # Panics
    /// A span leaves the batch, or a page the memory.
    pub fn write(&mut self, team: &Team, spans: &[Span], k: &[f32], v: &[f32]) {
        let _part = team.part(profile::Part::KvWrite);
        let (shape, page_bytes) = (self.shape, self.ty.page_bytes(self.shape));
        for span in spans {
            let pages = &span.pages[span.start / PAGE..(span.start + span.n).div_ceil(PAGE)];
            assert!(pages.iter().all(|&p| (p as usize + 1) * page_bytes <= self.pages().len()));
            let rows = span.row + span.n;
            assert!(rows * shape.heads * shape.k_dim <= k.len());
            assert!(rows * shape.heads * shape.v_dim <= v.len());
        }
        let (start, len) = (self.start(), self.pages().len());
        let memory = RawMut::new(&mut self.memory[start..][..len]);
        self.ty.format(Run { team, rows: Rows { shape, spans, k, v, memory } });
    }
}

/// Where parts begin.
const ALIGN: usize = 64;

struct Run<'a> {
    team: &'a Team,
    rows: Rows<'a>,
}

/// What is to be written where.
struct Rows<'a> {
    shape: KvShape,
    spans: &'a [Span<'a>],
    k: &'a [f32],
    v: &'a [f32],
    memory: RawMut<u8>,
}

impl Visit for Run<'_> {
    type Output = ();

    fn visit<T: Format>(self) {
        let Run { team, rows } = self;
        let KvShape { heads, k_dim, v_dim } = rows.shape;
        let n: usize = rows.spans.iter().map(|s| s.n).sum();
        let grain = ((1 << 14) / (n * (k_dim + v_dim)).max(1)).max(1);
        team.for_each(heads, grain, &|heads| {
            dispatch(Write::<T> { rows: &rows, heads, format: PhantomData });
        });
    }
}

struct Write<'a, T> {
    rows: &'a Rows<'a>,
    heads: std::ops::Range<usize>,
    format: PhantomData<T>,
}

impl<T: Format> Kernel for Write<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Isa>(self, isa: A) {
        let Rows { shape, spans, k, v, memory } = *self.rows;
        let KvShape { heads: n_heads, k_dim, v_dim } = shape;
        let bytes = T::bytes(shape);
        for head in self.heads {
            for span in spans {
                for i in 0..span.n {
                    let (row, position) = (span.row + i, span.start + i);
                    let page = span.pages[position / PAGE] as usize;
                    let k = &k[(row * n_heads + head) * k_dim..][..k_dim];
                    let v = &v[(row * n_heads + head) * v_dim..][..v_dim];
                    // SAFETY: the page is in the memory (checked by `write`); every head belongs to
                    // one caller.
                    unsafe {
                        let part = memory.at((page * n_heads + head) * bytes);
                        T::store(isa, part, shape, position % PAGE, k, v);
                    }
                }
            }
        }
    }
}
