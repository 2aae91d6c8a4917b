//! What engines have written into their logs, for the sentence that says why they did not start.
//!
//! **Invariant**: it reads the end of a few files, whatever they hold, and fails for none.

use std::fmt::Write as _;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use fabric::message::Rank;

/// How many bytes of a log are read.
const TAIL: u64 = 2048;

/// How many lines of it are shown, and of how many engines.
const LINES: usize = 8;
const ENGINES: usize = 3;

/// A paragraph for each of the first engines, each on a line of its own behind a sentence.
pub(super) fn of(runtime: &Path, ranks: &[Rank]) -> String {
    let mut text = String::new();
    for rank in ranks.iter().take(ENGINES) {
        let words = tail(&runtime.join(format!("engine-{rank}.log"))).unwrap_or_default();
        let lines: Vec<&str> = words.trim_end().lines().collect();
        let shown = lines[lines.len().saturating_sub(LINES)..].join("\n");
        // Whoever writes to a text that is kept in memory succeeds.
        let _ = match shown.trim() {
            "" => write!(text, "\nengine {rank} has written nothing"),
            _ => write!(text, "\nengine {rank} wrote last:\n{shown}"),
        };
    }
    text
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_the_first_engines() {
        let folder = tempfile::tempdir().unwrap();
        let long: String = (0..2000).map(|line| format!("line {line}\n")).collect();
        std::fs::write(folder.path().join("engine-1.log"), long).unwrap();
        std::fs::write(folder.path().join("engine-7.log"), b"\xff\n").unwrap();
        let lines: Vec<String> = (1992..2000).map(|line| format!("line {line}")).collect();
        let expected = format!(
            "\nengine 1 wrote last:\n{}\nengine 3 has written nothing\nengine 7 wrote last:\n\u{fffd}",
            lines.join("\n")
        );
        assert_eq!(of(folder.path(), &[1, 3, 7, 9]), expected);
        assert_eq!(of(folder.path(), &[]), "");
    }
}
