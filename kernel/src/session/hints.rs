//! What the kernel says once in its life, because somebody may not know that it exists.

use std::collections::BTreeSet;

/// What there is to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hint {
    /// Many engines have shown something, each by itself.
    Collapse,
}

impl Hint {
    pub(super) fn text(self) -> String {
        match self {
            Hint::Collapse => "Hint: `%%px --collapse` shows once what several engines say alike, \
                               `%pxconfig --collapse` does so from here on."
                .to_owned(),
        }
    }
}

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
}
