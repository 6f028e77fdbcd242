//! How many tokens a pass can compute in a given time, from how long the last ones took.

use std::time::Duration;

/// Fewer tokens than this take hardly less time: a pass reads the weights once, however many there are.
pub(crate) const MIN_CHUNK: usize = 16;

/// The guess before anything was measured.
const FIRST: usize = 32;

/// The last pass of at least [`MIN_CHUNK`] tokens.
#[derive(Default)]
pub(crate) struct Pace {
    last: Option<(usize, Duration)>,
}

impl Pace {
    /// A pass of so many tokens took so long.
    pub fn note(&mut self, tokens: usize, time: Duration) {
        if tokens >= MIN_CHUNK && !time.is_zero() {
            self.last = Some((tokens, time));
        }
    }

    /// The tokens that a pass may have to take this time, at least [`MIN_CHUNK`]. In proportion to the
    /// last pass: a part of a pass's time is the same for any number, so that the first guess is too
    /// high after a longer pass and too low after a shorter one, and the ones after it come closer.
    pub fn tokens_in(&self, time: Duration) -> usize {
        let tokens = match self.last {
            Some((tokens, took)) => tokens as f64 * time.as_secs_f64() / took.as_secs_f64(),
            None => FIRST as f64,
        };
        (tokens as usize).max(MIN_CHUNK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Passes of at most 100 ms, one after the other, on a machine where a pass takes 20 ms and 2 ms
    /// for each token.
    fn chunks(pace: &mut Pace) -> Vec<usize> {
        let chunk = |_| {
            let tokens = pace.tokens_in(100 * MS);
            pace.note(tokens, 20 * MS + tokens as u32 * 2 * MS);
            tokens
        };
        (0..8).map(chunk).collect()
    }

    #[test]
    fn chunks_come_to_the_time_from_both_sides() {
        let mut pace = Pace::default();
        assert_eq!(chunks(&mut pace), [32, 38, 39, 39, 39, 39, 39, 39]);
        pace.note(512, 1044 * MS);
        assert_eq!(chunks(&mut pace)[..4], [49, 41, 40, 40]);
    }

    #[test]
    fn small_passes_say_nothing_of_large_ones() {
        let mut pace = Pace::default();
        pace.note(100, 100 * MS);
        pace.note(1, 20 * MS);
        assert_eq!(pace.tokens_in(50 * MS), 50);
        assert_eq!(pace.tokens_in(MS), MIN_CHUNK);
    }
}
