//! A model's tokens as grammars see them, and grammars compiled for them.

use std::fmt;
use std::sync::{Arc, Mutex};

use llguidance::api::{GrammarWithLexer, ParserLimits, TopLevelGrammar};
use llguidance::{Matcher, ParserFactory};
use serde_json::Value;
use toktrie::{
    ApproximateTokEnv, INVALID_TOKEN, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie,
};

use super::cache::Cache;
use super::schema;
use super::source::Source;
use crate::catch::catch;
use crate::engine::lock;
use crate::error::{Error, Result};

/// Longer tokens take no part: the trie's nodes have ten bits for the depth.
const LONGEST_TOKEN: usize = 1000;

/// Marks special tokens in the trie; not a byte of UTF-8.
const SPECIAL: u8 = TokTrie::SPECIAL_TOKEN_MARKER;

/// Tokens within a JSON string: where all of these may come, llguidance need not look at each. Every
/// further slice takes half as long to build as the trie itself, and gains little.
const SLICES: [&str; 2] = [r#"[^"\\\x00-\x1F\x7F]{1,30}"#, r#"[^"\\\x00-\x1F\x7F]+"#];

/// The stack for compiling: schemas may nest 128 deep, which takes some kilobytes for each level.
const STACK: usize = 32 << 20;

/// What a grammar may cost, for llguidance: some 30 MB for the states of its lexer, and some tens of
/// milliseconds for one mask. What costs more is an error.
fn limits() -> ParserLimits {
    ParserLimits { max_lexer_states: 30_000, verbose_errors: false, ..ParserLimits::default() }
}

/// What a token means.
#[derive(Clone, Copy, Debug)]
pub enum TokenText<'a> {
    /// These bytes of text.
    Text(&'a [u8]),
    /// Nothing within a text; grammars may ask for it by its number or its name.
    Special(&'a [u8]),
    /// It never comes.
    Unused,
}

/// A model's tokens, as a trie over their bytes. Cheap to clone.
///
/// Behind the tokens of the model the trie has one for each byte, so that a grammar can begin in the
/// middle of a token.
#[derive(Clone)]
pub struct Vocabulary(Arc<Inner>);

struct Inner {
    factory: ParserFactory,
    n_tokens: u32,
    ends: Vec<u32>,
    cache: Mutex<Cache>,
}

impl Vocabulary {
    /// Takes the tokens in the order of their ids; `ends` are those that end a generation. Takes some
    /// 0.7 µs for each token. Errors: an id that is none, or more tokens than the trie can have.
    pub fn new<'a>(
        tokens: impl ExactSizeIterator<Item = TokenText<'a>>,
        ends: &[u32],
    ) -> Result<Vocabulary> {
        let n_tokens = tokens.len() as u32;
        let mut words: Vec<Vec<u8>> = tokens.map(word).collect();
        for &id in ends {
            let word = words.get_mut(id as usize).ok_or(Error::UnknownToken {
                place: "the end of a generation".into(),
                id,
                n_vocab: n_tokens as usize,
            })?;
            if word.first() != Some(&SPECIAL) {
                word.insert(0, SPECIAL);
            }
        }
        words.extend((0..=u8::MAX).map(|byte| word(TokenText::Text(&[byte]))));
        let factory = catch("building the trie of tokens", || build(&words, ends))
            .and_then(|built| built)
            .map_err(Error::Failed)?;
        let ends = ends.to_vec();
        Ok(Vocabulary(Arc::new(Inner { factory, n_tokens, ends, cache: Mutex::default() })))
    }

    /// The number of tokens.
    pub fn len(&self) -> usize {
        self.0.n_tokens as usize
    }

    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Compiles a grammar, in some milliseconds unless it was compiled not long ago. The error says
    /// what cannot be understood, and where.
    pub fn compile(&self, source: &Source) -> Result<Grammar> {
        if let Some(grammar) = lock(&self.0.cache).get(source) {
            return Ok(grammar);
        }
        let (matcher, special) = on_large_stack(|| self.matcher(source))?;
        let compiled = Compiled { vocabulary: self.clone(), special, matcher: Mutex::new(matcher) };
        let grammar = Grammar(Arc::new(compiled));
        lock(&self.0.cache).put(source, &grammar);
        Ok(grammar)
    }

    /// A matcher at the beginning, and whether it may ask for special tokens.
    fn matcher(&self, source: &Source) -> Result<(Matcher, bool)> {
        let grammar = source.lower(self)?;
        let has_special = |part: &GrammarWithLexer| {
            part.lark_grammar.as_ref().is_some_and(|lark| lark.contains('<'))
        };
        let special = grammar.grammars.iter().any(has_special);
        let parser = self.0.factory.create_parser(grammar.clone()).map_err(|error| {
            let place = grammar.grammars.iter().find_map(|part| self.place_of_error(part));
            source.explained(&format!("{}{}", place.unwrap_or_default(), explained(&error)))
        })?;
        Ok((Matcher::new(Ok(parser)), special))
    }

    /// Where in a JSON schema the mistake is, if there is one.
    fn place_of_error(&self, grammar: &GrammarWithLexer) -> Option<String> {
        let refused = |schema: &Value| {
            let grammar = TopLevelGrammar::from_json_schema(schema::with_options(schema.clone()));
            self.0.factory.create_parser(grammar).err()
        };
        let schema = grammar.json_schema.as_ref()?;
        refused(schema)?;
        let place = schema::locate(schema, |part| refused(part).is_some());
        Some(format!("at {place}: "))
    }

    /// The tokens that end a generation.
    pub(super) fn ends(&self) -> &[u32] {
        &self.0.ends
    }

    /// The token that stands for a byte in the middle of a token.
    pub(super) fn byte(&self, byte: u8) -> u32 {
        self.0.n_tokens + u32::from(byte)
    }

    /// A token's part of the text; a special token's name.
    pub(super) fn text(&self, id: u32) -> &[u8] {
        if id >= self.0.n_tokens {
            return &[];
        }
        let word = self.trie().token(id);
        word.strip_prefix(&[SPECIAL]).unwrap_or(word)
    }

    /// The tokens that are a beginning of a text, or the special token that is all of it.
    pub(super) fn beginnings(&self, text: &[u8]) -> Vec<u32> {
        let special: Vec<u8> = [&[SPECIAL], text].concat();
        let mut ids = self.trie().all_prefixes(text);
        ids.extend(self.trie().token_id_at_bytes(&special));
        ids.retain(|&id| id < self.0.n_tokens);
        ids
    }

    /// The token with this text, special or not.
    pub(super) fn find(&self, text: &str) -> Option<u32> {
        let special = [&[SPECIAL], text.as_bytes()].concat();
        let trie = self.trie();
        let id = trie.token_id_at_bytes(&special).or_else(|| trie.token_id(text.as_bytes()));
        id.filter(|&id| id < self.0.n_tokens)
    }

    /// Cuts a text into tokens, the longest first, up to what has none.
    pub(super) fn cut(&self, text: &[u8]) -> Vec<u32> {
        let end = text.iter().position(|&byte| byte == SPECIAL).unwrap_or(text.len());
        let text = &text[..end];
        let mut ids = self.trie().greedy_tokenize(text);
        ids.truncate(ids.iter().position(|&id| id >= self.0.n_tokens).unwrap_or(ids.len()));
        ids
    }

    pub(super) fn trie(&self) -> &TokTrie {
        self.0.factory.tok_env().tok_trie()
    }
}

fn word(text: TokenText) -> Vec<u8> {
    match text {
        // No grammar, being of UTF-8, allows a text with this byte.
        TokenText::Text(text) if text.len() <= LONGEST_TOKEN && !text.contains(&SPECIAL) => {
            text.to_vec()
        }
        TokenText::Special(name) if name.len() < LONGEST_TOKEN => [&[SPECIAL], name].concat(),
        _ => Vec::new(),
    }
}

fn build(words: &[Vec<u8>], ends: &[u32]) -> std::result::Result<ParserFactory, String> {
    let end = ends.first().copied().unwrap_or(INVALID_TOKEN);
    let mut trie = TokTrie::from(&TokRxInfo::new(words.len() as u32, end), words);
    if !ends.is_empty() {
        trie = trie.with_eos_tokens(ends);
    }
    let env: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
    let slices = SLICES.map(str::to_owned);
    let mut factory = ParserFactory::new(&env, InferenceCapabilities::default(), &slices)
        .map_err(|error| format!("{error:#}"))?;
    factory.quiet();
    *factory.limits_mut() = limits();
    Ok(factory)
}

/// The error without what is only of use within llguidance.
fn explained(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    text.split("\n<").next().unwrap_or_default().trim().to_owned()
}

fn on_large_stack<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("farthing-grammar".into())
            .stack_size(STACK)
            .spawn_scoped(scope, || catch("compiling the grammar", work))
            .map_err(|error| Error::Failed(format!("no thread to compile the grammar: {error}")))?;
        match thread.join() {
            Ok(Ok(result)) => result,
            Ok(Err(message)) => Err(Error::Failed(message)),
            Err(_) => Err(Error::Failed("compiling the grammar panicked".into())),
        }
    })
}

/// A grammar compiled for a vocabulary. Cheap to clone.
#[derive(Clone)]
pub struct Grammar(Arc<Compiled>);

struct Compiled {
    vocabulary: Vocabulary,
    special: bool,
    /// At the beginning of a text.
    matcher: Mutex<Matcher>,
}

impl Grammar {
    /// The vocabulary that it was compiled for.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.0.vocabulary
    }

    /// Whether it may ask for special tokens.
    pub(super) fn has_special_tokens(&self) -> bool {
        self.0.special
    }

    /// A matcher at the beginning of a text. All of a grammar share what their lexers have found out.
    pub(super) fn begin(&self) -> Matcher {
        lock(&self.0.matcher).clone()
    }
}

impl fmt::Debug for Grammar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Grammar")
    }
}
