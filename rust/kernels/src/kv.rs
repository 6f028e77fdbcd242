//! The memory of keys and values of one layer, in pages of 64 positions.
//!
//! A page holds for each KV head its keys `[k_dim][64]`, so that a vector of positions meets one value
//! of a query, and its values `[64][v_dim]`.

use std::simd::prelude::*;

use crate::isa::{F, Isa, Kernel, LANES, dispatch};
use crate::profile::Part;
use crate::raw::RawMut;
use crate::team::Team;

/// Positions in a page.
pub const PAGE: usize = 64;

/// How keys and values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvType {
    /// Half precision.
    F16,
    /// Single precision.
    F32,
}

impl KvType {
    /// All of them, the default first.
    pub const ALL: [KvType; 2] = [KvType::F16, KvType::F32];

    /// The name as in ggml's tools.
    pub fn name(self) -> &'static str {
        match self {
            KvType::F16 => "f16",
            KvType::F32 => "f32",
        }
    }

    /// Bytes of an element.
    pub fn bytes(self) -> usize {
        match self {
            KvType::F16 => 2,
            KvType::F32 => 4,
        }
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
    /// Elements that one page takes.
    pub fn page_elements(&self) -> usize {
        self.heads * PAGE * (self.k_dim + self.v_dim)
    }

    /// Where in a layer's memory a head's part of a page begins.
    pub(crate) fn offset(&self, page: u32, head: usize) -> usize {
        page as usize * self.page_elements() + head * PAGE * (self.k_dim + self.v_dim)
    }
}

/// One layer's pages.
pub struct KvLayer {
    shape: KvShape,
    pub(crate) store: Store,
}

pub(crate) enum Store {
    F16(Vec<u16>),
    F32(Vec<f32>),
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
    /// The sequence's pages.
    pub pages: &'a [u32],
}

impl KvLayer {
    /// Zeroed memory for some pages. The system gives it when it is first written.
    pub fn new(shape: KvShape, ty: KvType, n_pages: usize) -> KvLayer {
        let n = n_pages * shape.page_elements();
        let store = match ty {
            KvType::F16 => Store::F16(vec![0; n]),
            KvType::F32 => Store::F32(vec![0.0; n]),
        };
        KvLayer { shape, store }
    }

    /// Its sizes.
    pub fn shape(&self) -> KvShape {
        self.shape
    }

    /// Stores the keys `[n][heads][k_dim]` and values `[n][heads][v_dim]` of a batch.
    ///
    /// # Panics
    /// A span leaves the batch, or a page the memory.
    pub fn write(&mut self, team: &Team, spans: &[Span], k: &[f32], v: &[f32]) {
        let _part = team.part(Part::KvWrite);
        let shape = self.shape;
        match &mut self.store {
            Store::F16(data) => write(team, shape, data, spans, k, v),
            Store::F32(data) => write(team, shape, data, spans, k, v),
        }
    }
}

/// A stored number.
pub(crate) trait Element: Copy + Send + Sync + 'static {
    /// 16 floats to be stored; must be `#[inline(always)]`.
    fn from_floats<A: Isa>(isa: A, x: F) -> [Self; LANES];
    /// 16 stored numbers; must be `#[inline(always)]`.
    fn to_floats<A: Isa>(isa: A, x: [Self; LANES]) -> F;
    /// Some number, to fill up with.
    const ZERO: Self;
}

impl Element for u16 {
    #[inline(always)]
    fn from_floats<A: Isa>(isa: A, x: F) -> [Self; LANES] {
        isa.to_half(x).to_array()
    }
    #[inline(always)]
    fn to_floats<A: Isa>(isa: A, x: [Self; LANES]) -> F {
        isa.half(Simd::from_array(x))
    }
    const ZERO: u16 = 0;
}

impl Element for f32 {
    #[inline(always)]
    fn from_floats<A: Isa>(_: A, x: F) -> [Self; LANES] {
        x.to_array()
    }
    #[inline(always)]
    fn to_floats<A: Isa>(_: A, x: [Self; LANES]) -> F {
        F::from_array(x)
    }
    const ZERO: f32 = 0.0;
}

fn write<E: Element>(
    team: &Team,
    shape: KvShape,
    data: &mut [E],
    spans: &[Span],
    k: &[f32],
    v: &[f32],
) {
    for span in spans {
        let pages = &span.pages[span.start / PAGE..(span.start + span.n).div_ceil(PAGE)];
        assert!(pages.iter().all(|&p| (p as usize + 1) * shape.page_elements() <= data.len()));
        let rows = span.row + span.n;
        assert!(rows * shape.heads * shape.k_dim <= k.len());
        assert!(rows * shape.heads * shape.v_dim <= v.len());
    }
    let n: usize = spans.iter().map(|s| s.n).sum();
    let grain = ((1 << 14) / (n * (shape.k_dim + shape.v_dim)).max(1)).max(1);
    let data = RawMut::new(data);
    team.for_each(shape.heads, grain, &|heads| {
        for span in spans {
            dispatch(Write { shape, heads: heads.clone(), span, k, v, data });
        }
    });
}

struct Write<'a, E> {
    shape: KvShape,
    heads: std::ops::Range<usize>,
    span: &'a Span<'a>,
    k: &'a [f32],
    v: &'a [f32],
    data: RawMut<E>,
}

impl<E: Element> Kernel for Write<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<A: Isa>(self, isa: A) {
        let Write { shape: KvShape { heads: n_heads, k_dim, v_dim }, span, k, v, data, .. } = self;
        for head in self.heads {
            for i in 0..span.n {
                let (row, position) = (span.row + i, span.start + i);
                let (page, place) = (span.pages[position / PAGE], position % PAGE);
                let k = &k[(row * n_heads + head) * k_dim..][..k_dim];
                let v = &v[(row * n_heads + head) * v_dim..][..v_dim];
                let keys = self.shape.offset(page, head);
                let values = keys + PAGE * k_dim + place * v_dim;
                for (j, k) in k.chunks(LANES).enumerate() {
                    let k16 = E::from_floats(isa, F::load_or_default(k));
                    for (i, &k) in k16.iter().enumerate().take(k.len()) {
                        // SAFETY: inside the page, which is in the memory (checked by `write`);
                        // every head belongs to one caller.
                        unsafe { data.write(keys + (j * LANES + i) * PAGE + place, k) };
                    }
                }
                for (j, v) in v.chunks(LANES).enumerate() {
                    let v16 = E::from_floats(isa, F::load_or_default(v));
                    // SAFETY: as above.
                    unsafe { data.write_all(values + j * LANES, &v16[..v.len()]) };
                }
            }
        }
    }
}
