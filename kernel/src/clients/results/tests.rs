//! What is remembered, and for how long.

use fabric::message::payload::{Blob, Payload, Shared};

use fabric::message::report::Outcome;
use fabric::message::task::Work;

use super::record::{LARGE, MOST_DATA, MOST_OUTPUT};
use super::*;

fn open(store: &mut Store, name: &str, client: Option<ClientId>) {
    let work = Work::Execute { code: "x".to_owned(), store_history: false, measure: false };
    let targets = Some(vec![0]);
    let new = New { name, label: "x", work: &work, client, asker: None, targets, submitted: Some(1.0) };
    store.open(new);
}

fn report(name: &str, event: Event) -> Told {
    Told::Report { name: name.to_owned(), rank: 0, event }
}

fn done(outcome: Outcome) -> Event {
    Event::Done { outcome, count: 1, started: 1.0, completed: 2.0 }
}

fn value(descriptor: u32, length: u64) -> Event {
    let shared = Shared { holder: 1, descriptor, inode: 0, offset: 0, length };
    Event::Value { payload: Payload { buffers: vec![Blob::Shared(shared)], ..Payload::default() } }
}

fn end(store: &mut Store, name: &str) -> Vec<u32> {
    drop(store.note(name, &report(name, done(Outcome::Ok))));
    store.note(name, &Told::Over { name: name.to_owned() })
}

#[test]
fn the_latest_are_remembered_and_endings_longer() {
    let mut store = Store::default();
    for number in 0..MOST + 10 {
        let name = format!("t{number}");
        open(&mut store, &name, Some(1));
        assert!(end(&mut store, &name).is_empty());
    }
    assert!(store.get("t9").is_none() && store.get("t10").is_some());
    assert!(store.ending("t0").is_some_and(|ending| ending.success));
}

#[test]
fn of_what_a_task_shows_of_its_state_the_latest_is_kept() {
    let mut store = Store::default();
    open(&mut store, "a", Some(1));
    let show = |store: &mut Store, descriptor| {
        let Event::Value { payload } = value(descriptor, MOST_DATA / 2) else { unreachable!() };
        store.note("a", &report("a", Event::Data { payload }))
    };
    assert!(show(&mut store, 5).is_empty() && show(&mut store, 6).is_empty());
    assert_eq!(show(&mut store, 7), [5]);
    assert_eq!((store.bytes, store.replay("a").len()), (MOST_DATA, 2));
    assert!(end(&mut store, "a").is_empty());
    assert_eq!(store.purge(&["a".to_owned()]), [6, 7]);
    assert_eq!(store.bytes, 0);
}

#[test]
fn a_shared_value_lives_as_long_as_somebody_may_open_it() {
    let mut store = Store::default();
    for (number, name) in ["a", "b"].into_iter().enumerate() {
        open(&mut store, name, Some(1));
        let descriptor = u32::try_from(number).unwrap() + 7;
        assert!(store.note(name, &report(name, value(descriptor, MOST_BYTES))).is_empty());
        assert!(end(&mut store, name).is_empty(), "the client is there");
    }
    assert_eq!(store.let_go(1, &["a".to_owned()], true), [7]);
    assert!(store.get("a").is_some(), "that it was is remembered");
    assert_eq!(store.bytes, MOST_BYTES);
    let lost = |told: &&Told| told_value(told).is_some_and(|payload| payload.lost().is_some());
    assert_eq!(
        store.replay("a").iter().filter(lost).count(),
        1,
        "who asks again is told why it is not there"
    );
    open(&mut store, "c", Some(2));
    assert!(store.note("c", &report("c", value(9, 1))).is_empty());
    assert!(end(&mut store, "c").is_empty());
    assert_eq!(store.leave(1), [8], "too much, and nobody is left who was told");
}

#[test]
fn what_some_engines_did_is_purged_and_the_rest_stays() {
    let mut store = Store::default();
    let work = Work::Execute { code: "x".to_owned(), store_history: false, measure: false };
    let targets = Some(vec![0, 1, 2]);
    store.open(New {
        name: "a",
        label: "x",
        work: &work,
        client: Some(1),
        asker: None,
        targets,
        submitted: None,
    });
    let ids = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    for rank in 0..3 {
        let said = Event::Stream { name: StreamName::Stdout, text: "said".to_owned() };
        for event in [said, value(rank + 5, 10), done(Outcome::Ok)] {
            drop(store.note("a", &Told::Report { name: "a".to_owned(), rank, event }));
        }
    }
    assert!(store.purge(&ids(&["a@1"])).is_empty(), "it has not ended");
    drop(store.note("a", &Told::Over { name: "a".to_owned() }));
    let values = |store: &Store| store.replay("a").len();
    let (before, bytes) = (values(&store), store.bytes);
    assert_eq!(store.purge(&ids(&["a@1", "b@1"])), [6]);
    assert_eq!((values(&store), store.bytes), (before - 3, bytes / 3 * 2));
    let parts =
        store.json(None, |_, _| false)[0]["parts"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(parts, ["0", "2"]);
    assert_eq!(store.purge(&ids(&["a@2", "a@0"])), [5, 7]);
    assert!(store.get("a").is_none() && store.bytes == 0 && store.ended.is_empty());
}

#[test]
fn much_output_is_dropped_and_the_replay_says_so() {
    let mut store = Store::default();
    open(&mut store, "a", None);
    for _ in 0..3 {
        let text = "x".repeat(MOST_OUTPUT as usize / 5 * 2);
        drop(store.note("a", &report("a", Event::Stream { name: StreamName::Stdout, text })));
    }
    drop(end(&mut store, "a"));
    let replay = store.replay("a");
    assert_eq!(replay.len(), 5);
    assert!(
        matches!(&replay[2], Told::Report { event: Event::Stream { text, .. }, .. } if text.contains("not kept"))
    );
}

#[test]
fn a_failure_is_no_success() {
    let mut store = Store::default();
    open(&mut store, "a", None);
    drop(store.note("a", &report("a", done(Outcome::Aborted))));
    drop(store.note("a", &Told::Over { name: "a".to_owned() }));
    assert_eq!(store.ending("a"), Some(&Ending { success: false, ranks: BTreeSet::from([0]) }));
    assert_eq!(store.json(None, |_, _| false)[0]["parts"]["0"]["status"], "aborted");
}

#[test]
fn what_one_lets_go_of_is_there_for_the_others() {
    let mut store = Store::default();
    open(&mut store, "a", Some(1));
    assert!(store.note("a", &report("a", value(7, LARGE))).is_empty());
    store.watch("a", 2);
    assert!(end(&mut store, "a").is_empty());
    let name = ["a".to_owned()];
    assert!(store.let_go(1, &name, true).is_empty(), "another was told of it");
    assert_eq!(store.replay("a").iter().filter_map(|told| told_value(told)?.shared().next()).count(), 1);
    assert_eq!(store.leave(2), [7]);
    assert!(store.leave(2).is_empty() && store.purge(&name).is_empty(), "it is closed once");
    assert_eq!(store.bytes, 0);
}

#[test]
fn what_nobody_has_looked_at_can_be_asked_for() {
    let mut store = Store::default();
    open(&mut store, "a", Some(1));
    assert!(store.note("a", &report("a", value(7, LARGE))).is_empty());
    assert!(end(&mut store, "a").is_empty());
    let name = ["a".to_owned()];
    assert!(store.let_go(1, &name, false).is_empty());
    store.watch("a", 2);
    assert_eq!(store.replay("a").iter().filter_map(|told| told_value(told)?.shared().next()).count(), 1);
    assert_eq!(store.let_go(2, &name, true), [7]);
}

#[test]
fn what_is_not_large_is_kept_like_what_travels_in_messages() {
    let mut store = Store::default();
    open(&mut store, "a", Some(1));
    for event in [value(7, LARGE - 1), value(8, LARGE)] {
        assert!(store.note("a", &report("a", event)).is_empty());
    }
    assert!(end(&mut store, "a").is_empty());
    let name = ["a".to_owned()];
    assert_eq!(store.let_go(1, &name, true), [8]);
    assert_eq!(store.bytes, LARGE - 1);
    assert!(store.let_go(1, &name, true).is_empty(), "it is closed once");
    assert_eq!((store.purge(&name), store.bytes), (vec![7], 0));
}

fn told_value(told: &Told) -> Option<&Payload> {
    let Told::Report { event, .. } = told else { return None };
    event.payload()
}
