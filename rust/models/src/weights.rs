//! GGUF tensors by name to typed weights; missing and misshapen tensors end here.

use std::ops::Range;
use std::sync::Arc;

use farthing_gguf::{Bytes, Gguf, Tensor};
use farthing_kernels::matmul::groups::{Forms, Groups, matmul_groups};
use farthing_kernels::norm::Norm;
use farthing_kernels::vector::{add_bias, scale};
use farthing_kernels::{Activations, Matrix, Quant, Team, matmul};

use crate::description::NormShape;
use crate::error::{Error, Result};
use crate::lora::experts::{Columns, add_expert_products};
use crate::lora::{self, Lora, Target};
use crate::storage::Storage;

/// The tensors of a file.
pub struct Weights<'a> {
    gguf: &'a Gguf,
    repack: bool,
    lora: Lora,
}

/// A matrix in the file, `rows` × `k`, with an optional bias for each row.
#[derive(Clone)]
pub struct Linear {
    storage: Arc<Storage>,
    /// What the product is multiplied by, as NVFP4's files have it.
    scale: Option<f32>,
    bias: Option<Vec<f32>>,
    /// What adapters know it as, if it takes any.
    target: Option<Target>,
}

impl Linear {
    /// Outputs.
    pub fn rows(&self) -> usize {
        self.storage.rows()
    }

    /// Whether its inputs are quantized to int8.
    pub fn int8(&self) -> bool {
        self.storage.int8()
    }

    /// Whether its products are multiplied by a factor.
    pub fn scaled(&self) -> bool {
        self.scale.is_some()
    }

    /// Writes some rows as floats, one for each of the batch.
    pub fn rows_of(&self, team: &Team, rows: impl Iterator<Item = usize>, out: &mut Vec<f32>) {
        let (rows, matrix): (Vec<usize>, _) = (rows.collect(), self.storage.matrix());
        let k = matrix.k();
        out.resize(rows.len() * k, 0.0);
        team.for_rows(out, k, 8, &|first, out| {
            for (&row, out) in rows[first..].iter().zip(out.chunks_exact_mut(k)) {
                matrix.row(row, out);
            }
        });
        if let Some(target) = &self.target {
            lora::add_rows(team, target, &rows, out);
        }
    }

    /// Some of the rows, with their biases.
    ///
    /// # Panics
    /// There are not so many rows.
    pub fn part(&self, rows: Range<usize>) -> Linear {
        let bias = self.bias.as_ref().map(|bias| bias[rows.clone()].to_vec());
        let target = self.target.as_ref().map(|target| target.part(rows.clone()));
        Linear { storage: Arc::new(self.storage.part(rows)), scale: self.scale, bias, target }
    }

    /// Completes a product.
    fn finish(&self, team: &Team, out: &mut [f32]) {
        if let Some(factor) = self.scale {
            scale(team, out, factor);
        }
        if let Some(bias) = &self.bias {
            add_bias(team, out, bias);
        }
    }

    /// The weights for a product.
    fn matrix(&self, team: &Team) -> Matrix<'_> {
        self.storage.ready(team);
        self.storage.matrix()
    }
}

/// Every matrix times all columns of `x`, the batch's rows, biases and their adapters added: each output is
/// `[n][rows]`.
pub fn linear(team: &Team, x: &mut Activations, jobs: &mut [(&Linear, &mut [f32])]) {
    let mut matrices: Vec<_> =
        jobs.iter_mut().map(|(linear, out)| (linear.matrix(team), &mut **out)).collect();
    matmul(team, x, &mut matrices);
    for (linear, out) in &mut *jobs {
        linear.finish(team, out);
    }
    let jobs = jobs.iter_mut();
    let adapted = jobs.filter_map(|(linear, out)| Some((linear.target.as_ref()?, &mut **out)));
    lora::add_products(team, x, adapted);
}

/// In which forms these matrices want their columns.
pub fn forms<'a>(matrices: impl IntoIterator<Item = &'a Linear>) -> Forms {
    Forms::of(matrices.into_iter().map(|linear| linear.storage.matrix()))
}

/// Each matrix times the columns of a group of `x`, which are `columns`, biases and adapters added: each output is
/// `[columns of the group][rows]`.
pub fn linear_groups(
    team: &Team,
    x: &Groups,
    columns: Columns,
    mut jobs: Vec<(usize, &Linear, &mut [f32])>,
) {
    let matrices = jobs.iter_mut().map(|(g, linear, out)| (*g, linear.matrix(team), &mut **out));
    matmul_groups(team, x, matrices.collect());
    for (_, linear, out) in &mut jobs {
        linear.finish(team, out);
    }
    let adapted =
        jobs.into_iter().filter_map(|(g, linear, out)| Some((g, linear.target.as_ref()?, out)));
    add_expert_products(team, columns, adapted);
}

impl<'a> Weights<'a> {
    /// Those of a file, to be rearranged at their second use if `repack` is set.
    pub fn new(gguf: &'a Gguf, repack: bool) -> Result<Self> {
        let lora = Lora::new(gguf.metadata().require("general.architecture")?);
        Ok(Weights { gguf, repack, lora })
    }

    /// What the matrices have in common about adapters.
    pub fn lora(&self) -> &Lora {
        &self.lora
    }

    fn file(&self) -> String {
        self.gguf.path().display().to_string()
    }

    fn find(&self, name: &str) -> Result<&'a Tensor> {
        self.gguf
            .tensor(name)
            .ok_or_else(|| Error::MissingTensor { file: self.file(), name: name.into() })
    }

    /// Whether there is a tensor of that name.
    pub fn has(&self, name: &str) -> bool {
        self.gguf.tensor(name).is_some()
    }

    /// The dimensions of a tensor, the fastest first.
    pub fn shape(&self, name: &str) -> Result<&'a [usize]> {
        Ok(&self.find(name)?.shape)
    }

    fn check(&self, tensor: &Tensor, wanted: &[usize]) -> Result<()> {
        // Dimensions of 1 may be written or not.
        let others =
            |shape: &[usize]| -> Vec<usize> { shape.iter().copied().filter(|&d| d != 1).collect() };
        if others(&tensor.shape) == others(wanted) {
            return Ok(());
        }
        Err(Error::Shape {
            file: self.file(),
            name: tensor.name.clone(),
            found: tensor.shape.clone(),
            wanted: wanted.to_vec(),
        })
    }

    fn quant(&self, tensor: &Tensor) -> Result<&'static Quant> {
        Quant::from_ggml_id(tensor.ty.id()).ok_or_else(|| Error::UnsupportedType {
            file: self.file(),
            name: tensor.name.clone(),
            ty: tensor.ty.name(),
        })
    }

    /// A vector as floats, whatever type it is stored in.
    pub fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>> {
        let tensor = self.find(name)?;
        self.check(tensor, &[len])?;
        let mut out = vec![0.0; len];
        self.quant(tensor)?.dequantize(&tensor.data(), &mut out);
        Ok(out)
    }

    /// A vector that may be missing.
    pub fn opt_vector(&self, name: &str, len: usize) -> Result<Option<Vec<f32>>> {
        self.has(name).then(|| self.vector(name, len)).transpose()
    }

    /// A norm of rows of `d`: `<name>.weight`, or in Falcon H1 `<name>`, with `<name>.bias` if there is one.
    pub fn norm(&self, name: &str, d: usize, shape: NormShape) -> Result<Norm> {
        let weight = match shape.weighted {
            true if self.has(name) => self.vector(name, d)?,
            true => self.vector(&format!("{name}.weight"), d)?,
            false => vec![1.0; d],
        };
        let bias = self.opt_vector(&format!("{name}.bias"), d)?.unwrap_or_default();
        Ok(Norm::new(shape.kind, shape.eps, d, weight, bias))
    }

    /// A norm of heads of `d` that may be missing: with `d` weights for each head alike, with
    /// `[heads][d]` for each its own, with `heads * d` for all heads as one row.
    pub fn head_norm(
        &self,
        name: &str,
        heads: usize,
        d: usize,
        shape: NormShape,
    ) -> Result<Option<Norm>> {
        let weight = format!("{name}.weight");
        if !self.has(&weight) {
            return Ok(None);
        }
        let bias = format!("{name}.bias");
        let found = self.shape(&weight)?;
        let (len, row) = match found.iter().rposition(|&d| d != 1) {
            Some(1) => (heads * d, d),
            _ if found.first() == Some(&d) => (d, d),
            _ => (heads * d, heads * d),
        };
        let tensor = |name| {
            if row == d && len != d { self.matrix(name, heads, d) } else { self.vector(name, len) }
        };
        let weight = tensor(&weight)?;
        let bias = if self.has(&bias) { tensor(&bias)? } else { Vec::new() };
        Ok(Some(Norm::new(shape.kind, shape.eps, row, weight, bias)))
    }

    /// `<name>.weight`, `rows` × `k`, with `<name>.bias` if there is one.
    pub fn linear(&self, name: &str, rows: usize, k: usize) -> Result<Linear> {
        self.adaptable(name, rows, k, false)
    }

    /// The same, whose rows are looked up. An adapter changes what is looked up, and no product, should
    /// the table also be the output matrix.
    pub fn table(&self, name: &str, rows: usize, k: usize) -> Result<Linear> {
        self.adaptable(name, rows, k, true)
    }

    fn adaptable(&self, name: &str, rows: usize, k: usize, table: bool) -> Result<Linear> {
        let tensor = self.find(&format!("{name}.weight"))?;
        self.check(tensor, &[k, rows])?;
        let bias = self.opt_vector(&format!("{name}.bias"), rows)?;
        let scale = self.scales(name, tensor, 1)?.map(|scale| scale[0]);
        let target = Some(self.lora.target(&tensor.name, rows, k, table));
        Ok(Linear { scale, target, ..self.whole(tensor, tensor.data(), rows, k, bias)? })
    }

    /// A tensor as a matrix, `rows` × `k`, or as a stack of such, that stays in the file.
    pub fn storages(
        &self,
        name: &str,
        stacked: Option<usize>,
        rows: usize,
        k: usize,
    ) -> Result<Vec<Storage>> {
        let (tensor, n) = (self.find(name)?, stacked.unwrap_or(1));
        let mut shape = vec![k, rows];
        shape.extend(stacked);
        self.check(tensor, &shape)?;
        let all = self.stored(tensor, tensor.data(), n * rows, k)?;
        Ok((0..n).map(|i| all.part(i * rows..(i + 1) * rows)).collect())
    }

    /// `<name>.scale` of a type that has such.
    fn scales(&self, name: &str, tensor: &Tensor, n: usize) -> Result<Option<Vec<f32>>> {
        let name = format!("{name}.scale");
        if self.quant(tensor)?.scaled { self.opt_vector(&name, n) } else { Ok(None) }
    }

    /// `<name>.weight`, `n` matrices of `rows` × `k` in one tensor.
    pub fn stack(&self, name: &str, n: usize, rows: usize, k: usize) -> Result<Vec<Linear>> {
        let tensor = self.find(&format!("{name}.weight"))?;
        self.check(tensor, &[k, rows, n])?;
        let bias = format!("{name}.bias");
        let biases = self.has(&bias).then(|| self.matrix(&bias, n, rows)).transpose()?;
        let scales = self.scales(name, tensor, n)?;
        let data = tensor.data();
        let bytes = data.len() / n;
        let targets = self.lora.targets(&tensor.name, n, rows, k);
        (0..n)
            .zip(targets)
            .map(|(i, target)| {
                let part = data.slice(i * bytes..(i + 1) * bytes).unwrap_or_else(|| data.clone());
                let bias = biases.as_ref().map(|b| b[i * rows..][..rows].to_vec());
                let scale = scales.as_ref().map(|scales| scales[i]);
                let target = Some(target);
                Ok(Linear { scale, target, ..self.whole(tensor, part, rows, k, bias)? })
            })
            .collect()
    }

    /// A matrix as floats, `[rows][k]`.
    pub fn matrix(&self, name: &str, rows: usize, k: usize) -> Result<Vec<f32>> {
        let tensor = self.find(name)?;
        self.check(tensor, &[k, rows])?;
        let mut out = vec![0.0; rows * k];
        self.quant(tensor)?.dequantize(&tensor.data(), &mut out);
        Ok(out)
    }

    fn whole(
        &self,
        tensor: &Tensor,
        data: Bytes,
        rows: usize,
        k: usize,
        bias: Option<Vec<f32>>,
    ) -> Result<Linear> {
        let storage = Arc::new(self.stored(tensor, data, rows, k)?);
        Ok(Linear { storage, scale: None, bias, target: None })
    }

    fn stored(&self, tensor: &Tensor, data: Bytes, rows: usize, k: usize) -> Result<Storage> {
        Storage::new(self.quant(tensor)?, data, rows, k, self.repack)
            .map_err(|e| Error::Option(format!("{}: tensor {}: {e}", self.file(), tensor.name)))
    }
}
