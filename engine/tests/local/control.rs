//! What overtakes running cells: control requests and subshells.

use fabric::message::local::{Channel, FromLocal};
use serde_json::json;

use crate::harness::{parent_id, through_both_doors};

#[test]
fn control_is_answered_while_a_cell_runs() {
    through_both_doors(|mut local| {
        let msg_id = local.begin("import time; print('ready', flush=True); time.sleep(1); 'slept'");
        let reply = local.control("usage_request", &json!({}));
        assert_eq!(reply["pid"], local.pid());
        let reply = local.control("unheard_of_request", &json!({}));
        assert_eq!(reply["status"], "error");
        assert_eq!(local.finish(&msg_id).result(), "'slept'");
    });
}

#[test]
fn subshells_run_beside_the_main_shell() {
    through_both_doors(|mut local| {
        local.run("import threading; gate = threading.Event()");
        let subshell = local.control("create_subshell_request", &json!({}))["subshell_id"].clone();
        let subshell = subshell.as_str().unwrap().to_owned();
        let listed = local.control("list_subshell_request", &json!({}));
        assert_eq!(listed["subshell_id"], json!([subshell]));

        let waiting = local.begin("gate.wait(); 'opened'");
        let content = json!({"code": "gate.set()", "silent": false});
        let opening = local.request_for(Channel::Shell, "execute_request", &content, Some(&subshell));
        let mut ended = Vec::new();
        while ended.len() < 2 {
            if let FromLocal::Finished { msg_id, .. } = local.receive() {
                ended.push(msg_id);
            }
        }
        ended.sort();
        let mut expected = [waiting, opening];
        expected.sort();
        assert_eq!(ended, expected);

        // What waits behind a failed cell of a subshell is aborted here, and only that.
        let fail = json!({"code": "import time; time.sleep(0.2); 1/0", "silent": false});
        let behind = json!({"code": "print('must not run')", "silent": false});
        local.request_for(Channel::Shell, "execute_request", &fail, Some(&subshell));
        let aborted = local.request_for(Channel::Shell, "execute_request", &behind, Some(&subshell));
        let mut status = String::new();
        loop {
            match local.receive() {
                FromLocal::Message(message)
                    if message.channel == Channel::Shell && parent_id(&message.parent) == aborted =>
                {
                    let content: serde_json::Value = serde_json::from_slice(&message.content).unwrap();
                    status = content["status"].as_str().unwrap().to_owned();
                }
                FromLocal::Finished { msg_id, .. } if msg_id == aborted => break,
                FromLocal::Stream { text, .. } => panic!("{text}"),
                _ => {}
            }
        }
        assert_eq!(status, "aborted");
        let again = json!({"code": "2", "silent": false});
        let msg_id = local.request_for(Channel::Shell, "execute_request", &again, Some(&subshell));
        assert_eq!(local.finish(&msg_id).result(), "2");

        let reply = local.control("delete_subshell_request", &json!({"subshell_id": subshell}));
        assert_eq!(reply["status"], "ok");
        let msg_id = local.request_for(Channel::Shell, "execute_request", &again, Some(&subshell));
        assert_eq!(local.finish(&msg_id).reply["ename"], "UnknownSubshellError");
    });
}

#[test]
fn the_debugger_starts_and_stops() {
    through_both_doors(|mut local| {
        let features = local.kernel_info["supported_features"].clone();
        if !features.to_string().contains("debugger") {
            return eprintln!("SKIPPED: this Python has no debugpy");
        }
        let mut seq = 0;
        let mut debug = |local: &mut crate::harness::Local, command: &str, arguments: serde_json::Value| {
            seq += 1;
            let content = json!({"type": "request", "seq": seq, "command": command, "arguments": arguments});
            local.control("debug_request", &content)
        };
        let reply = debug(&mut local, "debugInfo", json!({}));
        assert_eq!(reply["body"]["isStarted"], false, "{reply}");
        let reply = debug(&mut local, "initialize", json!({"clientID": "test", "adapterID": ""}));
        assert_eq!(reply["success"], true, "{reply}");
        let reply = debug(&mut local, "attach", json!({}));
        assert_eq!(reply["success"], true, "{reply}");
        let code = "def f(a):\n    b = a + 1\n    return b\nf(1)";
        let reply = debug(&mut local, "dumpCell", json!({"code": code}));
        let path = reply["body"]["sourcePath"].as_str().unwrap().to_owned();
        let breakpoints =
            json!({"breakpoints": [{"line": 2}], "source": {"path": path}, "sourceModified": false});
        assert_eq!(debug(&mut local, "setBreakpoints", breakpoints)["success"], true);
        debug(&mut local, "configurationDone", json!({}));
        let msg_id = local.begin(code);
        // It stops at the breakpoint, and says so.
        let thread = loop {
            match local.receive() {
                FromLocal::Message(message) if message.channel == Channel::Iopub => {
                    let content: serde_json::Value = serde_json::from_slice(&message.content).unwrap();
                    if content["event"] == "stopped" {
                        break content["body"]["threadId"].clone();
                    }
                }
                FromLocal::Finished { .. } => panic!("it ran past the breakpoint"),
                _ => {}
            }
        };
        let reply = debug(&mut local, "stackTrace", json!({"threadId": thread}));
        assert_eq!(reply["body"]["stackFrames"][0]["name"], "f", "{reply}");
        debug(&mut local, "continue", json!({"threadId": thread}));
        loop {
            if let FromLocal::Finished { msg_id: finished, .. } = local.receive()
                && finished == msg_id
            {
                break;
            }
        }
        assert_eq!(debug(&mut local, "disconnect", json!({"restart": false}))["success"], true);
    });
}
