//! The parallel magics as Python calls them, and parallel cells in the history.

use fabric::message::local::{Answer, FromLocal, ToLocal};
use fabric::message::report::Raised;
use serde_json::json;

use crate::harness::{Local, Outcome, through_both_doors};

/// A call as the kernel sees it.
#[derive(Debug)]
struct Call {
    call: u64,
    magic: String,
    line: String,
    cell: Option<String>,
}

/// Waits until a cell calls the kernel.
fn called(local: &mut Local, msg_id: &str) -> Call {
    loop {
        match local.receive() {
            FromLocal::Call { call, magic, line, cell, parent, .. } => {
                assert_eq!(crate::harness::parent_id(&parent), msg_id);
                return Call { call, magic, line, cell };
            }
            FromLocal::Finished { .. } => panic!("the cell ended without a call"),
            _ => {}
        }
    }
}

fn answered(local: &mut Local, code: &str, answer: Answer) -> (Call, Outcome) {
    let msg_id = local.begin(code);
    let call = called(local, &msg_id);
    local.send(&ToLocal::Answer { call: call.call, answer, shown: Vec::new() });
    (call, local.finish(&msg_id))
}

#[test]
fn a_magic_waits_for_its_answer() {
    through_both_doors(|mut local| {
        let (call, outcome) = answered(&mut local, "for i in [1]:\n    %px print('{i}', $i)", Answer::Done);
        assert_eq!((call.magic.as_str(), call.cell), ("px", None));
        assert_eq!(call.line, "print('{i}', $i)", "as it was typed");
        assert_eq!(outcome.reply["status"], "ok");

        local.run("t = 3");
        let (call, _) = answered(&mut local, "%%px --targets $t\na = '$t {t}'\nb = 2\n", Answer::Done);
        assert_eq!(call.line, "--targets 3", "options are expanded");
        assert_eq!(call.cell.as_deref(), Some("a = '$t {t}'\nb = 2\n"), "code is not");

        let code = "m = get_ipython().magics_manager.magics\n(m['line']['px'].__doc__, 'px' in m['cell'])";
        assert_eq!(local.run(code).result(), "('Help of px.', True)");
        let outcome = local.run("%pxresult?");
        assert!(outcome.reply["payload"][0]["data"]["text/plain"].to_string().contains("Help of pxresult."));
    });
}

#[test]
fn a_remote_error_is_shown_as_it_was_made() {
    through_both_doors(|mut local| {
        let raised = Raised {
            ename: "CompositeError".to_owned(),
            evalue: "one or more exceptions".to_owned(),
            traceback: vec!["[0:execute]".to_owned(), "ZeroDivisionError: division by zero".to_owned()],
        };
        let (_, outcome) =
            answered(&mut local, "%px 1/0", Answer::Failed { shown: raised.clone(), each: Vec::new() });
        let expected = json!({
            "ename": "CompositeError",
            "evalue": "one or more exceptions",
            "traceback": ["[0:execute]", "ZeroDivisionError: division by zero"],
        });
        assert_eq!(outcome.of("error"), [&expected], "once, and nothing added");
        assert_eq!(outcome.reply["ename"], "CompositeError");
        assert!(local.failed);
        let code = "try:\n    %px 1/0\nexcept Exception as e:\n    print(type(e).__name__, e)";
        let (_, outcome) = answered(&mut local, code, Answer::Failed { shown: raised, each: Vec::new() });
        assert_eq!(outcome.text, ["stdout:CompositeError one or more exceptions\n"]);
    });
}

#[test]
fn wrong_words_and_interrupts() {
    through_both_doors(|mut local| {
        let (_, outcome) = answered(&mut local, "%px", Answer::Usage("no code given".to_owned()));
        assert_eq!(outcome.text, ["stderr:UsageError: no code given\n"]);
        assert_eq!(outcome.reply["status"], "error");

        let (_, outcome) = answered(&mut local, "%px x", Answer::Interrupted);
        assert_eq!(outcome.reply["ename"], "KeyboardInterrupt");

        // Without an answer an interrupt ends the wait too; the answer that comes late is nobody's.
        let msg_id = local.begin("%px x");
        let call = called(&mut local, &msg_id);
        local.send(&ToLocal::Interrupt);
        let outcome = local.finish(&msg_id);
        assert_eq!(outcome.reply["ename"], "KeyboardInterrupt");
        assert_eq!(outcome.withdrawn, [call.call]);
        local.send(&ToLocal::Answer { call: call.call, answer: Answer::Done, shown: Vec::new() });
        assert_eq!(local.run("1").result(), "1");
    });
}

#[test]
fn parallel_cells_are_in_the_history() {
    through_both_doors(|mut local| {
        local.run("a = 1");
        local.send(&ToLocal::Record { code: "%%px\nx = 5\n".to_owned(), count: 2 });
        local.send(&ToLocal::Record { code: "%px y".to_owned(), count: 3 });
        let outcome = local.run("len(In), _i3, _i2");
        assert_eq!(outcome.reply["execution_count"], 4);
        assert_eq!(outcome.result(), "(5, '%px y', '%%px\\nx = 5')");
        let content = json!({"hist_access_type": "tail", "n": 3, "output": false, "raw": true});
        let history = local.ask("history_request", &content)["history"].clone();
        assert_eq!(history[0][2], "%%px\nx = 5");
        assert_eq!(history[1][1], 3);
        let outcome = local.run("%history -n");
        assert!(outcome.text[0].contains("   2:\n%%px\nx = 5\n"), "{outcome:?}");
    });
}
