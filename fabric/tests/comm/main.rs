//! The comm thread on the in-process twin: whole runs from the kernel's end of the gateway socket to
//! every rank's inbox and back. Every wait has a deadline.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod inbox;
mod world;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::Duration;

use fabric::comm::Ended;
use fabric::doorbell::Doorbell;
use fabric::frame::{self, Frames};
use fabric::message::Rank;
use fabric::message::task::{Packet, Task, ToGateway};
use fabric::transport::{Fabric, FabricError};
use fabric::twin::Twin;

use world::{DEADLINE, Engine, World, done, line, pass, reported, ring_by_hand, until};

#[test]
fn a_task_reaches_its_targets_and_nobody_else() {
    let mut world = World::new(4);
    let subsets: [&[Rank]; 5] = [&[0, 1, 2, 3], &[2], &[0], &[1, 3], &[0, 2, 3]];
    for (id, targets) in (1..).zip(subsets) {
        world.fan_out(id, targets);
        for rank in targets {
            let engine = &world.engines[*rank as usize];
            assert_eq!(engine.take(), Task { id, targets: targets.len() as u32, work: pass() });
            engine.done(id);
        }
        let mut from: Vec<_> = targets.iter().map(|_| world.next()).collect();
        from.sort_by_key(|(rank, _)| *rank);
        assert_eq!(from, targets.iter().map(|rank| (*rank, done(id))).collect::<Vec<_>>());
    }
    assert!(world.engines.iter().all(|engine| engine.inbox.try_recv().is_err()));
}

#[test]
fn reports_of_one_rank_keep_their_order() {
    let mut world = World::new(3);
    let lines = 2000;
    let writers: Vec<_> = world
        .engines
        .iter()
        .map(|engine| engine.outbox.clone())
        .map(|outbox| {
            thread::spawn(move || (0..lines).for_each(|n| outbox.report(&line(7, &n.to_string())).unwrap()))
        })
        .collect();
    let mut next = [0; 3];
    for _ in 0..3 * lines {
        let (rank, report) = world.next();
        assert_eq!(report, line(7, &next[rank as usize].to_string()), "rank {rank}");
        next[rank as usize] += 1;
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
}

#[test]
fn who_is_done_moves_mpi_along_until_all_are() {
    let mut world = World::new(3);
    world.fan_out(1, &[0, 1, 2]);
    world.engines.iter().for_each(|engine| drop(engine.take()));
    for engine in &world.engines {
        until(|| !engine.polls());
    }
    world.engines[0].done(1);
    world.engines[1].done(1);
    assert!(world.engines[0].polls() && world.engines[1].polls());
    assert!(!world.engines[2].polls(), "a rank that runs leaves it to its own Python");
    world.engines[2].done(1);
    for rank in [1, 2] {
        // The task, and the word that it is settled.
        world.engines[rank].received(2);
    }
    for engine in &world.engines {
        until(|| !engine.polls());
    }
    assert_eq!(world.engines[0].outbox.counters(), (4, 2));
    assert_eq!(world.engines[1].outbox.counters(), (1, 2));
}

#[test]
fn a_task_of_one_rank_is_settled_by_itself() {
    let mut world = World::new(2);
    world.fan_out(1, &[1]);
    world.engines[1].take();
    world.engines[1].done(1);
    assert_eq!(world.next(), (1, done(1)));
    until(|| world.engines.iter().all(|engine| !engine.polls()));
    assert_eq!(world.engines[1].outbox.counters(), (1, 1));
}

#[test]
fn packets_that_become_visible_late_are_not_missed() {
    let mut world = World::with(3, 14);
    for id in 1..10 {
        world.fan_out(id, &[0, 1, 2]);
        for engine in &world.engines {
            assert_eq!(engine.take().id, id);
            engine.done(id);
        }
        (0..3).for_each(|_| drop(world.next()));
    }
}

#[test]
fn rings_that_found_the_doorbell_full_are_rung_later() {
    let folder = tempfile::tempdir().unwrap();
    let mut bells = (0..2).map(|rank| Doorbell::create(folder.path(), rank).unwrap());
    let mut twins = Twin::world(2).into_iter();
    let (zero, zero_bell) = (twins.next().unwrap(), bells.next().unwrap());
    let mut pipe = ring_by_hand(&folder, 0);
    while pipe.write(&u32::MAX.to_le_bytes()).is_ok() {}
    let one = Engine::start(twins.next().unwrap(), bells.next().unwrap(), None, 0);
    (0..10).for_each(|n| one.outbox.report(&line(1, &n.to_string())).unwrap());
    let (mut kernel, gateway) = UnixStream::pair().unwrap();
    kernel.set_read_timeout(Some(DEADLINE)).unwrap();
    // Each packet is held back for so many looks that only its ring makes the thread look on.
    let _zero = Engine::start(zero, zero_bell, Some(gateway), 14);
    let mut frames = Frames::default();
    for n in 0..10 {
        let report = line(1, &n.to_string());
        assert_eq!(frames.read(&mut kernel).unwrap(), Some(reported(report)));
    }
    until(|| !one.polls());
}

#[test]
fn the_lost_are_neither_sent_to_nor_waited_for() {
    let mut world = World::new(3);
    world.fan_out(1, &[0, 1, 2]);
    for engine in &world.engines[..2] {
        engine.take();
        engine.done(1);
    }
    world.engines[2].take();
    assert!(world.engines[1].polls());
    world.order(&ToGateway::Lost { ranks: vec![2] });
    world.engines[1].received(2);
    until(|| !world.engines[0].polls() && !world.engines[1].polls());
    world.fan_out(2, &[0, 1, 2]);
    assert_eq!((world.engines[0].take().id, world.engines[1].take().id), (2, 2));
    assert_eq!(
        world.engines[2].inbox.recv_timeout(Duration::from_millis(50)),
        Err(RecvTimeoutError::Timeout)
    );
    world.engines[0].done(2);
    world.engines[1].done(2);
    world.engines[1].received(4);
    let zero = world.engines.swap_remove(0).comm.stop();
    assert!(matches!(zero.finalize(), Err(FabricError::Lost { ranks }) if ranks == [2]));
}

#[test]
fn the_end_of_rank_0_ends_the_polling_of_the_others() {
    let mut world = World::new(2);
    world.fan_out(1, &[0, 1]);
    let one = &world.engines[1];
    one.take();
    one.done(1);
    assert!(one.polls());
    one.outbox.lose(&[0]);
    until(|| !one.polls());
    assert!(matches!(one.outbox.report(&line(1, "late")), Err(FabricError::Gone { rank: 0 })));
}

#[test]
fn a_dead_rank_0_is_an_error_of_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let zero = Doorbell::create(folder.path(), 0).unwrap();
    let twin = Twin::world(2).remove(1);
    let one = Engine::start(twin, Doorbell::create(folder.path(), 1).unwrap(), None, 0);
    one.outbox.report(&line(1, "to the living")).unwrap();
    drop(zero);
    assert!(matches!(one.outbox.report(&line(1, "to the dead")), Err(FabricError::Gone { rank: 0 })));
}

#[test]
fn the_end_of_the_kernel_ends_the_comm_thread() {
    let mut world = World::new(2);
    world.fan_out(1, &[0]);
    world.engines[0].take();
    let Engine { comm, outbox, inbox, .. } = world.engines.remove(0);
    drop(world);
    assert_eq!(inbox.recv_timeout(DEADLINE), Err(RecvTimeoutError::Disconnected));
    assert_eq!(comm.reason(), Some(Ended::KernelGone));
    assert!(matches!(outbox.report(&done(1)), Err(FabricError::Ended(Ended::KernelGone))));
    comm.stop().finalize().unwrap();
}

#[test]
fn a_kernel_that_speaks_something_else_ends_the_comm_thread() {
    let mut world = World::new(1);
    world.kernel.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let Engine { comm, inbox, .. } = world.engines.remove(0);
    assert_eq!(inbox.recv_timeout(DEADLINE), Err(RecvTimeoutError::Disconnected));
    assert!(matches!(comm.reason(), Some(Ended::Gateway(_))));
}

#[test]
fn packets_that_make_no_sense_are_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let bell = Doorbell::create(folder.path(), 0).unwrap();
    let _one_bell = Doorbell::create(folder.path(), 1).unwrap();
    let mut twins = Twin::world(2).into_iter();
    let (kernel, gateway) = UnixStream::pair().unwrap();
    kernel.set_read_timeout(Some(DEADLINE)).unwrap();
    let zero = Engine::start(twins.next().unwrap(), bell, Some(gateway), 0);
    let mut one = twins.next().unwrap();
    let good = frame::pack(&Packet::Reports(vec![done(3)].into())).unwrap();
    let mut packets: Vec<Vec<u8>> = (0..good.len()).map(|cut| good[..cut].to_vec()).collect();
    let task = Packet::Tasks { tasks: vec![vec![1].into()].into(), settled: vec![].into() };
    packets.extend([vec![], vec![9], vec![0xff; 40], frame::pack(&task).unwrap()]);
    packets.push(good);
    let mut pipe = ring_by_hand(&folder, 0);
    for packet in packets {
        one.send(0, &packet).unwrap();
        pipe.write_all(&1_u32.to_le_bytes()).unwrap();
    }
    let got = Frames::default().read(&mut &kernel).unwrap();
    assert_eq!(got, Some(reported(done(3))));
    assert_eq!(zero.comm.reason(), None);
}

#[test]
fn a_rank_that_writes_faster_than_the_kernel_takes_has_to_wait() {
    let mut world = World::new(2);
    let (outbox, lines, length) = (world.engines[1].outbox.clone(), 300, 100_000);
    let written = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&written);
    let writer = thread::spawn(move || {
        for _ in 0..lines {
            outbox.report(&line(1, &"x".repeat(length))).unwrap();
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let stalled = || {
        let before = written.load(Ordering::Relaxed);
        thread::sleep(Duration::from_millis(100));
        before > 0 && before == written.load(Ordering::Relaxed)
    };
    until(stalled);
    assert!(written.load(Ordering::Relaxed) < lines / 2, "30 MB of which nobody has taken anything");
    for _ in 0..lines {
        assert_eq!(world.next().1, line(1, &"x".repeat(length)));
    }
    writer.join().unwrap();
}

#[test]
fn who_waits_for_room_learns_of_the_end() {
    let mut world = World::new(2);
    let outbox = world.engines[1].outbox.clone();
    let writer = thread::spawn(move || {
        loop {
            if let Err(error) = outbox.report(&line(1, &"x".repeat(1_000_000))) {
                return error;
            }
        }
    });
    let one = world.engines.remove(1);
    until(|| one.outbox.counters().0 > 3);
    drop(one.comm.stop());
    assert!(matches!(writer.join().unwrap(), FabricError::Ended(Ended::Stopped)));
}

#[test]
fn stopping_hands_the_carrier_back() {
    let mut world = World::new(2);
    for Engine { comm, outbox, inbox, .. } in world.engines.drain(..) {
        comm.stop().finalize().unwrap();
        assert_eq!(inbox.try_recv().ok(), None);
        assert!(matches!(outbox.report(&done(1)), Err(FabricError::Ended(Ended::Stopped))));
    }
}
