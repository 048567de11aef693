//! Draws boxes with a title and lines of text, and arrows, as SVG.
//!
//! The layout's own canvas centres text and makes room for ten points of height per character;
//! this one keeps to the boxes, and follows the reader's light or dark theme.

use std::fmt::Write as _;

use layout::core::format::{ClipHandle, RenderBackend};
use layout::core::geometry::Point;
use layout::core::style::StyleAttr;

/// Room around the drawing.
const MARGIN: f64 = 16.0;
/// Height of a line of text.
pub(super) const LINE: f64 = 15.0;
/// Room between a box's edge and its text.
pub(super) const INSET: f64 = 10.0;

const STYLE: &str = "\
.b{fill:#ffffff;stroke:#57606a;stroke-width:1.2}\
.t{font:600 12px system-ui,sans-serif;fill:#1f2328}\
.l{font:11px ui-monospace,monospace;fill:#57606a}\
.a{fill:none;stroke:#8c959f;stroke-width:1.4}\
.h{fill:#8c959f}\
@media(prefers-color-scheme:dark){\
.b{fill:#161b22;stroke:#8b949e}.t{fill:#e6edf3}.l{fill:#9198a1}\
.a{stroke:#6e7681}.h{fill:#6e7681}}";

/// An SVG in the making.
pub(super) struct Canvas {
    title: String,
    /// Boxes and their text: they lie above the arrows, which may pass below a corner.
    boxes: String,
    arrows: String,
    size: Point,
    /// Left edge of the last box: its text starts there.
    left: f64,
}

impl Canvas {
    pub(super) fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            boxes: String::new(),
            arrows: String::new(),
            size: Point::zero(),
            left: 0.0,
        }
    }

    pub(super) fn finish(self) -> String {
        let (width, height) = (self.size.x + MARGIN, self.size.y + MARGIN);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" \
             height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\">\n\
             <title>{}</title>\n<style>{STYLE}</style>\n\
             <defs><marker id=\"head\" markerWidth=\"8\" markerHeight=\"6\" refX=\"8\" refY=\"3\" \
             orient=\"auto\"><path class=\"h\" d=\"M0 0L8 3L0 6z\"/></marker></defs>\n{}{}</svg>\n",
            escaped(&self.title),
            self.arrows,
            self.boxes
        )
    }

    fn grow(&mut self, x: f64, y: f64) {
        self.size.x = self.size.x.max(x);
        self.size.y = self.size.y.max(y);
    }
}

impl RenderBackend for Canvas {
    fn draw_rect(
        &mut self,
        xy: Point,
        size: Point,
        _look: &StyleAttr,
        _properties: Option<String>,
        _clip: Option<ClipHandle>,
    ) {
        self.left = xy.x;
        self.grow(xy.x + size.x, xy.y + size.y);
        let _ = writeln!(
            self.boxes,
            "<rect class=\"b\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"6\"/>",
            xy.x, xy.y, size.x, size.y
        );
    }

    fn draw_text(&mut self, xy: Point, text: &str, _look: &StyleAttr) {
        let x = self.left + INSET;
        let lines = f64::from(u16::try_from(text.lines().count()).unwrap_or(u16::MAX));
        // The baseline stands a little below the middle of its line.
        let mut y = xy.y - lines * LINE / 2.0 + LINE * 0.75;
        for (index, line) in text.lines().enumerate() {
            let class = if index == 0 { 't' } else { 'l' };
            let _ = writeln!(
                self.boxes,
                "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>",
                escaped(line)
            );
            y += LINE;
        }
    }

    fn draw_arrow(
        &mut self,
        path: &[(Point, Point)],
        _dashed: bool,
        head: (bool, bool),
        _look: &StyleAttr,
        _properties: Option<String>,
        _text: &str,
    ) {
        let [first, second, rest @ ..] = path else {
            return;
        };
        let mut curve = format!(
            "M{:.1} {:.1}C{:.1} {:.1} {:.1} {:.1} {:.1} {:.1}",
            first.0.x,
            first.0.y,
            first.1.x,
            first.1.y,
            second.0.x,
            second.0.y,
            second.1.x,
            second.1.y
        );
        for (entry, point) in rest {
            let _ = write!(
                curve,
                "S{:.1} {:.1} {:.1} {:.1}",
                entry.x, entry.y, point.x, point.y
            );
        }
        for (a, b) in path {
            self.grow(a.x.max(b.x), a.y.max(b.y));
        }
        let start = if head.0 {
            " marker-start=\"url(#head)\""
        } else {
            ""
        };
        let end = if head.1 {
            " marker-end=\"url(#head)\""
        } else {
            ""
        };
        let _ = writeln!(self.arrows, "<path class=\"a\" d=\"{curve}\"{start}{end}/>");
    }

    fn draw_line(
        &mut self,
        start: Point,
        stop: Point,
        _look: &StyleAttr,
        _properties: Option<String>,
    ) {
        let _ = writeln!(
            self.arrows,
            "<path class=\"a\" d=\"M{:.1} {:.1}L{:.1} {:.1}\"/>",
            start.x, start.y, stop.x, stop.y
        );
    }

    fn draw_circle(
        &mut self,
        xy: Point,
        size: Point,
        look: &StyleAttr,
        properties: Option<String>,
    ) {
        let corner = Point::new(xy.x - size.x / 2.0, xy.y - size.y / 2.0);
        self.draw_rect(corner, size, look, properties, None);
    }

    fn create_clip(&mut self, _xy: Point, _size: Point, _rounded_px: usize) -> ClipHandle {
        // Only records ask for clips, and there are none.
        0
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
