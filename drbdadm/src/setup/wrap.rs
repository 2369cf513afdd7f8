// SPDX-License-Identifier: GPL-2.0
//! Lines that are broken between words at the width of the terminal.

/// Collects words into lines. A word that does not fit begins a new line at the indent.
#[derive(Debug)]
pub(super) struct Wrapper {
    text: String,
    width: usize,
    column: usize,
}

impl Wrapper {
    pub(super) fn new(width: usize) -> Self {
        Self {
            text: String::new(),
            width,
            column: 0,
        }
    }

    /// Starts a line with a word at `indent`.
    pub(super) fn line(&mut self, indent: usize, word: &str) {
        self.finish_line();
        self.text.push_str(&" ".repeat(indent));
        self.text.push_str(word);
        self.column = indent + visible_len(word);
    }

    /// Adds a word behind a blank, or on a new line at `indent` if it does not fit.
    pub(super) fn word(&mut self, indent: usize, word: &str) {
        if self.column + 1 + visible_len(word) > self.width {
            self.line(indent, word);
        } else {
            self.text.push(' ');
            self.text.push_str(word);
            self.column += 1 + visible_len(word);
        }
    }

    /// Ends the line, and adds an empty one.
    pub(super) fn paragraph(&mut self) {
        self.finish_line();
        self.text.push('\n');
    }

    fn finish_line(&mut self) {
        if self.column > 0 {
            self.text.push('\n');
            self.column = 0;
        }
    }

    pub(super) fn into_text(mut self) -> String {
        self.finish_line();
        self.text
    }
}

/// The length on the screen: colours take no room.
fn visible_len(word: &str) -> usize {
    let mut len = 0;
    let mut in_escape = false;
    for character in word.chars() {
        match character {
            '\u{1b}' => in_escape = true,
            'm' if in_escape => in_escape = false,
            _ if !in_escape => len += 1,
            _ => {}
        }
    }
    len
}

#[cfg(test)]
mod tests {
    use super::Wrapper;

    #[test]
    fn lines_break_between_words() {
        let mut wrapper = Wrapper::new(20);
        wrapper.line(2, "0123456789");
        wrapper.word(4, "1234567");
        wrapper.word(4, "8");
        wrapper.word(4, "\u{1b}[32m123456789012345\u{1b}[0m");
        wrapper.paragraph();
        let expected = "  0123456789 1234567\n    8\n    \u{1b}[32m123456789012345\u{1b}[0m\n\n";
        assert_eq!(wrapper.into_text(), expected);
    }
}
