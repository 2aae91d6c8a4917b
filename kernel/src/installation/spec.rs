//! A kernelspec: the folder that Jupyter reads. Its files are part of this executable, so that an installation
//! needs nothing but the program files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Value, json};

use super::files;

/// What Jupyter looks for; there last, so that it never finds a spec that is not whole.
pub(super) const FILE: &str = "kernel.json";

const PLAIN: [(&str, &[u8]); 4] = [
    ("start.py", include_bytes!("../../../kernelspec/start.py")),
    ("logo-32x32.png", include_bytes!("../../../kernelspec/logo-32x32.png")),
    ("logo-64x64.png", include_bytes!("../../../kernelspec/logo-64x64.png")),
    ("logo-svg.svg", include_bytes!("../../../kernelspec/logo-svg.svg")),
];

const TEMPLATE: &str = include_str!("../../../kernelspec/kernel.json");

/// What a kernelspec says beyond what all of them say.
#[derive(Debug, Default)]
pub(crate) struct Spec {
    /// Its folder's name, by which `jupyter --kernel` knows it.
    pub name: String,
    /// What launchers show.
    pub display_name: Option<String>,
    /// The Python of its cells; `None` for the one that Jupyter runs on.
    pub python: Option<PathBuf>,
    /// How many engines.
    pub engines: Option<u32>,
    /// The profile of the engines that it uses in place of own ones.
    pub attach: Option<String>,
    /// Variables for its processes.
    pub environment: Vec<(String, String)>,
}

impl Spec {
    /// Writes it into `folder`, with a link to the program files in `programs`. Returns whether it was not there.
    ///
    /// # Errors
    /// What could not be written.
    pub(super) fn write(&self, folder: &Path, programs: &Path, prefix: &Path) -> anyhow::Result<bool> {
        files::make_folder(folder)?;
        let mut changed = false;
        for (name, contents) in PLAIN {
            changed |= files::put(&folder.join(name), contents, 0o644)?;
        }
        changed |= files::link_to(&folder.join("bin"), programs, prefix)?;
        changed |= files::put(&folder.join(FILE), self.text()?.as_bytes(), 0o644)?;
        Ok(changed)
    }

    fn text(&self) -> anyhow::Result<String> {
        let mut spec: Value = serde_json::from_str(TEMPLATE).context("the built-in kernel.json")?;
        if let Some(python) = &self.python {
            spec["argv"][0] = json!(python);
        }
        if let (Some(engines), Some(words)) = (self.engines, spec["argv"].as_array_mut()) {
            words.extend([json!("-n"), json!(engines.to_string())]);
        }
        if let (Some(profile), Some(words)) = (&self.attach, spec["argv"].as_array_mut()) {
            // In one word, so that nothing a frontend adds is taken for it.
            words.push(json!(format!("--attach={profile}")));
        }
        if let Some(display_name) = &self.display_name {
            spec["display_name"] = json!(display_name);
        }
        if !self.environment.is_empty() {
            spec["env"] = self.environment.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        }
        Ok(serde_json::to_string_pretty(&spec)? + "\n")
    }
}

/// Removes what [`Spec::write`] made, and the folder unless something else is in it.
///
/// # Errors
/// What could not be removed.
pub(super) fn remove(folder: &Path) -> anyhow::Result<()> {
    files::remove(&folder.join(FILE))?;
    for (name, _) in PLAIN {
        files::remove(&folder.join(name))?;
    }
    files::unlink(&folder.join("bin"), "")?;
    let _ = fs::remove_dir(folder);
    Ok(())
}

/// Whether Jupyter accepts it as a kernel's name.
#[must_use]
pub(crate) fn is_kernel_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !name.is_empty() && name.bytes().all(allowed) && !name.bytes().all(|byte| byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_says_what_was_asked_for() {
        let plain: Value = serde_json::from_str(&Spec::default().text().unwrap()).unwrap();
        assert_eq!(plain, serde_json::from_str::<Value>(TEMPLATE).unwrap());
        let spec = Spec {
            name: "x".to_owned(),
            display_name: Some("X".to_owned()),
            python: Some("/v/bin/python".into()),
            engines: Some(8),
            attach: Some("mpi".to_owned()),
            environment: vec![("A".to_owned(), "b c".to_owned())],
        };
        let said: Value = serde_json::from_str(&spec.text().unwrap()).unwrap();
        assert_eq!(said["argv"][0], "/v/bin/python");
        assert_eq!(
            said["argv"].as_array().unwrap()[3..],
            ["-f", "{connection_file}", "-n", "8", "--attach=mpi"]
        );
        assert_eq!((&said["display_name"], &said["env"]), (&json!("X"), &json!({"A": "b c"})));
    }

    #[test]
    fn names_are_those_that_jupyter_accepts() {
        for (name, is) in [
            ("parallel-python", true),
            ("P.2_x", true),
            ("", false),
            ("a b", false),
            ("a/b", false),
            ("..", false),
        ] {
            assert_eq!(is_kernel_name(name), is, "{name}");
        }
    }
}
