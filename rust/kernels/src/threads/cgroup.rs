//! The CPU quota of the control groups that this process is in. Format: Linux,
//! Documentation/admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst.

use std::fs;
use std::path::Path;

use crate::cgroup::{Version, least};

/// CPUs that may be used at a time on average, of the tightest limit; none if there is no limit.
pub fn cpu_quota(root: &Path) -> Option<f64> {
    least(root, "cpu", |version, group| match version {
        Version::V1 => limit_v1(group),
        Version::V2 => limit_v2(group),
    })
}

/// `cpu.max`: `quota period` or `max period`, in microseconds.
fn limit_v2(group: &Path) -> Option<f64> {
    let text = fs::read_to_string(group.join("cpu.max")).ok()?;
    let mut fields = text.split_whitespace();
    ratio(fields.next()?, fields.next()?)
}

/// `cpu.cfs_quota_us`, -1 being none, and `cpu.cfs_period_us`.
fn limit_v1(group: &Path) -> Option<f64> {
    let read = |name| fs::read_to_string(group.join(name)).ok();
    ratio(read("cpu.cfs_quota_us")?.trim(), read("cpu.cfs_period_us")?.trim())
}

fn ratio(quota: &str, period: &str) -> Option<f64> {
    let (quota, period) = (quota.parse::<f64>().ok()?, period.parse::<f64>().ok()?);
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

#[cfg(test)]
mod tests {
    use super::super::tests::tree;
    use super::*;

    const V2: (&str, &str) = (
        "proc/self/mountinfo",
        "24 1 0:22 / /proc rw - proc proc rw\n\
         31 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
    );
    const V1: (&str, &str) = (
        "proc/self/mountinfo",
        "33 32 0:27 / /sys/fs/cgroup/memory rw shared:10 - cgroup cgroup rw,memory\n\
         34 32 0:28 /docker/ab /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n",
    );

    #[test]
    fn version_2_and_its_ancestors() {
        let group = ("proc/self/cgroup", "0::/a/b/c\n");
        let quota =
            |files: &[(&str, &str)]| cpu_quota(tree(&[&[V2, group], files].concat()).path());
        assert_eq!(quota(&[]), None);
        assert_eq!(quota(&[("sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n")]), None);
        let own = ("sys/fs/cgroup/a/b/c/cpu.max", "300000 100000\n");
        assert_eq!(quota(&[own]), Some(3.0));
        let parent = ("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
        let tighter = ("sys/fs/cgroup/a/cpu.max", "75000 50000\n");
        assert_eq!(quota(&[own, parent, tighter]), Some(1.5));
        // Another process's group.
        assert_eq!(quota(&[own, ("sys/fs/cgroup/x/cpu.max", "1000 100000\n")]), Some(3.0));
    }

    #[test]
    fn version_2_seen_from_inside() {
        let files =
            [V2, ("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/cpu.max", "50000 100000\n")];
        assert_eq!(cpu_quota(tree(&files).path()), Some(0.5));
    }

    #[test]
    fn version_1_and_its_ancestors() {
        let group =
            ("proc/self/cgroup", "12:memory:/docker/ab\n4:cpu,cpuacct:/docker/ab/in\n0::/\n");
        let base = "sys/fs/cgroup/cpu,cpuacct";
        let file = |folder: &str, name: &str| format!("{base}{folder}/cpu.cfs_{name}_us");
        let names = [
            (file("/in", "quota"), "-1\n"),
            (file("/in", "period"), "100000\n"),
            (file("", "quota"), "220000\n"),
            (file("", "period"), "100000\n"),
        ];
        let mut files = vec![V1, group];
        files.extend(names.iter().map(|(path, text)| (path.as_str(), *text)));
        assert_eq!(cpu_quota(tree(&files).path()), Some(2.2));
        let tighter = [(file("/in", "quota"), "90000\n")];
        let mut files = files.clone();
        files.retain(|(path, _)| *path != tighter[0].0);
        files.push((&tighter[0].0, tighter[0].1));
        assert_eq!(cpu_quota(tree(&files).path()), Some(0.9));
    }

    #[test]
    fn nonsense_is_no_limit() {
        let group = ("proc/self/cgroup", "0::/\n");
        for text in ["", "x y", "100", "0 0", "-5 100000"] {
            let files = [V2, group, ("sys/fs/cgroup/cpu.max", text)];
            assert_eq!(cpu_quota(tree(&files).path()), None, "{text:?}");
        }
        assert_eq!(cpu_quota(tree(&[]).path()), None);
        let files =
            [("proc/self/mountinfo", "- -\n1 - cgroup2\n"), ("proc/self/cgroup", "::\n0\n")];
        assert_eq!(cpu_quota(tree(&files).path()), None);
    }
}
