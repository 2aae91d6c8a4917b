//! No text makes anything here panic, and nothing typed is lost.

use proptest::prelude::*;

use crate::{Cell, Mode, Step, Targets, help, parse, parse_call};

/// Pieces that parsers stumble over, in any order.
fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "%px",
        "%%px",
        "%autopx",
        "%engines",
        "%",
        "%%",
        "?",
        "!",
        " ",
        "  ",
        "\t",
        "\n",
        "\r\n",
        "\r",
        "\\\n",
        "\\",
        "'",
        "\"",
        "'''",
        "\"\"\"",
        "f'{",
        "rb'",
        "#",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "::2",
        "-t",
        "--targets",
        "--",
        "-",
        "=",
        "-b",
        "--noblock",
        "0",
        "-1",
        "1e",
        "1_",
        "0x",
        "1.e5j",
        "0777",
        ".",
        "all",
        "range(",
        "start",
        "-n",
        "x",
        "é",
        "\u{feff}",
        "\u{0}",
        "\x0c",
        "🦀",
        "ª",
        "for i in y:",
        "def f():",
        "=",
        "$",
        "`",
        ";",
        "\u{2028}",
        "_",
        "9999999999999999999999",
    ]);
    prop::collection::vec(prop_oneof![8 => piece.prop_map(str::to_owned), 1 => any::<String>()], 0..24)
        .prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4096) })]

    #[test]
    fn any_text_gives_a_value(code in text(), other in text(), autopx: bool) {
        let suffixes = [other.clone(), "_x".to_owned()];
        let _ = parse(&code, Mode { autopx: autopx.then_some("_x"), suffixes: &suffixes });
        let _ = help(&code);
        for name in ["px", "autopx", "engines", "pxconfig", "pxresult", "pxstack", "px_x", &other] {
            let _ = parse_call(name, &code, None, &suffixes);
            let _ = parse_call(name, &code, Some(&other), &suffixes);
        }
        if let Ok(targets) = code.parse::<Targets>() {
            let written = targets.to_string();
            prop_assert_eq!(written.parse::<Targets>(), Ok(targets.clone()));
            for ids in [&[][..], &[0], &[0, 1, 2, 3], &[1, 4, 9], &[u32::MAX]] {
                if let Ok(resolved) = targets.resolve(ids) {
                    prop_assert!(!resolved.ids.is_empty());
                    prop_assert!(resolved.ids.iter().all(|id| ids.contains(id)));
                    prop_assert!(resolved.ids.len() <= ids.len());
                }
            }
        }
    }

    /// With autopx on, every line of code reaches the engines, once and in order.
    #[test]
    fn code_is_neither_lost_nor_repeated(lines in prop::collection::vec("[a-z]{1,8}|f\\(\n\\)|'''\n%px'''", 1..8)) {
        let code = lines.join("\n%px x\n");
        let Cell::Parallel(steps) = parse(&code, Mode { autopx: Some(""), suffixes: &[] }) else { panic!("local: {code}") };
        let sent: Vec<&str> = steps.iter().map(|step| match step {
            Step::Px(px) => px.code.trim_end_matches('\n'),
            other => panic!("{other:?}"),
        }).collect();
        let expect: Vec<&str> = lines.iter().flat_map(|line| [line.as_str(), "x"]).collect();
        prop_assert_eq!(sent, &expect[..expect.len() - 1]);
    }
}
