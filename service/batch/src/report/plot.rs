//! A plot with axes, as SVG inside the document: the frame that every plot has, and the look of the axes.

use maud::{Markup, PreEscaped, html};
use plotters::chart::MeshStyle;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::prelude::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea, SVGBackend};
use plotters::style::{Color, IntoFont, ShapeStyle, TextStyle};

use super::paint::{EDGE, FAINT, Paint, SOFT};

/// The backend knows whole units only, and a bar may be narrower than a pixel: so many units make one.
pub(super) const FINE: u32 = 8;

/// Where a plot is drawn.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Whether it could be.
pub(super) type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// A plot from outside.
pub(super) struct Frame<'a> {
    /// Its identity in the document.
    pub(super) id: &'a str,
    pub(super) title: &'a str,
    /// What it shows, for who does not see it: axes, range, and what stands out.
    pub(super) description: &'a str,
    /// Pixels at its natural size.
    pub(super) width: u32,
    pub(super) height: u32,
}

/// The plot in its frame. What cannot be drawn is said: the table beside it has the numbers.
pub(super) fn plot(frame: &Frame<'_>, draw: impl FnOnce(&Area<'_>) -> Drawn) -> Markup {
    let (width, height) = (frame.width * FINE, frame.height * FINE);
    let mut svg = String::new();
    let drawn = {
        let area = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
        draw(&area).and_then(|()| area.present())
    };
    // Our own tag stands around it: with a title, without a size, and without a namespace, which HTML knows.
    let inside = svg.split_once('>').and_then(|(_, rest)| rest.trim_end().strip_suffix("</svg>"));
    let Some(inside) = drawn.ok().and(inside) else {
        return html! { p.nothing { "This plot could not be drawn; the table has its numbers." } };
    };
    let (title, description) = (format!("{}-title", frame.id), format!("{}-description", frame.id));
    html! {
        div.plot.scroll tabindex="0" role="region" aria-label={ "Plot: " (frame.title) } {
            svg role="img" viewBox={ "0 0 " (width) " " (height) } aria-labelledby=(title) aria-describedby=(description) {
                title id=(title) { (frame.title) }
                desc id=(description) { (frame.description) }
                (PreEscaped(inside))
            }
        }
    }
}

/// Pixels in the backend's units.
pub(super) fn units(pixels: u32) -> i32 {
    i32::try_from(pixels * FINE).unwrap_or(i32::MAX)
}

/// A line of a colour, so many tenths of a pixel wide.
pub(super) fn stroke(paint: Paint, tenths: u32) -> ShapeStyle {
    paint.rgb().stroke_width(tenths * FINE / 10)
}

/// The text of axes.
pub(super) fn text() -> TextStyle<'static> {
    ("sans-serif", units(15)).into_font().color(&SOFT.rgb())
}

/// Thin lines across at the labels, nothing up, no frame.
pub(super) fn look<X, Y>(mesh: &mut MeshStyle<'_, '_, X, Y, SVGBackend<'_>>)
where
    X: Ranged<ValueType: Clone> + ValueFormatter<X::ValueType>,
    Y: Ranged<ValueType: Clone> + ValueFormatter<Y::ValueType>,
{
    mesh.light_line_style(FAINT.rgb().mix(0.0))
        .bold_line_style(stroke(FAINT, 10))
        .axis_style(stroke(EDGE, 10))
        .label_style(text())
        .set_all_tick_mark_size(units(3));
}
