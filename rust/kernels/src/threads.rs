//! How many threads to use.
//!
//! More threads than cores make everything slower, and so do more than a container's quota lets run:
//! the system then stops all of them for the rest of each period.

use std::path::Path;

mod cgroup;
mod topology;

/// A number of threads and why it is that one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threads {
    /// Threads, at least 1.
    pub n: usize,
    /// In words.
    pub reason: String,
}

/// The default: `FARTHING_THREADS`, or else the least of the CPUs that this process may run on
/// (affinity), the control groups' quota (rounded down) and the physical cores among those CPUs, but
/// at least 1.
///
/// # Errors
/// `FARTHING_THREADS` is no number of 1 or more; in words.
pub fn default_threads() -> Result<Threads, String> {
    match std::env::var_os("FARTHING_THREADS") {
        Some(value) => from_variable(&value.to_string_lossy()),
        None => Ok(from_system(Path::new("/"))),
    }
}

fn from_variable(value: &str) -> Result<Threads, String> {
    match value.trim().parse() {
        Ok(n) if n > 0 => Ok(Threads { n, reason: "FARTHING_THREADS".into() }),
        _ => Err(format!("FARTHING_THREADS is {value:?}, but must be an integer of 1 or more")),
    }
}

/// What the files under `root` say, which is `/` but in tests.
fn from_system(root: &Path) -> Threads {
    let online = || std::thread::available_parallelism().map_or(1, usize::from);
    let cpus = topology::allowed_cpus(root);
    let n_cpus = cpus.as_ref().map_or_else(online, Vec::len).max(1);
    let n_cores = cpus.map_or(n_cpus, |cpus| topology::physical_cores(root, &cpus)).max(1);
    let quota = cgroup::cpu_quota(root);
    let mut n = n_cores;
    let mut reason = format!("{n_cpus} CPUs allowed, {n_cores} physical cores");
    if let Some(quota) = quota {
        n = n.min(quota as usize).max(1);
        reason += &format!(", a quota of {quota:.2} CPUs");
    }
    Threads { n, reason }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Files with their content, in a new folder.
    pub(super) fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    #[test]
    fn the_least_of_all_limits() {
        let status = ("proc/self/status", "Name:\tx\nCpus_allowed_list:\t0-3\n");
        let siblings = |cpu: usize, list: &'static str| {
            (format!("sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"), list)
        };
        let pairs = [siblings(0, "0,2\n"), siblings(1, "1,3\n"), siblings(2, "0,2\n")];
        let pairs =
            [pairs, [siblings(3, "1,3\n"), siblings(4, "4\n"), siblings(5, "5\n")]].concat();
        let mut files = vec![status];
        files.extend(pairs.iter().map(|(path, list)| (path.as_str(), *list)));
        let threads = from_system(tree(&files).path());
        assert_eq!(threads.n, 2, "{}", threads.reason);
        assert_eq!(threads.reason, "4 CPUs allowed, 2 physical cores");

        for (max, n) in [("150000 100000", 1), ("250000 100000", 2), ("20000 100000", 1)] {
            let mut files = files.clone();
            files.extend([
                ("proc/self/cgroup", "0::/box\n"),
                ("proc/self/mountinfo", "31 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
                ("sys/fs/cgroup/box/cpu.max", max),
            ]);
            let threads = from_system(tree(&files).path());
            assert_eq!(threads.n, n, "{}", threads.reason);
            assert!(threads.reason.contains("quota of"), "{}", threads.reason);
        }
        assert!(from_system(tree(&[]).path()).n >= 1);
    }

    #[test]
    fn the_variable_is_a_number() {
        assert_eq!(from_variable(" 3 ").unwrap().n, 3);
        for wrong in ["0", "", "two", "-1"] {
            let message = from_variable(wrong).unwrap_err();
            assert!(message.contains(&format!("{wrong:?}")), "{message}");
        }
    }
}
