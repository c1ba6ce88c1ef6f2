//! Scores against labels: where a bin's point is on the diagonal, a score of 0.3 means fraud in 3 of 10.

use maud::{Markup, html};
use plotters::prelude::{ChartBuilder, Circle, DashedLineSeries, PathElement};
use plotters::style::Color;

use super::number;
use super::paint::{EDGE, LINE};
use super::plot::{self, Area, Drawn, Frame};
use crate::numbers::Calibration;

/// The normal quantile of an interval that holds the truth 95 times of 100.
const Z: f64 = 1.96;

/// The plot and its table.
pub(super) fn panel(bins: &[Calibration]) -> Markup {
    let labelled = bins.iter().fold(0_u64, |sum, bin| sum.saturating_add(bin.count));
    let frame = Frame {
        id: "calibration-plot",
        title: "Calibration of the score",
        description: "Across the mean score of a bin, upwards the share of its labelled payments that is fraud, with a \
                      95 % interval. Points on the dashed diagonal are calibrated; above it the score is too low.",
        width: 560,
        height: 380,
    };
    html! {
        section.panel #calibration aria-labelledby="calibration-head" {
            div.panel-head {
                h2 #calibration-head { "Calibration" }
                p { (number::counted(labelled, "labelled payment")) ". Above the dashed line the score is too low." }
            }
            @if labelled == 0 {
                p.nothing { "No payment with a score has a label." }
            } @else {
                (plot::plot(&frame, |area| draw(area, bins)))
                details { summary { "Table: calibration by bin" } (table(bins)) }
            }
        }
    }
}

/// Wilson's interval for a share (Journal of the American Statistical Association 22, 1927): within 0 and 1, and good for
/// few payments.
#[expect(clippy::cast_precision_loss, reason = "an interval for the eye")]
fn interval(share: f64, count: u64) -> (f64, f64) {
    let count = count.max(1) as f64;
    let middle = share + Z * Z / (2.0 * count);
    let half = Z * (share * (1.0 - share) / count + Z * Z / (4.0 * count * count)).sqrt();
    let scale = 1.0 + Z * Z / count;
    (((middle - half) / scale).max(0.0), ((middle + half) / scale).min(1.0))
}

fn draw(area: &Area<'_>, bins: &[Calibration]) -> Drawn {
    let mut chart = ChartBuilder::on(area)
        .margin(plot::units(8))
        .margin_right(plot::units(16))
        .x_label_area_size(plot::units(46))
        .y_label_area_size(plot::units(70))
        .build_cartesian_2d(0.0..1.0, 0.0..1.0)?;
    let mut mesh = chart.configure_mesh();
    plot::look(&mut mesh);
    mesh.x_labels(6)
        .y_labels(6)
        .x_desc("Mean score")
        .y_desc("Share of fraud")
        .axis_desc_style(plot::text())
        .x_label_formatter(&|score| format!("{score:.1}"))
        .y_label_formatter(&|share| format!("{:.0}{}%", share * 100.0, number::THIN))
        .draw()?;
    let (dash, space) = (plot::units(5), plot::units(4));
    chart.draw_series(DashedLineSeries::new(
        [(0.0, 0.0), (1.0, 1.0)],
        dash,
        space,
        plot::stroke(EDGE, 12),
    ))?;
    let usable =
        |bin: &&Calibration| bin.count > 0 && bin.mean_score.is_finite() && bin.fraud_share.is_finite();
    let bins = bins.iter().filter(usable);
    let points: Vec<_> = bins
        .map(|bin| (bin.mean_score.clamp(0.0, 1.0), bin.fraud_share.clamp(0.0, 1.0), bin.count))
        .collect();
    for (score, share, count) in &points {
        let (low, high) = interval(*share, *count);
        chart.draw_series([PathElement::new(vec![(*score, low), (*score, high)], plot::stroke(LINE, 15))])?;
    }
    let line: Vec<_> = points.iter().map(|(score, share, _)| (*score, *share)).collect();
    chart.draw_series([PathElement::new(line.clone(), plot::stroke(LINE, 18))])?;
    chart.draw_series(line.into_iter().map(|at| Circle::new(at, plot::units(4), LINE.rgb().filled())))?;
    Ok(())
}

fn table(bins: &[Calibration]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Calibration by bin of the score" {
            table {
                thead {
                    tr {
                        th scope="col" { "Score" }
                        th.number scope="col" { "Labelled" }
                        th.number scope="col" { "Mean score" }
                        th.number scope="col" { "Fraud" }
                        th.number scope="col" { "95 % interval" }
                    }
                }
                tbody {
                    @for bin in bins {
                        @let (low, high) = interval(bin.fraud_share, bin.count);
                        tr {
                            th.nowrap scope="row" { (number::decimal(bin.from, 2)) " to " (number::decimal(bin.to, 2)) }
                            td.number { (number::count(bin.count)) }
                            @if bin.count == 0 {
                                td.number { "–" } td.number { "–" } td.number { "–" }
                            } @else {
                                td.number { (number::decimal(bin.mean_score, 3)) }
                                td.number { (number::percent(bin.fraud_share)) }
                                td.number { (number::percent(low)) " to " (number::percent(high)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
