//! How long decisions took, by step, on a logarithmic scale.

use std::collections::BTreeMap;

use maud::{Markup, html};
use plotters::prelude::{
    ChartBuilder, Circle, IntoLogRange, IntoSegmentedCoord, PathElement, SegmentValue, TriangleMarker,
};
use plotters::style::Color;

use super::number;
use super::paint::{EDGE, HUES, LINE, OTHERS, Paint};
use super::plot::{self, Area, Drawn, Frame};
use crate::numbers::Quantiles;

/// In the order of the line; others come after them by name.
const STEPS: [&str; 5] = ["decode", "features", "model", "policy", "total"];

/// Quantile, its colour, and its shape for who does not see colours.
const QUANTILES: [(&str, Paint, &str); 4] =
    [("p50", LINE, "●"), ("p99", HUES[2], "▲"), ("p99.9", HUES[1], "▼"), ("max", OTHERS, "○")];

/// The plot and its table.
pub(super) fn panel(latency_us: &BTreeMap<String, Quantiles>) -> Markup {
    let known = STEPS.iter().filter_map(|step| latency_us.get_key_value(*step));
    let others = latency_us.iter().filter(|(step, _)| !STEPS.contains(&step.as_str()));
    let steps: Vec<(&str, Quantiles)> =
        known.chain(others).map(|(step, quantiles)| (step.as_str(), *quantiles)).collect();
    let height = u32::try_from(steps.len()).unwrap_or(u32::MAX).clamp(3, 30) * 40 + 40;
    let frame = Frame {
        id: "latency-plot",
        title: "Latency by step",
        description: "One line a step from its median to its maximum on a logarithmic scale of time, with signs at the \
                      quantiles. The table below has the values.",
        width: 560,
        height,
    };
    html! {
        section.panel #latency aria-labelledby="latency-head" {
            div.panel-head { h2 #latency-head { "Latency" } p { "How long a decision took; logarithmic." } }
            @if steps.is_empty() {
                p.nothing { "No latency was recorded." }
            } @else {
                ul.legend { @for (word, paint, shape) in QUANTILES { li { (sign(paint, shape)) (word) } } }
                (plot::plot(&frame, |area| draw(area, &steps)))
                (table(&steps))
            }
        }
    }
}

fn sign(paint: Paint, shape: &str) -> Markup {
    html! { svg.swatch viewBox="0 0 10 10" aria-hidden="true" { (shape_of(paint, shape)) } }
}

fn shape_of(paint: Paint, shape: &str) -> Markup {
    let hex = paint.hex();
    html! {
        @match shape {
            "▲" => path d="M5 0l5 10H0z" fill=(hex) {},
            "▼" => path d="M5 10l5-10H0z" fill=(hex) {},
            "○" => circle cx="5" cy="5" r="4" fill="none" stroke=(hex) stroke-width="2" {},
            _ => circle cx="5" cy="5" r="5" fill=(hex) {},
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a place on an axis")]
fn place(us: u64) -> f64 {
    us.max(1) as f64
}

fn draw(area: &Area<'_>, steps: &[(&str, Quantiles)]) -> Drawn {
    let least = steps.iter().map(|(_, one)| place(one.p50)).fold(f64::MAX, f64::min);
    let most = steps.iter().map(|(_, one)| place(one.max.max(one.p999))).fold(1.0, f64::max);
    // From the power of ten below to what is a little more than the largest: its sign has room.
    let range = (10_f64.powf(least.log10().floor())..most * 1.5).log_scale();
    let count = i32::try_from(steps.len()).unwrap_or(i32::MAX);
    // The first step is on top.
    let at = |row: usize| SegmentValue::CenterOf(count - 1 - i32::try_from(row).unwrap_or(0));
    let name = |row: &SegmentValue<i32>| match row {
        SegmentValue::CenterOf(row) => {
            let step = usize::try_from(count - 1 - row).ok().and_then(|row| steps.get(row));
            step.map(|(step, _)| number::short(&number::spoken(step), 11)).unwrap_or_default()
        }
        SegmentValue::Exact(_) | SegmentValue::Last => String::new(),
    };
    let mut chart = ChartBuilder::on(area)
        .margin(plot::units(6))
        .margin_right(plot::units(20))
        .x_label_area_size(plot::units(26))
        .y_label_area_size(plot::units(84))
        .build_cartesian_2d(range, (0..count - 1).into_segmented())?;
    let mut mesh = chart.configure_mesh();
    plot::look(&mut mesh);
    mesh.disable_y_mesh()
        .x_labels(6)
        .y_labels(steps.len())
        .x_label_formatter(&tick)
        .y_label_formatter(&name)
        .draw()?;
    for (row, (_, one)) in steps.iter().enumerate() {
        let line = vec![(place(one.p50), at(row)), (place(one.max), at(row))];
        chart.draw_series([PathElement::new(line, plot::stroke(EDGE, 20))])?;
        let [p50, p99, p999, max] = QUANTILES.map(|(_, paint, _)| paint);
        let size = plot::units(6);
        chart.draw_series([Circle::new((place(one.max), at(row)), size * 3 / 4, plot::stroke(max, 20))])?;
        chart.draw_series([TriangleMarker::new((place(one.p999), at(row)), -size, p999.rgb().filled())])?;
        chart.draw_series([TriangleMarker::new((place(one.p99), at(row)), size, p99.rgb().filled())])?;
        chart.draw_series([Circle::new((place(one.p50), at(row)), size * 3 / 4, p50.rgb().filled())])?;
    }
    Ok(())
}

/// Powers of ten only: others crowd.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and not negative")]
fn tick(us: &f64) -> String {
    let power = us.log10();
    if (power - power.round()).abs() < 1e-6 { number::micros(us.round() as u64) } else { String::new() }
}

fn table(steps: &[(&str, Quantiles)]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Table of latency" {
            table {
                thead {
                    tr {
                        th scope="col" { "Step" }
                        @for (word, _, _) in QUANTILES { th.number scope="col" { (word) } }
                    }
                }
                tbody {
                    @for (step, one) in steps {
                        tr {
                            th.value scope="row" { (number::spoken(step)) }
                            @for us in [one.p50, one.p99, one.p999, one.max] { td.number { (number::micros(us)) } }
                        }
                    }
                }
            }
        }
    }
}
