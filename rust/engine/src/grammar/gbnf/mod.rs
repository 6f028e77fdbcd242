//! GBNF, llama.cpp's notation, in llguidance's.
//!
//! GBNF is about characters, llguidance parses lexemes, which are as long as they can be. So as much
//! as can be becomes one lexeme: a rule that leads to itself cannot, all others are regular. Where a
//! lexeme might swallow the beginning of what follows it, its last part becomes single characters. What
//! llguidance then generates is always what the grammar says.

mod chars;
mod follow;
mod parse;

use std::fmt::Write;

use follow::{Ends, Follow};
use parse::{Item, Rules, parse};

use super::source::quoted;

/// The longest translation, in bytes.
const LONGEST: usize = 4 << 20;
/// Items of a regular rule with all it refers to written out.
const MOST_ITEMS: u64 = 200_000;

/// The same grammar in Lark's notation. `find` gives the token of a name such as `<think>`. The error
/// says where it is.
pub(super) fn to_lark(text: &str, find: &dyn Fn(&str) -> Option<u32>) -> Result<String, String> {
    let rules = parse(text, find)?;
    let regular = regular(&rules);
    check_size(&rules, &regular)?;
    let mut writer = Writer {
        terminals: vec![None; rules.bodies.len()],
        follow: Follow::new(&rules),
        rules: &rules,
        regular,
        lark: String::new(),
        n_names: 0,
    };
    let root = writer.part(&Item::Rule(rules.root), &Ends::default());
    let _ = writeln!(writer.lark, "start: {root}");
    for number in 0..rules.bodies.len() {
        writer.rule(number)?;
    }
    Ok(writer.lark)
}

/// Which rules describe what a regular expression can.
fn regular(rules: &Rules) -> Vec<bool> {
    // A rule is one when all it refers to are, so those of a circle never become so.
    let mut regular = vec![false; rules.bodies.len()];
    loop {
        let before = regular.clone();
        for (number, body) in rules.bodies.iter().enumerate() {
            regular[number] |= is_regular(body, &before);
        }
        if regular == before {
            return regular;
        }
    }
}

/// Regular rules are written out where they are referred to, so they can grow without bound.
fn check_size(rules: &Rules, regular: &[bool]) -> Result<(), String> {
    let mut sizes = vec![None; rules.bodies.len()];
    for number in (0..rules.bodies.len()).filter(|number| regular[*number]) {
        if rule_size(number, rules, &mut sizes) > MOST_ITEMS {
            return Err(format!("written out, a rule has more than {MOST_ITEMS} items"));
        }
    }
    Ok(())
}

/// The items of a regular rule. Its references form no circle, and are at most as deep as there are rules.
fn rule_size(number: usize, rules: &Rules, sizes: &mut [Option<u64>]) -> u64 {
    if let Some(size) = sizes[number] {
        return size;
    }
    let size = item_size(&rules.bodies[number], rules, sizes);
    sizes[number] = Some(size);
    size
}

fn item_size(item: &Item, rules: &Rules, sizes: &mut [Option<u64>]) -> u64 {
    match item {
        Item::Text(_) | Item::Chars(_) | Item::Token { .. } => 1,
        Item::Rule(number) => rule_size(*number, rules, sizes),
        Item::Sequence(items) | Item::Choice(items) => {
            items.iter().fold(1, |sum, item| item_size(item, rules, sizes).saturating_add(sum))
        }
        Item::Repeat(item, ..) => item_size(item, rules, sizes),
    }
}

fn is_regular(item: &Item, regular: &[bool]) -> bool {
    match item {
        Item::Text(_) | Item::Chars(_) => true,
        Item::Token { .. } => false,
        Item::Rule(number) => regular[*number],
        Item::Sequence(items) | Item::Choice(items) => {
            items.iter().all(|item| is_regular(item, regular))
        }
        Item::Repeat(item, ..) => is_regular(item, regular),
    }
}

struct Writer<'a> {
    rules: &'a Rules,
    regular: Vec<bool>,
    follow: Follow,
    /// The names of the terminals of regular rules, where they have been written.
    terminals: Vec<Option<String>>,
    lark: String,
    n_names: usize,
}

impl Writer<'_> {
    fn new_name(&mut self, prefix: &str) -> String {
        self.n_names += 1;
        format!("{prefix}{}", self.n_names)
    }

    fn is_regular(&self, item: &Item) -> bool {
        is_regular(item, &self.regular)
    }

    /// Writes a rule that is not regular.
    fn rule(&mut self, number: usize) -> Result<(), String> {
        if self.lark.len() > LONGEST {
            return Err(format!("it becomes longer than {LONGEST} bytes in Lark's notation"));
        }
        if !self.regular[number] {
            let rules = self.rules;
            let ends = self.follow.after_rule(number).clone();
            let body = self.part(&rules.bodies[number], &ends);
            let _ = writeln!(self.lark, "r{number}: {body}");
        }
        Ok(())
    }

    /// An item of a rule, which `ends` may follow.
    fn part(&mut self, item: &Item, ends: &Ends) -> String {
        match item {
            _ if self.is_regular(item) => self.sequence(std::slice::from_ref(item), ends),
            Item::Token { id, other: false } => format!("<[{id}]>"),
            Item::Token { id, other: true } => format!("<[^{id}]>"),
            Item::Rule(number) => format!("r{number}"),
            Item::Sequence(items) => self.sequence(items, ends),
            Item::Choice(choices) => {
                let parts: Vec<String> = choices.iter().map(|item| self.part(item, ends)).collect();
                self.group(&parts)
            }
            Item::Repeat(item, least, most) => {
                let ends = self.follow.within_repeat(item, *most, ends);
                let part = self.part(item, &ends);
                let group = self.group(&[part]);
                repeated(&group, *least, *most)
            }
            Item::Text(_) | Item::Chars(_) => String::new(),
        }
    }

    /// Choices as one name, so that nothing is nested.
    fn group(&mut self, parts: &[String]) -> String {
        if let [part] = parts
            && !part.contains(' ')
            && !part.is_empty()
        {
            return part.clone();
        }
        let name = self.new_name("g");
        let _ = writeln!(self.lark, "{name}: {}", parts.join(" | "));
        name
    }

    /// Neighbours that are regular together become one terminal.
    fn sequence(&mut self, items: &[Item], ends: &Ends) -> String {
        let mut parts = Vec::new();
        let mut rest = items;
        while let Some(first) = rest.first() {
            let n = rest.iter().take_while(|item| self.is_regular(item)).count();
            let (these, others) = rest.split_at(n.max(1));
            let after = self.follow.before(others, ends);
            if n > 0 {
                self.lexemes(these.to_vec(), after, &mut parts);
            } else {
                parts.push(self.part(first, &after));
            }
            rest = others;
        }
        parts.retain(|part| !part.is_empty());
        parts.join(" ")
    }

    /// Regular items as one terminal, if it cannot swallow what follows; else its end as others.
    fn lexemes(&mut self, mut items: Vec<Item>, mut after: Ends, parts: &mut Vec<String>) {
        let mut last = Vec::new();
        while let Some(item) = items.pop() {
            let together: Vec<Item> = items.iter().chain([&item]).cloned().collect();
            if !self.follow.swallows(&together, &after) {
                parts.push(self.terminal(&Item::Sequence(together)));
                break;
            }
            match self.opened(&item) {
                Some(inner) => items.extend(inner),
                None => {
                    last.push(self.single(&item));
                    after = self.follow.before(std::slice::from_ref(&item), &after);
                }
            }
        }
        parts.extend(last.into_iter().rev());
    }

    /// The items that an item stands for, if there is only one choice.
    fn opened(&self, item: &Item) -> Option<Vec<Item>> {
        match item {
            Item::Rule(number) => self.opened(&self.rules.bodies[*number]),
            Item::Choice(choices) if choices.len() == 1 => Some(choices.clone()),
            Item::Sequence(items) => Some(items.clone()),
            _ => None,
        }
    }

    /// A regular item as single characters and texts.
    fn single(&mut self, item: &Item) -> String {
        match item {
            Item::Text(text) => quoted(text),
            Item::Chars(chars) => chars.regex(),
            Item::Rule(number) => {
                let rules = self.rules;
                self.single(&rules.bodies[*number])
            }
            Item::Sequence(items) => {
                let parts: Vec<String> = items.iter().map(|item| self.single(item)).collect();
                parts.join(" ")
            }
            Item::Choice(choices) => {
                let parts: Vec<String> = choices.iter().map(|item| self.single(item)).collect();
                self.group(&parts)
            }
            Item::Repeat(item, least, most) => {
                let part = self.single(item);
                let group = self.group(&[part]);
                repeated(&group, *least, *most)
            }
            Item::Token { .. } => String::new(),
        }
    }

    /// The name of a terminal for a regular item.
    fn terminal(&mut self, item: &Item) -> String {
        if let Item::Rule(number) = item {
            if let Some(name) = &self.terminals[*number] {
                return name.clone();
            }
            let rules = self.rules;
            let name = self.terminal(&rules.bodies[*number]);
            self.terminals[*number] = Some(name.clone());
            return name;
        }
        let text = match item {
            Item::Text(text) => return quoted(text),
            Item::Chars(chars) if chars.is_empty() => "/[^\\x{0}-\\x{10ffff}]/".into(),
            Item::Chars(chars) => return chars.regex(),
            Item::Sequence(items) if items.len() == 1 => return self.terminal(&items[0]),
            Item::Choice(choices) if choices.len() == 1 => return self.terminal(&choices[0]),
            Item::Sequence(items) => {
                let parts: Vec<String> = items.iter().map(|item| self.terminal(item)).collect();
                parts.join(" ")
            }
            Item::Choice(choices) => {
                let parts: Vec<String> = choices.iter().map(|item| self.terminal(item)).collect();
                parts.join(" | ")
            }
            Item::Repeat(item, least, most) => repeated(&self.terminal(item), *least, *most),
            Item::Rule(_) | Item::Token { .. } => String::new(),
        };
        let name = self.new_name("T");
        let text = if text.is_empty() { "\"\"" } else { &text };
        let _ = writeln!(self.lark, "{name}: {text}");
        name
    }
}

fn repeated(part: &str, least: u32, most: Option<u32>) -> String {
    match (least, most) {
        (0, None) => format!("{part}*"),
        (1, None) => format!("{part}+"),
        (0, Some(1)) => format!("{part}?"),
        (least, None) => format!("{part}{{{least},}}"),
        (least, Some(most)) => format!("{part}{{{least},{most}}}"),
    }
}

#[cfg(test)]
mod tests;
