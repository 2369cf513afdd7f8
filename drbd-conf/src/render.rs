// SPDX-License-Identifier: GPL-2.0
//! Findings for people: file:line:column, the line, the place underlined, and hints.

use crate::diag::{Diagnostic, Severity};
use crate::span::{SourceMap, Span};
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// Draws one finding. `color` uses terminal escapes.
#[must_use]
pub fn render(sources: &SourceMap, diagnostic: &Diagnostic, color: bool) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = level
        .primary_title(&diagnostic.message)
        .elements(hints(&[]));
    if let Some(span) = diagnostic.span {
        for snippet in snippets(sources, span, diagnostic) {
            group = group.element(snippet);
        }
    }
    group = group.elements(hints(&diagnostic.hints));
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    renderer.render(&[group])
}

fn hints(texts: &[String]) -> impl Iterator<Item = annotate_snippets::Message<'_>> {
    texts.iter().map(|text| Level::HELP.message(text.as_str()))
}

/// One snippet for the file of the finding and one for each other file it mentions.
fn snippets<'a>(
    sources: &'a SourceMap,
    span: Span,
    diagnostic: &'a Diagnostic,
) -> Vec<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let mut places = vec![(AnnotationKind::Primary, span, diagnostic.at_place.as_str())];
    let labels = diagnostic.labels.iter();
    places.extend(labels.map(|label| (AnnotationKind::Context, label.span, label.text.as_str())));
    let mut files: Vec<_> = places.iter().map(|(_, place, _)| place.file).collect();
    files.dedup();
    let mut seen = Vec::new();
    let mut drawn = Vec::new();
    for id in files {
        let Some(file) = sources.get(id).filter(|_| !seen.contains(&id)) else {
            continue;
        };
        seen.push(id);
        let mut snippet = Snippet::source(file.text.as_str()).path(file.name.as_str());
        for (kind, place, text) in places.iter().filter(|(_, place, _)| place.file == id) {
            // The end of the file is underlined as one column behind it.
            let annotation = kind.span(place.start..place.end);
            snippet = snippet.annotation(match text.is_empty() {
                true => annotation,
                false => annotation.label(*text),
            });
        }
        drawn.push(snippet);
    }
    drawn
}
