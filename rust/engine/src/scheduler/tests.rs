use super::*;
use crate::disk::Ask;

fn scheduler(n_pages: usize, max_sequences: usize) -> Scheduler {
    with_files(n_pages, max_sequences, None)
}

fn with_files(n_pages: usize, max_sequences: usize, files: Option<Sizes>) -> Scheduler {
    let limits = Limits {
        n_ctx: n_pages * 4,
        max_sequences,
        whole: false,
        max_rows: 6,
        kept_pages: usize::MAX,
        files,
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
    assert_eq!(again.runs[0].tokens, step.runs[0].tokens, "a pass that failed is planned again");
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

/// Loads pages that are there for a text; gives how many have got a place.
fn load(scheduler: &mut Scheduler, n_pages: usize) -> usize {
    let mut n = 0;
    loop {
        let reads = scheduler.next_reads();
        if reads.is_empty() {
            return n;
        }
        for ask in reads {
            let Ask::Read { id, kind, len, .. } = ask else { panic!("pages are to be read") };
            assert!(len <= 4 * n_pages);
            n += usize::from(scheduler.place_for(id, kind, len, true).is_some());
        }
    }
}

const FILES: Option<Sizes> = Some(Sizes { page: 16, state: 0 });

#[test]
fn a_sequence_waits_for_its_pages_and_others_go_past() {
    let mut scheduler = with_files(20, 2, FILES);
    add(&mut scheduler, &[13, 3]);
    assert!(matches!(scheduler.start_loading(), Some(Ask::Find { id: 0, from: 0, .. })));
    assert!(scheduler.start_loading().is_none(), "one after the other");
    assert!(scheduler.next_reads().is_empty(), "nothing is known yet");
    assert_eq!(pass(&mut scheduler, 50), [(1, 3)]);
    scheduler.found(0, 2);
    assert_eq!(load(&mut scheduler, 2), 2);
    assert_eq!(pass(&mut scheduler, 50), [(0, 5), (1, 1)]);
}

#[test]
fn what_is_loaded_gives_way_to_a_running_sequence() {
    let mut scheduler = with_files(6, 2, FILES);
    add(&mut scheduler, &[3, 17]);
    pass(&mut scheduler, 50);
    assert!(matches!(scheduler.start_loading(), Some(Ask::Find { id: 1, .. })));
    scheduler.found(1, 4);
    let Ask::Read { kind, .. } = scheduler.next_reads().remove(0) else { panic!("pages") };
    for n_pages in 1..=3 {
        assert!(scheduler.place_for(1, kind, 4 * n_pages, true).is_some());
    }
    for _ in 0..16 {
        assert_eq!(pass(&mut scheduler, 50), [(0, 1)]);
    }
    assert!(!scheduler.is_loading() && scheduler.n_waiting() == 1);
    assert_eq!(scheduler.place_for(1, kind, 16, true), None, "nobody waits for it");
    scheduler.remove(0, false);
    // The first page was taken last.
    assert_eq!(pass(&mut scheduler, 50), [(1, 13)]);
}

#[test]
fn nobody_waits_for_a_disk_that_does_not_answer() {
    let mut scheduler = with_files(20, 4, FILES);
    add(&mut scheduler, &[13, 9, 3]);
    assert!(scheduler.start_loading().is_some());
    assert_eq!(pass(&mut scheduler, 50), [(2, 3)]);
    scheduler.give_up_loading();
    assert_eq!(pass(&mut scheduler, 50), [(0, 13), (1, 9), (2, 1)]);
    scheduler.found(0, 3);
    assert!(scheduler.next_reads().is_empty() && scheduler.start_loading().is_none());
}
