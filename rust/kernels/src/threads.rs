//! How many threads to use.

use std::collections::BTreeSet;
use std::fs;

/// A number of threads and why it is that one.
pub struct Threads {
    /// Threads.
    pub n: usize,
    /// In words.
    pub reason: String,
}

/// The default: `FARTHING_THREADS`, or one for each physical core that this process may use, but no
/// more than the CPU affinity and the control group's quota allow (rounded down, at least 1).
pub fn default_threads() -> Threads {
    if let Some(n) = std::env::var("FARTHING_THREADS").ok().and_then(|v| v.trim().parse().ok())
        && n > 0
    {
        return Threads { n, reason: "FARTHING_THREADS".into() };
    }
    // Affinity and quota, both versions of control groups.
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    let cores = physical_cores().unwrap_or(allowed);
    let reason = format!("{cores} physical cores, {allowed} CPUs allowed by affinity and quota");
    Threads { n: cores.min(allowed).max(1), reason }
}

/// Cores among the CPUs that the process may run on: hardware threads of one core count once.
fn physical_cores() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let list = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:"))?;
    let cores: BTreeSet<String> = cpu_list(list.trim())?
        .into_iter()
        .map(|cpu| {
            let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
            fs::read_to_string(path).unwrap_or_else(|_| cpu.to_string())
        })
        .collect();
    (!cores.is_empty()).then_some(cores.len())
}

/// The numbers of a list such as `0-3,8`.
fn cpu_list(list: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in list.split(',').filter(|p| !p.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cpus.extend(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read() {
        assert_eq!(cpu_list("0-2,5"), Some(vec![0, 1, 2, 5]));
        assert_eq!(cpu_list(""), Some(vec![]));
        assert_eq!(cpu_list("x"), None);
    }

    #[test]
    fn the_default_is_allowed() {
        let threads = default_threads();
        assert!(threads.n >= 1, "{}", threads.reason);
    }
}
