//! What is made of a sequence's pooled vectors: an embedding or the scores of a classifier.

use farthing_kernels::activation::{Activation, activate};
use farthing_kernels::norm::Norm;
use farthing_kernels::{Activations, Team};

use crate::abilities::Pooling;
use crate::description::Description;
use crate::error::Result;
use crate::params::Params;
use crate::weights::{Linear, Weights, linear};

/// What a head is.
#[derive(Clone, Copy, Debug)]
pub struct HeadShape {
    /// How vectors are pooled unless something else is asked for.
    pub pooling: Pooling,
    /// How they are pooled for the classifier, if it is not the first token's vector, or the last one's
    /// where tokens do not see later ones.
    pub classified: Option<Pooling>,
    /// The function inside of the classifier; `None` is the hyperbolic tangent.
    pub activation: Option<Activation>,
    /// Whether its scores become probabilities.
    pub softmax: bool,
}

/// The value of a key that may be missing.
fn pooling(params: &Params, key: &str) -> Result<Option<Pooling>> {
    let Some(number) = params.opt::<u32>(key)? else {
        return Ok(None);
    };
    match Pooling::ALL.get(number as usize) {
        Some(&pooling) => Ok(Some(pooling)),
        None => Err(params.wrong(key, number, "at most 4")),
    }
}

impl HeadShape {
    /// What `pooling_type`, the mean by default, and `classifier.pooling_type` say.
    pub fn new(params: &Params) -> Result<HeadShape> {
        let classified = pooling(params, "classifier.pooling_type")?;
        if let Some(pooling @ (Pooling::None | Pooling::Rank)) = classified {
            return Err(params.wrong("classifier.pooling_type", pooling as u32, "1, 2 or 3"));
        }
        Ok(HeadShape {
            pooling: pooling(params, "pooling_type")?.unwrap_or(Pooling::Mean),
            classified,
            activation: None,
            softmax: false,
        })
    }
}

/// The weights.
pub struct Head {
    shape: HeadShape,
    classified: Pooling,
    /// Of embeddings, one after the other.
    projections: Vec<Linear>,
    classifier: Option<Classifier>,
    /// Of embeddings.
    width: usize,
    x: Activations,
}

/// `output(norm(f(hidden(x))))`, of which the parts that are there.
struct Classifier {
    hidden: Option<Linear>,
    norm: Option<Norm>,
    output: Option<Linear>,
}

impl Head {
    /// `dense_2`, `dense_3`, `cls`, `cls.norm` and `cls.output`, as far as they are in the file, for
    /// vectors of the decoder's width.
    pub fn load(weights: &Weights, about: &Description) -> Result<Head> {
        let (d, shape) = (about.d, about.head);
        let matrix = |name: &str, k: usize| -> Result<Option<Linear>> {
            let tensor = format!("{name}.weight");
            if !weights.has(&tensor) {
                return Ok(None);
            }
            let rows = weights.shape(&tensor)?.get(1).copied().unwrap_or(1);
            weights.linear(name, rows, k).map(Some)
        };
        let mut projections = Vec::new();
        let mut width = d;
        for name in ["dense_2", "dense_3"] {
            if let Some(projection) = matrix(name, width)? {
                width = projection.rows();
                projections.push(projection);
            }
        }
        let hidden = matrix("cls", d)?;
        let inner = hidden.as_ref().map_or(d, Linear::rows);
        let has_norm = hidden.is_some() && weights.has("cls.norm.weight");
        let output = matrix("cls.output", inner)?;
        let classifier = if hidden.is_some() || output.is_some() {
            let norm = has_norm.then(|| weights.norm("cls.norm", inner, about.norm)).transpose()?;
            Some(Classifier { hidden, norm, output })
        } else {
            None
        };
        let usual = if about.looks_ahead() { Pooling::Cls } else { Pooling::Last };
        let classified = shape.classified.unwrap_or(usual);
        Ok(Head { shape, classified, projections, classifier, width, x: Activations::default() })
    }

    /// The width of an embedding.
    pub fn width(&self) -> usize {
        self.width
    }

    /// How vectors are pooled unless something else is asked for.
    pub fn pooling(&self) -> Pooling {
        self.shape.pooling
    }

    /// How they are pooled for the classifier, if there is one.
    pub fn classified(&self) -> Option<Pooling> {
        self.classifier.is_some().then_some(self.classified)
    }

    /// Makes embeddings of the pooled vectors of some sequences, `[n][d]`.
    pub fn embed(&mut self, team: &Team, n: usize, vectors: &mut Vec<f32>) {
        for projection in &self.projections {
            product(team, projection, &mut self.x, n, vectors);
        }
    }

    /// Makes scores of the pooled vectors of some sequences, `[n][d]`.
    pub fn classify(&mut self, team: &Team, n: usize, vectors: &mut Vec<f32>) {
        let Some(Classifier { hidden, norm, output }) = &self.classifier else {
            return;
        };
        if let Some(hidden) = hidden {
            product(team, hidden, &mut self.x, n, vectors);
            match self.shape.activation {
                Some(f) => activate(team, f, vectors),
                None => vectors.iter_mut().for_each(|x| *x = x.tanh()),
            }
            if let Some(norm) = norm {
                norm.apply_in_place(team, vectors);
            }
        }
        if let Some(output) = output {
            product(team, output, &mut self.x, n, vectors);
        }
        if self.shape.softmax {
            let width = vectors.len() / n;
            vectors.chunks_exact_mut(width).for_each(softmax);
        }
    }
}

/// `n` rows become their products.
fn product(team: &Team, matrix: &Linear, x: &mut Activations, n: usize, rows: &mut Vec<f32>) {
    x.reset(n, rows.len() / n).copy_from_slice(rows);
    rows.resize(n * matrix.rows(), 0.0);
    linear(team, x, &mut [(matrix, rows)]);
}

/// Logits become probabilities.
fn softmax(row: &mut [f32]) {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    row.iter_mut().for_each(|x| *x = (*x - most).exp());
    let sum: f32 = row.iter().sum();
    row.iter_mut().for_each(|x| *x /= sum);
}
