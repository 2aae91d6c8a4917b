use super::*;
use crate::{AutopxSwitch, EnginesAction};

/// The steps of a cell, written short.
fn show(code: &str, autopx: bool) -> String {
    let suffixes = ["_x".to_owned()];
    let Cell::Parallel(steps) = parse(code, Mode { autopx: autopx.then_some(""), suffixes: &suffixes })
    else {
        return "local".to_owned();
    };
    let steps = steps.iter().map(|step| match step {
        Step::Px(px) => {
            let targets =
                px.args.config.targets.as_ref().map_or_else(String::new, |targets| format!("@{targets}"));
            format!("px{}{targets}({})", px.set, px.code.replace('\n', "~"))
        }
        Step::Autopx { set, switch } => match switch {
            AutopxSwitch::Toggle => format!("autopx{set}"),
            AutopxSwitch::On => format!("autopx{set}-on"),
            AutopxSwitch::Off => format!("autopx{set}-off"),
        },
        Step::Config { set, .. } => format!("config{set}"),
        Step::Recall { set, .. } => format!("recall{set}"),
        Step::Stack { .. } => "stack".to_owned(),
        Step::Engines(EnginesAction::Show) => "engines".to_owned(),
        Step::Engines(action) => format!("{action:?}"),
        Step::Help(text) => format!("help({})", text.lines().next().unwrap_or_default()),
        Step::Local(text) => format!("local({})", text.replace('\n', "~")),
        Step::Usage(_) => "usage".to_owned(),
    });
    steps.collect::<Vec<_>>().join(" ")
}

#[test]
fn cells_that_are_wholly_parallel_are_the_kernels() {
    for (code, expect) in [
        ("%px print('hi')", "px(print('hi'))"),
        ("%px", "px()"),
        ("%px   a  \n", "px(a)"),
        ("%px\ta", "px(a)"),
        ("%px a\n%px b", "px(a) px(b)"),
        ("# first\n\n%px a\n  # then\n%px b\n", "px(a) px(b)"),
        ("\n\n%px a", "px(a)"),
        ("  %px a\n  %px b", "px(a) px(b)"),
        ("%px a, \\\nb", "px(a,  b)"),
        ("%px f(1); g('%px')", "px(f(1); g('%px'))"),
        ("%px --targets=0 f()", "usage"),
        ("%px a\n%engines\n%px b", "px(a) engines px(b)"),
        ("%engines restart -n 2", "Restart { count: Some(2) }"),
        ("%engines 2", "usage"),
        ("%px {n} $n", "px({n} $n)"),
        ("%pxconfig -t 0", "config"),
        ("%pxresult\n%result -e", "recall recall"),
        ("%pxstack", "stack"),
        ("%px_x a\n%pxconfig_x -b\n%pxresult_x", "px_x(a) config_x recall_x"),
        ("%%px_x -t 0\na", "px_x@0(a)"),
        ("%autopx_x\na", "autopx_x px_x(a)"),
        ("%autopx_x\na\n%autopx\n%px b", "autopx_x px_x(a~) autopx px(b)"),
        ("%%px\na\nb\n", "px(a~b~)"),
        ("%%px -t 0\na", "px@0(a)"),
        ("%%px --target 0\na", "px@0(a)"),
        ("%%px\t-t 0\r\na", "px@0(a)"),
        ("%%px -t [0, 2]  \na", "px@[0, 2](a)"),
        ("\n \n%%px\na", "px(a)"),
        ("  %%px\n  if a:\n      b", "px(if a:~    b)"),
        ("%%px\n%%timeit\na", "px(%%timeit~a)"),
        ("%%px", "usage"),
        ("%%px --bad\na", "usage"),
        ("%%px f()", "usage"),
        ("%%autopx\na", "usage"),
        ("%%engines\na", "usage"),
    ] {
        assert_eq!(show(code, false), expect, "{code}");
    }
}

#[test]
fn everything_else_is_the_local_shells() {
    for code in [
        "",
        "\n",
        "# %px a",
        "x = 1",
        "%matplotlib inline",
        "%pxa",
        "%px_y a",
        "%engines_x",
        "%%px -t {n}\na",
        "%%px -t $n\na",
        "%%px --local\na",
        "%%px_x --loc\na",
        "%pxconfig -t {n}",
        "%%timeit\n%px a",
        "%%bash\n%autopx",
        "# note\n%%px\na",
        "x = %px 1",
        "%px a\nx = 1",
        "x = 1\n%px a",
        "%px f(1,\n2)",
        "for i in y:\n    %px i",
        "s = '''\n%px a\n'''",
        "s = '''\n%autopx\n'''",
        "f(\n%autopx\n)",
        "for i in y:\n    %autopx",
        "!ls\n%px a",
        "px a",
    ] {
        assert_eq!(show(code, false), "local", "{code}");
    }
}

#[test]
fn with_autopx_on_cells_go_to_the_engines() {
    for (code, expect) in [
        ("a", "px(a)"),
        ("a\nb\n", "px(a~b~)"),
        ("\n\n  a\n  b", "px(a~b)"),
        ("%%timeit\n%px a\n", "px(%%timeit~%px a~)"),
        ("%matplotlib inline\na", "px(%matplotlib inline~a)"),
        ("%px a", "px(a)"),
        ("%%px -t 0\na", "px@0(a)"),
        ("%engines", "engines"),
        ("a\n%engines\nb", "px(a~) engines px(b)"),
        ("a\n%px b\nc", "px(a~) px(b) px(c)"),
        ("for i in y:\n    %px i", "px(for i in y:~    %px i)"),
        ("s = '''\n%autopx\n'''", "px(s = '''~%autopx~''')"),
    ] {
        assert_eq!(show(code, true), expect, "{code}");
    }
    for code in ["", " \n", "# note"] {
        assert_eq!(show(code, true), "local", "{code}");
    }
}

#[test]
fn autopx_cuts_the_cell() {
    for (code, on, expect) in [
        ("%autopx", false, "autopx"),
        ("%autopx", true, "autopx"),
        ("%autopx\na\nb", false, "autopx px(a~b)"),
        ("a\n%autopx\nb", false, "local(a~) autopx px(b)"),
        ("a\n%px b\n%autopx\nc", false, "local(a~%px b~) autopx px(c)"),
        ("%px a\n%autopx\nb", false, "px(a) autopx px(b)"),
        ("a\n%autopx\nb\n%px c\n", false, "local(a~) autopx px(b~) px(c)"),
        ("%autopx\na\n%autopx\nb", false, "autopx px(a~) autopx local(b)"),
        ("a\n%autopx\nb", true, "px(a~) autopx local(b)"),
        ("a\n%autopx\n%px b", true, "px(a~) autopx px(b)"),
        ("a\n%autopx\n%px b\nc", true, "px(a~) autopx local(%px b~c)"),
        ("%autopx off\na", true, "autopx-off local(a)"),
        ("%autopx on\na", true, "autopx-on px(a)"),
        ("a\n%autopx off\nb", false, "local(a~) autopx-off local(b)"),
        ("%autopx x\na", true, "usage px(a)"),
    ] {
        assert_eq!(show(code, on), expect, "{code} ({on})");
    }
}

#[test]
fn a_question_mark_asks_for_help() {
    for code in ["%px?", "%%px?", "%px??", "?%px", "?%%px", "\n%px?\n", "%%px? \n"] {
        assert_eq!(show(code, false), "help(Run code on the engines.)", "{code}");
        assert_eq!(show(code, true), "help(Run code on the engines.)", "{code}");
    }
    assert_eq!(show("%px len?", false), "px(len?)");
    assert_eq!(show("%autopx?\n%px a", true).split(' ').next(), Some("help(Run"));
}
