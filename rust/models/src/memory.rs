//! How much memory can be used.

use std::fs;
use std::path::Path;

use farthing_kernels::cgroup::{Version, least};

/// Bytes that this process can still take without swapping: what the system calls available, or what the
/// process's control groups leave, if that is less. `u64::MAX` where neither is known.
pub fn available() -> u64 {
    available_by(Path::new("/"))
}

/// What the files under `root` say, which is `/` but in tests.
fn available_by(root: &Path) -> u64 {
    let system = field(&root.join("proc/meminfo"), "MemAvailable:").map(|kib| kib * 1024);
    let groups = least(root, "memory", left);
    system.unwrap_or(u64::MAX).min(groups.unwrap_or(u64::MAX))
}

/// What a group leaves of its limit. Files in its cache that were not used for a while make room.
fn left(version: Version, group: &Path) -> Option<u64> {
    let number = |name| fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
    let (limits, usage, idle) = match version {
        Version::V1 => {
            (["memory.limit_in_bytes"; 2], "memory.usage_in_bytes", "total_inactive_file")
        }
        Version::V2 => (["memory.max", "memory.high"], "memory.current", "inactive_file"),
    };
    let limit = limits.into_iter().filter_map(number).min()?;
    let idle = field(&group.join("memory.stat"), idle).unwrap_or(0);
    Some(limit.saturating_sub(number(usage)?.saturating_sub(idle)))
}

/// A number after its name, of a line of a file.
fn field(path: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let mut words = text.lines().map(str::split_whitespace);
    words.find_map(|mut words| (words.next()? == name).then(|| words.next()?.parse().ok())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: (&str, &str) =
        ("proc/meminfo", "MemTotal:       100000 kB\nMemAvailable:    50000 kB\n");
    const SYSTEM: u64 = 50000 * 1024;
    const V2: (&str, &str) = (
        "proc/self/mountinfo",
        "31 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
    );
    const V1: (&str, &str) = (
        "proc/self/mountinfo",
        "33 32 0:27 /docker/ab /sys/fs/cgroup/memory rw shared:10 - cgroup cgroup rw,memory\n\
         34 32 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n",
    );

    fn by(files: &[(&str, &str)]) -> u64 {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        available_by(folder.path())
    }

    #[test]
    fn the_system_is_the_bound_without_groups() {
        assert_eq!(by(&[MEMORY]), SYSTEM);
        assert_eq!(by(&[]), u64::MAX);
        assert_eq!(by(&[("proc/meminfo", "MemAvailable: many\n")]), u64::MAX);
    }

    #[test]
    fn version_2_and_its_ancestors() {
        let group = ("proc/self/cgroup", "0::/user/me/job\n");
        let files = |more: &[(&str, &str)]| by(&[&[MEMORY, V2, group], more].concat());
        let own = [
            ("sys/fs/cgroup/user/me/job/memory.max", "9000000\n"),
            ("sys/fs/cgroup/user/me/job/memory.current", "5000000\n"),
        ];
        assert_eq!(files(&own), 4_000_000);
        let idle = ("sys/fs/cgroup/user/me/job/memory.stat", "file 9\ninactive_file 1500000\n");
        assert_eq!(files(&[own[0], own[1], idle]), 5_500_000);
        let throttled = ("sys/fs/cgroup/user/me/job/memory.high", "7000000\n");
        assert_eq!(files(&[own[0], own[1], throttled]), 2_000_000);
        let above = [
            ("sys/fs/cgroup/user/memory.max", "8000000\n"),
            ("sys/fs/cgroup/user/memory.current", "7000000\n"),
            ("sys/fs/cgroup/user/me/memory.max", "max\n"),
            ("sys/fs/cgroup/user/me/memory.current", "6000000\n"),
        ];
        assert_eq!(files(&[&own[..], &above].concat()), 1_000_000);
        let other = [
            ("sys/fs/cgroup/memory.max", "max\n"),
            ("sys/fs/cgroup/other/memory.max", "10\n"),
            ("sys/fs/cgroup/other/memory.current", "0\n"),
        ];
        assert_eq!(files(&other), SYSTEM);
        let over = [
            ("sys/fs/cgroup/user/memory.max", "8\n"),
            ("sys/fs/cgroup/user/memory.current", "9\n"),
        ];
        assert_eq!(files(&over), 0);
    }

    #[test]
    fn version_1_and_its_ancestors() {
        let group = ("proc/self/cgroup", "4:cpu:/docker/ab\n12:memory:/docker/ab/in\n0::/\n");
        let own = [
            ("sys/fs/cgroup/memory/in/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/in/memory.usage_in_bytes", "3000000\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "6000000\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "4000000\n"),
            ("sys/fs/cgroup/memory/memory.stat", "total_inactive_file 500000\n"),
        ];
        assert_eq!(by(&[&[MEMORY, V1, group][..], &own].concat()), 2_500_000);
        assert_eq!(by(&[&[MEMORY, V1, group][..], &own[..2]].concat()), SYSTEM);
    }
}
