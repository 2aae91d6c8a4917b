//! Stamps the build with a digest of this crate's sources, so that processes which would not
//! understand each other refuse each other (`message::BUILD`).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=src");
    let mut sources = Vec::new();
    collect(Path::new("src"), &mut sources)?;
    sources.sort();
    let mut digest = DefaultHasher::new();
    for source in sources {
        source.hash(&mut digest);
        std::fs::read(&source)?.hash(&mut digest);
    }
    println!("cargo::rustc-env=PARALLEL_PYTHON_BUILD={:016x}", digest.finish());
    Ok(())
}

fn collect(folder: &Path, sources: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in folder.read_dir()? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, sources)?;
        } else {
            sources.push(path);
        }
    }
    Ok(())
}
