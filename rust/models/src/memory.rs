//! How much memory can be used.

use std::fs;

/// Bytes that this process can still take without swapping: what the system calls available, or
/// what the control group leaves, if that is less. `u64::MAX` where neither is known.
pub fn available() -> u64 {
    let system = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|l| l.starts_with("MemAvailable:"))?;
        Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
    });
    let group = [
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        (
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        ),
    ];
    let number = |path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let group = group
        .into_iter()
        .find_map(|(limit, usage)| Some(number(limit)?.saturating_sub(number(usage)?)));
    system.unwrap_or(u64::MAX).min(group.unwrap_or(u64::MAX))
}
