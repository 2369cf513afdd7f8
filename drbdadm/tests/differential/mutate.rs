// SPDX-License-Identifier: GPL-2.0
//! Damages a configuration, mostly so that it can no longer be accepted.

use crate::random::Random;

/// Words and signs, comments and blanks left out; enough of the lexical rules for this purpose.
fn tokens(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut word = String::new();
        let mut string = false;
        let mut escaped = false;
        for letter in line.chars() {
            if string {
                word.push(letter);
                if escaped {
                    escaped = false;
                } else if letter == '\\' {
                    escaped = true;
                } else if letter == '"' {
                    string = false;
                }
                continue;
            }
            match letter {
                '#' => break,
                '"' => {
                    string = true;
                    word.push(letter);
                }
                '{' | '}' | ';' | '[' | ']' => {
                    found.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()));
                    found.push(letter.to_string());
                }
                _ if letter.is_whitespace() => {
                    found.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()));
                }
                _ => word.push(letter),
            }
        }
        found.extend(Some(word).filter(|word| !word.is_empty()));
    }
    found
}

/// `text` with one or two tokens damaged.
pub(crate) fn damage(random: &mut Random, text: &str) -> String {
    let mut tokens = tokens(text);
    for _ in 0..=random.below(2) {
        let at = random.below(tokens.len());
        let other = random.below(tokens.len());
        let sign = matches!(tokens[at].as_str(), "{" | "}" | ";");
        match random.below(9) {
            0 => {
                tokens.remove(at);
            }
            1 => tokens.insert(at, tokens[at].clone()),
            2 => tokens.swap(at, other),
            3 => tokens.insert(at, random.of(&["{", "}", ";", ":", "[", "]"]).to_owned()),
            4 => tokens[at] = tokens[other].clone(),
            5 if !sign => tokens[at].push(
                random
                    .of(&["x", "!", "\"", "é", "=", "'"])
                    .chars()
                    .next()
                    .unwrap_or('x'),
            ),
            6 if !sign => tokens[at] = "9999999999".to_owned(),
            7 if !sign => {
                tokens[at] = random
                    .of(&["yes", "on", "net", "disk", "10.0.0.1"])
                    .to_owned()
            }
            _ => {
                // What is between two places is lost.
                let (low, high) = (at.min(other), at.max(other).min(at.min(other) + 6));
                tokens.drain(low..high.max(low + 1).min(tokens.len()));
            }
        }
        if tokens.is_empty() {
            break;
        }
    }
    let mut text = String::new();
    for token in &tokens {
        text.push_str(token);
        // Lines of a readable length; the line's number is a part of what is compared.
        text.push(if matches!(token.as_str(), ";" | "{" | "}") {
            '\n'
        } else {
            ' '
        });
    }
    text
}
