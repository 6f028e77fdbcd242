use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use super::*;

#[test]
fn covers_every_index_once() {
    let team = Team::new(3).unwrap();
    for mustered in [false, true] {
        let _guard = mustered.then(|| team.muster());
        for n in [0, 1, 7, 64, 1000] {
            for grain in [1, 3, 64] {
                let seen: Vec<_> = (0..n).map(|_| AtomicU32::new(0)).collect();
                team.for_each(n, grain, &|range| {
                    assert!(range.len() <= grain);
                    for i in range {
                        seen[i].fetch_add(1, Ordering::Relaxed);
                    }
                });
                assert!(seen.iter().all(|s| s.load(Ordering::Relaxed) == 1), "{n} {grain}");
                let mut rows = vec![0; 3 * n];
                team.for_rows(&mut rows, 3, grain, &|first, rows| {
                    rows.iter_mut().enumerate().for_each(|(i, x)| *x += 3 * first + i);
                });
                assert!(rows.iter().copied().eq(0..3 * n));
            }
        }
    }
}

/// Many short regions, so that workers enter them at every moment of their life.
#[test]
fn regions_do_not_mix() {
    let team = Team::new(4).unwrap();
    let _guard = team.muster();
    for round in 0..20_000 {
        let sum = AtomicUsize::new(0);
        team.for_each(8, 1, &|range| _ = sum.fetch_add(range.start + round, Ordering::Relaxed));
        assert_eq!(sum.into_inner(), 28 + 8 * round);
    }
}

/// All threads at work in a region: none of them goes on before all are there.
fn meet(team: &Team, f: &(dyn Fn(usize) + Sync)) {
    let present = AtomicUsize::new(0);
    let n = team.n_threads();
    team.for_each(n, 1, &|range| {
        present.fetch_add(1, Ordering::Relaxed);
        let start = Instant::now();
        while present.load(Ordering::Relaxed) < n {
            assert!(start.elapsed() < Duration::from_secs(60), "the others do not come");
            std::thread::yield_now();
        }
        f(range.start);
    });
}

#[test]
fn a_panic_reaches_the_leader_and_the_team_goes_on() {
    let team = Team::new(3).unwrap();
    let _guard = team.muster();
    for index in 0..3 {
        let result =
            catch_unwind(AssertUnwindSafe(|| meet(&team, &|i| assert_ne!(i, index, "on purpose"))));
        assert!(result.is_err());
    }
    let count = AtomicUsize::new(0);
    meet(&team, &|_| _ = count.fetch_add(1, Ordering::Relaxed));
    assert_eq!(count.into_inner(), 3);
}

#[test]
fn parked_workers_wake() {
    let team = Team::new(2).unwrap();
    team.awake(true);
    for _ in 0..3 {
        let _guard = team.muster();
        std::thread::sleep(Duration::from_millis(20));
        meet(&team, &|_| ());
    }
    team.awake(false);
}

#[test]
fn an_interrupt_leaves_the_rest_out() {
    let team = Team::new(2).unwrap();
    let _guard = team.muster();
    let (count, interrupt) = (AtomicUsize::new(0), team.interrupt());
    team.for_each(1000, 1, &|_| {
        count.fetch_add(1, Ordering::Relaxed);
        interrupt.store(true, Ordering::Relaxed);
    });
    assert!(count.into_inner() <= 4);
}
