//! The engine set's `engines.json`, as every process of the set reads it.

use std::path::Path;

use anyhow::Context as _;
use fabric::config::RankConfig;

pub(crate) fn read(path: &Path) -> anyhow::Result<RankConfig> {
    let text = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("`{}` is not an engine set", path.display()))
}
