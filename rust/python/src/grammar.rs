//! `Vocabulary`, `Grammar` and `Constraint`: constrained output.

use farthing_engine::{Constraint, Grammar, Source, Thinking, TokenText, Trigger, Vocabulary};
use pyo3::prelude::*;

use crate::error::detached;
use crate::token_bytes::PyTokenBytes;

/// The tokens of a model as grammars need them.
#[pyclass(frozen, name = "Vocabulary", module = "farthing._native")]
pub struct PyVocabulary {
    vocabulary: Vocabulary,
}

#[pymethods]
impl PyVocabulary {
    /// Takes what each token means, the ids of special tokens, of those that never come, and of those
    /// that end a generation.
    #[new]
    #[pyo3(signature = (tokens, *, special, unused, ends))]
    fn new(
        py: Python<'_>,
        tokens: &PyTokenBytes,
        special: Vec<u32>,
        unused: Vec<u32>,
        ends: Vec<u32>,
    ) -> PyResult<PyVocabulary> {
        let vocabulary = detached(py, || {
            let bytes: Vec<_> = (0..tokens.len()).map(|id| tokens.bytes(id)).collect();
            let mut texts: Vec<TokenText<'_>> = bytes
                .iter()
                .map(|bytes| bytes.as_deref().map_or(TokenText::Unused, TokenText::Text))
                .collect();
            let named = |&id: &u32| (id, tokens.raw(id as usize).map(TokenText::Special));
            let others = special.iter().map(named);
            for (id, text) in others.chain(unused.iter().map(|&id| (id, None))) {
                if let Some(place) = texts.get_mut(id as usize) {
                    *place = text.unwrap_or(TokenText::Unused);
                }
            }
            Vocabulary::new(texts.into_iter(), &ends)
        })?;
        Ok(PyVocabulary { vocabulary })
    }

    /// JSON by a schema, given as JSON text. Raises `RequestError`, as do the others.
    fn json_schema(&self, py: Python<'_>, schema: String) -> PyResult<PyGrammar> {
        self.compile(py, Source::JsonSchema(schema))
    }

    /// Any JSON object.
    fn json_object(&self, py: Python<'_>) -> PyResult<PyGrammar> {
        self.compile(py, Source::JsonObject)
    }

    /// Text that all of a regular expression matches.
    fn regex(&self, py: Python<'_>, pattern: String) -> PyResult<PyGrammar> {
        self.compile(py, Source::Regex(pattern))
    }

    /// One of some texts.
    fn choices(&self, py: Python<'_>, texts: Vec<String>) -> PyResult<PyGrammar> {
        self.compile(py, Source::Choices(texts))
    }

    /// A grammar in GBNF.
    fn gbnf(&self, py: Python<'_>, text: String) -> PyResult<PyGrammar> {
        self.compile(py, Source::Gbnf(text))
    }

    /// A grammar in Lark's notation, which may refer to JSON schemas by `@name`, and by `NAME` to texts
    /// of strings: names, their schemas, and what they must not contain.
    #[pyo3(signature = (text, schemas=None, texts=None))]
    fn lark(
        &self,
        py: Python<'_>,
        text: String,
        schemas: Option<Vec<(String, String)>>,
        texts: Option<Vec<(String, String, String)>>,
    ) -> PyResult<PyGrammar> {
        let schemas = schemas.unwrap_or_default();
        self.compile(py, Source::Lark { text, schemas, texts: texts.unwrap_or_default() })
    }
}

impl PyVocabulary {
    fn compile(&self, py: Python<'_>, source: Source) -> PyResult<PyGrammar> {
        let grammar = detached(py, || self.vocabulary.compile(&source))?;
        Ok(PyGrammar { grammar })
    }
}

/// A compiled grammar; for requests to models with its vocabulary.
#[pyclass(frozen, name = "Grammar", module = "farthing._native")]
pub struct PyGrammar {
    grammar: Grammar,
}

/// A grammar, and where in an answer it begins.
#[pyclass(frozen, name = "Constraint", module = "farthing._native")]
pub struct PyConstraint {
    /// The same for the engine.
    pub constraint: Constraint,
}

#[pymethods]
impl PyConstraint {
    /// `thinking` are the texts that begin and end reasoning, `None` for the first if it has begun.
    /// `triggers` are texts at which the grammar begins, whether each counts only at the beginning of
    /// the answer, and whether the grammar begins after it; without any it begins at once, or after
    /// reasoning.
    #[new]
    #[pyo3(signature = (grammar, *, thinking=None, triggers=None))]
    fn new(
        grammar: &PyGrammar,
        thinking: Option<(Option<String>, String)>,
        triggers: Option<Vec<(String, bool, bool)>>,
    ) -> PyConstraint {
        let thinking = thinking.map(|(begin, end)| Thinking { begin, end });
        let triggers = triggers
            .into_iter()
            .flatten()
            .map(|(text, first, after)| Trigger { text, first, after })
            .collect();
        let grammar = grammar.grammar.clone();
        PyConstraint { constraint: Constraint { grammar, thinking, triggers } }
    }
}
