//! KV pages as memory: every layer has a place for every page. No policy.

use farthing_kernels::kv::{KvLayer, KvShape, KvType, PAGE};

/// The pages of all layers.
pub struct Cache {
    /// Layer by layer.
    pub layers: Vec<KvLayer>,
    n_pages: usize,
}

impl Cache {
    /// Memory for some pages, taken from the system as it is written.
    pub fn new(shapes: &[KvShape], ty: KvType, n_pages: usize) -> Cache {
        Cache { layers: shapes.iter().map(|&s| KvLayer::new(s, ty, n_pages)).collect(), n_pages }
    }

    /// Pages.
    pub fn n_pages(&self) -> usize {
        self.n_pages
    }

    /// Bytes of one page in all layers.
    pub fn page_bytes(shapes: &[KvShape], ty: KvType) -> u64 {
        shapes.iter().map(|&s| ty.page_bytes(s) as u64).sum()
    }

    /// Positions in a page.
    pub const PAGE: usize = PAGE;
}
