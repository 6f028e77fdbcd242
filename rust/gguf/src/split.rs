//! Sets of split files: `name-00001-of-00003.gguf` and its siblings.
//!
//! The first part holds the metadata; every part says which it is (`split.no`, from 0), how many
//! there are (`split.count`) and how many tensors they hold together (`split.tensors.count`).

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::error::{Checked, Error, Problem, Result};
use crate::metadata::Metadata;
use crate::part::Part;

pub(crate) const NO: &str = "split.no";
pub(crate) const COUNT: &str = "split.count";
pub(crate) const TENSORS: &str = "split.tensors.count";

/// `split.no` and `split.count` are u16 in files.
pub(crate) const MAX_PARTS: u16 = u16::MAX;

/// How a [`Writer`](crate::Writer) fills the parts of a split file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// At most this many tensors in a part.
    Tensors(usize),
    /// At most this many bytes of tensors in a part, but always one tensor.
    Bytes(u64),
}

pub(crate) fn is_key(key: &str) -> bool {
    [NO, COUNT, TENSORS].contains(&key)
}

/// The end of a part's name; `no` counts from 0.
pub(crate) fn suffix(no: u32, count: u32) -> String {
    format!("-{:05}-of-{count:05}.gguf", u64::from(no) + 1)
}

/// The path of a part of the set that is to be written as `path`, with or without `.gguf`.
pub(crate) fn part_path(path: &Path, no: u32, count: u32) -> PathBuf {
    let whole = match path.extension() {
        Some(extension) if extension == "gguf" => path.with_extension(""),
        _ => path.to_owned(),
    };
    let mut name = whole.into_os_string();
    name.push(suffix(no, count));
    name.into()
}

/// The path of another part of the set that `path` is part `no` of.
fn sibling(path: &Path, no: u32, count: u32, wanted: u32) -> Checked<PathBuf> {
    let end = suffix(no, count);
    let name = path.file_name().and_then(|name| name.to_str());
    match name.and_then(|name| name.strip_suffix(&end)) {
        Some(stem) => Ok(path.with_file_name(format!("{stem}{}", suffix(wanted, count)))),
        None => Err(Problem::SplitName { no, count, wanted: end }),
    }
}

/// The number of parts that a file says it is one of.
pub(crate) fn count(metadata: &Metadata) -> Result<u32> {
    Ok(metadata.opt_u32(COUNT)?.unwrap_or(1))
}

/// A part and its path.
pub(crate) type Found = (PathBuf, Part);

/// Opens the set that `opened` belongs to: the first part, and the others in order.
pub(crate) fn open_all(path: &Path, opened: Part) -> Result<(Found, Vec<Found>)> {
    let count = count(&opened.metadata)?;
    let own = opened.metadata.u32(NO)?;
    if own >= count {
        return Err(Error::at(path)(Problem::SplitNumber { no: own, count }));
    }
    let mut opened = Some(opened);
    let mut open = |no| {
        let file = sibling(path, own, count, no).map_err(Error::at(path))?;
        let part = match opened.take_if(|_| no == own) {
            Some(part) => part,
            None => open_part(path, &file, no, count)?,
        };
        Ok((file, part))
    };
    let first = open(0)?;
    let rest = (1..count).map(open).collect::<Result<Vec<_>>>()?;
    check_tensors(&first, &rest)?;
    Ok((first, rest))
}

fn open_part(path: &Path, file: &Path, no: u32, count: u32) -> Result<Part> {
    let part = Part::open(file).map_err(|Error { file, problem }| match problem {
        Problem::Io(source) => {
            Error { file, problem: Problem::SplitPart { no: no + 1, count, source } }
        }
        problem => Error { file, problem },
    })?;
    for (key, wanted) in [(NO, no), (COUNT, count)] {
        let (found, wanted) = (part.metadata.u64(key)?, u64::from(wanted));
        if found != wanted {
            let problem = Problem::SplitMismatch { key, found, wanted, other: path.into() };
            return Err(Error::at(file)(problem));
        }
    }
    Ok(part)
}

fn check_tensors(first: &Found, rest: &[Found]) -> Result<()> {
    let mut seen: HashMap<&str, &Path> = HashMap::new();
    for (file, part) in std::iter::once(first).chain(rest) {
        for tensor in &part.tensors {
            if let Some(other) = seen.insert(&tensor.name, file) {
                let (tensor, other) = (tensor.name.clone(), other.into());
                return Err(Error::at(file)(Problem::SplitDuplicateTensor { tensor, other }));
            }
        }
    }
    let (parts, found) = (1 + rest.len(), seen.len());
    match first.1.metadata.opt_u64(TENSORS)? {
        Some(wanted) if wanted != found as u64 => {
            Err(Error::at(&first.0)(Problem::SplitTensors { wanted, parts, found }))
        }
        _ => Ok(()),
    }
}
