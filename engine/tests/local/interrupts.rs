//! Interrupts: what they stop, and what they leave alone.

use std::time::{Duration, Instant};

use fabric::message::local::{Channel, FromLocal, ToLocal};
use serde_json::json;

use crate::harness::{Local, Outcome, through_both_doors};

/// Runs a cell that says `ready` and then waits; interrupts it; checks that it ends in time and that the next
/// cell is fine.
fn interrupt(local: &mut Local, code: &str) -> Outcome {
    let msg_id = local.begin(&format!("print('ready', flush=True)\n{code}"));
    let mut outcome = Outcome::default();
    while outcome.text.is_empty() {
        assert!(!local.step(&msg_id, &mut outcome), "the cell ended by itself: {outcome:?}");
    }
    // Python has still to get from the print to what follows.
    std::thread::sleep(Duration::from_millis(50));
    let begun = Instant::now();
    local.send(&ToLocal::Interrupt);
    while !local.step(&msg_id, &mut outcome) {}
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(2), "{code} took {took:?}");
    assert_eq!(outcome.reply["status"], "error", "{code}: {outcome:?}");
    assert!(local.failed);
    assert_eq!(local.run("'fine'").result(), "'fine'");
    outcome
}

#[test]
fn what_waits_is_interrupted() {
    through_both_doors(|mut local| {
        for code in [
            "import time; time.sleep(30)",
            "while True: pass",
            "import threading; threading.Event().wait()",
            "import subprocess; subprocess.run(['sleep', '30'])",
            "import ctypes; ctypes.CDLL(None).sleep(30); time.sleep(30)",
        ] {
            let outcome = interrupt(&mut local, code);
            assert_eq!(outcome.reply["ename"], "KeyboardInterrupt", "{code}");
            assert_eq!(outcome.of("error").len(), 1, "{code}");
        }
        interrupt(&mut local, "import asyncio; await asyncio.sleep(30)");
        // A shell ignores the signal while its child runs: the child must get it.
        let msg_id = local.begin("import os; os.system('echo ready; exec sleep 30')");
        let mut outcome = Outcome::default();
        while outcome.text.is_empty() {
            assert!(!local.step(&msg_id, &mut outcome));
        }
        std::thread::sleep(Duration::from_millis(50));
        local.send(&ToLocal::Interrupt);
        while !local.step(&msg_id, &mut outcome) {}
    });
}

#[test]
fn input_is_asked_for_and_interrupted() {
    through_both_doors(|mut local| {
        let msg_id = local.begin("name = input('who? '); name * 2");
        let ask = loop {
            match local.receive() {
                FromLocal::Message(message) if message.channel == Channel::Stdin => break message,
                FromLocal::Finished { .. } => panic!("nothing was asked"),
                _ => {}
            }
        };
        assert_eq!(ask.identities[0].as_slice(), b"client");
        let content: serde_json::Value = serde_json::from_slice(&ask.content).unwrap();
        assert_eq!(content, json!({"prompt": "who? ", "password": false}));
        let header = json!({"msg_id": "answer", "msg_type": "input_reply"}).to_string().into_bytes();
        let parent = ask.header.to_vec();
        local.send_message(Channel::Stdin, header.clone(), parent.clone(), &json!({"value": "you"}));
        assert_eq!(local.finish(&msg_id).result(), "'youyou'");

        // An answer that nobody asked for is not taken for the next one.
        local.send_message(Channel::Stdin, header, parent, &json!({"value": "stale"}));
        let msg_id = local.begin("input()");
        loop {
            match local.receive() {
                FromLocal::Message(message) if message.channel == Channel::Stdin => break,
                _ => {}
            }
        }
        local.send(&ToLocal::Interrupt);
        let outcome = local.finish(&msg_id);
        assert_eq!(outcome.reply["ename"], "KeyboardInterrupt");
        assert_eq!(local.run("1").result(), "1");
    });
}

#[test]
fn nothing_that_rests_is_interrupted() {
    through_both_doors(|mut local| {
        local.run("x = 1");
        local.send(&ToLocal::Interrupt);
        assert_eq!(local.run("x").result(), "1");
    });
}

#[test]
fn a_cell_is_interrupted_before_it_began() {
    through_both_doors(|mut local| {
        for _ in 0..20 {
            let msg_id = local.begin("import time; time.sleep(30)");
            local.send(&ToLocal::Interrupt);
            let outcome = local.finish(&msg_id);
            assert_eq!(outcome.reply["ename"], "KeyboardInterrupt", "{outcome:?}");
        }
        assert_eq!(local.run("len(In)").result(), "22");
        assert_eq!(local.next_count, 22);
    });
}

#[test]
fn interrupts_at_any_moment_lose_no_reply() {
    through_both_doors(|mut local| {
        local.run("import time");
        for delay in 0..60_u64 {
            let msg_id = local.begin("time.sleep(0.001)");
            std::thread::sleep(Duration::from_micros(delay * 100));
            local.send(&ToLocal::Interrupt);
            let outcome = local.finish(&msg_id);
            assert!(outcome.reply["status"].is_string(), "{outcome:?}");
        }
        assert_eq!(local.run("1 + 1").result(), "2");
    });
}
