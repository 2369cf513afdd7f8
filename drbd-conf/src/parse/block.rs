// SPDX-License-Identifier: GPL-2.0
//! `{ statement… }`, with recovery from statement to statement.

use super::{Parser, Step, Stop};
use crate::lex::{Kind, Token};
use crate::span::Span;

/// What an unexpected end of the file inside a block means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AtEnd {
    /// An error: the brace is missing.
    Error,
    /// The block is taken as closed; so it is for `resource`.
    Closes,
}

impl Parser<'_> {
    /// Parses `{`, statements, `}`. `statement` gets the first token of each. Returns the place
    /// of the closing brace.
    pub(super) fn block(
        &mut self,
        at_end: AtEnd,
        statement: impl FnMut(&mut Self, Token) -> Step<()>,
    ) -> Step<Span> {
        self.expect_operator('{', "`{`")?;
        self.block_body(at_end, statement)
    }

    /// The same behind the opening brace.
    pub(super) fn block_body(
        &mut self,
        at_end: AtEnd,
        mut statement: impl FnMut(&mut Self, Token) -> Step<()>,
    ) -> Step<Span> {
        loop {
            let token = self.next();
            match token.kind {
                Kind::Operator('}') => return Ok(token.span),
                Kind::End if at_end == AtEnd::Closes => return Ok(token.span),
                Kind::End => return Err(self.unexpected(&token, "a statement or `}`")),
                Kind::Operator('{') => {
                    // A block without a head: report it and step over it.
                    self.unexpected(&token, "a statement");
                    self.back();
                    self.recover();
                }
                _ => match statement(self, token) {
                    Ok(()) => {}
                    Err(Stop::Statement) => self.recover(),
                    Err(Stop::Block) => {
                        // Not consumed: it is the first word of what comes after this block.
                        self.back();
                        return Ok(self.peek().span);
                    }
                },
            }
        }
    }

    /// True when the token is the keyword `word`.
    pub(super) fn is_keyword(&self, token: &Token, word: &str) -> bool {
        token.kind == Kind::Keyword && self.slice(token.span) == word
    }

    /// Takes the keyword `word` if it comes next.
    pub(super) fn accept_keyword(&mut self, word: &str) -> bool {
        let found = self.is_keyword(self.peek(), word);
        if found {
            self.next();
        }
        found
    }
}
