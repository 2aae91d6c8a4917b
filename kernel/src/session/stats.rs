//! What a cell has cost each engine (`--stats`): a table of the extremes for terminals, a picture for notebooks.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fabric::message::Rank;
use fabric::message::report::Event;
use serde_json::{Value, json};

/// What one engine has used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Used {
    /// Seconds from its begin to its end.
    wall: f64,
    /// Seconds of processor time.
    cpu: f64,
    /// Bytes of memory, at most.
    peak: f64,
    /// Bytes of output.
    output: f64,
}

/// The costs of one task.
#[derive(Debug, Default)]
pub(super) struct Stats {
    ranks: BTreeMap<Rank, Used>,
}

/// The measures, with how they are read off and written.
type Measure = (&'static str, fn(&Used) -> f64, fn(f64) -> String);

const MEASURES: [Measure; 4] = [
    ("wall time", |used| used.wall, seconds),
    ("cpu time", |used| used.cpu, seconds),
    ("peak memory", |used| used.peak, bytes),
    ("output", |used| used.output, bytes),
];

impl Stats {
    /// Takes what `rank` reported.
    pub(super) fn on(&mut self, rank: Rank, event: &Event) {
        let used = self.ranks.entry(rank).or_default();
        match event {
            #[expect(clippy::cast_precision_loss, reason = "it is shown with three digits")]
            Event::Usage { cpu, peak } => (used.cpu, used.peak) = (*cpu, *peak as f64),
            Event::Done { started, completed, .. } => used.wall = completed - started,
            Event::Stream { text, .. } => used.output += float(text.len()),
            Event::Publish { content, buffers, .. } => {
                used.output +=
                    float(content.len() + buffers.iter().map(|buffer| buffer.len()).sum::<usize>());
            }
            Event::Result { content, .. } => used.output += float(content.len()),
            _ => {}
        }
    }

    /// The content of the `display_data` that shows them.
    pub(super) fn content(&self) -> Value {
        json!({"data": {"text/plain": self.text(), "image/svg+xml": self.picture()}, "metadata": {}})
    }

    fn text(&self) -> String {
        let mut text = format!("{:<12} {:>10} {:>10} {:>10}  on\n", "", "min", "median", "max");
        for (name, of, show) in MEASURES {
            let mut all: Vec<(f64, Rank)> = self.ranks.iter().map(|(rank, used)| (of(used), *rank)).collect();
            all.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (Some((least, _)), Some((most, rank))) = (all.first(), all.last()) else { continue };
            let middle = all[all.len() / 2].0;
            let (least, middle, most) = (show(*least), show(middle), show(*most));
            let _ = writeln!(text, "{name:<12} {least:>10} {middle:>10} {most:>10}  engine {rank}");
        }
        text + &self.verdict()
    }

    /// How much longer the slowest engine took than all did on average.
    fn verdict(&self) -> String {
        let walls: Vec<f64> = self.ranks.values().map(|used| used.wall).collect();
        let mean = walls.iter().sum::<f64>() / float(walls.len().max(1));
        let most = walls.iter().copied().fold(0.0, f64::max);
        if walls.len() < 2 || mean <= 0.0 {
            return String::new();
        }
        format!("imbalance {:.2}: the slowest engine took that many times the mean wall time", most / mean)
    }

    /// One row for each engine, wall and cpu time as bars beside its memory and output.
    fn picture(&self) -> String {
        let row = if self.ranks.len() > 32 { 9 } else { 18 };
        let longest =
            self.ranks.values().map(|used| used.wall.max(used.cpu)).fold(f64::MIN_POSITIVE, f64::max);
        let height = 44 + row * self.ranks.len() + 20;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"640\" height=\"{height}\" \
             font-family=\"sans-serif\" font-size=\"{}\"><rect width=\"640\" height=\"{height}\" fill=\"white\"/>\
             <text x=\"8\" y=\"16\" font-size=\"12\">seconds on each engine: \
             <tspan fill=\"#4878a8\">wall</tspan>, of which <tspan fill=\"#d08030\">cpu</tspan></text>\
             <text x=\"630\" y=\"16\" font-size=\"12\" text-anchor=\"end\">peak memory, output</text>",
            if row > 9 { 12 } else { 8 },
        );
        for (line, (rank, used)) in self.ranks.iter().enumerate() {
            let top = 26 + row * line;
            let (text, thick) = (top + row * 3 / 4, row - 3);
            let (wall, cpu) = (340.0 * used.wall / longest, 340.0 * used.cpu / longest);
            let _ = write!(
                svg,
                "<text x=\"60\" y=\"{text}\" text-anchor=\"end\">engine {rank}</text>\
                 <rect x=\"66\" y=\"{top}\" width=\"{wall:.1}\" height=\"{thick}\" fill=\"#4878a8\"/>\
                 <rect x=\"66\" y=\"{}\" width=\"{cpu:.1}\" height=\"{}\" fill=\"#d08030\"/>\
                 <text x=\"{:.1}\" y=\"{text}\">{} / {}</text>\
                 <text x=\"630\" y=\"{text}\" text-anchor=\"end\">{}, {}</text>",
                top + thick / 2,
                thick - thick / 2,
                72.0 + wall.max(cpu),
                seconds(used.wall),
                seconds(used.cpu),
                bytes(used.peak),
                bytes(used.output),
            );
        }
        let _ = write!(
            svg,
            "<text x=\"8\" y=\"{}\" font-size=\"12\">{}</text></svg>",
            height - 12,
            self.verdict().replace('&', "&amp;")
        );
        svg
    }
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with three digits")]
fn float(number: usize) -> f64 {
    number as f64
}

/// "1.23 s", "45 ms"
fn seconds(time: f64) -> String {
    if time < 1.0 { format!("{:.0} ms", time * 1000.0) } else { format!("{time:.2} s") }
}

/// "12.3 MiB"
fn bytes(number: f64) -> String {
    let mut rest = number;
    for unit in ["B", "KiB", "MiB"] {
        if rest < 1024.0 {
            return if unit == "B" { format!("{rest:.0} {unit}") } else { format!("{rest:.1} {unit}") };
        }
        rest /= 1024.0;
    }
    format!("{rest:.1} GiB")
}

#[cfg(test)]
mod tests {
    use fabric::message::report::{Outcome, StreamName};

    use super::*;

    #[test]
    fn extremes_are_named_and_every_engine_has_its_bar() {
        let mut stats = Stats::default();
        for (rank, wall) in [(0, 1.0), (1, 1.0), (2, 4.0)] {
            stats.on(rank, &Event::Stream { name: StreamName::Stdout, text: "x".repeat(2048) });
            stats.on(rank, &Event::Usage { cpu: wall / 2.0, peak: 3 << 20 });
            let done = Event::Done { outcome: Outcome::Ok, count: 1, started: 10.0, completed: 10.0 + wall };
            stats.on(rank, &done);
        }
        let text = stats.text();
        assert!(text.contains("wall time        1.00 s     1.00 s     4.00 s  engine 2"), "{text}");
        assert!(text.contains("cpu time         500 ms     500 ms     2.00 s  engine 2"), "{text}");
        assert!(text.contains("3.0 MiB") && text.contains("2.0 KiB"), "{text}");
        assert!(text.contains("imbalance 2.00"), "{text}");
        let picture = stats.picture();
        assert_eq!(picture.matches("engine ").count(), 4, "three rows and the verdict's word");
    }
}
