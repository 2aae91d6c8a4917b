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
