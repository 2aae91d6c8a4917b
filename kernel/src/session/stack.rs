//! Where engines are: their Python stacks, asked for and put into words.
//!
//! What faulthandler writes of a process is cut down to the frames of the user's own code, and equal stacks are one.
//!
//! **Invariant**: any text is read; what is not a stack says that there is none.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use fabric::message::Rank;

use super::Desk;
use crate::cluster::named;

/// How long an engine may take to say where it is; faulthandler itself gives up after a second.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Frames that are shown of one stack.
const MOST_FRAMES: usize = 12;

/// A question to engines where they are.
#[derive(Debug)]
pub(super) struct Inquiry {
    until: Instant,
    waiting: BTreeSet<Rank>,
    found: BTreeMap<Rank, Vec<Frame>>,
}

/// What an engine says of where it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dump<'a> {
    /// Every thread's stack, as faulthandler writes it.
    pub(super) threads: &'a str,
    /// The MPI function that the main thread is in.
    pub(super) mpi: Option<&'a str>,
}

/// One call of the user's code, or a sentence where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// "in solve at solve.py:41"
    place: String,
    /// The line of source, where it is known.
    source: String,
}

impl Inquiry {
    /// Asks these engines.
    pub(super) fn begin(ranks: &[Rank], desk: &mut Desk, now: Instant) -> Self {
        let waiting = ranks.iter().copied().collect();
        desk.cluster(|cluster, out| cluster.ask_stack(&waiting, out));
        Self { until: now + PATIENCE, waiting, found: BTreeMap::new() }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.until
    }

    /// An engine has answered. `code` is what it runs, if that is known.
    pub(super) fn answered(&mut self, rank: Rank, dump: Dump<'_>, code: Option<&str>) {
        if self.waiting.remove(&rank) {
            let mut frames = frames(dump.threads, code);
            if let (Some(mpi), Some(top)) = (dump.mpi, frames.first_mut()) {
                top.place = within(mpi, &top.place);
            }
            self.found.insert(rank, frames);
        }
    }

    /// An engine has died meanwhile.
    pub(super) fn lost(&mut self, rank: Rank) {
        self.waiting.remove(&rank);
    }

    pub(super) fn is_complete(&self, now: Instant) -> bool {
        self.waiting.is_empty() || self.until <= now
    }

    /// Each distinct stack once, with the engines that are there, in the order of their first.
    pub(super) fn groups(&self) -> Vec<(Vec<Rank>, Vec<Frame>)> {
        let silent = vec![Frame::sentence("did not answer")];
        let silent = self.waiting.iter().map(|rank| (*rank, &silent));
        let all: BTreeMap<Rank, &Vec<Frame>> =
            self.found.iter().map(|(rank, frames)| (*rank, frames)).chain(silent).collect();
        let mut groups: Vec<(Vec<Rank>, Vec<Frame>)> = Vec::new();
        for (rank, frames) in all {
            match groups.iter_mut().find(|(_, known)| known == frames) {
                Some((ranks, _)) => ranks.push(rank),
                None => groups.push((vec![rank], frames.clone())),
            }
        }
        groups
    }

    /// One line for each place where engines are.
    pub(super) fn sentences(&self) -> Vec<String> {
        let mut places: Vec<(Vec<Rank>, Frame)> = Vec::new();
        for (ranks, frames) in self.groups() {
            let Some(top) = frames.into_iter().next() else { continue };
            match places.iter_mut().find(|(_, known)| *known == top) {
                Some((known, _)) => known.extend(ranks),
                None => places.push((ranks, top)),
            }
        }
        places
            .into_iter()
            .map(|(mut ranks, top)| {
                ranks.sort_unstable();
                format!("{} {top}", named(&ranks))
            })
            .collect()
    }

    /// All stacks, as `%pxstack` shows them.
    pub(super) fn text(&self) -> String {
        let mut lines = Vec::new();
        for (ranks, frames) in self.groups() {
            let mut frames = frames.iter();
            let top = frames.next().map(Frame::to_string).unwrap_or_default();
            lines.push(format!("{} {top}", named(&ranks)));
            lines.extend(frames.by_ref().take(MOST_FRAMES).map(|frame| format!("    called {frame}")));
            let more = frames.count();
            if more > 0 {
                lines.push(format!("    … and {more} more calls"));
            }
        }
        lines.join("\n")
    }
}

impl Frame {
    fn sentence(text: &str) -> Self {
        Frame { place: text.to_owned(), source: String::new() }
    }
}

impl std::fmt::Display for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.place)?;
        if self.source.is_empty() { Ok(()) } else { write!(f, ": {}", self.source) }
    }
}

/// A place in the user's code, from which an MPI function was called: "in MPI_Barrier at solve.py:41".
fn within(mpi: &str, place: &str) -> String {
    if place.starts_with("at ") { format!("in {mpi} {place}") } else { format!("in {mpi}, called {place}") }
}

/// The user's calls in the main thread, the innermost first.
fn frames(dump: &str, code: Option<&str>) -> Vec<Frame> {
    let main = dump.split("Current thread ").nth(1);
    let Some(main) = main.map(|main| main.split("\n\n").next().unwrap_or(main)) else {
        let first = dump.lines().next().unwrap_or_default().trim();
        return vec![Frame::sentence(if first.is_empty() { "did not say where it is" } else { first })];
    };
    let lines = main.lines().skip(1).take_while(|line| line.trim_start().starts_with("File "));
    let mut calls = Vec::new();
    let mut runs = false;
    for call in lines.filter_map(parsed) {
        // Below this is IPython, and below that the engine.
        if call.file.ends_with("/IPython/core/interactiveshell.py") && call.name == "run_code" {
            runs = true;
            break;
        }
        calls.push(call);
    }
    // The outermost of the user's calls is the cell that runs.
    let cell = calls.last().map(|call| call.file);
    let frames: Vec<Frame> = calls.iter().map(|call| frame(call, cell, code)).collect();
    match (runs, frames.is_empty()) {
        (true, true) => vec![Frame::sentence("begins or ends its cell")],
        (true, false) => frames,
        (false, _) => {
            match main.contains("in next_task") || main.contains("runner.py") && main.contains("in serve") {
                true if !main.contains("in run_task") => vec![Frame::sentence("idle")],
                _ => vec![Frame::sentence("busy outside a cell's code")],
            }
        }
    }
}

/// One call, as faulthandler writes it.
struct Call<'a> {
    file: &'a str,
    line: usize,
    name: &'a str,
    source: &'a str,
}

/// `  File "solve.py", line 41 in solve` and, after a tab, the line of source.
fn parsed(line: &str) -> Option<Call<'_>> {
    let (line, source) = line.split_once('\t').unwrap_or((line, ""));
    let (file, rest) = line.trim_start().strip_prefix("File \"")?.rsplit_once("\", line ")?;
    let (number, name) = rest.split_once(" in ")?;
    Some(Call { file, line: number.parse().ok()?, name: name.trim(), source: source.trim() })
}

/// A call in words. Engines count their cells each for itself, so that a cell's number would tell nothing.
fn frame(call: &Call<'_>, cell: Option<&str>, code: Option<&str>) -> Frame {
    let Call { file, line, name, source } = call;
    let (place, source) = if !file.starts_with("<ipython-input-") {
        (format!("{}:{line}", file.rsplit('/').next().unwrap_or(file)), *source)
    } else if cell == Some(file) {
        let known = code.and_then(|code| code.lines().nth(line.checked_sub(1)?));
        (format!("line {line} of the cell"), known.unwrap_or_default().trim())
    } else {
        (format!("line {line} of an earlier cell"), "")
    };
    let place = if *name == "<module>" { format!("at {place}") } else { format!("in {name} at {place}") };
    Frame { place, source: source.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dump(frames: &str) -> String {
        format!(
            "Thread 0x7f01 (most recent call first):\n  File \"/x/threading.py\", line 1 in wait\n\n\
             Current thread 0x7f02 (most recent call first):\n{frames}  \
             File \"/x/IPython/core/interactiveshell.py\", line 3577 in run_code\n  \
             File \"/x/parallel_python/engine/runner.py\", line 40 in run\n"
        )
    }

    fn inquiry(dumps: &[(Rank, Option<&str>, String)], code: &str) -> Inquiry {
        let waiting = (0..4).collect();
        let mut inquiry = Inquiry { until: Instant::now(), waiting, found: BTreeMap::new() };
        for (rank, mpi, threads) in dumps {
            inquiry.answered(*rank, Dump { threads, mpi: *mpi }, Some(code));
        }
        inquiry
    }

    #[test]
    fn equal_stacks_are_one_and_name_the_users_own_code() {
        let solving = dump(
            "  File \"/home/u/solve.py\", line 41 in solve\t    comm.Barrier()\n  \
             File \"<ipython-input-7-ab12>\", line 2 in <module>\n",
        );
        let reading = dump(
            "  File \"<ipython-input-3-cd34>\", line 1 in read\n  \
             File \"<ipython-input-9-ab12>\", line 1 in <module>\n",
        );
        let inquiry = inquiry(
            &[(0, None, solving.clone()), (2, None, solving), (1, None, reading)],
            "import solve\nsolve.solve(3)\n",
        );
        assert_eq!(
            inquiry.text(),
            "engines 0, 2 in solve at solve.py:41: comm.Barrier()\n    \
             called at line 2 of the cell: solve.solve(3)\n\
             engine 1 in read at line 1 of an earlier cell\n    \
             called at line 1 of the cell: import solve\n\
             engine 3 did not answer"
        );
        assert_eq!(
            inquiry.sentences(),
            [
                "engines 0, 2 in solve at solve.py:41: comm.Barrier()",
                "engine 1 in read at line 1 of an earlier cell",
                "engine 3 did not answer"
            ]
        );
    }

    #[test]
    fn the_mpi_function_is_named() {
        let at = dump("  File \"<ipython-input-7-ab12>\", line 2 in <module>\n");
        let inside = dump(
            "  File \"/home/u/solve.py\", line 41 in solve\n  File \"<ipython-input-7-ab12>\", line 1 in <module>\n",
        );
        let inquiry = inquiry(
            &[
                (0, Some("MPI_Barrier"), at.clone()),
                (1, Some("MPI_Recv"), at.clone()),
                (2, None, at),
                (3, Some("MPI_Barrier"), inside),
            ],
            "import solve\ncomm.Barrier()",
        );
        assert_eq!(
            inquiry.sentences(),
            [
                "engine 0 in MPI_Barrier at line 2 of the cell: comm.Barrier()",
                "engine 1 in MPI_Recv at line 2 of the cell: comm.Barrier()",
                "engine 2 at line 2 of the cell: comm.Barrier()",
                "engine 3 in MPI_Barrier, called in solve at solve.py:41",
            ]
        );
    }

    #[test]
    fn what_is_no_stack_says_so() {
        let idle = "Current thread 0x1 (most recent call first):\n  \
                    File \"/x/parallel_python/engine/runner.py\", line 30 in serve\n";
        for (dump, expect) in [
            (idle, "idle"),
            ("", "did not say where it is"),
            (
                "the main thread has not answered for 1 s: it is blocked in the system",
                "the main thread has not answered for 1 s: it is blocked in the system",
            ),
            (&dump(""), "begins or ends its cell"),
        ] {
            assert_eq!(frames(dump, None), [Frame::sentence(expect)], "{dump}");
        }
    }
}
