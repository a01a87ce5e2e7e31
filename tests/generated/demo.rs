//! The picture in the README: a terminal in which one command of a real run appears after the other.

use std::fmt::Write as _;

use super::{Rendered, committed};
use crate::printed::Example;

/// Width and height of a character, in pixels.
const CELL: (usize, usize) = (8, 18);
const MARGIN: usize = 16;
const COLUMNS: usize = 80;
/// Seconds from one command to the next.
const PAUSE: f32 = 1.5;

#[test]
fn picture_shows_a_real_run() {
    let mut example = Example::default();
    for line in include_str!("demo.txt").lines() {
        if line.starts_with('%') {
            example.direct(line);
        } else {
            example.text.push_str(line);
            example.text.push('\n');
        }
    }
    let Some(calls) = example.session() else { return };
    let picture = Rendered::from([("terminal.svg".into(), picture(&calls))]);
    committed("tests/demo", &picture, &Rendered::new());
}

/// Renders commands and the output of each.
fn picture(calls: &[(String, String)]) -> String {
    let lines: usize = calls.iter().map(|(_, printed)| 1 + printed.lines().count()).sum();
    let (width, height) = (2 * MARGIN + COLUMNS * CELL.0, 2 * MARGIN + lines * CELL.1);
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">
<title>A terminal: jobs are limited, a killed job leaves no stale lock, a leaked queue is found</title>
<style>
text {{ font: 13px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; fill: #c9d1d9 }}
.command {{ fill: #ffffff; font-weight: bold }}
.prompt {{ fill: #7ee787 }}
.comment {{ fill: #8b949e; font-weight: normal }}
@keyframes appear {{ from {{ opacity: 0 }} to {{ opacity: 1 }} }}
@media (prefers-reduced-motion: no-preference) {{ g {{ animation: appear 0.2s both }} }}
</style>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
"##
    );
    let mut row = 0;
    let mut place = || {
        row += 1;
        MARGIN + row * CELL.1 - CELL.1 / 4
    };
    for (n, (line, printed)) in calls.iter().enumerate() {
        assert!(line.chars().count() + 2 <= COLUMNS, "{line}");
        let delay = f32::from(u8::try_from(n).unwrap()) * PAUSE;
        let _ = writeln!(svg, r#"<g style="animation-delay: {delay}s">"#);
        let (command, comment) = line.split_once(" # ").unwrap_or((line, ""));
        let comment = if comment.is_empty() { String::new() } else { format!(" # {comment}") };
        let _ = writeln!(
            svg,
            r#"<text x="{MARGIN}" y="{}" class="command"><tspan class="prompt">$&#160;</tspan>{}<tspan class="comment">{}</tspan></text>"#,
            place(),
            escape(command),
            escape(&comment)
        );
        for line in printed.lines() {
            assert!(line.chars().count() <= COLUMNS, "{line}");
            let _ = writeln!(svg, r#"<text x="{MARGIN}" y="{}">{}</text>"#, place(), escape(line));
        }
        svg.push_str("</g>\n");
    }
    svg + "</svg>\n"
}

/// Escapes text for SVG. Blanks become no-break spaces, because some viewers collapse several blanks.
fn escape(text: &str) -> String {
    let text = text.replace(' ', "\u{a0}");
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
