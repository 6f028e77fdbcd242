//! Tests of the public interface.

#![allow(clippy::unwrap_used)]

mod files;
mod hostile;
mod properties;
mod raw;
mod read;
mod readahead;
mod split;
mod write;
