//! With which characters parts of a grammar begin, and which may follow them.

use super::chars::Chars;
use super::parse::{Item, Rules};

/// The characters that may come at a place.
pub(super) type Ends = Chars;

/// What is known of an item.
#[derive(Clone, Debug, Default, PartialEq)]
struct Facts {
    /// Whether it may be empty.
    nullable: bool,
    /// With which characters it begins.
    first: Chars,
    /// With which characters it can go on where it might have ended.
    more: Chars,
}

/// The facts of all rules of a grammar.
pub(super) struct Follow {
    rules: Vec<Facts>,
    after: Vec<Ends>,
}

impl Follow {
    pub fn new(rules: &Rules) -> Follow {
        let n = rules.bodies.len();
        let mut follow =
            Follow { rules: vec![Facts::default(); n], after: vec![Ends::default(); n] };
        let mut changed = true;
        while changed {
            changed = false;
            // Rules mostly stand before those they refer to.
            for (number, body) in rules.bodies.iter().enumerate().rev() {
                let facts = follow.facts(body);
                changed |= facts != follow.rules[number];
                follow.rules[number] = facts;
            }
        }
        changed = true;
        while changed {
            changed = false;
            for (number, body) in rules.bodies.iter().enumerate() {
                let ends = follow.after[number].clone();
                changed |= follow.spread(body, &ends);
            }
        }
        follow
    }

    /// What may follow a rule.
    pub fn after_rule(&self, number: usize) -> &Ends {
        &self.after[number]
    }

    /// With what some items and what may follow them begin.
    pub fn before(&self, items: &[Item], ends: &Ends) -> Ends {
        let facts = self.sequence(items);
        let mut all = facts.first;
        if facts.nullable {
            all.add(ends);
        }
        all
    }

    /// What may follow an item that is repeated.
    pub fn within_repeat(&self, item: &Item, most: Option<u32>, ends: &Ends) -> Ends {
        let mut all = ends.clone();
        if most.is_none_or(|most| most > 1) {
            all.add(&self.facts(item).first);
        }
        all
    }

    /// Whether items, as long as they can be, might take what may follow.
    pub fn swallows(&self, items: &[Item], ends: &Ends) -> bool {
        let facts = self.sequence(items);
        facts.more.overlaps(ends) || facts.nullable && facts.first.overlaps(ends)
    }

    fn facts(&self, item: &Item) -> Facts {
        match item {
            Item::Text(text) => Facts {
                nullable: text.is_empty(),
                first: Chars::of(text.chars().next().map(|c| (c, c))),
                more: Chars::default(),
            },
            Item::Chars(chars) => Facts { first: chars.clone(), ..Facts::default() },
            Item::Token { .. } => Facts::default(),
            Item::Rule(number) => self.rules[*number].clone(),
            Item::Sequence(items) => self.sequence(items),
            Item::Choice(choices) => {
                let mut all = Facts::default();
                for choice in choices {
                    let facts = self.facts(choice);
                    all.nullable |= facts.nullable;
                    all.first.add(&facts.first);
                    all.more.add(&facts.more);
                }
                all
            }
            Item::Repeat(item, least, most) => {
                let mut facts = self.facts(item);
                facts.nullable |= *least == 0;
                if most.is_none_or(|most| most > 1) {
                    facts.more.add(&facts.first.clone());
                }
                facts
            }
        }
    }

    fn sequence(&self, items: &[Item]) -> Facts {
        let mut all = Facts { nullable: true, ..Facts::default() };
        for item in items {
            let facts = self.facts(item);
            if all.nullable {
                all.first.add(&facts.first);
            }
            if facts.nullable {
                all.more.add(&facts.first);
                all.more.add(&facts.more);
            } else {
                all.more = facts.more;
            }
            all.nullable &= facts.nullable;
        }
        all
    }

    /// Tells the rules within an item what may follow them; true if that is new.
    fn spread(&mut self, item: &Item, ends: &Ends) -> bool {
        match item {
            Item::Text(_) | Item::Chars(_) | Item::Token { .. } => false,
            Item::Rule(number) => self.after[*number].add(ends),
            Item::Choice(choices) => {
                choices.iter().fold(false, |changed, choice| self.spread(choice, ends) | changed)
            }
            Item::Sequence(items) => {
                let mut changed = false;
                for (place, item) in items.iter().enumerate() {
                    let ends = self.before(&items[place + 1..], ends);
                    changed |= self.spread(item, &ends);
                }
                changed
            }
            Item::Repeat(item, _, most) => {
                let ends = self.within_repeat(item, *most, ends);
                self.spread(item, &ends)
            }
        }
    }
}
