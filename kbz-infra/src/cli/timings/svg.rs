//! The picture: a row for everything that took time, drawn over one axis.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Kind, Span, told};

const ROW: usize = 18;
const TOP: usize = 48;
/// Where bars begin, and how long the longest is.
const LEFT: f64 = 420.0;
const WIDTH: f64 = 720.0;
/// Room for the figure at the end of the longest bar.
const RIGHT: f64 = 90.0;
/// Longer names lose their middle.
const LABEL: usize = 58;

/// Steps of the axis, in seconds.
const STEPS: [f64; 14] = [
    0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 300.0, 600.0,
];
const TICKS: f64 = 8.0;

const STYLE: &str = "text{font:11px ui-monospace,Menlo,Consolas,monospace;fill:#24292f}\
    .title{font-size:14px;font-weight:600}.axis{fill:#8c959f}line{stroke:#eaeef2}\
    .phase{fill:#8c959f}.site{fill:#1a7f64}.step{fill:#2f6feb}.failed{fill:#cf222e}\
    .wait{fill:#d0d7de}.part{fill:#fff;opacity:.35}";

/// Draws all spans, phases first, then in the order in which they began.
pub(super) fn draw(title: &str, spans: &[Span]) -> String {
    let mut rows: Vec<&Span> = spans.iter().collect();
    rows.sort_by_key(|span| (!matches!(span.kind, Kind::Phase(_)), span.from, span.to));
    let end = rows.iter().map(|span| span.to).max().unwrap_or_default();
    let scale = Scale::of(end);
    let height = TOP + ROW * rows.len() + ROW;
    let width = LEFT + WIDTH + RIGHT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\">\n\
         <style>{STYLE}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text class=\"title\" x=\"12\" y=\"22\">{} · {}</text>\n",
        escaped(title),
        told(end),
    );
    scale.draw(height, &mut svg);
    for (place, span) in rows.into_iter().enumerate() {
        row(span, TOP + ROW * place, &scale, &mut svg);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Seconds as places on the axis.
struct Scale {
    end: f64,
}

impl Scale {
    fn of(end: Duration) -> Self {
        let end = end.as_secs_f64().max(0.001);
        Self { end }
    }

    fn length(&self, time: Duration) -> f64 {
        time.as_secs_f64() / self.end * WIDTH
    }

    fn draw(&self, height: usize, svg: &mut String) {
        let fits = |step: &&f64| self.end / **step <= TICKS;
        let step = STEPS.iter().find(fits).copied().unwrap_or(self.end);
        let mut tick = 0.0;
        while tick <= self.end {
            let x = LEFT + tick / self.end * WIDTH;
            let bottom = height - ROW / 2;
            put(
                svg,
                format_args!(
                    "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{bottom}\"/>\
                     <text class=\"axis\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                    TOP - 4,
                    TOP - 8,
                    told(Duration::from_secs_f64(tick)),
                ),
            );
            tick += step;
        }
    }
}

fn row(span: &Span, y: usize, scale: &Scale, svg: &mut String) {
    let bar = |svg: &mut String, class: &str, from: Duration, to: Duration| {
        let (x, length) = (
            LEFT + scale.length(from),
            scale.length(to.saturating_sub(from)),
        );
        put(
            svg,
            format_args!(
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{}\" rx=\"2\"/>",
                y + 3,
                length.max(1.5),
                ROW - 6,
            ),
        );
    };
    put(
        svg,
        format_args!("<g><title>{}</title>", escaped(&explained(span))),
    );
    put(
        svg,
        format_args!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            y + ROW - 5,
            escaped(&shortened(&span.label)),
        ),
    );
    if let Some(waited) = span.waited {
        bar(svg, "wait", waited, span.from);
    }
    let class = match (span.failed, span.kind) {
        (true, _) => "failed",
        (false, Kind::Phase(_)) => "phase",
        (false, Kind::Site) => "site",
        (false, Kind::Step) => "step",
    };
    bar(svg, class, span.from, span.to);
    // Every second effect is lighter, so that one can be told from the next.
    for part in span.parts.iter().skip(1).step_by(2) {
        bar(svg, "part", part.from, part.to);
    }
    let x = LEFT + scale.length(span.to) + 6.0;
    let took = told(span.took());
    put(
        svg,
        format_args!(
            "<text class=\"axis\" x=\"{x:.1}\" y=\"{}\">{took}</text></g>\n",
            y + ROW - 5
        ),
    );
}

/// What a person reads who points at a row.
fn explained(span: &Span) -> String {
    let mut lines = vec![format!("{}: {}", span.label, told(span.took()))];
    if let Some(waited) = span.waited {
        lines.push(format!(
            "waited for its turn: {}",
            told(span.from.saturating_sub(waited))
        ));
    }
    let parts = span.parts.iter();
    lines
        .extend(parts.map(|part| format!("{} on {}: {}", part.deed, part.site, told(part.took()))));
    lines.join("\n")
}

fn shortened(label: &str) -> String {
    let letters: Vec<char> = label.chars().collect();
    if letters.len() <= LABEL {
        return label.to_owned();
    }
    let kept = (LABEL - 1) / 2;
    let (head, tail) = (&letters[..kept], &letters[letters.len() - kept..]);
    head.iter().chain(&['…']).chain(tail).collect()
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn put(svg: &mut String, text: std::fmt::Arguments<'_>) {
    svg.write_fmt(text)
        .expect("writing to a String cannot fail");
}
