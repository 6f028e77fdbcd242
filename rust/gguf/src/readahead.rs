//! Reading a file's tensors before they are needed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crate::bytes::Bytes;

/// Bytes taken at a time.
const STEP: usize = 8 << 20;
/// How far ahead of what is mapped the disk is asked for.
const AHEAD: usize = 8;

/// A thread that reads mapped bytes into memory, in a given order, until this is dropped.
///
/// Whoever needs a page that is not there yet reads it as ever: the thread only comes first where it
/// can.
#[derive(Debug)]
pub struct ReadAhead {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ReadAhead {
    /// Begins. Without a thread to be had nothing is read ahead.
    pub fn start(list: Vec<Bytes>) -> ReadAhead {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = stop.clone();
        let thread = thread::Builder::new()
            .name("farthing-read".into())
            .spawn(move || read(&list, &flag))
            .ok();
        ReadAhead { stop, thread }
    }

    /// Waits for the end.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            // It has no result, and a panic of it harms nobody.
            let _ = thread.join();
        }
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn read(list: &[Bytes], stop: &AtomicBool) {
    let steps: Vec<Bytes> = list
        .iter()
        .flat_map(|bytes| {
            let step = |start| bytes.slice(start..bytes.len().min(start + STEP));
            (0..bytes.len()).step_by(STEP).filter_map(step)
        })
        .collect();
    steps.iter().take(AHEAD).for_each(Bytes::will_need);
    for (i, step) in steps.iter().enumerate() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        if let Some(later) = steps.get(i + AHEAD) {
            later.will_need();
        }
        step.populate();
    }
}
