//! CPUs and cores, from the files of Linux.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The CPUs that this process may run on; none where the system does not say.
pub fn allowed_cpus(root: &Path) -> Option<Vec<usize>> {
    let status = fs::read_to_string(root.join("proc/self/status")).ok()?;
    let list = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:"))?;
    cpu_list(list.trim()).filter(|cpus| !cpus.is_empty())
}

/// Cores among some CPUs: the hardware threads of one core count once.
pub fn physical_cores(root: &Path, cpus: &[usize]) -> usize {
    let core = |cpu: &usize| {
        let path = format!("sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        fs::read_to_string(root.join(path)).unwrap_or_else(|_| cpu.to_string())
    };
    cpus.iter().map(|cpu| core(cpu).trim().to_owned()).collect::<BTreeSet<_>>().len()
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
    use super::super::tests::tree;
    use super::*;

    #[test]
    fn lists_are_read() {
        assert_eq!(cpu_list("0-2,5"), Some(vec![0, 1, 2, 5]));
        assert_eq!(cpu_list(""), Some(vec![]));
        assert_eq!(cpu_list("x"), None);
    }

    #[test]
    fn siblings_count_once() {
        let path = |cpu| format!("sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        let (a, b, c) = (path(0), path(1), path(2));
        let root = tree(&[(&a, "0-1\n"), (&b, "0-1\n"), (&c, "2-3\n")]);
        let cores = |cpus: &[usize]| physical_cores(root.path(), cpus);
        assert_eq!((cores(&[0, 1, 2]), cores(&[0, 1]), cores(&[1])), (2, 1, 1));
        // One that the files do not know is a core of its own.
        assert_eq!(cores(&[1, 2, 9]), 3);
    }

    #[test]
    fn the_affinity_is_read() {
        let root = tree(&[("proc/self/status", "Name:\tx\nCpus_allowed_list:\t1,4-5\nx:\t0\n")]);
        assert_eq!(allowed_cpus(root.path()), Some(vec![1, 4, 5]));
        assert_eq!(allowed_cpus(tree(&[]).path()), None);
    }
}
