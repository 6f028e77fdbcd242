//! A model's hyper-parameters: metadata under the architecture's name.

use std::fmt::Display;

use farthing_gguf::{FromValue, Metadata, Value};

use crate::error::{Error, Result};

/// Reads `<architecture>.<key>`.
pub struct Params<'a> {
    metadata: &'a Metadata,
    architecture: &'a str,
    n_ctx: Option<usize>,
}

impl<'a> Params<'a> {
    /// The parameters of the file's architecture, for a context of `n_ctx` positions if that is known.
    pub fn new(metadata: &'a Metadata, n_ctx: Option<usize>) -> Result<Self> {
        Ok(Params { metadata, architecture: metadata.str("general.architecture")?, n_ctx })
    }

    /// The positions that were asked for.
    pub fn n_ctx(&self) -> Option<usize> {
        self.n_ctx
    }

    /// `general.architecture`.
    pub fn architecture(&self) -> &'a str {
        self.architecture
    }

    fn full(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    /// A value that may be missing.
    pub fn opt<T: FromValue<'a>>(&self, key: &str) -> Result<Option<T>> {
        Ok(self.metadata.opt(&self.full(key))?)
    }

    /// A value or what stands for it when it is missing.
    pub fn or<T: FromValue<'a>>(&self, key: &str, default: T) -> Result<T> {
        Ok(self.opt(key)?.unwrap_or(default))
    }

    /// A value that must be there.
    pub fn get<T: FromValue<'a>>(&self, key: &str) -> Result<T> {
        Ok(self.metadata.require(&self.full(key))?)
    }

    /// A size that must be there, at least 1.
    pub fn size(&self, key: &str) -> Result<usize> {
        self.checked(key, self.get::<u32>(key)? as usize)
    }

    /// A size or its default, at least 1.
    pub fn size_or(&self, key: &str, default: usize) -> Result<usize> {
        let size = self.opt::<u32>(key)?.map_or(default, |v| v as usize);
        self.checked(key, size)
    }

    /// Whether there is such a key.
    pub fn has(&self, key: &str) -> bool {
        self.metadata.get(&self.full(key)).is_some()
    }

    /// How many layers there are.
    pub fn n_layers(&self) -> Result<usize> {
        let n = self.size("block_count")?;
        if n <= 1 << 12 { Ok(n) } else { Err(self.wrong("block_count", n, "at most 4096")) }
    }

    /// A size for each of `n` layers, at least 1: one for all, or an array; or a default.
    pub fn per_layer(&self, key: &str, n: usize, default: Option<&[usize]>) -> Result<Vec<usize>> {
        let sizes = self.counts(key, n, default)?;
        sizes.into_iter().map(|size| self.checked(key, size)).collect()
    }

    /// The same, where 0 is possible too.
    pub fn counts(&self, key: &str, n: usize, default: Option<&[usize]>) -> Result<Vec<usize>> {
        let counts = match (self.metadata.get(&self.full(key)), default) {
            (Some(Value::Array(_)), _) => self.get::<Vec<u32>>(key)?,
            (None, Some(default)) => return Ok(default.to_vec()),
            _ => vec![self.get::<u32>(key)?; n],
        };
        if counts.len() != n {
            return Err(self.wrong(key, format!("{} sizes", counts.len()), format!("{n} of them")));
        }
        let checked = |n: u32| if n == 0 { Ok(0) } else { self.checked(key, n as usize) };
        counts.into_iter().map(checked).collect()
    }

    /// A float for each of `n` layers, under a key without the architecture's name.
    pub fn global_floats(&self, key: &str, n: usize) -> Result<Vec<f32>> {
        let floats: Vec<f32> = self.metadata.require(key)?;
        if floats.len() == n {
            return Ok(floats);
        }
        Err(Error::Parameter {
            file: self.metadata.file().display().to_string(),
            key: key.into(),
            value: format!("{} floats", floats.len()),
            wanted: format!("{n} of them"),
        })
    }

    /// A flag for each of `n` layers: an array, or a number `p`, all but every `p`th being set.
    pub fn flags(&self, key: &str, n: usize) -> Result<Option<Vec<bool>>> {
        let flags = match (self.has(key), self.period(key)?) {
            (false, _) => return Ok(None),
            (true, None) => self.get::<Vec<bool>>(key)?,
            (true, Some(period)) => (0..n).map(|i| i % period < period - 1).collect(),
        };
        if flags.len() != n {
            return Err(self.wrong(key, format!("{} flags", flags.len()), format!("{n} of them")));
        }
        Ok(Some(flags))
    }

    /// A number where there could be an array of flags.
    pub fn period(&self, key: &str) -> Result<Option<usize>> {
        match self.metadata.get(&self.full(key)) {
            None | Some(Value::Array(_)) => Ok(None),
            Some(_) => self.size(key).map(Some),
        }
    }

    fn checked(&self, key: &str, size: usize) -> Result<usize> {
        // A bound that no model comes near keeps products of two sizes far from overflow.
        if (1..=1 << 30).contains(&size) {
            Ok(size)
        } else {
            Err(self.wrong(key, size, "between 1 and 2^30"))
        }
    }

    /// The error that a value is not possible.
    pub fn wrong(&self, key: &str, value: impl Display, wanted: impl Display) -> Error {
        Error::Parameter {
            file: self.metadata.file().display().to_string(),
            key: self.full(key),
            value: value.to_string(),
            wanted: wanted.to_string(),
        }
    }
}
