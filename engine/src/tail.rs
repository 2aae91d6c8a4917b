//! The end of a text of which nobody needs the beginning.

/// Keeps the last bytes that were added, at most as many as it has room for.
pub(crate) struct Tail {
    bytes: Vec<u8>,
    room: usize,
}

impl Tail {
    /// Nothing yet.
    pub(crate) fn new(room: usize) -> Tail {
        Tail { bytes: Vec::new(), room }
    }

    /// Adds bytes; what no longer fits goes from the front.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.bytes.drain(..self.bytes.len().saturating_sub(self.room));
    }

    /// What is kept, as text. A character that was cut at the front is left out.
    pub(crate) fn text(&self) -> String {
        let start = self.bytes.iter().position(|byte| byte & 0xC0 != 0x80).unwrap_or(self.bytes.len());
        String::from_utf8_lossy(&self.bytes[start..]).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept() {
        let mut tail = Tail::new(5);
        for (added, kept) in
            [("ab", "ab"), ("cde", "abcde"), ("f", "bcdef"), ("123456789", "56789"), ("äöü", "öü")]
        {
            tail.extend(added.as_bytes());
            assert_eq!(tail.text(), kept, "after {added}");
        }
    }
}
