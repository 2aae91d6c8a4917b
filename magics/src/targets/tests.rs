use super::*;

/// `0 2`, `0 (single)`, or the error's text.
fn show(typed: &str, ids: &[u32]) -> String {
    let resolved = typed.parse().and_then(|targets: Targets| targets.resolve(ids));
    match resolved {
        Err(error) => error.to_string(),
        Ok(Resolved { ids, single }) => {
            let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
            format!("{}{}", ids.join(" "), if single { " (single)" } else { "" })
        }
    }
}

#[test]
fn targets_mean_what_python_means_by_them() {
    for (typed, expect) in [
        ("0", "0 (single)"),
        (" 3 ", "3 (single)"),
        ("-1", "3 (single)"),
        ("(2)", "2 (single)"),
        ("\"0\"", "0 (single)"),
        ("0,2", "0 2"),
        ("2, 0", "2 0"),
        ("0,", "0"),
        ("(0,1)", "0 1"),
        ("(1,)", "1"),
        ("[0]", "0"),
        ("[0,2]", "0 2"),
        ("[0, 2]", "0 2"),
        ("'[0,2]'", "0 2"),
        ("[-1, 0]", "3 0"),
        ("[1, 1, 0, 1]", "1 0"),
        ("[3, -1]", "3"),
        ("::2", "0 2"),
        ("[::2]", "0 2"),
        ("1:", "1 2 3"),
        (":", "0 1 2 3"),
        ("::", "0 1 2 3"),
        (": 2", "0 1"),
        ("2:0:-1", "2 1"),
        ("::-1", "3 2 1 0"),
        ("-2:", "2 3"),
        (":-1", "0 1 2"),
        ("1:99", "1 2 3"),
        ("-99:2", "0 1"),
        ("99::-2", "3 1"),
        ("3", "3 (single)"),
        ("range(2)", "0 1"),
        ("range(1,4)", "1 2 3"),
        ("range( 3, 0, -2 )", "3 1"),
        ("all", "0 1 2 3"),
        ("ALL", "0 1 2 3"),
        ("'all'", "0 1 2 3"),
        ("None", "0 1 2 3"),
        ("::9223372036854775807", "0"),
        ("::-9223372036854775808", "3"),
        ("-9223372036854775808:", "0 1 2 3"),
    ] {
        assert_eq!(show(typed, &[0, 1, 2, 3]), expect, "{typed}");
    }
}

#[test]
fn ids_may_have_gaps() {
    for (typed, expect) in [
        ("all", "0 2 5"),
        ("-1", "5 (single)"),
        ("1:", "2 5"),
        ("5", "5 (single)"),
        ("1", "no engine 1: engines are 0, 2, 5"),
    ] {
        assert_eq!(show(typed, &[0, 2, 5]), expect, "{typed}");
    }
}

#[test]
fn targets_that_name_no_engine_say_which_engines_there_are() {
    for (typed, ids, expect) in [
        ("7", &[0, 1, 2, 3][..], "no engine 7: engines are 0..3"),
        ("-5", &[0, 1, 2, 3], "no engine -5: engines are 0..3"),
        ("[0, 9]", &[0, 1, 3], "no engine 9: engines are 0..1, 3"),
        ("1", &[0], "no engine 1: the only engine is 0"),
        ("range(9999999999999)", &[0, 1], "no engine 2: engines are 0..1"),
        ("-9223372036854775808", &[0, 1], "no engine -9223372036854775808: engines are 0..1"),
        ("4:", &[0, 1, 2, 3], "targets `4:` select no engine: engines are 0..3"),
        ("range(0)", &[0, 1], "targets `range(0)` select no engine: engines are 0..1"),
        ("all", &[], "no engines are running; start them with `%engines start`"),
    ] {
        assert_eq!(show(typed, ids), expect, "{typed}");
    }
}

#[test]
fn what_is_not_in_the_grammar_is_named_with_a_hint() {
    for (typed, hint) in [
        ("", ": there is nothing there"),
        ("small", ": names are not looked up, write the ids themselves"),
        ("rc.ids", ": names are not looked up, write the ids themselves"),
        ("{n}", ": variables are not looked up, write the ids themselves"),
        ("1.0", ": an engine's id is an integer"),
        ("0-3", ": engines 0 to 3 are `0:4`"),
        ("[]", ": there is no engine in it"),
        ("()", ": there is no engine in it"),
        ("range()", ": there is no engine in it"),
        ("[0,,2]", ": there is nothing there"),
        ("::0", ": its step must not be 0"),
        ("range(0,4,0)", ": its step must not be 0"),
        ("1:2:3:4", ": a slice is `start:stop` or `start:stop:step`"),
        ("[0", ""),
        ("0 1", ": engines are separated by commas"),
        ("99999999999999999999", ": no engine has so large an id"),
    ] {
        let error = typed.parse::<Targets>().expect_err(typed);
        assert_eq!(error, TargetError::Unreadable { seen: typed.to_owned(), hint }, "{typed}");
    }
}

#[test]
fn targets_are_written_as_they_can_be_typed() {
    for typed in ["all", "-1", "[0, 2]", "1:", "::2", "2:0:-1", "range(2)", "range(1, 4)", "range(3, 0, -1)"]
    {
        let targets: Targets = typed.parse().expect(typed);
        assert_eq!(targets.to_string(), typed);
    }
}
