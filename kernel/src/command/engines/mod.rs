//! `parallel-python engines`: sets of engines that no notebook owns, as `ipcluster` kept them. One file per action.

mod clean;
mod restart;
mod start;
mod stop;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::say::say;
use crate::driver::registry::{self, Entry, HEADLESS};

/// The options of `parallel-python engines`.
#[derive(Debug, Args)]
pub struct EnginesOptions {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start engines and keep them until they are stopped.
    Start(start::StartOptions),
    /// End the engines of a profile.
    Stop(stop::StopOptions),
    /// Start fresh engines in place of those of a profile, of another number if one is given.
    Restart(restart::RestartOptions),
    /// Show all sets of engines of this user, those of notebooks too.
    List(ListOptions),
    /// Remove what sets that were killed have left.
    Clean(clean::CleanOptions),
}

#[derive(Debug, Args)]
struct ListOptions {
    /// As JSON: a list of objects with profile, kind, pid, socket, build, started, engines, file.
    #[arg(long)]
    json: bool,
}

/// A set as `list --json` shows it.
#[derive(Debug, Serialize)]
struct Listed {
    #[serde(flatten)]
    entry: Entry,
    /// What describes it to `Client` and `Cluster.from_file`.
    file: PathBuf,
}

/// Does what was asked for.
pub(crate) fn run(options: EnginesOptions) -> anyhow::Result<ExitCode> {
    match options.action {
        Action::Start(options) => start::run(options)?,
        Action::Stop(options) => stop::run(&options)?,
        Action::Restart(options) => restart::run(&options)?,
        Action::List(options) => list(&options)?,
        Action::Clean(options) => clean::run(&options)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(options: &ListOptions) -> anyhow::Result<()> {
    let entries = registry::entries()?;
    if options.json {
        let listed = |entry| anyhow::Ok(Listed { file: registry::file(&entry)?, entry });
        let listed: Vec<Listed> = entries.into_iter().map(listed).collect::<anyhow::Result<_>>()?;
        say!("{}", serde_json::to_string_pretty(&listed)?);
        return Ok(());
    }
    if entries.is_empty() {
        say!("no engines");
    }
    for Entry { profile, kind, pid, engines, socket, .. } in entries {
        say!("{profile}  {kind}  {engines} engines  pid {pid}  {}", socket.display());
    }
    Ok(())
}

/// The sets that no notebook owns.
fn headless() -> anyhow::Result<Vec<Entry>> {
    let entries = registry::entries()?;
    Ok(entries.into_iter().filter(|entry| entry.kind == HEADLESS).collect())
}

/// The set of a profile, if it runs.
fn find(profile: &str) -> anyhow::Result<Option<Entry>> {
    Ok(headless()?.into_iter().find(|entry| entry.profile == profile))
}

/// The set of a profile.
fn found(profile: &str) -> anyhow::Result<Entry> {
    find(profile)?.with_context(|| format!("no engines of profile `{profile}` run"))
}
