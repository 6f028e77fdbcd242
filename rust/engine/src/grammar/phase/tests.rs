use super::*;
use crate::grammar::constraint::Trigger;
use crate::grammar::{Grammar, Source, TokenText, Vocabulary};

/// Its first three are special.
const TEXTS: [&str; 24] = [
    "<end>",
    "<tool>",
    "<think>",
    "</think>",
    "<",
    "call",
    ">",
    "<call",
    ">{",
    "{",
    "}",
    "a",
    "b",
    " ",
    "\n",
    "\n\n",
    "x<call>",
    "{a",
    "ll>",
    "<ca",
    "</think",
    "</think>{",
    "<think>a",
    "c",
];
const END: u32 = 0;

fn vocabulary() -> Vocabulary {
    let special = 2;
    let texts: Vec<TokenText<'_>> = TEXTS
        .iter()
        .enumerate()
        .map(|(id, text)| match id < special {
            true => TokenText::Special(text.as_bytes()),
            false => TokenText::Text(text.as_bytes()),
        })
        .collect();
    Vocabulary::new(texts.into_iter(), &[END]).expect("a vocabulary")
}

fn id(text: &str) -> u32 {
    TEXTS.iter().position(|other| *other == text).unwrap_or_else(|| panic!("no {text:?}")) as u32
}

/// A grammar of `{`, some `a` and `}`, perhaps with texts before.
fn braces(before: &str) -> Grammar {
    let source = Source::Regex(format!("{before}\\{{a*\\}}"));
    vocabulary().compile(&source).expect("a grammar")
}

fn trigger(text: &str) -> Trigger {
    Trigger { text: text.into(), first: false, after: true }
}

fn thinking(begin: Option<&str>) -> Option<Thinking> {
    Some(Thinking { begin: begin.map(str::to_owned), end: "</think>".into() })
}

/// The state after these tokens, each of which its mask allows, and whether something may follow.
fn after(constraint: Constraint, texts: &[&str]) -> (State, bool) {
    let mut state = State::new(constraint);
    let mut open = true;
    for text in texts {
        assert!(open, "nothing may follow, but {text:?} comes");
        assert!(allows(&mut state, text), "{text:?} of {texts:?} is forbidden");
        open = !state.accept(id(text)).expect("it is allowed");
    }
    (state, open)
}

fn allows(state: &mut State, text: &str) -> bool {
    let mut logits = vec![1.0; TEXTS.len()];
    state.mask().expect("a mask").apply(&mut logits);
    logits[id(text) as usize] == 1.0
}

/// All that may come next.
fn allowed(state: &mut State) -> Vec<&'static str> {
    TEXTS.into_iter().filter(|text| allows(state, text)).collect()
}

#[test]
fn without_thinking_and_triggers_the_grammar_begins_at_once() {
    let constraint = Constraint::whole(braces(""));
    let (mut state, _) = after(constraint.clone(), &[]);
    assert_eq!(allowed(&mut state), ["{", "{a"]);
    assert!(!state.is_free());
    let (_, open) = after(constraint, &["{a", "a", "}"]);
    assert!(!open);
}

#[test]
fn a_trigger_may_be_cut_into_tokens_in_any_way() {
    let waits = Constraint { triggers: vec![trigger("<call>")], ..Constraint::whole(braces("")) };
    for texts in [&["a", "<", "call", ">"][..], &["<call", ">"], &["<ca", "ll>"], &["b", "x<call>"]]
    {
        let (mut state, _) = after(waits.clone(), texts);
        assert_eq!(allowed(&mut state), ["{", "{a"], "{texts:?}");
    }
    // What a token holds behind the trigger belongs to the grammar.
    let (mut state, _) = after(waits.clone(), &["<call", ">{"]);
    assert_eq!(allowed(&mut state), ["}", "a"]);
    let (mut free, _) = after(waits, &["<", "call", "a", ">"]);
    assert!(free.is_free() && allowed(&mut free).len() == TEXTS.len());
}

#[test]
fn a_trigger_with_which_the_grammar_begins_is_a_part_of_it() {
    let with = Trigger { after: false, ..trigger("<call>") };
    let waits = Constraint { triggers: vec![with], ..Constraint::whole(braces("<call>")) };
    let (mut state, _) = after(waits.clone(), &["b", "x<call>"]);
    assert_eq!(allowed(&mut state), ["{", "{a"]);
    // What follows in the same token is none of the grammar's, so this was no beginning.
    let refused = Constraint { grammar: braces("<call>b"), ..waits };
    let (mut state, _) = after(refused, &["<call", ">{"]);
    assert_eq!(allowed(&mut state).len(), TEXTS.len());
}

#[test]
fn special_tokens_are_triggers_by_their_texts() {
    let waits = Constraint { triggers: vec![trigger("<tool>")], ..Constraint::whole(braces("")) };
    let (mut state, _) = after(waits, &["a", "<tool>"]);
    assert_eq!(allowed(&mut state), ["{", "{a"]);
}

#[test]
fn a_trigger_for_the_beginning_counts_only_there() {
    let first = Trigger { first: true, ..trigger("<call>") };
    let waits = Constraint { triggers: vec![first], ..Constraint::whole(braces("")) };
    let (mut state, _) = after(waits.clone(), &["\n", " ", "<call", ">"]);
    assert_eq!(allowed(&mut state), ["{", "{a"]);
    for texts in
        [&["a", "<call", ">"][..], &["x<call>"], &["a", "\n\n", "\n\n", "\n\n", "<call", ">"]]
    {
        let (mut state, _) = after(waits.clone(), texts);
        assert_eq!(allowed(&mut state).len(), TEXTS.len(), "{texts:?}");
    }
}

#[test]
fn triggers_within_reasoning_do_not_count() {
    for begin in [None, Some("<think>")] {
        let waits = Constraint {
            thinking: thinking(begin),
            triggers: vec![trigger("<call>")],
            ..Constraint::whole(braces(""))
        };
        let opening: &[&str] = if begin.is_some() { &["<think>"] } else { &[] };
        let (mut state, _) = after(waits.clone(), &[opening, &["a", "<call", ">"]].concat());
        assert_eq!(allowed(&mut state).len(), TEXTS.len(), "{begin:?}");
        let (mut state, _) =
            after(waits, &[opening, &["a", "<call", ">", "</think", ">", "b", "x<call>"]].concat());
        assert_eq!(allowed(&mut state), ["{", "{a"], "{begin:?}");
    }
}

#[test]
fn reasoning_that_may_come_leaves_triggers_where_it_does_not() {
    let waits = Constraint {
        thinking: thinking(Some("<think>")),
        triggers: vec![trigger("<call>")],
        ..Constraint::whole(braces(""))
    };
    // The beginning of a marker that is none, and text that is more than the marker.
    for texts in [&["<", "a", "x<call>"][..], &["<call", ">"], &["b", "x<call>"]] {
        let (mut state, _) = after(waits.clone(), texts);
        assert_eq!(allowed(&mut state), ["{", "{a"], "{texts:?}");
    }
    let (mut state, _) = after(waits, &["<think>a", "x<call>"]);
    assert_eq!(allowed(&mut state).len(), TEXTS.len());
}

#[test]
fn the_grammar_follows_reasoning() {
    let constraint = Constraint { thinking: thinking(None), ..Constraint::whole(braces("")) };
    let (mut state, _) = after(constraint.clone(), &["a", "<call", ">"]);
    let free = allowed(&mut state);
    assert_eq!(free.len(), TEXTS.len() - 1, "the answer cannot end within reasoning");
    assert!(!free.contains(&"<end>"));
    for texts in [&["</think>"][..], &["a", "</think", ">"]] {
        let (mut state, _) = after(constraint.clone(), texts);
        assert_eq!(allowed(&mut state), ["{", "\n", "\n\n", "{a"], "{texts:?}");
        state.accept(id("\n\n")).expect("a gap");
        assert_eq!(allowed(&mut state), ["{", "{a"]);
    }
    let (mut state, _) = after(constraint.clone(), &["a", "</think>{"]);
    assert_eq!(allowed(&mut state), ["}", "a"]);
    let (_, open) = after(constraint, &["</think>", "{a", "}"]);
    assert!(!open);
}

#[test]
fn reasoning_is_begun_or_left_out() {
    let constraint =
        Constraint { thinking: thinking(Some("<think>")), ..Constraint::whole(braces("")) };
    let (mut state, _) = after(constraint.clone(), &[]);
    assert_eq!(allowed(&mut state), ["<think>", "<", "{", "{a"]);
    let (_, open) = after(constraint.clone(), &["{a", "}"]);
    assert!(!open);
    let (mut state, _) = after(constraint.clone(), &["<think>", "b", "</think>", "{"]);
    assert_eq!(allowed(&mut state), ["}", "a"]);
    // A marker in pieces: once begun, only its rest may come.
    let (mut state, _) = after(constraint, &["<"]);
    assert!(allowed(&mut state).is_empty(), "no token of the vocabulary goes on");
}

#[test]
fn forced_text_and_drafts_are_known_only_within_the_grammar() {
    let fixed = vocabulary().compile(&Source::Choices(vec!["{ab".into()])).expect("a grammar");
    let mut state = State::new(Constraint::whole(fixed.clone()));
    assert_eq!(state.forced(), [id("{a"), id("b")]);
    assert_eq!(state.allowed(&[id("{"), id("a"), id("x<call>")]), Ok(2));
    let waits = Constraint { triggers: vec![trigger("<call>")], ..Constraint::whole(fixed) };
    let mut state = State::new(waits);
    assert!(state.forced().is_empty());
    assert_eq!(state.allowed(&[id("x<call>"), id("b")]), Ok(2));
}
