//! What a grammar is written in.

use llguidance::api::{GrammarWithLexer, TopLevelGrammar};
use serde_json::{Value, json};

use super::vocabulary::Vocabulary;
use super::{gbnf, schema};
use crate::error::{Error, Result};

/// The longest source, in bytes.
const LONGEST: usize = 1 << 20;

/// A grammar as the caller wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// JSON that a schema, given as JSON text, allows.
    JsonSchema(String),
    /// Any JSON object.
    JsonObject,
    /// Text that all of a regular expression matches, in the syntax of Rust's crate `regex`.
    Regex(String),
    /// One of these texts.
    Choices(Vec<String>),
    /// GBNF, llama.cpp's notation, with a rule `root`.
    Gbnf(String),
    /// Lark's notation as llguidance understands it. It may refer to `schemas` by their names, `@name`,
    /// and to `texts` as terminals.
    Lark {
        /// The grammar, with a rule `start`.
        text: String,
        /// Names, and JSON schemas as text.
        schemas: Vec<(String, String)>,
        /// Names in capital letters, JSON schemas of strings, which are the text as it is, and what
        /// they must not contain, if anything.
        texts: Vec<(String, String, String)>,
    },
}

impl Source {
    /// Which of the ways it is, as in the options of a request.
    fn kind(&self) -> &'static str {
        match self {
            Source::JsonSchema(_) | Source::JsonObject => "json_schema",
            Source::Regex(_) => "regex",
            Source::Choices(_) => "choices",
            Source::Gbnf(_) => "grammar",
            Source::Lark { .. } => "lark",
        }
    }

    /// An error in this source.
    pub(super) fn error(&self, message: impl Into<String>) -> Error {
        Error::Grammar { kind: self.kind(), message: message.into() }
    }

    /// An error of llguidance's, which speaks of the Lark grammar that the source became.
    pub(super) fn explained(&self, message: &str) -> Error {
        match self {
            Source::Regex(regex) => {
                let reason = message.rsplit("error: ").next().and_then(|rest| rest.lines().next());
                self.error(format!("{}, in {regex:?}", reason.unwrap_or(message)))
            }
            // A place in the translation is none of the caller's.
            Source::Gbnf(_) => self.error(message.lines().next().unwrap_or(message)),
            _ => self.error(message),
        }
    }

    fn len(&self) -> usize {
        match self {
            Source::JsonObject => 0,
            Source::JsonSchema(text) | Source::Regex(text) | Source::Gbnf(text) => text.len(),
            Source::Choices(choices) => choices.iter().map(String::len).sum(),
            Source::Lark { text, schemas, texts } => {
                let schemas = schemas.iter().map(|(_, schema)| schema.len());
                let texts = texts.iter().map(|(_, schema, without)| schema.len() + without.len());
                text.len() + schemas.chain(texts).sum::<usize>()
            }
        }
    }

    /// The same for llguidance.
    pub(super) fn lower(&self, vocabulary: &Vocabulary) -> Result<TopLevelGrammar> {
        if self.len() > LONGEST {
            let message = format!("it has {} bytes; at most {LONGEST} are allowed", self.len());
            return Err(self.error(message));
        }
        match self {
            Source::JsonObject => Ok(json_grammar(json!({"type": "object"}))),
            Source::JsonSchema(text) => Ok(json_grammar(self.schema(text)?)),
            Source::Regex(regex) => self.regex(regex),
            Source::Choices(choices) => self.choices(choices),
            Source::Gbnf(text) => {
                let lark = gbnf::to_lark(text, &|name| vocabulary.find(name));
                Ok(TopLevelGrammar::from_lark(lark.map_err(|message| self.error(message))?))
            }
            Source::Lark { text, schemas, texts } => {
                let mut lark = text.clone();
                for (name, schema, without) in texts {
                    let schema = self.json(schema)?;
                    let text = schema::text(&schema, without);
                    let text = text.map_err(|message| self.error(message))?;
                    lark.extend(["\n", name, ": ", &text]);
                }
                let mut grammar = TopLevelGrammar::from_lark(lark);
                for (name, schema) in schemas {
                    let schema = schema::with_options(self.schema(schema)?);
                    grammar.grammars.push(GrammarWithLexer {
                        name: Some(name.clone()),
                        ..GrammarWithLexer::from_json_schema(schema)
                    });
                }
                Ok(grammar)
            }
        }
    }

    fn json(&self, text: &str) -> Result<Value> {
        serde_json::from_str(text)
            .map_err(|error| self.error(format!("it is not valid JSON: {error}")))
    }

    fn schema(&self, text: &str) -> Result<Value> {
        schema::prepared(self.json(text)?).map_err(|message| self.error(message))
    }

    fn regex(&self, regex: &str) -> Result<TopLevelGrammar> {
        // All of the text is matched anyway.
        let inner = regex.strip_prefix('^').unwrap_or(regex);
        let escapes =
            inner.strip_suffix('$').map(|rest| rest.len() - rest.trim_end_matches('\\').len());
        let inner = match escapes {
            Some(n) if n % 2 == 0 => &inner[..inner.len() - 1],
            _ => inner,
        };
        if inner.is_empty() {
            return Err(self.error("it is empty"));
        }
        Ok(TopLevelGrammar::from_regex(inner))
    }

    fn choices(&self, choices: &[String]) -> Result<TopLevelGrammar> {
        if choices.is_empty() {
            return Err(self.error("there are none"));
        }
        if let Some(place) = choices.iter().position(String::is_empty) {
            return Err(self.error(format!("[{place}] is empty")));
        }
        let quoted: Vec<String> = choices.iter().map(|choice| quoted(choice)).collect();
        let lark = format!("start: CHOICE\nCHOICE: {}\n", quoted.join(" | "));
        Ok(TopLevelGrammar::from_lark(lark))
    }
}

fn json_grammar(schema: Value) -> TopLevelGrammar {
    TopLevelGrammar::from_json_schema(schema::with_options(schema))
}

/// A text as a string of Lark's.
pub(super) fn quoted(text: &str) -> String {
    json!(text).to_string().replace('\u{7f}', "\\u007f")
}
