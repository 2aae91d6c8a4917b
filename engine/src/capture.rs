//! Everything a process prints, in order, whoever prints it.
//!
//! Python's `sys.stdout` and `sys.stderr` call [`Capture::write`]; C code and child processes write into pipes
//! that lie over descriptors 1 and 2. Text is gathered for [`DELAY`] and then handed to the sink by a thread that
//! needs no GIL, so that what was printed before a long C call is seen during it.
//!
//! **Invariants**: text reaches the sink in the order in which it was written: the sink is called under the
//! buffer's lock, and the pipes are emptied before anything is added. It is cut at arbitrary places, but never
//! inside a character. Each piece carries the tag that was current when it was read.
//!
//! **Boundary**: what a tag means and where text goes is the sink's business. It may be called from any thread, must
//! not need the GIL and must not print.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fabric::message::report::StreamName;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::{ffi, threads};

mod utf8;

/// How long text may wait for more of it.
const DELAY: Duration = Duration::from_millis(20);

/// Text that does not wait, in bytes.
const ENOUGH: usize = 64 * 1024;

/// The largest piece handed to the sink, in bytes.
const PIECE: usize = 1024 * 1024;

/// Reads of one pipe in a row: more than what a pipe of the usual size holds.
const READS: usize = 8;

/// `print` writes its text and its end as two pieces, and nothing of the same thread comes between them: C code's
/// output needs no looking for.
const END_OF_PRINT: &str = "\n";

/// Where text goes.
pub(crate) type Sink<T> = Box<dyn FnMut(&T, StreamName, String) + Send>;

/// The capture of one process's output.
pub(crate) struct Capture<T> {
    buffer: Arc<Mutex<Buffer<T>>>,
    /// Wakes the thread when there is something to time.
    wake: Arc<OwnedFd>,
    /// Set in a forked child, which writes to its descriptors and touches nothing else here.
    forked: AtomicBool,
    /// What was descriptor 2 before.
    log: File,
}

struct Buffer<T> {
    tag: T,
    pending: Vec<Piece<T>>,
    bytes: usize,
    /// When the oldest pending text was written.
    since: Option<Instant>,
    pipes: Vec<Pipe>,
    sink: Sink<T>,
}

struct Piece<T> {
    tag: T,
    name: StreamName,
    text: String,
}

struct Pipe {
    name: StreamName,
    end: File,
    text: utf8::Reassembly,
}

impl<T: Clone + PartialEq + Send + 'static> Capture<T> {
    /// Lays pipes over descriptors 1 and 2 and starts the thread that reads them.
    ///
    /// # Errors
    /// When the system is out of descriptors or threads.
    pub(crate) fn start(tag: T, sink: Sink<T>) -> io::Result<Self> {
        let log = File::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3)?);
        let (out, out_end) = pipe()?;
        let (err, err_end) = pipe()?;
        let ends = [out.try_clone()?, err.try_clone()?];
        let pipes = vec![
            Pipe { name: StreamName::Stdout, end: out, text: utf8::Reassembly::default() },
            Pipe { name: StreamName::Stderr, end: err, text: utf8::Reassembly::default() },
        ];
        let buffer = Buffer { tag, pending: Vec::new(), bytes: 0, since: None, pipes, sink };
        let buffer = Arc::new(Mutex::new(buffer));
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (for_thread, woken) = (Arc::clone(&buffer), Arc::clone(&wake));
        threads::spawn("capture", move || watch(&for_thread, &woken, ends))?;
        threads::log_panics(log.try_clone()?);
        // What C code printed before goes where it was meant to go.
        ffi::flush_c_output();
        rustix::stdio::dup2_stdout(out_end)?;
        rustix::stdio::dup2_stderr(err_end)?;
        Ok(Capture { buffer, wake, forked: AtomicBool::new(false), log })
    }

    /// Adds text that Python wrote, under the current tag.
    pub(crate) fn write(&self, name: StreamName, text: &str) {
        self.add(None, name, text);
    }

    /// Adds text that Python wrote, under a tag of its own.
    pub(crate) fn write_as(&self, tag: T, name: StreamName, text: &str) {
        self.add(Some(tag), name, text);
    }

    /// As [`Capture::write`], if that takes no waiting; says whether it did. A caller who holds the GIL
    /// may keep it for this, and so the pieces of one `print` stay together when threads print at once.
    pub(crate) fn try_write(&self, name: StreamName, text: &str) -> bool {
        self.try_add(None, name, text)
    }

    /// As [`Capture::try_write`], under a tag of its own.
    pub(crate) fn try_write_as(&self, tag: &T, name: StreamName, text: &str) -> bool {
        self.try_add(Some(tag), name, text)
    }

    fn try_add(&self, tag: Option<&T>, name: StreamName, text: &str) -> bool {
        if self.is_fork() {
            return false;
        }
        let is_end_of_print = text == END_OF_PRINT;
        if !is_end_of_print {
            ffi::flush_c_output();
        }
        let Ok(mut buffer) = self.buffer.try_lock() else { return false };
        // Handing over may wait for the link.
        if buffer.bytes + text.len() >= ENOUGH || (!is_end_of_print && buffer.is_text_waiting()) {
            return false;
        }
        let timed = buffer.since.is_some();
        let tag = tag.unwrap_or(&buffer.tag).clone();
        buffer.push(tag, name, text);
        drop(buffer);
        if !timed {
            self.wake();
        }
        true
    }

    /// Has the thread time what was just written.
    fn wake(&self) {
        // A full counter has woken the thread already.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    /// Empties the pipes and hands everything to the sink. What is reported next comes after it.
    pub(crate) fn flush(&self) {
        if self.is_fork() {
            return;
        }
        ffi::flush_c_output();
        let mut buffer = lock(&self.buffer);
        buffer.drain();
        buffer.hand_over();
    }

    /// The current tag.
    pub(crate) fn tag(&self) -> T {
        lock(&self.buffer).tag.clone()
    }

    /// As [`Capture::flush`]; half a character that was left over counts as garbage now. From here on text
    /// belongs to `tag`.
    pub(crate) fn set_tag(&self, tag: T) {
        if self.is_fork() {
            return;
        }
        ffi::flush_c_output();
        let mut buffer = lock(&self.buffer);
        buffer.drain();
        buffer.give_up();
        buffer.hand_over();
        buffer.tag = tag;
    }

    /// To be called in a child process after a fork: its threads are gone and its locks may be held for ever.
    pub(crate) fn after_fork(&self) {
        self.forked.store(true, Ordering::Relaxed);
    }

    /// Whether this is a forked child.
    pub(crate) fn is_fork(&self) -> bool {
        self.forked.load(Ordering::Relaxed)
    }

    /// The log: what was standard error before the capture. Children do not inherit it.
    pub(crate) fn log(&self) -> &File {
        &self.log
    }

    fn add(&self, tag: Option<T>, name: StreamName, text: &str) {
        if self.is_fork() {
            return write_directly(name, text);
        }
        let is_end_of_print = text == END_OF_PRINT;
        if !is_end_of_print {
            ffi::flush_c_output();
        }
        let mut buffer = lock(&self.buffer);
        if !is_end_of_print {
            buffer.drain();
        }
        let tag = tag.unwrap_or_else(|| buffer.tag.clone());
        let timed = buffer.since.is_some();
        buffer.push(tag, name, text);
        if buffer.bytes >= ENOUGH {
            buffer.hand_over();
        } else if !timed && buffer.since.is_some() {
            drop(buffer);
            self.wake();
        }
    }
}

impl<T: Clone + PartialEq> Buffer<T> {
    /// Takes what lies in the pipes now; what a fast writer adds meanwhile is left for the next time.
    fn drain(&mut self) {
        if !self.is_text_waiting() {
            return;
        }
        let mut bytes = [0; 16 * 1024];
        let mut pipes = std::mem::take(&mut self.pipes);
        for pipe in &mut pipes {
            for _ in 0..READS {
                // The pipe does not block: an error is its being empty.
                let Ok(count @ 1..) = pipe.end.read(&mut bytes) else { break };
                let text = pipe.text.push(&bytes[..count]);
                self.push(self.tag.clone(), pipe.name, &text);
            }
        }
        self.pipes = pipes;
        if self.bytes >= ENOUGH {
            self.hand_over();
        }
    }

    /// One system call for both pipes: this is asked at every write.
    fn is_text_waiting(&self) -> bool {
        let [out, err] = self.pipes.as_slice() else { return true };
        let mut fds = [PollFd::new(&out.end, PollFlags::IN), PollFd::new(&err.end, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) != Ok(0)
    }

    /// Takes incomplete characters for what they are.
    fn give_up(&mut self) {
        let mut pipes = std::mem::take(&mut self.pipes);
        for pipe in &mut pipes {
            self.push(self.tag.clone(), pipe.name, &pipe.text.give_up());
        }
        self.pipes = pipes;
    }

    fn push(&mut self, tag: T, name: StreamName, text: &str) {
        if text.is_empty() {
            return;
        }
        self.bytes += text.len();
        self.since.get_or_insert_with(Instant::now);
        match self.pending.last_mut() {
            Some(last) if last.name == name && last.tag == tag => last.text.push_str(text),
            _ => self.pending.push(Piece { tag, name, text: text.to_owned() }),
        }
    }

    fn hand_over(&mut self) {
        self.bytes = 0;
        self.since = None;
        for Piece { tag, name, text } in self.pending.drain(..) {
            let mut rest = text;
            while rest.len() > PIECE {
                let cut = (0..=PIECE).rev().find(|cut| rest.is_char_boundary(*cut)).unwrap_or(PIECE);
                let tail = rest.split_off(cut);
                (self.sink)(&tag, name, std::mem::replace(&mut rest, tail));
            }
            (self.sink)(&tag, name, rest);
        }
    }
}

/// The thread: reads the pipes as they fill, hands text over when it has waited long enough.
fn watch<T: Clone + PartialEq>(buffer: &Mutex<Buffer<T>>, wake: &OwnedFd, ends: [File; 2]) {
    let mut ends = Vec::from(ends);
    let mut due: Option<Instant> = None;
    loop {
        let left = due.map(|due| due.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = vec![PollFd::new(wake, PollFlags::IN)];
        fds.extend(ends.iter().map(|end| PollFd::new(end, PollFlags::IN)));
        // An interrupted wait is one that ended early; on descriptors that are our own no other error happens.
        let _ = poll(&mut fds, timeout.as_ref());
        // A pipe that user code has closed everywhere stays closed, and would end every wait at once.
        let closed: Vec<bool> = fds[1..].iter().map(|fd| fd.revents() == PollFlags::HUP).collect();
        let mut closed = closed.into_iter();
        ends.retain(|_| !closed.next().unwrap_or(false));
        let _ = rustix::io::read(wake, &mut [0_u8; 8]);
        let mut buffer = lock(buffer);
        buffer.drain();
        due = buffer.since.map(|since| since + DELAY);
        if due.is_some_and(|due| due <= Instant::now()) {
            buffer.hand_over();
            due = None;
        }
    }
}

fn pipe() -> io::Result<(File, OwnedFd)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    // Only our end: a writer that met a full pipe must wait.
    rustix::fs::fcntl_setfl(&reader, rustix::fs::OFlags::NONBLOCK)?;
    Ok((File::from(reader), writer))
}

fn write_directly(name: StreamName, text: &str) {
    let descriptor = match name {
        StreamName::Stdout => rustix::stdio::stdout(),
        StreamName::Stderr => rustix::stdio::stderr(),
    };
    // A forked child whose output nobody reads goes on without it, as with a closed terminal.
    let Ok(owned) = descriptor.try_clone_to_owned() else { return };
    let _ = File::from(owned).write_all(text.as_bytes());
}

fn lock<T>(buffer: &Mutex<Buffer<T>>) -> MutexGuard<'_, Buffer<T>> {
    buffer.lock().unwrap_or_else(PoisonError::into_inner)
}
