//! How the process ends, and when it does not begin.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::time::Duration;

use fabric::message::local::{FromLocal, ToLocal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::harness::{Door, Local, Outcome, python, through_both_doors};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_end_of_the_link_ends_the_process() {
    through_both_doors(|mut local| {
        local.hang_up();
        assert!(local.wait_for_end(SECOND).is_some());
    });
}

#[test]
fn the_end_of_the_link_ends_a_call_into_c_and_children() {
    through_both_doors(|mut local| {
        // The call holds the GIL, so that no Python code can run.
        let code = "import subprocess, ctypes\n\
                    child = subprocess.Popen(['sleep', '60'])\n\
                    print(child.pid, flush=True)\n\
                    ctypes.PyDLL(None).sleep(30)";
        let msg_id = local.begin(code);
        let mut outcome = Outcome::default();
        while !outcome.text.join("").ends_with('\n') {
            assert!(!local.step(&msg_id, &mut outcome));
        }
        let child = outcome.text[0].trim_start_matches("stdout:").trim().parse().unwrap();
        let child = pidfd_open(Pid::from_raw(child).unwrap(), PidfdFlags::empty()).unwrap();
        local.hang_up();
        assert!(local.wait_for_end(SECOND).is_some());
        // It becomes readable when the process has ended; that it was killed does not mean that it has.
        let within = Timespec { tv_sec: 10, tv_nsec: 0 };
        let ended = poll(&mut [PollFd::new(&child, PollFlags::IN)], Some(&within)).unwrap();
        assert_eq!(ended, 1, "the child lives");
    });
}

#[test]
fn quit_runs_the_exit_handlers() {
    through_both_doors(|mut local| {
        let file = local.home().join("farewell");
        local.run(&format!("import atexit, pathlib; atexit.register(pathlib.Path({file:?}).touch)"));
        local.send(&ToLocal::Quit);
        assert!(local.wait_for_end(10 * SECOND).is_some_and(|status| status.success()));
        assert!(file.exists());
    });
}

#[test]
fn quit_interrupts_what_runs() {
    through_both_doors(|mut local| {
        let msg_id = local.begin("print('ready', flush=True)\nwhile True: pass");
        let mut outcome = Outcome::default();
        while outcome.text.is_empty() {
            local.step(&msg_id, &mut outcome);
        }
        local.send(&ToLocal::Quit);
        assert!(local.wait_for_end(10 * SECOND).is_some_and(|status| status.success()));
    });
}

#[test]
fn the_end_of_a_process_is_as_it_was_asked_for() {
    through_both_doors(|mut local| {
        local.begin("import os; os._exit(3)");
        assert_eq!(local.wait_for_end(10 * SECOND).and_then(|status| status.code()), Some(3));
    });
    through_both_doors(|mut local| {
        let outcome = local.run("quit");
        assert_eq!(outcome.reply["payload"][0]["source"], "ask_exit");
        assert!(local.wait_for_end(10 * SECOND).is_some_and(|status| status.success()));
    });
}

#[test]
fn a_crash_names_its_line() {
    through_both_doors(|mut local| {
        local.begin("import ctypes\ndef fatal():\n    ctypes.string_at(0)\nfatal()");
        assert!(local.wait_for_end(10 * SECOND).is_some_and(|status| status.signal() == Some(11)));
        let log = local.log();
        assert!(log.contains("Segmentation fault") && log.contains("in fatal"), "{log}");
    });
}

#[test]
fn a_python_without_ipykernel_says_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new(python()).args(["-m", "venv", "--without-pip"]).arg(folder.path()).status();
    assert!(made.unwrap().success());
    let bare = folder.path().join("bin/python");
    for door in [Door::Embedded, Door::Extension] {
        let Some(mut local) = Local::spawn(&bare, door) else { continue };
        let FromLocal::Unfit { reason } = local.receive() else { panic!("it is fit") };
        let advice = format!("install it with `{} -m pip install 'ipykernel>=7,<8'`", bare.display());
        assert!(reason.ends_with(&advice), "{reason}");
        assert!(local.wait_for_end(10 * SECOND).is_some_and(|status| !status.success()));
    }
}
