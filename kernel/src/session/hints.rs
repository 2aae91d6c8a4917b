//! What the kernel says once in its life, because somebody may not know that it exists.

use std::collections::BTreeSet;

/// What there is to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hint {
    /// Many engines have shown something, each by itself.
    Collapse,
    /// Engines do not know a name that the notebook has.
    OnlyHere,
}

/// The words of [`Hint::Collapse`].
pub(super) const COLLAPSE: &str = "Hint: `%%px --collapse` shows once what several engines say alike, \
                                   `%pxconfig --collapse` does so from here on.";

/// What has been said.
#[derive(Debug, Default)]
pub(super) struct Hints {
    given: BTreeSet<Hint>,
}

impl Hints {
    /// Whether this is to be said now; true once.
    pub(super) fn is_new(&mut self, hint: Hint) -> bool {
        self.given.insert(hint)
    }

    /// Whether this has been said.
    pub(super) fn was_given(&self, hint: Hint) -> bool {
        self.given.contains(&hint)
    }
}
