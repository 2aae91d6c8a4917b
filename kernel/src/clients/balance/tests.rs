//! Balancing by tables: no engines and no clock.

use std::time::Duration;

use fabric::message::task::Work;

use super::load::PATIENCE;
use super::*;

struct Play {
    balance: Balance,
    now: Instant,
    tasks: TaskId,
    /// What each engine has, ours and others'.
    queued: BTreeMap<Rank, usize>,
}

impl Play {
    fn new(engines: u32) -> Play {
        let queued = (0..engines).map(|rank| (rank, 0)).collect();
        Play { balance: Balance::default(), now: Instant::now(), tasks: 0, queued }
    }

    fn add(&mut self, targets: Option<&[Rank]>) -> Ticket {
        self.add_until(targets, None)
    }

    fn add_until(&mut self, targets: Option<&[Rank]>, deadline: Option<Instant>) -> Ticket {
        let work = Work::Execute { code: String::new(), store_history: false, measure: false };
        let mut task = Balanced::new("t".to_owned(), String::new(), work, Vec::new());
        task.targets = targets.map(|ranks| ranks.iter().copied().collect());
        task.deadline = deadline;
        let ticket = self.balance.add(task);
        self.balance.release(ticket);
        ticket
    }

    fn seats(&self) -> Vec<Seat> {
        self.queued.iter().map(|(rank, queued)| Seat { rank: *rank, queued: *queued }).collect()
    }

    fn next(&mut self) -> Option<Fate> {
        let rooms = self.balance.rooms(&self.seats(), self.now);
        self.balance.next(&rooms)
    }

    /// Gives what can be given: which engines got how many.
    fn give(&mut self) -> BTreeMap<Rank, usize> {
        let mut given = BTreeMap::new();
        while let Some(Fate::Give(ticket, rank)) = self.next() {
            self.tasks += 1;
            self.balance.given(ticket, self.tasks, rank, self.now);
            *self.queued.entry(rank).or_default() += 1;
            *given.entry(rank).or_default() += 1;
        }
        given
    }

    fn end(&mut self, task: TaskId, milliseconds: f64) {
        let rank = self.balance.there[&task].1;
        self.balance.measured(task, Some(milliseconds / 1000.0), self.now);
        let ticket = self.balance.ended(task, false).unwrap();
        self.balance.remove(ticket);
        *self.queued.get_mut(&rank).unwrap() -= 1;
    }
}

#[test]
fn each_engine_gets_one_until_it_is_known_how_long_they_take() {
    for (milliseconds, then) in [(0.02, 64), (10.0, 2), (15.0, 2), (20.0, 1), (1000.0, 1)] {
        let mut play = Play::new(2);
        for _ in 0..200 {
            play.add(None);
        }
        assert_eq!(play.give(), BTreeMap::from([(0, 1), (1, 1)]));
        play.end(1, milliseconds);
        assert_eq!(play.give(), BTreeMap::from([(0, then)]), "{milliseconds} ms");
    }
}

#[test]
fn what_waits_behind_a_long_task_is_given_to_others() {
    let mut play = Play::new(2);
    for _ in 0..4 {
        play.add(None);
    }
    play.give();
    play.end(1, 0.1);
    assert_eq!(play.give(), BTreeMap::from([(0, 2)]));
    play.end(2, 0.1);
    // Engine 0 holds tasks 3 and 4; the first takes long.
    assert!(play.balance.recall(&play.seats(), play.now).is_empty());
    assert_eq!(play.balance.deadline(), Some(play.now + PATIENCE));
    play.now += PATIENCE;
    assert_eq!(play.balance.recall(&play.seats(), play.now), [4]);
    assert!(play.balance.recall(&play.seats(), play.now).is_empty(), "once");
    assert_eq!(play.balance.deadline(), None, "and nobody looks again");
    play.balance.ended(4, true);
    *play.queued.get_mut(&0).unwrap() -= 1;
    assert_eq!(play.give(), BTreeMap::from([(1, 1)]), "engine 0 is busy");
}

#[test]
fn what_waits_behind_a_task_that_could_not_be_taken_back_is_taken_back() {
    let mut load = Load::new(Instant::now());
    let begun = Instant::now();
    (1..=3).for_each(|task| load.give(task, 0, begun));
    let late = begun + PATIENCE;
    assert!(load.is_stuck(late));
    load.recalled = load.waiting(false).collect();
    assert_eq!(load.recalled, BTreeSet::from([2, 3]));
    // Meanwhile the first has ended, the second has begun and takes long, and more was given.
    load.drop_task(1);
    load.measured(0.001, late);
    load.drop_task(3);
    load.give(4, 0, late);
    load.kept(&[2]);
    // It was not heard of for 4 ms more than its task took.
    let later = late + Duration::from_millis(12);
    assert_eq!(load.deadline(), Some(later));
    assert!(load.is_stuck(later));
    assert_eq!(load.waiting(false).collect::<Vec<_>>(), [4]);
}

#[test]
fn what_has_to_stay_behind_a_long_task_is_looked_at_once() {
    let mut play = Play::new(2);
    for _ in 0..4 {
        play.add(Some(&[0]));
    }
    play.give();
    play.end(1, 0.1);
    assert_eq!(play.give(), BTreeMap::from([(0, 3)]));
    play.balance.loads.insert(1, Load::new(play.now));
    play.now += PATIENCE;
    assert_eq!(play.balance.deadline(), Some(play.now));
    play.balance.look(play.now);
    assert!(play.balance.recall(&play.seats(), play.now).is_empty());
    assert_eq!(play.balance.deadline(), None, "a second look would see the same");
    play.end(2, 0.1);
    let patience = Duration::from_micros(14_700);
    assert_eq!(play.balance.deadline(), Some(play.now + patience), "the next one may take long too");
}

#[test]
fn an_engine_that_waits_for_a_processor_is_not_taken_for_one_with_a_long_task() {
    let (begun, mut load) = (Instant::now(), Load::new(Instant::now()));
    (1..=4).for_each(|task| load.give(task, 0, begun));
    // Ten times as long as tasks take passes before the next report comes.
    let heard = begun + 10 * PATIENCE;
    load.measured(PATIENCE.as_secs_f64(), heard);
    load.drop_task(1);
    assert!(!load.is_stuck(heard + 10 * PATIENCE));
    assert!(load.is_stuck(heard + 100 * PATIENCE));
}

#[test]
fn each_engine_without_work_is_given_one_task_that_waits_long_elsewhere() {
    let mut play = Play::new(3);
    for _ in 0..9 {
        play.add(None);
    }
    play.give();
    [1, 2, 3].into_iter().for_each(|task| play.end(task, 9.0));
    assert_eq!(play.give(), BTreeMap::from([(0, 2), (1, 2), (2, 2)]));
    let of_the_last: Vec<TaskId> = play.balance.loads[&2].tasks.iter().copied().collect();
    for task in of_the_last {
        play.end(task, 9.0);
    }
    let recalled = play.balance.recall(&play.seats(), play.now);
    assert_eq!(recalled.len(), 1, "one for the one engine");
    assert!(play.balance.recall(&play.seats(), play.now).is_empty(), "which is on its way");
}

#[test]
fn an_engine_that_others_use_is_the_last_choice() {
    let mut play = Play::new(2);
    play.queued.insert(0, 1);
    for _ in 0..3 {
        play.add(None);
    }
    assert_eq!(play.give(), BTreeMap::from([(1, 1)]));
    play.add(Some(&[0]));
    assert_eq!(play.give(), BTreeMap::from([(0, 1)]), "there is no other way");
}

#[test]
fn a_task_that_may_run_nowhere_more_is_hopeless() {
    let mut play = Play::new(2);
    let ticket = play.add(Some(&[0, 7]));
    play.give();
    play.balance.get_mut(ticket).unwrap().tried.insert(0);
    play.balance.ended(1, true);
    assert_eq!(play.next(), Some(Fate::Hopeless(ticket)));
    assert_eq!(play.next(), None);
}

#[test]
fn limits_are_for_what_no_engine_has() {
    let mut play = Play::new(1);
    let at = play.now + Duration::from_secs(1);
    let [_, second] = [(); 2].map(|()| play.add_until(None, Some(at)));
    play.give();
    assert_eq!(play.balance.deadline(), Some(at));
    assert_eq!(play.balance.too_late(at), [second]);
}

#[test]
fn the_first_of_those_that_may_run_somewhere_is_next() {
    let mut play = Play::new(3);
    let tickets: Vec<Ticket> =
        [Some(&[2][..]), None, Some(&[1]), None, Some(&[2])].map(|targets| play.add(targets)).into();
    let mut order = Vec::new();
    play.queued.insert(0, 1);
    while let Some(Fate::Give(ticket, rank)) = play.next() {
        order.push((ticket, rank));
        play.balance.given(ticket, ticket, rank, play.now);
        *play.queued.entry(rank).or_default() += 1;
    }
    assert_eq!(order, [(tickets[0], 2), (tickets[1], 1)]);
    assert_eq!(play.balance.waiting(), 3);
    assert!(play.balance.is_given(tickets[0]) && !play.balance.is_given(tickets[2]));
    play.balance.remove(tickets[2]);
    assert_eq!(play.balance.not_given(), [tickets[3], tickets[4]]);
}

#[test]
fn what_was_taken_back_is_done_in_its_turn() {
    let mut play = Play::new(2);
    let tickets: Vec<Ticket> = (0..12).map(|_| play.add(None)).collect();
    play.give();
    play.end(1, 0.1);
    play.end(2, 0.1);
    play.give();
    // Both hold five by turns, and the first of each takes long.
    play.now += PATIENCE;
    let mut recalled = play.balance.recall(&play.seats(), play.now);
    assert_eq!(recalled.len(), 8);
    recalled.reverse();
    for task in recalled {
        play.balance.ended(task, true);
    }
    assert_eq!(play.balance.not_given(), tickets[4..]);
}

#[test]
fn engines_take_turns() {
    let mut play = Play::new(3);
    let ranks: Vec<Rank> = (0..6)
        .map(|_| {
            play.add(None);
            let given = play.give();
            play.end(play.tasks, 0.1);
            *given.first_key_value().unwrap().0
        })
        .collect();
    assert_eq!(ranks, [0, 1, 2, 0, 1, 2]);
}
