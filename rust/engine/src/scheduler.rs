//! What the next pass computes.
//!
//! Every step has a budget of tokens, shared out among the running sequences (see [`crate::budget`]): a
//! sequence that generates needs one token, a new prompt takes what is left, and two prompts take half
//! each. Sequences are admitted in their order, by priority and age, while there are pages for all
//! their tokens; they get the pages when they need them. If pages run out all the same, the last one in
//! that order goes back to the queue. Its tokens stay, only its count of computed ones goes back.
//!
//! The oldest waiting sequence is overtaken a few times at most, and then goes before all others: it is
//! never starved, however many of higher priority come.
//!
//! A sequence that begins like a running one stays in the queue while that one computes what both need;
//! others go past it. It holds nothing meanwhile, so whatever happens to the other, it goes on.

use farthing_models::{Page, Run, Slot, Wants};

use crate::budget::{Budget, Demand, share};
use crate::pager::Pager;
use crate::prefix::{Match, Place, Prefixes, common_prefix};
use crate::sequence::Sequence;
use crate::states::Pool;

/// How often the oldest waiting sequence may be overtaken.
const MAX_OVERTAKES: usize = 3;

/// The scheduler's limits.
pub(crate) struct Limits {
    /// Positions of a sequence; the pages must suffice for one.
    pub n_ctx: usize,
    /// Sequences running at the same time.
    pub max_sequences: usize,
    /// Whether a sequence must be computed in one run. They leave nothing behind, so that as many run
    /// as there are pages for.
    pub whole: bool,
    /// Rows of logits that evaluations get in one pass.
    pub max_rows: usize,
    /// Pages kept for reuse beside those in use; with 0 nothing is shared.
    pub kept_pages: usize,
}

/// One pass.
#[derive(Default)]
pub(crate) struct Step {
    /// The sequence of each run.
    pub ids: Vec<u64>,
    pub runs: Vec<Run>,
    /// Pages to be copied to others before the pass, in this order, whatever becomes of the pass.
    pub copies: Vec<(Page, Page)>,
}

/// What becomes of a sequence after its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There is more to compute.
    Continue,
    /// This token follows.
    Append(u32),
    /// The same, and then those between these places are taken out.
    Shift(u32, (usize, usize)),
    /// It has ended.
    Done,
    /// It has failed, and its pages are not to be trusted.
    Failed,
}

/// The sequences and the cache's pages.
pub(crate) struct Scheduler {
    limits: Limits,
    pager: Pager,
    prefixes: Prefixes,
    states: Pool,
    /// In the order of their ranks.
    running: Vec<Sequence>,
    /// In the order of their ranks.
    waiting: Vec<Sequence>,
    /// How many were admitted before the oldest waiting one.
    overtakes: usize,
    copies: Vec<(Page, Page)>,
}

impl Scheduler {
    pub fn new(limits: Limits, n_pages: usize, page_len: usize, n_states: usize) -> Scheduler {
        Scheduler {
            limits,
            pager: Pager::new(n_pages, page_len),
            prefixes: Prefixes::default(),
            states: Pool::new(n_states),
            running: Vec::new(),
            waiting: Vec::new(),
            overtakes: 0,
            copies: Vec::new(),
        }
    }

    pub fn pager(&self) -> &Pager {
        &self.pager
    }

    pub fn n_running(&self) -> usize {
        self.running.len()
    }

    pub fn n_waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The running sequence of this number.
    pub fn running(&self, id: u64) -> Option<&Sequence> {
        self.index(id).map(|index| &self.running[index])
    }

    fn index(&self, id: u64) -> Option<usize> {
        self.running.iter().position(|s| s.id == id)
    }

    /// The same, to be changed.
    pub fn running_mut(&mut self, id: u64) -> Option<&mut Sequence> {
        self.index(id).map(|index| &mut self.running[index])
    }

    /// Tokens that the running sequences wait for.
    pub fn n_remaining(&self) -> usize {
        self.running.iter().map(Sequence::remaining).sum()
    }

    /// Adds guesses to a sequence, as many as have pages that nobody else needs now; says how many.
    pub fn draft(&mut self, id: u64, tokens: &[u32]) -> usize {
        let spare = self.pager.n_pages().saturating_sub(self.pager.n_held() + self.n_promised());
        let Some(index) = self.index(id) else {
            return 0;
        };
        let sequence = &self.running[index];
        let n_pages = self.reserve(sequence).max(sequence.pages.len()) + spare;
        let room = (n_pages * self.pager.page_len()).saturating_sub(sequence.tokens.len());
        let n = tokens.len().min(room);
        self.running[index].draft(&tokens[..n]);
        n
    }

    /// Pages that the running sequences do not have yet but will need.
    fn n_promised(&self) -> usize {
        self.running.iter().map(|s| self.reserve(s).saturating_sub(s.pages.len())).sum()
    }

    /// Puts a sequence into the queue.
    pub fn add(&mut self, mut sequence: Sequence) {
        if self.limits.kept_pages == 0 {
            sequence.sharing = None;
        }
        insert(&mut self.waiting, sequence);
    }

    /// The runs of the next pass, for the running sequences. No tokens count as computed until it is
    /// absorbed, so a pass that fails is planned again.
    pub fn plan(&mut self, budget: Budget) -> Step {
        let shares = self.shares(budget);
        let mut step = Step::default();
        for (index, &share) in shares.iter().enumerate() {
            let share = self.until_checkpoint(index, share);
            if share == 0 {
                continue;
            }
            while index < self.running.len() && !(self.grow(index, share) && self.begin(index)) {
                self.preempt();
            }
            let Some(sequence) = self.running.get(index) else {
                break;
            };
            step.ids.push(sequence.id);
            step.runs.push(sequence.run(share));
        }
        step.copies = std::mem::take(&mut self.copies);
        step
    }

    /// Takes the outcomes of a pass, one for each run.
    pub fn absorb(&mut self, step: &Step, outcomes: &[Outcome]) {
        for ((&id, run), &outcome) in step.ids.iter().zip(&step.runs).zip(outcomes) {
            let Some(index) = self.index(id) else {
                continue;
            };
            let sequence = &mut self.running[index];
            sequence.discard_draft();
            sequence.computed = (run.start + run.tokens.len()).min(sequence.tokens.len());
            self.states.release(sequence.state);
            sequence.state = sequence.next_state.take();
            if outcome != Outcome::Failed {
                self.share(index);
            }
            match outcome {
                Outcome::Continue => {}
                Outcome::Append(token) => self.running[index].tokens.push(token),
                Outcome::Shift(token, gap) => self.shift(index, token, gap),
                Outcome::Done => self.remove(id, true),
                Outcome::Failed => self.remove(id, false),
            }
        }
    }

    /// Takes tokens out of a running sequence that has got its next one. Where the others then stand they
    /// have not been computed, so it begins anew.
    fn shift(&mut self, index: usize, token: u32, gap: (usize, usize)) {
        let mut sequence = self.running.remove(index);
        self.free(&mut sequence, true);
        sequence.tokens.push(token);
        sequence.tokens.drain(gap.0..gap.1);
        sequence.n_prompt = sequence.tokens.len();
        insert(&mut self.waiting, sequence);
    }

    /// Removes a sequence from the running ones or from the queue. With `keep` what it has computed
    /// stays for later sequences.
    pub fn remove(&mut self, id: u64, keep: bool) {
        if let Some(index) = self.index(id) {
            let mut sequence = self.running.remove(index);
            self.free(&mut sequence, keep);
        } else {
            self.waiting.retain(|sequence| sequence.id != id);
        }
    }

    /// Moves sequences from the queue to the running ones.
    pub fn admit(&mut self) {
        let mut at = 0;
        let most = if self.limits.whole { usize::MAX } else { self.limits.max_sequences };
        while self.running.len() < most.min(self.states.capacity()) {
            if self.overtakes >= MAX_OVERTAKES {
                at = self.promote(at);
            }
            let Some(next) = self.waiting.get(at) else {
                return;
            };
            let found = self.find(next);
            if self.is_being_computed(next, &found) {
                at += 1;
                continue;
            }
            let needed = self.reserve(next) - self.prefixes.held_pages(&found, &self.pager);
            if self.pager.n_held() + self.n_promised() + needed > self.pager.n_pages() {
                return;
            }
            let sequence = self.waiting.remove(at);
            // Those before it do not wait for a place.
            let is_overtaking = self.waiting[at..].iter().any(|s| s.id < sequence.id);
            self.overtakes = if is_overtaking { self.overtakes + 1 } else { 0 };
            self.run(sequence, &found);
        }
    }

    /// Puts the oldest of the sequences waiting from this place on before all others; gives its new place,
    /// or this one if there are none.
    fn promote(&mut self, at: usize) -> usize {
        self.overtakes = 0;
        let oldest = (at..self.waiting.len()).min_by_key(|&index| self.waiting[index].id);
        oldest.map_or(at, |oldest| {
            let mut sequence = self.waiting.remove(oldest);
            sequence.is_overdue_now();
            insert(&mut self.waiting, sequence)
        })
    }

    /// What a waiting sequence can take over from what is kept and from running ones.
    fn find(&self, next: &Sequence) -> Match {
        let Some(namespace) = next.sharing else {
            return Match::none(0);
        };
        let mut found = self.prefixes.find(namespace, next.sharable(), &self.pager, &self.states);
        if self.states.is_used() {
            return found;
        }
        // The last page of a running sequence is not in the tree yet.
        for other in self.running.iter().filter(|s| s.sharing == next.sharing) {
            let common = common_prefix(&other.tokens[..other.computed], next.sharable());
            if common > found.positions && common / self.pager.page_len() == found.whole {
                found.copy_from(other.pages[found.whole], common);
            }
        }
        found
    }

    /// Whether a running sequence is about to compute more of a waiting one's tokens than it has found, and
    /// so much more that it is worth the wait: a page, or as long as its own computing will take.
    fn is_being_computed(&self, next: &Sequence, found: &Match) -> bool {
        next.sharing.is_some()
            && self.running.iter().filter(|s| s.sharing == next.sharing).any(|other| {
                let certain = &other.tokens[..other.n_certain()];
                let mut common = common_prefix(certain, next.sharable());
                if self.states.is_used() {
                    common = other.checkpoint_before(common, self.pager.page_len());
                }
                let gain = common.saturating_sub(found.positions);
                other.computed < common
                    && (gain >= self.pager.page_len() || 2 * gain >= other.remaining())
            })
    }

    /// Adds a sequence to the running ones, with what was found for it.
    fn run(&mut self, mut sequence: Sequence, found: &Match) {
        (sequence.pages, sequence.state) =
            self.prefixes.take(found, &mut self.pager, &mut self.states);
        sequence.n_shared = found.whole;
        sequence.place = found.place;
        sequence.computed = found.whole * self.pager.page_len();
        if let Some(from) = found.tail
            && let Some(to) = self.allocate()
        {
            // If the page itself had to be given up for the copy, it is here already.
            self.copies.extend((from != to).then_some((from, to)));
            sequence.pages.push(to);
            sequence.computed = found.positions;
        }
        sequence.cached = sequence.computed;
        insert(&mut self.running, sequence);
    }

    /// Puts what a running sequence has computed into the tree, as far as its pages are full.
    fn share(&mut self, index: usize) {
        let sequence = &mut self.running[index];
        let page_len = self.pager.page_len();
        if sequence.sharing.is_none() {
            return;
        }
        while (sequence.n_shared + 1) * page_len <= sequence.computed {
            let tokens = &sequence.tokens[sequence.n_shared * page_len..][..page_len];
            let page = &mut sequence.pages[sequence.n_shared];
            sequence.place = self.prefixes.add(sequence.place, tokens, *page, &mut self.pager);
            sequence.n_shared += 1;
            // Another one was there before.
            if let Some(theirs) = self.prefixes.page(sequence.place).filter(|theirs| theirs != page)
            {
                self.pager.hold(theirs);
                self.pager.release(*page);
                *page = theirs;
            }
        }
        let computed = sequence.computed;
        if let Some(slot) = sequence.state
            && sequence.checkpoint_before(computed, page_len) == computed
        {
            self.prefixes.mark(sequence.place, page_len, slot, &mut self.states);
        }
    }

    /// Pages for all of a sequence's tokens and the next one.
    fn reserve(&self, sequence: &Sequence) -> usize {
        let next = sequence.tokens.len() + 1;
        self.pager.pages_for(next.min(self.limits.n_ctx))
    }

    /// How many tokens of each running sequence to compute.
    fn shares(&self, budget: Budget) -> Vec<usize> {
        if self.limits.whole {
            return self.running.iter().map(Sequence::remaining).collect();
        }
        let is_evaluation = |s: &Sequence| s.wants == Wants::All;
        let n_evaluations = self.running.iter().filter(|s| is_evaluation(s)).count();
        let rows = (self.limits.max_rows / n_evaluations.max(1)).max(1);
        let demand = |s: &Sequence| {
            let most = if is_evaluation(s) { rows } else { usize::MAX };
            Demand { tokens: s.remaining().min(most), priority: s.priority }
        };
        let generating = self.running.iter().filter(|s| s.is_generating());
        let n_generating = generating.map(Sequence::remaining).sum();
        let demands: Vec<Demand> = self.running.iter().map(demand).collect();
        share(budget.tokens(n_generating), &demands)
    }

    /// So many of the next tokens, or fewer, if a state between is to be kept.
    fn until_checkpoint(&self, index: usize, n: usize) -> usize {
        match self.running.get(index) {
            Some(s) if self.states.is_used() && s.sharing.is_some() => {
                n.min(s.next_checkpoint(self.pager.page_len()) - s.computed)
            }
            _ => n,
        }
    }

    /// Gives a running sequence the pages for its next `n` tokens; false if there are too few.
    fn grow(&mut self, index: usize, n: usize) -> bool {
        let sequence = &self.running[index];
        let needed = self.pager.pages_for(sequence.computed + n);
        let missing = needed.saturating_sub(sequence.pages.len());
        for _ in 0..missing {
            match self.allocate() {
                Some(page) => self.running[index].pages.push(page),
                None => return false,
            }
        }
        true
    }

    /// A free page, or one that was kept.
    fn allocate(&mut self) -> Option<Page> {
        self.pager.allocate().or_else(|| {
            self.prefixes.evict(&mut self.pager, &mut self.states);
            self.pager.allocate()
        })
    }

    /// Gives a running sequence the slot for its next state; false if there is none.
    fn begin(&mut self, index: usize) -> bool {
        let sequence = &mut self.running[index];
        if self.states.is_used() && sequence.next_state.is_none() {
            sequence.next_state = self.states.allocate();
            while sequence.next_state.is_none() && self.prefixes.evict_state(&mut self.states) {
                sequence.next_state = self.states.allocate();
            }
        }
        !self.states.is_used() || sequence.next_state.is_some()
    }

    /// Puts the last running sequence, the youngest of the lowest priority, back into the queue.
    fn preempt(&mut self) {
        if let Some(mut sequence) = self.running.pop() {
            sequence.discard_draft();
            self.free(&mut sequence, true);
            insert(&mut self.waiting, sequence);
        }
    }

    /// Takes everything from a sequence; with `keep` what it has computed stays.
    fn free(&mut self, sequence: &mut Sequence, keep: bool) {
        let pages = std::mem::take(&mut sequence.pages);
        let computed = std::mem::take(&mut sequence.computed);
        let state = sequence.state.take();
        self.states.release(sequence.next_state.take());
        let place = std::mem::replace(&mut sequence.place, Place::Root(0));
        let n_shared = std::mem::take(&mut sequence.n_shared);
        if keep && sequence.sharing.is_some() {
            self.keep(place, &sequence.tokens[..computed], n_shared, &pages, state);
        } else {
            // Those that it took from others were good.
            let own = n_shared - (sequence.cached / self.pager.page_len()).min(n_shared);
            let mut last = Some(place);
            for _ in 0..own {
                last =
                    last.and_then(|p| self.prefixes.forget(p, &mut self.pager, &mut self.states));
            }
        }
        self.states.release(state);
        for page in pages {
            self.pager.release(page);
        }
        while self.pager.n_kept() > self.limits.kept_pages {
            self.prefixes.evict(&mut self.pager, &mut self.states);
        }
    }

    /// Keeps a sequence's last page too, and its state.
    fn keep(
        &mut self,
        mut place: Place,
        computed: &[u32],
        n_shared: usize,
        pages: &[Page],
        state: Option<Slot>,
    ) {
        self.prefixes.touch_path(place);
        let rest = &computed[n_shared * self.pager.page_len()..];
        if let Some(&page) = pages.get(n_shared).filter(|_| !rest.is_empty()) {
            place = self.prefixes.add(place, rest, page, &mut self.pager);
        }
        let len = computed.len() - n_shared * self.pager.page_len();
        if let Some(slot) = state {
            let len = if len == 0 { self.pager.page_len() } else { len };
            self.prefixes.mark(place, len, slot, &mut self.states);
        }
    }
}

/// Puts a sequence at its place, which is given back, in a list in the order of ranks.
fn insert(list: &mut Vec<Sequence>, sequence: Sequence) -> usize {
    let index = list.partition_point(|other| other.rank() < sequence.rank());
    list.insert(index, sequence);
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheduler(n_pages: usize, max_sequences: usize) -> Scheduler {
        let limits = Limits {
            n_ctx: n_pages * 4,
            max_sequences,
            whole: false,
            max_rows: 6,
            kept_pages: usize::MAX,
        };
        Scheduler::new(limits, n_pages, 4, 0)
    }

    impl Scheduler {
        /// The next pass, of so many tokens.
        fn next(&mut self, budget: usize) -> Step {
            self.admit();
            self.plan(Budget { whole: budget, beside: budget })
        }
    }

    /// Prompts of these lengths, all different.
    fn add(scheduler: &mut Scheduler, lengths: &[usize]) {
        for (id, &n) in lengths.iter().enumerate() {
            let tokens = (0..n).map(|i| (100 * id + i) as u32).collect();
            scheduler.add(Sequence::new(id as u64, tokens, Wants::Last).sharing(Some(0)));
        }
    }

    /// A pass that gives token 7 to each sequence that is complete.
    fn pass(scheduler: &mut Scheduler, budget: usize) -> Vec<(u64, usize)> {
        let step = scheduler.next(budget);
        let outcome = |run: &Run| match run.wants {
            Wants::Nothing => Outcome::Continue,
            _ => Outcome::Append(7),
        };
        let outcomes: Vec<Outcome> = step.runs.iter().map(outcome).collect();
        scheduler.absorb(&step, &outcomes);
        let lengths = step.runs.iter().map(|run| run.tokens.len());
        step.ids.iter().copied().zip(lengths).collect()
    }

    #[test]
    fn the_budget_is_shared_evenly_and_spent() {
        let mut scheduler = scheduler(100, 4);
        add(&mut scheduler, &[1, 40, 5, 40]);
        assert_eq!(pass(&mut scheduler, 20), [(0, 1), (1, 7), (2, 5), (3, 7)]);
        // The complete ones need a token each.
        assert_eq!(pass(&mut scheduler, 20), [(0, 1), (1, 9), (2, 1), (3, 9)]);
    }

    #[test]
    fn a_run_wants_logits_only_at_the_end() {
        let mut scheduler = scheduler(100, 1);
        add(&mut scheduler, &[10]);
        let step = scheduler.next(6);
        assert_eq!((step.runs[0].start, step.runs[0].wants), (0, Wants::Nothing));
        scheduler.absorb(&step, &[Outcome::Continue]);
        let step = scheduler.next(6);
        assert_eq!((step.runs[0].start, step.runs[0].wants), (6, Wants::Last));
        let again = scheduler.next(6);
        assert_eq!(
            again.runs[0].tokens, step.runs[0].tokens,
            "a pass that failed is planned again"
        );
        assert_eq!(again.runs[0].pages, step.runs[0].pages);
    }

    #[test]
    fn the_queue_waits_for_its_head() {
        let mut scheduler = scheduler(10, 4);
        // With their next tokens: 6 pages, 6 pages, 1 page.
        add(&mut scheduler, &[20, 20, 1]);
        assert_eq!(pass(&mut scheduler, 100), [(0, 20)]);
        assert_eq!(scheduler.n_waiting(), 2, "the small one does not overtake");
        scheduler.remove(0, false);
        assert_eq!(pass(&mut scheduler, 100), [(1, 20), (2, 1)]);
    }

    #[test]
    fn pages_promised_to_a_prompt_are_not_given_twice() {
        let mut scheduler = scheduler(10, 4);
        add(&mut scheduler, &[20, 20]);
        // Only the first four tokens have a page, the others will need theirs.
        assert_eq!(pass(&mut scheduler, 4), [(0, 4)]);
        assert_eq!(pass(&mut scheduler, 4), [(0, 4)]);
    }

    #[test]
    fn shared_pages_count_once() {
        let mut scheduler = scheduler(12, 4);
        let prompt = |id: u32| [vec![1; 32], vec![100 + id; 3]].concat();
        for id in 0..4 {
            scheduler.add(Sequence::new(id, prompt(id as u32), Wants::Last).sharing(Some(0)));
            if id == 0 {
                pass(&mut scheduler, 100);
                scheduler.remove(0, true);
            }
        }
        // Eight pages in common and one each.
        assert_eq!(pass(&mut scheduler, 100), [(1, 3), (2, 3), (3, 3)]);
        assert_eq!((scheduler.pager().n_held(), scheduler.pager().n_kept()), (11, 1));
    }

    #[test]
    fn the_youngest_gives_way_and_comes_back() {
        let mut scheduler = scheduler(5, 2);
        add(&mut scheduler, &[7, 7]);
        assert_eq!(pass(&mut scheduler, 50), [(0, 7), (1, 7)]);
        assert_eq!(pass(&mut scheduler, 50), [(0, 1), (1, 1)]);
        // Both need a third page.
        assert_eq!(pass(&mut scheduler, 50), [(0, 1)]);
        assert_eq!((scheduler.n_running(), scheduler.n_waiting()), (1, 1));
        scheduler.remove(0, false);
        // What was not taken from it meanwhile is there still.
        assert_eq!(pass(&mut scheduler, 50), [(1, 1)]);
        assert_eq!(scheduler.running(1).map(|s| s.tokens.len()), Some(10));
    }

    /// Admits one sequence after the other, and gives their numbers.
    fn admitted(scheduler: &mut Scheduler, n: usize) -> Vec<u64> {
        let next = |scheduler: &mut Scheduler| {
            let id = scheduler.next(50).ids[0];
            scheduler.remove(id, false);
            id
        };
        (0..n).map(|_| next(scheduler)).collect()
    }

    fn prioritized(id: u64, priority: i64, n: usize) -> Sequence {
        Sequence { priority, ..Sequence::new(id, vec![id as u32; n], Wants::Last) }
    }

    #[test]
    fn a_higher_priority_is_admitted_first() {
        let mut scheduler = scheduler(10, 1);
        for (id, priority) in (0..).zip([0, -1, 3, 0, 3]) {
            scheduler.add(prioritized(id, priority, 3));
        }
        assert_eq!(admitted(&mut scheduler, 5), [2, 4, 0, 3, 1]);
    }

    #[test]
    fn the_oldest_is_overtaken_three_times_at_most() {
        let mut scheduler = scheduler(10, 1);
        for id in 0..10 {
            scheduler.add(prioritized(id, if id < 2 { 0 } else { 5 }, 3));
        }
        assert_eq!(admitted(&mut scheduler, 10), [2, 3, 4, 0, 5, 6, 7, 1, 8, 9]);
    }

    #[test]
    fn the_lowest_priority_gives_way_though_it_is_older() {
        let mut scheduler = scheduler(5, 2);
        scheduler.add(prioritized(0, 0, 7));
        scheduler.add(prioritized(1, 1, 7));
        assert_eq!(pass(&mut scheduler, 50), [(1, 7), (0, 7)]);
        assert_eq!(pass(&mut scheduler, 50), [(1, 1), (0, 1)]);
        assert_eq!(pass(&mut scheduler, 50), [(1, 1)]);
        assert_eq!((scheduler.n_running(), scheduler.n_waiting()), (1, 1));
    }

    #[test]
    fn a_prompt_beside_a_sequence_that_generates_comes_in_pieces() {
        let mut scheduler = scheduler(100, 4);
        let budget = Budget { whole: 60, beside: 20 };
        add(&mut scheduler, &[5, 90]);
        let mut lengths = Vec::new();
        for _ in 0..3 {
            scheduler.admit();
            let step = scheduler.plan(budget);
            lengths.push(step.runs.iter().map(|run| run.tokens.len()).collect::<Vec<_>>());
            let outcome = |run: &Run| match run.wants {
                Wants::Nothing => Outcome::Continue,
                _ => Outcome::Append(7),
            };
            let outcomes: Vec<Outcome> = step.runs.iter().map(outcome).collect();
            scheduler.absorb(&step, &outcomes);
        }
        assert_eq!(lengths, [[5, 55], [1, 19], [1, 16]]);
        scheduler.remove(0, false);
        scheduler.remove(1, false);
        add(&mut scheduler, &[90]);
        scheduler.admit();
        assert_eq!(scheduler.plan(budget).runs[0].tokens.len(), 60, "nobody generates");
    }

    #[test]
    fn evaluations_share_the_rows() {
        let mut scheduler = scheduler(100, 4);
        for id in 0..2 {
            scheduler.add(Sequence::new(id, vec![1; 10], Wants::All));
        }
        let step = scheduler.next(50);
        let rows: Vec<usize> = step.runs.iter().map(Run::n_rows).collect();
        assert_eq!(rows, [3, 3]);
    }

    #[test]
    fn evaluations_neither_take_nor_leave_prefixes() {
        let mut scheduler = scheduler(10, 1);
        let sequences = [(1, Wants::Last), (1, Wants::All), (2, Wants::All), (2, Wants::Last)];
        for (id, (token, wants)) in (0..).zip(sequences) {
            let sharing = (wants == Wants::Last).then_some(0);
            scheduler.add(Sequence::new(id, vec![token; 6], wants).sharing(sharing));
            let step = scheduler.next(6);
            assert_eq!(step.runs[0].start, 0, "sequence {id}");
            scheduler.absorb(&step, &[Outcome::Done]);
        }
        let pager = scheduler.pager();
        assert_eq!((pager.n_held(), pager.n_kept()), (0, 4));
    }

    #[test]
    fn failed_sequences_leave_nothing() {
        let mut scheduler = scheduler(10, 1);
        add(&mut scheduler, &[6]);
        let step = scheduler.next(50);
        scheduler.absorb(&step, &[Outcome::Failed]);
        assert_eq!((scheduler.pager().n_held(), scheduler.pager().n_kept()), (0, 0));
    }
}
