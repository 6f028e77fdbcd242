//! Transformer architectures over GGUF weights: the mathematics, one forward pass at a time.
//!
//! An architecture ([`mod@arch`]) reads its parameters and describes a [`decoder`], which is made of
//! [`blocks`]; those call the kernels. Which tokens of which sequences are computed in a pass, and
//! where in the cache they stand, is given from above as [`Run`]s.

#![forbid(unsafe_code)]

mod abilities;
pub mod arch;
mod batch;
mod blocks;
mod cache;
mod decoder;
mod description;
mod error;
mod head;
mod identity;
mod layer;
mod lora;
mod memory;
mod model;
mod params;
mod readahead;
mod rope;
mod rows;
mod storage;
mod vocabulary;
mod weights;

pub use abilities::{Abilities, Pooling};
pub use arch::architectures;
pub use batch::{Page, Rows, Run, Slot, StateSlots, Wants};
pub use cache::Cache;
pub use error::{Error, Result};
pub use farthing_kernels::kv::KvType;
pub use farthing_kernels::profile::{Part, PartTime, Profile, Report};
pub use lora::{Adapter, Adapters, Lora};
pub use model::{Model, Options};
pub use vocabulary::check_draft_vocabulary;
