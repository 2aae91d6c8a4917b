//! Installing the kernel where Jupyter finds it, and taking it away again.
//!
//! ```text
//!  PREFIX/bin/parallel-python ──────────────┐                       for a terminal
//!  PREFIX/lib/parallel-python/installed.json│                       what was made: `record`
//!  PREFIX/lib/parallel-python/current ──────┼─► 0.1.0-0123456789ab  the program files: `programs`
//!  …/kernels/NAME/bin ──────────────────────┘
//!  …/kernels/NAME/{kernel.json, start.py, logos}                    what Jupyter reads: `spec`
//!  PREFIX/lib/python3.x/site-packages/parallel-python.pth           what a plain Python reads: `entry`
//!  PREFIX/{etc,share}/jupyter/…                                     what shows clusters in Jupyter: `panel`
//! ```
//!
//! **Invariants**: a running kernel is not disturbed: every build has a folder of its own, a link is moved from
//! one to the next in one step, and the build before stays for those that still run on it. What is made is
//! recorded before it is made, so that uninstalling removes it, and nothing else, whatever happened.
//!
//! **Boundary**: links are relative where they can be, so that a prefix may be moved or packed.

mod entry;
mod files;
mod panel;
mod place;
mod programs;
mod record;
mod spec;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

pub(crate) use place::Place;
use programs::Programs;
use record::Held;
pub(crate) use spec::{Spec, is_kernel_name};

/// The link to the build that is in use.
const CURRENT: &str = "current";

/// What became of an installation.
#[derive(Debug)]
pub(crate) struct Installed {
    /// The kernelspec's folder.
    pub spec: PathBuf,
    /// Where the program files are.
    pub programs: PathBuf,
    /// The command for a terminal; `None` where something else has its name.
    pub command: Option<PathBuf>,
    /// The folder from which a plain Python imports the package, and whether the prefix's own Python does.
    pub packages: (PathBuf, bool),
    /// Whether anything had to be done.
    pub changed: bool,
}

/// Installs `spec` at `place` with a copy of the program files, or, with `link`, with those that run.
///
/// # Errors
/// What could not be written, and what to do.
pub(crate) fn install(place: &Place, spec: &Spec, link: bool) -> anyhow::Result<Installed> {
    let programs = Programs::of_this_process()?;
    let packages = if link { None } else { entry::site_packages(&place.prefix) };
    let mut folders = vec![place.kernels.clone(), place.commands()];
    folders.extend(packages.iter().flat_map(|_| panel::folders(&place.prefix)));
    let mut held = Held::take(&place.programs(), &folders)?;
    let mut changed = false;
    let folder = if link {
        programs.lasting_folder()
    } else {
        held.record.add_build(&programs.build);
        held.save()?;
        changed |= programs.place(&place.programs())?;
        changed |= files::link(&place.programs().join(CURRENT), Path::new(&programs.build))?;
        held.sweep()?;
        place.programs().join(CURRENT)
    };
    let spec_folder = place.kernels.join(&spec.name);
    held.record.kernels.insert(place.relative(&spec_folder));
    held.save()?;
    let command = place.commands().join("parallel-python");
    let command = (!link && files::is_free_or_link(&command, "lib/parallel-python/")).then_some(command);
    if let Some(command) = &command {
        held.record.command = true;
        held.save()?;
        changed |= files::link_to(command, &folder.join("parallel-python"), &place.prefix)?;
    }
    changed |= spec.write(&spec_folder, &folder, &place.prefix)?;
    if let Some(packages) = &packages {
        let (path, fresh) = entry::write(&place.prefix, packages)?;
        changed |= fresh;
        held.record.entry = Some(place.relative(&path));
        held.replace_panel(panel::files())?;
        changed |= panel::write(&place.prefix)?;
    }
    let packages = (folder.join(programs::ENTRY), packages.is_some());
    Ok(Installed { spec: spec_folder, programs: folder, command, packages, changed })
}

/// Removes the kernel `name` from `place`, and the program files with the last one. Returns what was left because
/// it is not ours.
///
/// # Errors
/// When there is none, or something could not be removed.
pub(crate) fn uninstall(place: &Place, name: &str) -> anyhow::Result<Vec<PathBuf>> {
    let folder = place.kernels.join(name);
    let missing = || {
        format!("there is no kernel `{name}` of `parallel-python install` in `{}`", place.kernels.display())
    };
    if !place.programs().is_dir() {
        bail!(missing());
    }
    let mut held = Held::take(&place.programs(), &[])?;
    if !held.record.kernels.contains(&place.relative(&folder)) {
        bail!(missing());
    }
    spec::remove(&folder)?;
    let mut left = files::leftover(&folder);
    held.record.kernels.remove(&place.relative(&folder));
    // Others may have been removed by other means since.
    held.record.kernels.retain(|kernel| place.prefix.join(kernel).join(spec::FILE).exists());
    held.save()?;
    if held.record.kernels.is_empty() {
        if held.record.command {
            files::unlink(&place.commands().join("parallel-python"), "lib/parallel-python/")?;
        }
        if let Some(entry) = held.record.entry.take() {
            files::remove(&place.prefix.join(entry))?;
        }
        held.replace_panel([])?;
        left.extend(held.remove_all(CURRENT)?);
    }
    Ok(left)
}

/// The folder from which a plain Python imports the package of this build.
///
/// # Errors
/// When this is not an installed build.
pub(crate) fn packages() -> anyhow::Result<PathBuf> {
    let folder = Programs::of_this_process()?.lasting_folder().join(programs::ENTRY);
    if !folder.is_dir() {
        bail!(
            "`{}` is missing: `parallel-python install` makes it, so ask the installed one",
            folder.display()
        );
    }
    Ok(folder)
}

/// The programs of an installed kernelspec.
///
/// # Errors
/// When the kernelspec is broken.
pub(crate) fn program_of(spec_folder: &Path) -> anyhow::Result<PathBuf> {
    let program = spec_folder.join("bin").join("parallel-python");
    program.canonicalize().with_context(|| format!("`{}` is missing", program.display()))
}
