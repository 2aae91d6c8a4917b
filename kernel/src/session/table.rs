//! What is said about the engines as a whole: the table of `%engines`, and who is waited for.

use std::fmt::Write;
use std::time::Instant;

use fabric::message::{Json, Rank};
use serde_json::{Value, json};

use super::Desk;
use crate::cluster::{Cluster, Engine, Phase, State, listed};

/// The MIME type of the table as data, for programs.
const DATA: &str = "application/vnd.parallel-python.engines+json";

const COLUMNS: [&str; 6] = ["engine", "host", "pid", "state", "memory", "runs"];

/// Shows the engines: as text, as HTML and as data.
pub(super) fn show(desk: &mut Desk, parent: &Json, now: Instant) {
    let rows: Vec<[String; 6]> =
        desk.cluster.engines().map(|engine| row(&desk.cluster, engine, now)).collect();
    let head = headline(&desk.cluster);
    let content = json!({
        "data": {
            "text/plain": plain(&head, &rows),
            "text/html": html(&head, &rows),
            DATA: data(&desk.cluster),
        },
        "metadata": {},
    });
    let message = desk.composer.iopub("display_data", parent, &content);
    desk.send(message);
}

/// What a cell says that has been waiting for engines.
pub(super) fn waiting(cluster: &Cluster) -> String {
    match cluster.phase() {
        Phase::Launching { size: Some(size), .. } => {
            format!("Waiting for the engines to start: {} of {size} are up.\n", cluster.engines().count())
        }
        Phase::Stopping { .. } => "Waiting for the engines to stop.\n".to_owned(),
        _ => "Waiting for the engines to start.\n".to_owned(),
    }
}

/// Why a task cannot be run while one of its targets is dead, and what can be done.
pub(super) fn rescue(cluster: &Cluster, obituary: String) -> String {
    let alive: Vec<Rank> = cluster.engines().filter(|engine| engine.lives()).map(Engine::rank).collect();
    if alive.is_empty() {
        return format!("{obituary}; `%engines restart` brings the engines back");
    }
    let targets: Vec<String> = alive.iter().map(Rank::to_string).collect();
    format!(
        "{obituary}; engines {} keep their variables and run cells that name them, as `%%px -t {}`; \
         `%engines restart` brings all engines back",
        listed(&alive),
        targets.join(","),
    )
}

fn headline(cluster: &Cluster) -> String {
    match cluster.phase() {
        Phase::Off => "No engines; `%engines start` starts them.".to_owned(),
        Phase::Failed { reason } => format!("No engines: {reason}"),
        Phase::Launching { .. } | Phase::Stopping { .. } => waiting(cluster).trim_end().to_owned(),
        Phase::Up => match cluster.engines().next() {
            Some(first) => {
                let hello = &first.hello;
                let count = cluster.engines().count();
                let profile = cluster.profile().map(|profile| format!(" of profile `{profile}`"));
                let profile = profile.unwrap_or_default();
                let caution = cluster.caution().map(|caution| format!("; {caution}")).unwrap_or_default();
                format!("{count} engines{profile}, Python {}, {}{caution}", hello.python, hello.mpi)
            }
            None => String::new(),
        },
    }
}

fn row(cluster: &Cluster, engine: &Engine, now: Instant) -> [String; 6] {
    let state = match &engine.state {
        State::Live if cluster.running(engine.rank()).is_some() => "busy".to_owned(),
        State::Live => "idle".to_owned(),
        State::Vanished { .. } => "vanished".to_owned(),
        State::Dead { how } => how.lines().next().unwrap_or_default().to_owned(),
    };
    let memory = match &engine.status {
        Some(status) if engine.lives() => format!("{} MiB", status.resident >> 20),
        _ => "-".to_owned(),
    };
    let runs = cluster.running(engine.rank()).map(|running| {
        let seconds = now.saturating_duration_since(running.since).as_secs();
        format!("{} ({seconds} s)", shortened(running.label))
    });
    let id = engine.rank().to_string();
    [id, engine.hello.host.clone(), engine.pid.to_string(), state, memory, runs.unwrap_or_default()]
}

fn shortened(label: &str) -> String {
    const ROOM: usize = 40;
    if label.chars().count() <= ROOM {
        return label.to_owned();
    }
    label.chars().take(ROOM).chain(['…']).collect()
}

fn plain(head: &str, rows: &[[String; 6]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([COLUMNS[column].len()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let mut text = head.to_owned();
    if rows.is_empty() {
        return text;
    }
    let titles = COLUMNS.map(str::to_owned);
    for row in std::iter::once(&titles).chain(rows) {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line: Vec<String> = cells.collect();
        let _ = write!(text, "\n{}", line.join("  ").trim_end());
    }
    text
}

fn html(head: &str, rows: &[[String; 6]]) -> String {
    let cells = |row: &[String; 6], tag: &str| -> String {
        row.iter().map(|cell| format!("<{tag} style=\"text-align:left\">{}</{tag}>", escaped(cell))).collect()
    };
    let mut text = format!("<p>{}</p>", escaped(head));
    if rows.is_empty() {
        return text;
    }
    let body: String = rows.iter().map(|row| format!("<tr>{}</tr>", cells(row, "td"))).collect();
    let titles = cells(&COLUMNS.map(str::to_owned), "th");
    let _ = write!(text, "<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>");
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn data(cluster: &Cluster) -> Value {
    let engines = cluster.engines().map(|engine| {
        json!({
            "engine": engine.rank(),
            "host": engine.hello.host,
            "pid": engine.pid,
            "alive": engine.lives(),
            "python": engine.hello.python,
            "executable": engine.hello.executable,
            "mpi": engine.hello.mpi,
            "door": format!("{:?}", engine.hello.door).to_lowercase(),
            "resident": engine.status.as_ref().map(|status| status.resident),
            "mpi_sent": engine.status.as_ref().map(|status| status.mpi_sent),
            "mpi_received": engine.status.as_ref().map(|status| status.mpi_received),
            "runs": cluster.running(engine.rank()).map(|running| running.label),
        })
    });
    json!({"engines": engines.collect::<Vec<_>>()})
}
