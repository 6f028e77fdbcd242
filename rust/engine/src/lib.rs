//! Requests over time.
