//! `parallel-python engines restart`: has the process that keeps a set of engines start fresh ones. It stays, and
//! so does everything by which clients know it.

use std::os::unix::net::UnixStream;

use anyhow::{Context, anyhow, bail, ensure};
use clap::Args;
use fabric::frame::{self, Frames};
use fabric::message::BUILD;
use fabric::message::client::{Ask, ClientHello, EnginesAction, Told};

use super::super::say::say;
use super::found;

/// The one question that is asked.
const QUESTION: u64 = 1;

#[derive(Debug, Args)]
pub(super) struct RestartOptions {
    /// How many [default: as many as there are].
    #[arg(short = 'n', long = "engine-count", value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=4096))]
    count: Option<u32>,
    /// Which engines.
    #[arg(long, default_value = "default")]
    profile: String,
}

pub(super) fn run(options: &RestartOptions) -> anyhow::Result<()> {
    let entry = found(&options.profile)?;
    let gone = || format!("the engines of profile `{}` have just ended", entry.profile);
    let mut stream = UnixStream::connect(&entry.socket).with_context(gone)?;
    let mut frames = Frames::default();
    let hello: ClientHello = frames.read(&mut stream)?.with_context(gone)?;
    ensure!(
        hello.build == BUILD,
        "the engines of profile `{}` are of another build ({}): stop them and start others",
        entry.profile,
        hello.build
    );
    frame::write(&mut stream, &ClientHello { build: BUILD.to_owned(), pid: std::process::id() })?;
    let ask = Ask::Engines { ask: QUESTION, action: EnginesAction::Restart, count: options.count };
    frame::write(&mut stream, &ask)?;
    loop {
        match frames.read::<Told>(&mut stream)?.with_context(gone)? {
            Told::Answer { ask: QUESTION, answer: Ok(_) } => break,
            Told::Answer { ask: QUESTION, answer: Err(raised) } => {
                bail!(anyhow!("{}", raised.evalue).context("the engines did not start"))
            }
            _ => {}
        }
    }
    let entry = found(&options.profile)?;
    say!("{} engines of profile `{}` are up (pid {})", entry.engines, entry.profile, entry.pid);
    Ok(())
}
