//! The parallel magics: from what was typed to values. No I/O.
