//! What happens when ranks, cells or the kernel end in the wrong way.

mod harness;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fabric::frame;
use fabric::message::launcher::{FromLauncher, ToLauncher};
use fabric::message::lifeline::{Ending, FromSupervisor, FromWorker, ToSupervisor, ToWorker};
use harness::{DEADLINE, Door, Engines, Heard, through_both_doors};

fn exited(engines: &mut Engines) -> (u32, Ending, String) {
    engines.wait_for(|heard| match heard {
        Heard::Supervisor(FromSupervisor::Exited { worker, ending, last_words, .. }) => {
            Some((*worker, *ending, last_words.clone()))
        }
        _ => None,
    })
}

/// Waits until no process of the set is left.
fn wait_for_the_end(pids: &[u32]) {
    let deadline = Instant::now() + DEADLINE;
    let lives = |pid: &&u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // Our own child, the launcher, stays a zombie until it is waited for.
        !stat.is_empty() && !stat.contains(") Z ")
    };
    while let Some(pid) = pids.iter().find(lives) {
        assert!(Instant::now() < deadline, "process {pid} is still there");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_death_is_reported_exactly_and_takes_nobody_along() {
    let mut engines = Engines::start(3);
    let cases = [
        (2, "import os; os._exit(3)", Ending::Code(3), ""),
        (1, "import ctypes; ctypes.string_at(0)", Ending::Signal(11), "Segmentation fault"),
    ];
    for (rank, code, expected, words) in cases {
        let pid = engines.workers[&rank].pid;
        let task = engines.send(&format!("x = 5\nif mpi_rank == {rank}:\n    {code}"));
        engines.workers.remove(&rank);
        engines.collect(task);
        let begun = Instant::now();
        let (worker, ending, last_words) = exited(&mut engines);
        assert_eq!((worker, ending), (pid, expected));
        assert!(last_words.contains(words), "{last_words}");
        assert!(begun.elapsed() < Duration::from_secs(2));
        engines.pending.clear();
    }
    let task = engines.send_by_lifeline(0, "print(x)");
    assert_eq!(engines.collect_from(task, &[0])[0].stdout, "5\n");
}

#[test]
fn the_others_live_on_without_rank_0() {
    through_both_doors(3, |mut engines| {
        engines.run("x = mpi_rank");
        let zero = engines.workers.remove(&0).unwrap();
        std::process::Command::new("kill").args(["-9", &zero.pid.to_string()]).status().unwrap();
        let (worker, ending, _) = exited(&mut engines);
        assert_eq!((worker, ending), (zero.pid, Ending::Signal(9)));
        for rank in [1, 2] {
            let task = engines.send_by_lifeline(rank, "print(x)\nx");
            let ran = engines.collect_from(task, &[rank]);
            assert_eq!((ran[0].stdout.clone(), ran[0].shown.len()), (format!("{rank}\n"), 1));
        }
    });
}

#[test]
fn an_interrupt_reaches_the_task_that_was_meant() {
    through_both_doors(2, |mut engines| {
        let cells = [
            "import time; print('begun', flush=True); time.sleep(60)",
            "print('begun')\nwhile True: pass",
            "import numpy; a = numpy.ones(10**6); print('begun')\nwhile True: a.sum()",
            "import threading; print('begun'); threading.Lock().acquire(); l = threading.Lock(); l.acquire(); l.acquire()",
            "print('begun')\n!sleep 60",
            "import subprocess; print('begun'); subprocess.run(['sleep', '60'])",
            "import asyncio; print('begun'); await asyncio.sleep(60)",
        ];
        for code in cells {
            let task = engines.send(code);
            for _ in 0..2 {
                engines.report(Instant::now() + DEADLINE);
            }
            let begun = Instant::now();
            for rank in [0, 1] {
                engines.tell(rank, &ToWorker::Interrupt { task });
            }
            for ran in engines.collect(task) {
                let ename = ran.raised.as_ref().map(|raised| raised.ename.as_str());
                assert_eq!(ename, Some("KeyboardInterrupt"), "{code}: {ran:?}");
            }
            assert!(begun.elapsed() < Duration::from_secs(3), "{code}: {:?}", begun.elapsed());
            // One that comes too late, and one for a task that has not begun.
            for rank in [0, 1] {
                engines.tell(rank, &ToWorker::Interrupt { task });
                engines.tell(rank, &ToWorker::Interrupt { task: task + 2 });
            }
            for ran in engines.run("print('next')") {
                assert_eq!((ran.stdout.as_str(), ran.raised), ("next\n", None), "after {code}");
            }
            // The lifeline is another way than MPI's: wait until the early interrupt has arrived.
            engines.tell(0, &ToWorker::Status);
            engines.wait_for(|heard| matches!(heard, Heard::Worker(0, FromWorker::Status(_))).then_some(()));
            engines.pending.clear();
            let ran = engines.run("for _ in range(10**9): pass").swap_remove(0);
            assert_eq!(ran.raised.map(|raised| raised.ename).as_deref(), Some("KeyboardInterrupt"), "{code}");
        }
    });
}

#[test]
fn an_interrupt_at_any_moment_is_neither_lost_nor_in_the_way() {
    let mut engines = Engines::start(2);
    for moment in 0..300 {
        let task = engines.send("import subprocess; subprocess.run(['sleep', '1000'])");
        // Not for order: the moment is what is tested, from before the cell begins until long after.
        std::thread::sleep(Duration::from_micros(moment * 12));
        for rank in [0, 1] {
            engines.tell(rank, &ToWorker::Interrupt { task });
        }
        for ran in engines.collect(task) {
            let ename = ran.raised.as_ref().map(|raised| raised.ename.as_str());
            assert_eq!((ename, ran.stderr.as_str()), (Some("KeyboardInterrupt"), ""), "{ran:?}");
        }
    }
    for ran in engines.run("print('alive')") {
        assert_eq!(ran.stdout, "alive\n");
    }
}

#[test]
fn a_running_engine_says_how_it_is() {
    let mut engines = Engines::start(1);
    let task = engines.send("def busy():\n    print('begun')\n    while True: pass\nbusy()");
    engines.report(Instant::now() + DEADLINE);
    engines.tell(0, &ToWorker::Status);
    engines.tell(0, &ToWorker::Stack);
    let status = engines.wait_for(|heard| match heard {
        Heard::Worker(_, FromWorker::Status(status)) => Some(status.clone()),
        _ => None,
    });
    assert_eq!(status.running, Some(task));
    assert!(status.resident > 10_000_000);
    let stack = engines.wait_for(|heard| match heard {
        Heard::Worker(_, FromWorker::Stack { threads, .. }) => Some(threads.clone()),
        _ => None,
    });
    assert!(stack.contains("in busy"), "{stack}");
    engines.tell(0, &ToWorker::Interrupt { task });
    engines.collect(task);
}

#[test]
fn quitting_is_quick_and_clean() {
    through_both_doors(2, |mut engines| {
        let marks: Vec<PathBuf> =
            (0..2).map(|rank| engines.runtime.path().join(format!("mark{rank}"))).collect();
        let folder = engines.runtime.path().display().to_string();
        engines.run(&format!(
            "import atexit, threading, time, pathlib\n\
             atexit.register(lambda: pathlib.Path('{folder}/mark%d' % mpi_rank).write_text('x'))\n\
             threading.Thread(target=time.sleep, args=[600]).start()"
        ));
        let begun = Instant::now();
        for rank in [0, 1] {
            engines.tell(rank, &ToWorker::Quit);
        }
        let ending = engines.wait_for(|heard| match heard {
            Heard::Launcher(FromLauncher::Exited { ending, last_words }) => {
                Some((*ending, last_words.clone()))
            }
            _ => None,
        });
        assert_eq!(ending.0, Ending::Code(0), "{}", ending.1);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        eprintln!("quit after {:?}", begun.elapsed());
        assert!(marks.iter().all(|mark| mark.is_file()), "the exit handlers have not run");
    });
}

#[test]
fn a_cell_that_exits_with_0_has_not_quit() {
    let mut engines = Engines::start(2);
    let task = engines.send("import os\nif mpi_rank == 1: os._exit(0)");
    let dead = engines.workers.remove(&1).unwrap();
    engines.collect(task);
    assert_eq!(exited(&mut engines).1, Ending::Code(0));
    let supervisor = engines.supervisor_pids[&dead.pid];
    assert!(Path::new(&format!("/proc/{supervisor}")).exists());
    let task = engines.send_by_lifeline(0, "print('alive')");
    assert_eq!(engines.collect_from(task, &[0])[0].stdout, "alive\n");
}

#[test]
fn nothing_outlives_the_kernel() {
    through_both_doors(2, |mut engines| {
        let file = engines.runtime.path().join("leftover");
        std::fs::write(&file, "x").unwrap();
        let paths = vec![file.clone(), engines.runtime.path().join("not there")];
        frame::write(engines.link.as_mut().unwrap(), &ToLauncher::Remove(paths)).unwrap();
        let code = "import subprocess\n\
                    p = subprocess.Popen(['sh', '-c', 'trap \"\" TERM; setsid sleep 1000 & sleep 1000'])\n\
                    print(p.pid)";
        let mut pids = engines.pids();
        pids.extend(engines.run(code).iter().map(|ran| ran.stdout.trim().parse::<u32>().unwrap()));
        let task = engines.send("while True: pass");
        let begun = Instant::now();
        drop(engines);
        let _ = task;
        wait_for_the_end(&pids);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert!(!file.exists());
    });
}

#[test]
fn each_process_may_be_killed_and_nothing_is_left() {
    for victim in ["launcher", "supervisor", "worker"] {
        let engines = Engines::start(2);
        let pids = engines.pids();
        let pid = match victim {
            "launcher" => engines.launcher.id(),
            "supervisor" => *engines.supervisor_pids.values().next().unwrap(),
            _ => engines.workers[&1].pid,
        };
        std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
        // The kernel notices and lets go of everything.
        drop_all(engines);
        wait_for_the_end(&pids);
    }
}

fn drop_all(mut engines: Engines) {
    for supervisor in engines.supervisors.values_mut() {
        let _ = frame::write(supervisor, &ToSupervisor::End);
    }
}

#[test]
fn a_python_without_ipython_says_what_to_install() {
    let bare = tempfile::tempdir().unwrap();
    let made = std::process::Command::new(harness::python())
        .args(["-m", "venv", "--without-pip"])
        .arg(bare.path())
        .status()
        .unwrap();
    assert!(made.success());
    let python = bare.path().join("bin/python");
    let mut engines = Engines::launch(1, Door::Extension, |config| config.python = python.clone());
    let (_, ending, last_words) = exited(&mut engines);
    assert_eq!(ending, Ending::Code(1));
    let install = format!("{} -m pip install ipython", python.display());
    assert!(last_words.contains(&install), "{last_words}");
}

#[test]
fn the_launcher_says_why_it_could_not_start() {
    let mut engines = Engines::start(1);
    let words = vec!["/nonexistent/mpiexec".to_owned()];
    let start = ToLauncher::Start { command: words, set: vec![], directory: "/".into(), zygote: None };
    frame::write(engines.link.as_mut().unwrap(), &start).unwrap();
    let reason = engines.wait_for(|heard| match heard {
        Heard::Launcher(FromLauncher::Failed { reason }) => Some(reason.clone()),
        _ => None,
    });
    assert!(reason.contains("before"), "{reason}");
    frame::write(engines.link.as_mut().unwrap(), &ToLauncher::Stop { grace: 0 }).unwrap();
    let pids = engines.pids();
    engines.wait_for(|heard| matches!(heard, Heard::Launcher(FromLauncher::Exited { .. })).then_some(()));
    drop(engines);
    wait_for_the_end(&pids);
}
