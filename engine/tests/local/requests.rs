//! Requests beside cells.

use fabric::message::local::FromLocal;
use serde_json::{Value, json};

use crate::harness::through_both_doors;

#[test]
fn questions_about_code() {
    through_both_doors(|mut local| {
        local.run("import os; number = 17");
        let reply = local.ask("complete_request", &json!({"code": "os.getcw", "cursor_pos": 8}));
        assert!(reply["matches"].as_array().unwrap().contains(&json!("getcwd")), "{reply}");
        let reply = local.ask("complete_request", &json!({"code": "%pxr", "cursor_pos": 4}));
        assert_eq!(reply["matches"], json!(["%pxresult"]));
        let content = json!({"code": "number", "cursor_pos": 3, "detail_level": 0});
        let reply = local.ask("inspect_request", &content);
        assert_eq!(reply["found"], true);
        assert!(reply["data"]["text/plain"].as_str().unwrap().contains("17"));
        let reply = local.ask("is_complete_request", &json!({"code": "for i in x:"}));
        assert_eq!(reply, json!({"status": "incomplete", "indent": "    "}));
        let reply = local.ask("is_complete_request", &json!({"code": "1"}));
        assert_eq!(reply["status"], "complete");
    });
}

#[test]
fn history_in_its_three_forms() {
    through_both_doors(|mut local| {
        local.run("first = 1");
        local.run("second = 2");
        let texts = |reply: &Value| -> Vec<String> {
            let entries = reply["history"].as_array().unwrap();
            entries.iter().map(|entry| entry[2].as_str().unwrap().to_owned()).collect()
        };
        let tail = json!({"hist_access_type": "tail", "n": 2, "output": false, "raw": true});
        assert_eq!(texts(&local.ask("history_request", &tail)), ["first = 1", "second = 2"]);
        let range = json!({
            "hist_access_type": "range", "session": 0, "start": 1, "output": false, "raw": true,
        });
        assert_eq!(texts(&local.ask("history_request", &range)), ["first = 1", "second = 2"]);
        let search = json!({
            "hist_access_type": "search", "pattern": "sec*", "output": false, "raw": true,
        });
        assert_eq!(texts(&local.ask("history_request", &search)), ["second = 2"]);
    });
}

#[test]
fn comms() {
    through_both_doors(|mut local| {
        local.run(
            "got = []\n\
             def target(comm, message):\n    comm.on_msg(lambda m: (got.append(m['content']['data']), comm.send({'back': 1})))\n\
             get_ipython().kernel.comm_manager.register_target('here', target)",
        );
        let open = json!({"comm_id": "c1", "target_name": "here", "data": {}});
        assert_eq!(local.ask("comm_open", &open), Value::Null, "comms have no reply");
        let reply = local.ask("comm_info_request", &json!({"target_name": "here"}));
        assert_eq!(reply["comms"], json!({"c1": {"target_name": "here"}}));
        let msg_id = local.request(
            fabric::message::local::Channel::Shell,
            "comm_msg",
            &json!({"comm_id": "c1", "data": {"value": 5}}),
        );
        let outcome = local.finish(&msg_id);
        assert_eq!(outcome.of("comm_msg")[0]["data"], json!({"back": 1}));
        assert_eq!(local.run("got").result(), "[{'value': 5}]");
        local.ask("comm_close", &json!({"comm_id": "c1", "data": {}}));
    });
}

#[test]
fn a_cell_that_awaits_gets_a_comms_message() {
    through_both_doors(|mut local| {
        let code = "import inspect, ipykernel.kernelbase as k\n\
                    'concurrent' in inspect.signature(k.Kernel.dispatch_shell).parameters";
        if local.run(code).result() != "True" {
            return eprintln!("SKIPPED: this ipykernel lets comms wait for the cell");
        }
        let waiting = local.begin(
            "import asyncio, comm\n\
             reply = asyncio.get_running_loop().create_future()\n\
             widget = comm.create_comm(target_name='test', comm_id='w')\n\
             widget.on_msg(lambda m: reply.set_result(m['content']['data']))\n\
             print('ready', flush=True)\n\
             await asyncio.wait_for(reply, 30)",
        );
        let mut outcome = crate::harness::Outcome::default();
        while outcome.text.is_empty() {
            assert!(!local.step(&waiting, &mut outcome));
        }
        let shell = fabric::message::local::Channel::Shell;
        let comm = local.request(shell, "comm_msg", &json!({"comm_id": "w", "data": {"value": 7}}));
        let mut ended = Vec::new();
        let mut result = Value::Null;
        while ended.len() < 2 {
            match local.receive() {
                FromLocal::Finished { msg_id, .. } => ended.push(msg_id),
                FromLocal::Message(message) => {
                    let content: Value = serde_json::from_slice(&message.content).unwrap();
                    if content["data"]["text/plain"].is_string() {
                        assert_eq!(crate::harness::parent_id(&message.parent), waiting);
                        result = content["data"]["text/plain"].clone();
                    }
                }
                _ => {}
            }
        }
        assert_eq!(ended, [comm, waiting]);
        assert_eq!(result, "{'value': 7}");
    });
}

#[test]
fn every_request_is_answered() {
    through_both_doors(|mut local| {
        let reply = local.ask("unheard_of_request", &json!({}));
        assert_eq!(reply["status"], "error");
        let reply = local.ask("history_request", &json!({"no": "such form"}));
        assert_eq!(reply["status"], "error");
        let reply = local.ask("execute_request", &json!({"silent": false}));
        assert_eq!(reply["status"], "error");
        let reply = local.ask("connect_request", &json!({}));
        assert_eq!(reply["status"], "ok");
        assert_eq!(local.run("1").result(), "1");
    });
}

#[test]
fn what_a_cell_may_ask_for() {
    through_both_doors(|mut local| {
        let reply = local.ask(
            "execute_request",
            &json!({"code": "x = 3", "silent": false, "user_expressions": {"y": "x * 2"}}),
        );
        assert_eq!(reply["user_expressions"]["y"]["data"]["text/plain"], "6");
        let before = local.next_count;
        let content = json!({"code": "z = 1", "silent": true, "store_history": false});
        let msg_id = local.request(fabric::message::local::Channel::Shell, "execute_request", &content);
        let outcome = local.finish(&msg_id);
        assert!(outcome.published.is_empty(), "{outcome:?}");
        assert_eq!(local.next_count, before);
        let content = json!({"code": "1/0", "silent": false, "stop_on_error": false});
        assert_eq!(local.ask("execute_request", &content)["status"], "error");
        assert!(!local.failed, "what is behind it runs");
        let outcome = local.run("get_ipython().set_next_input('next')");
        assert_eq!(outcome.reply["payload"][0]["text"], "next");
    });
}
