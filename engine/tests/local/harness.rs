//! A kernel's end of the link.

#[path = "../harness/executable.rs"]
mod executable;

use std::collections::VecDeque;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use executable::executable;
use fabric::frame::{Frames, encode};
use fabric::message::Buffer;
use fabric::message::local::{Channel, FromLocal, MagicSpec, Message, ToLocal};
use serde_json::{Value, json};

/// How long anything may take on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The two ways into Python.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Door {
    Embedded,
    Extension,
}

/// Runs a test through every door that the Python under test has.
pub(crate) fn through_both_doors(test: impl Fn(Local)) {
    for door in [Door::Embedded, Door::Extension] {
        if let Some(local) = Local::start(door) {
            eprintln!("through the {door:?} door");
            test(local);
        }
    }
}

/// The Python under test.
pub(crate) fn python() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin/python");
    std::env::var_os("PARALLEL_PYTHON_TEST_PYTHON").map_or_else(default, PathBuf::from)
}

/// Its shared library, if it has one.
fn libpython() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let code = "import sysconfig as s, os; p = os.path.join(s.get_config_var('LIBDIR'), s.get_config_var('LDLIBRARY'));\
                    print(p if s.get_config_var('Py_ENABLE_SHARED') and os.path.exists(p) else '')";
        let output = Command::new(python()).args(["-c", code]).output().unwrap();
        let path = String::from_utf8(output.stdout).unwrap();
        Some(PathBuf::from(path.trim())).filter(|path| path.is_absolute())
    };
    FOUND.get_or_init(find).as_deref()
}

/// A local process and our end of its link.
pub(crate) struct Local {
    child: Child,
    link: UnixStream,
    incoming: Receiver<FromLocal>,
    unread: VecDeque<FromLocal>,
    requests: u32,
    home: tempfile::TempDir,
    /// The content of its hello.
    pub(crate) kernel_info: Value,
    /// The execution count that it announced last.
    pub(crate) next_count: u32,
    /// Whether the last shell request failed.
    pub(crate) failed: bool,
}

/// What became of a cell.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// `stdout:text` and `stderr:text`, neighbours of the same stream joined.
    pub(crate) text: Vec<String>,
    /// Everything that was published, as (msg_type, content).
    pub(crate) published: Vec<(String, Value)>,
    /// The calls that were given up.
    pub(crate) withdrawn: Vec<u64>,
    /// The content of the reply.
    pub(crate) reply: Value,
}

impl Outcome {
    pub(crate) fn of(&self, msg_type: &str) -> Vec<&Value> {
        self.published.iter().filter(|(name, _)| name == msg_type).map(|(_, content)| content).collect()
    }

    pub(crate) fn result(&self) -> &str {
        self.of("execute_result").first().map_or("", |it| it["data"]["text/plain"].as_str().unwrap_or(""))
    }
}

impl Local {
    /// Starts a process and waits for its hello; `None` when Python has no such door.
    pub(crate) fn start(door: Door) -> Option<Self> {
        let mut local = Self::spawn(&python(), door)?;
        match local.receive() {
            FromLocal::Hello { pid, kernel_info, .. } => {
                assert_eq!(pid, local.child.id());
                local.kernel_info = serde_json::from_slice(&kernel_info).unwrap();
            }
            other => panic!("instead of a hello: {other:?}"),
        }
        Some(local)
    }

    /// Starts a process with some Python.
    pub(crate) fn spawn(python: &Path, door: Door) -> Option<Self> {
        let (link, theirs) = UnixStream::pair().unwrap();
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(executable());
        command.arg("local").arg("--python").arg(python);
        if door == Door::Embedded {
            command.arg("--libpython").arg(libpython()?);
        }
        command.env("IPYTHONDIR", home.path()).env_remove("JPY_PARENT_PID").current_dir(home.path());
        // A file, so that the log is there after a crash, and nobody has to read it meanwhile.
        let log = std::fs::File::create(home.path().join("log")).unwrap();
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stderr(Stdio::from(log));
        let child = command.spawn().unwrap();
        drop(command);
        let mut reading = link.try_clone().unwrap();
        let (sender, incoming) = channel();
        std::thread::spawn(move || {
            let mut frames = Frames::default();
            while let Ok(Some(message)) = frames.read(&mut reading) {
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut local = Local {
            child,
            link,
            incoming,
            unread: VecDeque::new(),
            requests: 0,
            home,
            kernel_info: Value::Null,
            next_count: 1,
            failed: false,
        };
        let magic = |name: &str, line, cell| {
            let help = format!("Help of {name}.");
            MagicSpec { name: name.to_owned(), line, cell, suffixed: true, help }
        };
        local.send(&ToLocal::Setup {
            session: "test-session".to_owned(),
            connection_file: "/nowhere/kernel-test.json".to_owned(),
            magics: vec![magic("px", true, true), magic("pxresult", true, false)],
        });
        Some(local)
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// What the process has written to its standard error, not counting what was captured.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn send(&mut self, message: &ToLocal) {
        self.link.write_all(&encode(message).unwrap()).unwrap();
    }

    /// Closes the link as a dying kernel does.
    pub(crate) fn hang_up(&mut self) {
        self.link.shutdown(std::net::Shutdown::Both).unwrap();
    }

    /// Waits for the end of the process.
    pub(crate) fn wait_for_end(&mut self, within: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + within;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// The next message.
    pub(crate) fn receive(&mut self) -> FromLocal {
        self.unread.pop_front().unwrap_or_else(|| match self.incoming.recv_timeout(DEADLINE) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => panic!("nothing came within {DEADLINE:?}"),
            Err(RecvTimeoutError::Disconnected) => panic!("the process is gone: {:?}", self.child.wait()),
        })
    }

    /// Sends a request; its id.
    pub(crate) fn request(&mut self, channel: Channel, msg_type: &str, content: &Value) -> String {
        self.request_for(channel, msg_type, content, None)
    }

    /// Sends a request for a subshell; its id.
    pub(crate) fn request_for(
        &mut self,
        channel: Channel,
        msg_type: &str,
        content: &Value,
        subshell: Option<&str>,
    ) -> String {
        self.requests += 1;
        let msg_id = format!("request-{}", self.requests);
        let mut header = json!({
            "msg_id": msg_id, "msg_type": msg_type, "username": "tester", "session": "client",
            "date": "2026-01-01T00:00:00Z", "version": "5.5",
        });
        if let Some(subshell) = subshell {
            header["subshell_id"] = json!(subshell);
        }
        // The blank must come back: what a client wrote is repeated byte for byte.
        let header = format!(" {header}").into_bytes();
        self.send_message(channel, header, b"{}".to_vec(), content);
        msg_id
    }

    pub(crate) fn send_message(
        &mut self,
        channel: Channel,
        header: Vec<u8>,
        parent: Vec<u8>,
        content: &Value,
    ) {
        self.send(&ToLocal::Message(Message {
            channel,
            identities: vec![Buffer::from(b"client".to_vec())],
            header: Buffer::from(header),
            parent: Buffer::from(parent),
            metadata: Buffer::from(b"{}".to_vec()),
            content: Buffer::from(content.to_string().into_bytes()),
            buffers: vec![],
        }));
    }

    /// Begins a cell; its id.
    pub(crate) fn begin(&mut self, code: &str) -> String {
        let content = json!({
            "code": code, "silent": false, "store_history": true, "user_expressions": {},
            "allow_stdin": true, "stop_on_error": true,
        });
        self.request(Channel::Shell, "execute_request", &content)
    }

    /// Runs a cell to its end.
    pub(crate) fn run(&mut self, code: &str) -> Outcome {
        let msg_id = self.begin(code);
        self.finish(&msg_id)
    }

    /// Sends a shell request and waits for its end: the content of the reply.
    pub(crate) fn ask(&mut self, msg_type: &str, content: &Value) -> Value {
        let msg_id = self.request(Channel::Shell, msg_type, content);
        self.finish(&msg_id).reply
    }

    /// Waits for the reply to a control request: its content.
    pub(crate) fn control(&mut self, msg_type: &str, content: &Value) -> Value {
        let msg_id = self.request(Channel::Control, msg_type, content);
        let mut other = Vec::new();
        loop {
            match self.receive() {
                FromLocal::Message(message)
                    if message.channel == Channel::Control && parent_id(&message.parent) == msg_id =>
                {
                    self.unread = other.into();
                    return serde_json::from_slice(&message.content).unwrap();
                }
                message => other.push(message),
            }
        }
    }

    /// Collects what a request says until it is finished.
    pub(crate) fn finish(&mut self, msg_id: &str) -> Outcome {
        let mut outcome = Outcome::default();
        while !self.step(msg_id, &mut outcome) {}
        outcome
    }

    /// Takes one message of a request; whether it was its end.
    pub(crate) fn step(&mut self, msg_id: &str, outcome: &mut Outcome) -> bool {
        match self.receive() {
            FromLocal::Stream { name, text, parent } => {
                assert_eq!(parent_id(&parent), msg_id, "the parent of {text:?}");
                let name = name.as_str();
                match outcome.text.last_mut() {
                    Some(last) if last.starts_with(name) => last.push_str(&text),
                    _ => outcome.text.push(format!("{name}:{text}")),
                }
            }
            FromLocal::Message(message) => {
                assert_eq!(parent_id(&message.parent), msg_id);
                assert!(message.parent.starts_with(b" {"), "the parent is as the client wrote it");
                let header: Value = serde_json::from_slice(&message.header).unwrap();
                assert_eq!(header["session"], "test-session");
                let content: Value = serde_json::from_slice(&message.content).unwrap();
                let msg_type = header["msg_type"].as_str().unwrap().to_owned();
                assert_ne!(msg_type, "status", "states are the kernel's");
                if message.channel == Channel::Shell {
                    assert_eq!(message.identities, [Buffer::from(b"client".to_vec())]);
                    assert_eq!(outcome.reply, Value::Null, "one reply");
                    outcome.reply = content;
                } else {
                    outcome.published.push((msg_type, content));
                }
            }
            FromLocal::Finished { msg_id: finished, next_count, failed } => {
                assert_eq!(finished, msg_id);
                (self.next_count, self.failed) = (next_count, failed);
                return true;
            }
            FromLocal::Withdraw { call } => outcome.withdrawn.push(call),
            other => panic!("unexpected: {other:?}"),
        }
        false
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the log of the process:\n{}", self.log());
        }
        let _ = self.link.shutdown(std::net::Shutdown::Both);
        if self.wait_for_end(Duration::from_secs(5)).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

pub(crate) fn parent_id(parent: &[u8]) -> String {
    let parent: Value = serde_json::from_slice(parent).unwrap_or(Value::Null);
    parent["msg_id"].as_str().unwrap_or_default().to_owned()
}
