// SPDX-License-Identifier: GPL-2.0
//! What drbdmeta says and asks.

use std::io::{self, BufRead, IsTerminal, Write};

/// The three streams of the program, and how questions are to be answered.
pub struct Console<'a> {
    /// Standard output.
    pub out: &'a mut dyn Write,
    /// Standard error.
    pub err: &'a mut dyn Write,
    /// Where answers come from; `None` if nobody can be asked.
    pub input: Option<&'a mut dyn BufRead>,
    /// `--force`: every question is answered with yes.
    pub force: bool,
    /// `--quiet`: with `force`, questions are only counted.
    pub quiet: bool,
    /// How often `--verbose` was given.
    pub verbose: u8,
    suppressed: u32,
}

impl<'a> Console<'a> {
    /// A console over these streams.
    pub fn new(
        out: &'a mut dyn Write,
        err: &'a mut dyn Write,
        input: Option<&'a mut dyn BufRead>,
    ) -> Self {
        Self {
            out,
            err,
            input,
            force: false,
            quiet: false,
            verbose: 0,
            suppressed: 0,
        }
    }

    /// Runs `body` with the streams of the process; answers come only from a terminal.
    pub fn with_process<T>(body: impl FnOnce(&mut Console<'_>) -> T) -> T {
        let stdin = io::stdin();
        let mut answers = stdin.is_terminal().then(|| stdin.lock());
        let input = answers.as_mut().map(|lock| lock as &mut dyn BufRead);
        let (mut out, mut err) = (io::stdout(), io::stderr());
        body(&mut Console::new(&mut out, &mut err, input))
    }

    /// Asks `question`; true only for the line "yes", or if forced.
    ///
    /// # Errors
    ///
    /// A stream fails.
    pub fn confirmed(&mut self, question: &str) -> io::Result<bool> {
        if self.force && self.quiet {
            self.suppressed = self.suppressed.saturating_add(1);
            return Ok(true);
        }
        writeln!(self.err, "\n{question}")?;
        if self.force {
            writeln!(self.err, "*** confirmation forced via --force option ***")?;
            return Ok(true);
        }
        let Some(input) = self.input.as_mut() else {
            writeln!(self.err, "stdin not a TTY, not waiting for confirmation")?;
            return Ok(false);
        };
        self.out.flush()?;
        write!(self.err, "[need to type 'yes' to confirm] ")?;
        self.err.flush()?;
        let mut answer = String::new();
        input.read_line(&mut answer)?;
        writeln!(self.err)?;
        Ok(answer == "yes\n")
    }

    /// A remark that is only worth printing at `--verbose`.
    ///
    /// # Errors
    ///
    /// The stream fails.
    pub fn remark(&mut self, text: std::fmt::Arguments<'_>) -> io::Result<()> {
        if self.verbose > 0 {
            writeln!(self.err, "{text}")?;
        }
        Ok(())
    }

    /// The last words: how many questions `--quiet` has swallowed.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        if self.suppressed > 0 {
            writeln!(
                self.err,
                "{} question(s) confirmed via --force option",
                self.suppressed
            )?;
        }
        self.out.flush()?;
        self.err.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::Console;
    use std::io::BufRead;

    fn ask(answer: Option<&str>, force: bool) -> (bool, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut bytes = answer.map(str::as_bytes);
        let input = bytes.as_mut().map(|bytes| bytes as &mut dyn BufRead);
        let mut console = Console::new(&mut out, &mut err, input);
        console.force = force;
        let confirmed = console.confirmed("Really?").unwrap();
        (confirmed, String::from_utf8(err).unwrap())
    }

    #[test]
    fn only_the_whole_word_confirms() {
        for (answer, confirmed) in [
            ("yes\n", true),
            ("yes", false),
            ("y\n", false),
            ("Yes\n", false),
            (" yes\n", false),
            ("yes \n", false),
            ("", false),
        ] {
            assert_eq!(ask(Some(answer), false).0, confirmed, "{answer:?}");
        }
        assert_eq!(
            ask(Some("yes\n"), false).1,
            "\nReally?\n[need to type 'yes' to confirm] \n"
        );
    }

    #[test]
    fn without_a_terminal_the_answer_is_no() {
        let expected = "\nReally?\nstdin not a TTY, not waiting for confirmation\n";
        assert_eq!(ask(None, false), (false, expected.to_owned()));
    }

    #[test]
    fn force_confirms_without_asking() {
        let expected = "\nReally?\n*** confirmation forced via --force option ***\n";
        assert_eq!(ask(Some("no\n"), true), (true, expected.to_owned()));
    }
}
