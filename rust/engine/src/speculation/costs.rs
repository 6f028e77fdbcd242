//! How long a pass takes by the number of its tokens, measured while the engine runs.

/// Larger passes are not measured: there, time grows with the number of tokens.
const LARGEST: usize = 64;
/// How far a measurement moves what is known, of all numbers of tokens together and of its own.
const COMMON_STEP: f64 = 0.2;
const STEP: f64 = 0.1;
/// A measurement counts as no further away than this factor: a thread that did not run says nothing of
/// the pass.
const FAR: f64 = 1.25;
/// The first measurement alone says nothing, since weights may be read or rearranged in that pass; of so many
/// first ones the least counts.
const FIRST: u32 = 3;
/// How much longer a pass is taken to be for each token more, before it was measured: a bit less than
/// measured on two cores, so that it is tried.
const SLOPE: f64 = 0.1;
/// A time that was not measured in so many passes is forgotten: the machine may do something else now.
const LIFE: u64 = 2000;

/// What is known of passes in which all tokens' logits are wanted.
pub(crate) struct Costs {
    /// By the number of tokens, in whatever unit was measured.
    times: [Option<Known>; LARGEST],
    passes: u64,
}

#[derive(Clone, Copy)]
struct Known {
    time: f64,
    /// How often it was measured, up to `FIRST`.
    count: u32,
    /// The pass that it was last measured in.
    at: u64,
}

impl Default for Costs {
    fn default() -> Costs {
        Costs { times: [None; LARGEST], passes: 0 }
    }
}

impl Known {
    fn is_sure(&self) -> bool {
        self.count > 1
    }
}

impl Costs {
    /// A pass of `n` tokens, at least one, has taken this time.
    pub fn learn(&mut self, n: usize, time: f64) {
        if n > LARGEST {
            return;
        }
        self.passes += 1;
        let now = self.passes;
        let next = match self.times[n - 1] {
            None => Known { time, count: 1, at: now },
            Some(known) if known.count < FIRST => {
                Known { time: known.time.min(time), count: known.count + 1, at: now }
            }
            Some(known) => {
                // What slows one pass down slows all.
                let ratio = (time / known.time).clamp(1.0 / FAR, FAR);
                for other in self.times.iter_mut().flatten() {
                    other.time *= ratio.powf(COMMON_STEP);
                }
                Known { time: known.time * ratio.powf(COMMON_STEP + STEP), at: now, ..known }
            }
        };
        self.times[n - 1] = Some(next);
        for known in &mut self.times[1..] {
            known.take_if(|known| known.at + LIFE < now);
        }
    }

    /// The same of a pass that was computed to find out: it is believed, and all times change with it.
    pub fn correct(&mut self, n: usize, time: f64) {
        let ratio = time / self.time(n);
        self.times.iter_mut().flatten().for_each(|known| known.time *= ratio);
    }

    /// Whether anything was measured.
    pub fn are_known(&self) -> bool {
        self.times.iter().flatten().any(Known::is_sure)
    }

    /// The time that a pass of `n` tokens takes, 0 for none; before anything was measured in a unit of
    /// its own.
    pub fn time(&self, n: usize) -> f64 {
        if n > LARGEST {
            return self.time(LARGEST) * n as f64 / LARGEST as f64;
        }
        let known = |index: usize| {
            let sure = self.times[index].filter(Known::is_sure)?;
            Some((index + 1, sure.time))
        };
        let Some(index) = n.checked_sub(1) else {
            return 0.0;
        };
        let below = (0..=index).rev().find_map(known);
        let above = (index..LARGEST).find_map(known);
        let grown = |n: usize| 1.0 + SLOPE * (n as f64 - 1.0);
        match (below, above) {
            (Some((a, low)), Some((b, high))) if a < b => {
                low + (high - low) * (n - a) as f64 / (b - a) as f64
            }
            (Some((m, time)), _) | (None, Some((m, time))) => time * grown(n) / grown(m),
            (None, None) => grown(n),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_interpolated() {
        let mut costs = Costs::default();
        (0..2).for_each(|_| costs.learn(1, 10.0));
        assert_eq!((costs.time(0), costs.time(1), costs.time(11)), (0.0, 10.0, 20.0));
        (0..2).for_each(|_| costs.learn(5, 18.0));
        let near = |n: usize, time: f64| (costs.time(n) / time - 1.0).abs() < 0.1;
        assert!(near(1, 10.0) && near(3, 14.0) && near(5, 18.0), "{}", costs.time(3));
        assert!(near(64, 18.0 * 7.3 / 1.4) && near(640, 180.0 * 7.3 / 1.4));
    }

    #[test]
    fn one_slow_pass_changes_little() {
        let mut costs = Costs::default();
        (0..20).for_each(|_| costs.learn(1, 10.0));
        costs.learn(1, 1000.0);
        assert!(costs.time(1) < 14.0);
        (0..20).for_each(|_| costs.learn(1, 10.0));
        assert!((costs.time(1) - 10.0).abs() < 0.2);
    }

    #[test]
    fn what_happens_once_at_the_beginning_does_not_count() {
        let mut costs = Costs::default();
        costs.learn(1, 2000.0);
        assert!(!costs.are_known());
        costs.learn(1, 20.0);
        assert_eq!(costs.time(1), 20.0);
        costs.learn(2, 300.0);
        assert_eq!(costs.time(2), 22.0);
    }

    #[test]
    fn a_slower_machine_is_slower_for_all() {
        let mut costs = Costs::default();
        for n in [1, 8] {
            (0..20).for_each(|_| costs.learn(n, 10.0 + n as f64));
        }
        (0..60).for_each(|_| costs.learn(1, 22.0));
        assert!((costs.time(1) - 22.0).abs() < 0.5);
        assert!(costs.time(8) > 27.0, "{}", costs.time(8));
    }

    #[test]
    fn what_was_found_out_is_believed() {
        let mut costs = Costs::default();
        [2, 8].iter().for_each(|&n| (0..9).for_each(|_| costs.learn(n, 1000.0 + n as f64)));
        let ratio = costs.time(8) / costs.time(2);
        costs.correct(2, 10.0);
        assert!((costs.time(2) - 10.0).abs() < 1e-9);
        assert!((costs.time(8) / costs.time(2) - ratio).abs() < 1e-9);
    }

    #[test]
    fn old_times_are_forgotten() {
        let mut costs = Costs::default();
        (0..2).for_each(|_| costs.learn(2, 100.0));
        (0..=LIFE).for_each(|_| costs.learn(1, 10.0));
        assert!((costs.time(2) - 11.0).abs() < 0.1);
    }
}
