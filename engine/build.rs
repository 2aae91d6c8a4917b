//! Embeds the Python package into the engine library: one table entry per file under
//! `python/parallel_python`, so that nothing of ours has to be on anybody's `PYTHONPATH`.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?).join("../python");
    let package = root.join("parallel_python");
    println!("cargo::rerun-if-changed={}", package.display());
    let mut files = Vec::new();
    collect(&package, &mut files)?;
    files.sort();
    // So that code compiled from other text is never taken for that of this one.
    let mut digest = DefaultHasher::new();
    for file in &files {
        file.strip_prefix(&root).map_err(io::Error::other)?.hash(&mut digest);
        fs::read(file)?.hash(&mut digest);
    }
    println!("cargo::rustc-env=PARALLEL_PYTHON_SOURCES={:016x}", digest.finish());
    let mut table = String::from("static SOURCES: &[Source] = &[\n");
    for file in files {
        let relative = file.strip_prefix(&root).map_err(io::Error::other)?;
        let stem = relative.with_extension("");
        let is_package = stem.ends_with("__init__");
        let module = if is_package { stem.parent().unwrap_or(&stem) } else { &stem };
        let name = module.to_string_lossy().replace('/', ".");
        writeln!(
            table,
            "    Source {{ name: {name:?}, file: {relative:?}, is_package: {is_package}, \
             text: include_str!({:?}) }},",
            fs::canonicalize(&file)?
        )
        .map_err(io::Error::other)?;
    }
    table.push_str("];\n");
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    fs::write(out.join("sources.rs"), table)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "py") {
            files.push(path);
        }
    }
    Ok(())
}
