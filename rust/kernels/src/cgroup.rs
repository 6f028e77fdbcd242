//! Limits of the control groups that this process is in.
//!
//! `/proc/self/cgroup` names the process's group in each hierarchy, `/proc/self/mountinfo` says where
//! the hierarchies are and which part of them is to be seen there. A group's limit holds for all
//! groups below it, so the tightest of the group and its ancestors counts. Formats: Linux,
//! Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/, and proc(5).

use std::fs;
use std::path::Path;

/// Of control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A hierarchy for each controller, or for some together.
    V1,
    /// One hierarchy.
    V2,
}

/// The least of what `limit` reads in the folders of the process's group and its ancestors in the
/// hierarchies that have the controller, such as `memory`; `root` is `/` but in tests.
pub fn least<T: PartialOrd>(
    root: &Path,
    controller: &str,
    limit: impl Fn(Version, &Path) -> Option<T>,
) -> Option<T> {
    let mounts = fs::read_to_string(root.join("proc/self/mountinfo")).ok()?;
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mounts = mounts.lines().filter_map(|line| Mount::parse(line, controller));
    mounts
        .filter_map(|mount| {
            let group = group_of(&groups, mount.version, controller)?;
            let point = root.join(mount.point.trim_start_matches('/'));
            // A container may be told its group's name outside while it sees the group itself.
            let inside = Path::new(group).strip_prefix(mount.top).unwrap_or(Path::new(""));
            let folders = inside.ancestors().map(|group| point.join(group));
            folders.filter_map(|folder| limit(mount.version, &folder)).reduce(lesser)
        })
        .reduce(lesser)
}

fn lesser<T: PartialOrd>(a: T, b: T) -> T {
    if b < a { b } else { a }
}

/// The process's group in the hierarchy of a controller: lines are `number:controllers:/group`, that of
/// version 2 has no controllers.
fn group_of<'a>(groups: &'a str, version: Version, controller: &str) -> Option<&'a str> {
    groups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, group) = (fields.next()?, fields.next()?, fields.next()?);
        let found = match version {
            Version::V1 => controllers.split(',').any(|c| c == controller),
            Version::V2 => controllers.is_empty(),
        };
        found.then_some(group)
    })
}

/// Where a hierarchy is to be seen.
struct Mount<'a> {
    version: Version,
    /// The group that is at `point`.
    top: &'a str,
    point: &'a str,
}

impl<'a> Mount<'a> {
    /// `id parent device top point options [tags] - type source options`
    fn parse(line: &'a str, controller: &str) -> Option<Mount<'a>> {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let mut file_system = file_system.split(' ');
        let (top, point, ty) = (mount.next()?, mount.next()?, file_system.next()?);
        let version = match ty {
            "cgroup2" => Version::V2,
            "cgroup" if file_system.nth(1)?.split(',').any(|c| c == controller) => Version::V1,
            _ => return None,
        };
        Some(Mount { version, top, point })
    }
}
