//! GGUF tensors by name to typed weights; missing and misshapen tensors end here.

use farthing_gguf::{Bytes, Gguf, Tensor};
use farthing_kernels::matmul::groups::{Forms, Groups, matmul_groups};
use farthing_kernels::vector::add_bias;
use farthing_kernels::{Activations, Matrix, Quant, Team, matmul};

use crate::error::{Error, Result};

/// The tensors of a file.
pub struct Weights<'a> {
    gguf: &'a Gguf,
}

/// A matrix in the file, `rows` × `k`, with an optional bias for each row.
#[derive(Clone)]
pub struct Linear {
    quant: &'static Quant,
    data: Bytes,
    rows: usize,
    k: usize,
    bias: Option<Vec<f32>>,
}

impl Linear {
    /// Outputs.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Writes one row as floats, `out` having `k` places.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        let bytes = self.data.len() / self.rows;
        self.quant.dequantize(&self.data[row * bytes..][..bytes], out);
    }

    fn matrix(&self) -> Matrix<'_> {
        // The constructor has made sure that it fits.
        Matrix::new(self.quant, &self.data, self.rows, self.k)
            .unwrap_or_else(|e| unreachable!("{e}"))
    }
}

/// Every matrix times all columns of `x`, biases added: each output is `[n][rows]`.
pub fn linear(team: &Team, x: &mut Activations, jobs: &mut [(&Linear, &mut [f32])]) {
    let mut matrices: Vec<_> =
        jobs.iter_mut().map(|(linear, out)| (linear.matrix(), &mut **out)).collect();
    matmul(team, x, &mut matrices);
    for (linear, out) in jobs {
        if let Some(bias) = &linear.bias {
            add_bias(team, out, bias);
        }
    }
}

/// In which forms these matrices want their columns.
pub fn forms<'a>(matrices: impl IntoIterator<Item = &'a Linear>) -> Forms {
    Forms::of(matrices.into_iter().map(Linear::matrix))
}

/// Each matrix times the columns of a group of `x`, biases added: each output is
/// `[columns of the group][rows]`.
pub fn linear_groups(team: &Team, x: &Groups, mut jobs: Vec<(usize, &Linear, &mut [f32])>) {
    let matrices = jobs.iter_mut().map(|(g, linear, out)| (*g, linear.matrix(), &mut **out));
    matmul_groups(team, x, matrices.collect());
    for (_, linear, out) in jobs {
        if let Some(bias) = &linear.bias {
            add_bias(team, out, bias);
        }
    }
}

impl<'a> Weights<'a> {
    /// Those of a file.
    pub fn new(gguf: &'a Gguf) -> Self {
        Weights { gguf }
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
        // Trailing dimensions of 1 may be written or not.
        let trimmed = |shape: &[usize]| {
            let n = shape.iter().rposition(|&d| d != 1).map_or(1, |i| i + 1);
            shape[..n].to_vec()
        };
        if trimmed(&tensor.shape) == trimmed(wanted) {
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

    /// `<name>.weight`, `rows` × `k`, with `<name>.bias` if there is one.
    pub fn linear(&self, name: &str, rows: usize, k: usize) -> Result<Linear> {
        let tensor = self.find(&format!("{name}.weight"))?;
        self.check(tensor, &[k, rows])?;
        let bias = self.opt_vector(&format!("{name}.bias"), rows)?;
        self.part(tensor, tensor.data(), rows, k, bias)
    }

    /// `<name>.weight`, `n` matrices of `rows` × `k` in one tensor.
    pub fn stack(&self, name: &str, n: usize, rows: usize, k: usize) -> Result<Vec<Linear>> {
        let tensor = self.find(&format!("{name}.weight"))?;
        self.check(tensor, &[k, rows, n])?;
        let biases = self.opt_matrix(&format!("{name}.bias"), n, rows)?;
        let data = tensor.data();
        let bytes = data.len() / n;
        (0..n)
            .map(|i| {
                let part = data.slice(i * bytes..(i + 1) * bytes).unwrap_or_else(|| data.clone());
                let bias = biases.as_ref().map(|b| b[i * rows..][..rows].to_vec());
                self.part(tensor, part, rows, k, bias)
            })
            .collect()
    }

    fn opt_matrix(&self, name: &str, rows: usize, k: usize) -> Result<Option<Vec<f32>>> {
        let Some(tensor) = self.gguf.tensor(name) else {
            return Ok(None);
        };
        self.check(tensor, &[k, rows])?;
        let mut out = vec![0.0; rows * k];
        self.quant(tensor)?.dequantize(&tensor.data(), &mut out);
        Ok(Some(out))
    }

    fn part(
        &self,
        tensor: &Tensor,
        data: Bytes,
        rows: usize,
        k: usize,
        bias: Option<Vec<f32>>,
    ) -> Result<Linear> {
        let quant = self.quant(tensor)?;
        Matrix::new(quant, &data, rows, k)
            .map_err(|e| Error::Option(format!("{}: tensor {}: {e}", self.file(), tensor.name)))?;
        Ok(Linear { quant, data, rows, k, bias })
    }
}
