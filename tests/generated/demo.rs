//! The picture in the README: a terminal with a real run in it, in which one call appears after the other.

use std::fmt::Write as _;

use super::{Rendered, committed};
use crate::printed::Example;

/// A character's box, in pixels.
const CELL: (usize, usize) = (8, 18);
const MARGIN: usize = 16;
const COLUMNS: usize = 80;
/// Seconds from one call to the next.
const PAUSE: f32 = 1.5;

#[test]
fn the_readmes_picture_is_a_real_run() {
    let text = include_str!("demo.txt").to_owned();
    let Some(calls) = (Example { text, ..Example::default() }).session() else { return };
    let picture = Rendered::from([("terminal.svg".into(), picture(&calls))]);
    committed("tests/demo", &picture);
}

/// The calls and what each one printed.
fn picture(calls: &[(String, String)]) -> String {
    let lines: usize = calls.iter().map(|(_, printed)| 1 + printed.lines().count()).sum();
    let (width, height) = (2 * MARGIN + COLUMNS * CELL.0, 2 * MARGIN + lines * CELL.1);
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">
<title>A terminal: slots that a killed process gives back, a work queue, a pipeline that tells the truth</title>
<style>
text {{ font: 13px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; fill: #c9d1d9 }}
.asked {{ fill: #ffffff; font-weight: bold }}
.prompt {{ fill: #7ee787 }}
.said {{ fill: #8b949e; font-weight: normal }}
@keyframes come {{ from {{ opacity: 0 }} to {{ opacity: 1 }} }}
@media (prefers-reduced-motion: no-preference) {{ g {{ animation: come 0.2s both }} }}
</style>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
"##
    );
    let mut row = 0;
    let mut place = || {
        row += 1;
        MARGIN + row * CELL.1 - CELL.1 / 4
    };
    for (n, (asked, printed)) in calls.iter().enumerate() {
        // A viewer that does not animate shows all of it.
        let come = f32::from(u8::try_from(n).unwrap()) * PAUSE;
        let _ = writeln!(svg, r#"<g style="animation-delay: {come}s">"#);
        let (command, comment) = asked.split_once(" # ").unwrap_or((asked, ""));
        let said = if comment.is_empty() { String::new() } else { format!(" # {comment}") };
        let _ = writeln!(
            svg,
            r#"<text x="{MARGIN}" y="{}" class="asked"><tspan class="prompt">$&#160;</tspan>{}<tspan class="said">{}</tspan></text>"#,
            place(),
            escape(command),
            escape(&said)
        );
        for line in printed.lines() {
            assert!(line.chars().count() <= COLUMNS, "{line}");
            let _ = writeln!(svg, r#"<text x="{MARGIN}" y="{}">{}</text>"#, place(), escape(line));
        }
        svg.push_str("</g>\n");
    }
    svg + "</svg>\n"
}

/// The text as it stands: not every viewer keeps several blanks.
fn escape(text: &str) -> String {
    let text = text.replace(' ', "\u{a0}");
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
