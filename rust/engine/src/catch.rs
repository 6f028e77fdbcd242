//! Panics as messages.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `f`; a panic becomes a message that says what was being done. What `f` was changing is to be
/// given up by the caller then.
pub(crate) fn catch<T>(doing: &str, f: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        let message = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        format!("{doing} panicked: {message}")
    })
}
