//! What a cell shows and what becomes of it.

use serde_json::json;

use crate::harness::through_both_doors;

#[test]
fn a_value_and_a_count() {
    through_both_doors(|mut local| {
        let outcome = local.run("1 + 1");
        assert_eq!(outcome.result(), "2");
        assert_eq!(outcome.of("execute_input"), [&json!({"code": "1 + 1", "execution_count": 1})]);
        assert_eq!(outcome.reply["status"], "ok");
        assert_eq!(outcome.reply["execution_count"], 1);
        assert_eq!((local.next_count, local.failed), (2, false));
        assert_eq!(local.run("_ + 1").result(), "3");
        assert_eq!(local.kernel_info["language_info"]["name"], "python");
    });
}

#[test]
fn text_in_the_order_in_which_it_was_written() {
    through_both_doors(|mut local| {
        let outcome = local.run(
            "import sys, os\n\
             for i in range(3):\n    print('out', i); print('err', i, file=sys.stderr)\n\
             print('before'); os.system('echo child'); print('after')\n\
             os.write(2, b'raw\\n')",
        );
        let text = outcome.text.join("|");
        assert!(text.starts_with("stdout:out 0\n|stderr:err 0\n|stdout:out 1\n|stderr:err 1\n|"), "{text}");
        assert!(text.contains("before\nchild\nafter\n"), "{text}");
        assert!(text.ends_with("stderr:raw\n"), "{text}");
    });
}

#[test]
fn an_exception_with_its_traceback() {
    through_both_doors(|mut local| {
        let outcome = local.run("print('first')\n1 / 0");
        let error = outcome.of("error")[0];
        assert_eq!(error["ename"], "ZeroDivisionError");
        assert!(error["traceback"].to_string().contains("In[1]"), "{error}");
        assert_eq!(outcome.reply["status"], "error");
        assert_eq!(outcome.reply["ename"], "ZeroDivisionError");
        assert!(local.failed);
        assert_eq!(local.run("2").result(), "2");
        assert!(!local.failed);
    });
}

#[test]
fn displays_and_their_metadata() {
    through_both_doors(|mut local| {
        let outcome = local.run(
            "from IPython.display import HTML, clear_output, display, publish_display_data\n\
             h = display(HTML('<b>x</b>'), display_id='one')\n\
             h.update(HTML('<i>y</i>'))\n\
             publish_display_data({'application/x-own': {'a': [1, 2.5, None]}}, {'own': 'meta'})\n\
             clear_output(wait=True)",
        );
        let names: Vec<&str> = outcome.published.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["execute_input", "display_data", "update_display_data", "display_data", "clear_output"]
        );
        assert_eq!(outcome.published[1].1["data"]["text/html"], "<b>x</b>");
        assert_eq!(outcome.published[1].1["transient"], json!({"display_id": "one"}));
        assert_eq!(outcome.published[3].1["data"], json!({"application/x-own": {"a": [1, 2.5, null]}}));
        assert_eq!(outcome.published[3].1["metadata"], json!({"own": "meta"}));
    });
}

#[test]
fn output_of_forked_children_and_threads() {
    through_both_doors(|mut local| {
        let outcome = local.run(
            "import os, threading\n\
             pid = os.fork()\n\
             if pid == 0:\n    print('from the child', flush=True); os._exit(0)\n\
             os.waitpid(pid, 0)\n\
             t = threading.Thread(target=print, args=('from the thread',)); t.start(); t.join()",
        );
        let text = outcome.text.join("|");
        assert!(text.contains("from the child\n") && text.contains("from the thread\n"), "{text}");
    });
}

#[test]
fn text_before_a_long_call_is_seen_during_it() {
    through_both_doors(|mut local| {
        local.run("import ctypes; libc = ctypes.PyDLL(None)");
        // The call holds the GIL.
        let msg_id = local.begin("print('early'); libc.usleep(900_000); print('late')");
        let begun = std::time::Instant::now();
        let mut outcome = crate::harness::Outcome::default();
        while !outcome.text.iter().any(|text| text.contains("early")) {
            assert!(!local.step(&msg_id, &mut outcome), "the cell ended first");
        }
        let seen = begun.elapsed();
        assert!(seen.as_millis() < 800, "seen after {seen:?}");
        while !local.step(&msg_id, &mut outcome) {}
        assert_eq!(outcome.text, ["stdout:early\nlate\n"]);
    });
}

#[test]
fn awaits_and_background_tasks_keep_their_parent() {
    through_both_doors(|mut local| {
        local.run("import asyncio, contextvars; var = contextvars.ContextVar('var'); var.set(7);");
        let outcome = local.run(
            "gate = asyncio.Event()\n\
             async def later():\n    await gate.wait(); print('from the task', flush=True)\n\
             task = asyncio.create_task(later())\n\
             await asyncio.sleep(0.01); 'awaited'",
        );
        assert_eq!(outcome.result(), "'awaited'");
        assert_eq!(local.run("var.get()").result(), "7");
        // The task was born in the cell before the last: its text belongs there.
        let msg_id = local.begin("gate.set(); await task; 'done'");
        let mut parents = Vec::new();
        loop {
            use fabric::message::local::FromLocal;
            match local.receive() {
                FromLocal::Stream { text, parent, .. } => {
                    parents.push((crate::harness::parent_id(&parent), text));
                }
                FromLocal::Finished { msg_id: finished, .. } if finished == msg_id => break,
                _ => {}
            }
        }
        assert_eq!(parents, [("request-2".to_owned(), "from the task\n".to_owned())]);
    });
}

#[test]
fn the_shell_is_the_one_that_libraries_look_for() {
    through_both_doors(|mut local| {
        let code = "ip = get_ipython()\n\
            (type(ip).__name__, 'IPKernelApp' in ip.config, ip.kernel is not None, ip.kernel.shell is ip,\n\
             __import__('sys').executable, __import__('ipykernel.kernelapp').kernelapp.IPKernelApp.initialized())";
        let folder = crate::harness::python().parent().unwrap().canonicalize().unwrap();
        // A long path has the tuple shown on several lines.
        let result = local.run(code).result().replace('\n', "");
        assert!(result.starts_with("('ZMQInteractiveShell', True, True, True, "), "{result}");
        assert!(result.contains(folder.to_str().unwrap()), "{result}");
        assert!(result.ends_with("True)"), "{result}");
    });
}

#[test]
fn matplotlib_inline_without_a_word() {
    through_both_doors(|mut local| {
        let outcome = local.run("import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.show()");
        if outcome.reply["ename"] == "ModuleNotFoundError" {
            return eprintln!("SKIPPED: this Python has no matplotlib");
        }
        let displays = outcome.of("display_data");
        assert!(displays.iter().any(|it| it["data"]["image/png"].is_string()), "{outcome:?}");
    });
}

#[test]
fn lone_surrogates_and_much_text() {
    through_both_doors(|mut local| {
        let outcome = local.run("print('a\\ud800b'); print('x' * 3_000_000)");
        let text = outcome.text.join("");
        assert!(text.starts_with("stdout:a") && text.len() > 3_000_000, "{} bytes", text.len());
        let outcome = local.run("for i in range(20_000): print(i)");
        assert_eq!(outcome.text.join("").lines().count(), 20_000);
    });
}
