//! Reading GBNF: llama.cpp's notation, see its `grammars/README.md`.

use std::collections::HashMap;

use super::chars::Chars;

/// Groups within groups.
const DEEPEST: usize = 100;
/// Rules that a grammar may have.
const MOST_RULES: usize = 2000;

/// What a grammar says.
pub(super) struct Rules {
    /// Alternatives of each rule.
    pub bodies: Vec<Item>,
    /// The number of the rule `root`.
    pub root: usize,
}

/// A part of a rule.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Text(String),
    Chars(Chars),
    /// A token, or any other than it.
    Token {
        id: u32,
        other: bool,
    },
    Rule(usize),
    Sequence(Vec<Item>),
    Choice(Vec<Item>),
    Repeat(Box<Item>, u32, Option<u32>),
}

/// Reads a grammar. `find` gives the token of a name such as `<think>`. The error says where it is.
pub(super) fn parse(text: &str, find: &dyn Fn(&str) -> Option<u32>) -> Result<Rules, String> {
    let mut parser =
        Parser { text, place: 0, find, names: HashMap::new(), bodies: Vec::new(), depth: 0 };
    parser.rules().map_err(|message| parser.located(&message, parser.place))?;
    let undefined = parser.names.iter().filter(|(_, rule)| parser.bodies[rule.number].is_none());
    if let Some((name, rule)) = undefined.min_by_key(|(_, rule)| rule.place) {
        return Err(parser.located(&format!("there is no rule {name:?}"), rule.place));
    }
    let root = parser.names.get("root").ok_or("there is no rule \"root\"")?.number;
    Ok(Rules { bodies: parser.bodies.into_iter().flatten().collect(), root })
}

struct Parser<'a> {
    text: &'a str,
    place: usize,
    find: &'a dyn Fn(&str) -> Option<u32>,
    names: HashMap<&'a str, Name>,
    /// Those defined so far.
    bodies: Vec<Option<Item>>,
    depth: usize,
}

struct Name {
    number: usize,
    /// Where it first occurs.
    place: usize,
}

type Parsed<T> = Result<T, String>;

impl<'a> Parser<'a> {
    fn located(&self, message: &str, place: usize) -> String {
        let before = &self.text[..place];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("line {line}, column {column}: {message}")
    }

    fn rest(&self) -> &'a str {
        &self.text[self.place..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, wanted: &str) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.place += wanted.len();
        }
        found
    }

    fn expect(&mut self, wanted: &str) -> Parsed<()> {
        if self.take(wanted) { Ok(()) } else { Err(format!("expected {wanted:?}")) }
    }

    fn next(&mut self) -> Parsed<char> {
        let next = self.peek().ok_or("the text ends too early")?;
        self.place += next.len_utf8();
        Ok(next)
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.place += end;
        &rest[..end]
    }

    /// White space and comments; `lines` says whether a line may end here.
    fn space(&mut self, lines: bool) {
        loop {
            let taken =
                self.take_while(|c| c == ' ' || c == '\t' || lines && (c == '\r' || c == '\n'));
            let comment = self.rest().starts_with('#');
            if comment {
                self.take_while(|c| c != '\r' && c != '\n');
            }
            if taken.is_empty() && !comment {
                return;
            }
        }
    }

    fn name(&mut self) -> Parsed<usize> {
        let place = self.place;
        let name = self.take_while(is_of_name);
        if name.is_empty() {
            return Err("expected a name".into());
        }
        let number = self.names.len();
        let rule = self.names.entry(name).or_insert(Name { number, place });
        if rule.number == self.bodies.len() {
            self.bodies.push(None);
        }
        if rule.number >= MOST_RULES {
            return Err(format!("there are more than {MOST_RULES} rules"));
        }
        Ok(rule.number)
    }

    fn rules(&mut self) -> Parsed<()> {
        self.space(true);
        while self.peek().is_some() {
            let number = self.name()?;
            self.space(false);
            self.expect("::=")?;
            self.space(true);
            let body = self.choice(false)?;
            // Of two rules with one name the last counts, as in llama.cpp.
            self.bodies[number] = Some(body);
            if !matches!(self.peek(), None | Some('\r' | '\n')) {
                return Err("expected the end of the line".into());
            }
            self.space(true);
        }
        Ok(())
    }

    fn choice(&mut self, nested: bool) -> Parsed<Item> {
        let mut choices = vec![self.sequence(nested)?];
        while self.take("|") {
            self.space(true);
            choices.push(self.sequence(nested)?);
        }
        Ok(Item::Choice(choices))
    }

    fn sequence(&mut self, nested: bool) -> Parsed<Item> {
        let mut items = Vec::new();
        while let Some(next) = self.peek() {
            if matches!(next, '*' | '+' | '?' | '{') {
                let (least, most) = self.repetition(nested)?;
                let item: Item = items.pop().ok_or(format!("there is nothing before {next:?}"))?;
                items.push(Item::Repeat(Box::new(item), least, most));
            } else if let Some(item) = self.item(next)? {
                items.push(item);
            } else {
                break;
            }
            self.space(nested);
        }
        Ok(Item::Sequence(items))
    }

    fn item(&mut self, next: char) -> Parsed<Option<Item>> {
        Ok(Some(match next {
            '"' => Item::Text(self.quoted()?),
            '[' => Item::Chars(self.class()?),
            '.' => {
                self.place += 1;
                Item::Chars(Chars::any())
            }
            '<' | '!' => self.token()?,
            '(' => {
                self.place += 1;
                self.depth += 1;
                if self.depth > DEEPEST {
                    return Err(format!("groups are nested more than {DEEPEST} deep"));
                }
                self.space(true);
                let group = self.choice(true)?;
                self.expect(")")?;
                self.depth -= 1;
                group
            }
            _ if is_of_name(next) => Item::Rule(self.name()?),
            _ => return Ok(None),
        }))
    }

    fn repetition(&mut self, nested: bool) -> Parsed<(u32, Option<u32>)> {
        match self.next()? {
            '*' => return Ok((0, None)),
            '+' => return Ok((1, None)),
            '?' => return Ok((0, Some(1))),
            _ => self.space(nested),
        }
        let least = self.number()?;
        self.space(nested);
        let mut most = Some(least);
        if self.take(",") {
            self.space(nested);
            most = match self.peek() {
                Some('0'..='9') => Some(self.number()?),
                _ => None,
            };
            self.space(nested);
        }
        self.expect("}")?;
        match most {
            Some(most) if most < least => Err(format!("{{{least},{most}}} allows nothing")),
            most => Ok((least, most)),
        }
    }

    fn number(&mut self) -> Parsed<u32> {
        let digits = self.take_while(|c| c.is_ascii_digit());
        digits.parse().map_err(|_| "expected a number of 32 bits".into())
    }

    fn quoted(&mut self) -> Parsed<String> {
        self.place += 1;
        let mut text = String::new();
        while !self.take("\"") {
            text.push(self.character()?);
        }
        Ok(text)
    }

    fn class(&mut self) -> Parsed<Chars> {
        self.place += 1;
        let negated = self.take("^");
        let mut ranges = Vec::new();
        while !self.take("]") {
            let first = self.character()?;
            let last = if self.rest().starts_with('-') && !self.rest().starts_with("-]") {
                self.place += 1;
                self.character()?
            } else {
                first
            };
            if last < first {
                return Err(format!("the range {first:?}-{last:?} is empty"));
            }
            ranges.push((first, last));
        }
        let chars = Chars::of(ranges);
        Ok(if negated { chars.others() } else { chars })
    }

    fn character(&mut self) -> Parsed<char> {
        let next = self.next()?;
        if next != '\\' {
            return Ok(next);
        }
        let digits = match self.next()? {
            't' => return Ok('\t'),
            'r' => return Ok('\r'),
            'n' => return Ok('\n'),
            same @ ('\\' | '"' | '[' | ']' | '-') => return Ok(same),
            'x' => 2,
            'u' => 4,
            'U' => 8,
            other => return Err(format!("\\{other} is no escape")),
        };
        let code = self.rest().get(..digits).and_then(|code| u32::from_str_radix(code, 16).ok());
        let found = code.and_then(char::from_u32);
        self.place += if found.is_some() { digits } else { 0 };
        found.ok_or(format!("expected {digits} hexadecimal digits of a character"))
    }

    fn token(&mut self) -> Parsed<Item> {
        let other = self.take("!");
        let start = self.place;
        self.expect("<")?;
        let id = if self.take("[") {
            let id = self.number()?;
            self.expect("]>")?;
            id
        } else {
            self.take_while(|c| c != '>' && c != '\n');
            self.expect(">")?;
            let name = &self.text[start..self.place];
            (self.find)(name).ok_or_else(|| format!("{name} is no token"))?
        };
        Ok(Item::Token { id, other })
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}
