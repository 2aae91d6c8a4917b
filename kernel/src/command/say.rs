//! What a command prints.

/// Prints a line. Whoever read standard output may have gone (`| head`), which takes nothing from what was done.
macro_rules! say {
    ($($arguments:tt)*) => {{
        use std::io::Write as _;
        drop(writeln!(std::io::stdout(), $($arguments)*));
    }};
}

pub(super) use say;
