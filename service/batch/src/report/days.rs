//! Plots by day: differences by class, and the decision mix.

use std::collections::BTreeSet;

use jiff::ToSpan;
use jiff::civil::Date;
use maud::{Markup, html};
use plotters::prelude::{ChartBuilder, IntoSegmentedCoord, Rectangle, SegmentValue, TriangleMarker};
use plotters::style::Color;

use super::grid::{self, Grid};
use super::number;
use super::paint::{APPROVE, CHALLENGE, DECLINE, OTHERS, Paint, REVIEW};
use super::palette::{Palette, UNEXPLAINED};
use super::plot::{self, Area, Drawn, Frame};
use crate::numbers::Numbers;

/// More days than this are not filled up when a plot has gaps: somebody's clock was wrong.
const MOST_DAYS: usize = 2_000;

/// The rare ones first: they stand on the ground, where they can be compared.
const VERDICTS: [(&str, Paint); 4] =
    [("decline", DECLINE), ("challenge", CHALLENGE), ("review", REVIEW), ("approve", APPROVE)];

/// One bar a day: its parts from the ground up, and whether a mark stands on it.
struct Bar {
    day: String,
    parts: Vec<(f64, Paint)>,
    marked: bool,
}

/// Differences by day and class, stacked.
pub(super) fn differences(numbers: &Numbers, palette: &Palette) -> Markup {
    let grid = Grid::of(&numbers.by_day, palette.order());
    let unexplained = grid.columns.iter().position(|class| *class == UNEXPLAINED);
    let bars: Vec<Bar> = calendar(numbers, &grid)
        .into_iter()
        .map(|day| {
            let counts = grid.rows.get(day.as_str()).map(Vec::as_slice).unwrap_or_default();
            let parts = grid.columns.iter().zip(counts);
            let parts = parts.map(|(class, count)| (float(*count), palette.paint(class))).collect();
            let marked = unexplained.and_then(|place| counts.get(place)).is_some_and(|count| *count > 0);
            Bar { day, parts, marked }
        })
        .collect();
    let description = format!(
        "Stacked bars, one for each of {}, at most {} on a day. A red triangle stands over days with an unexplained one.",
        number::counted(bars.len() as u64, "day"),
        number::counted(grid.most(), "difference"),
    );
    let top = float(grid.most()) * 1.12;
    let frame = frame("by-day-plot", "Differences by day and class", &description);
    html! {
        section.panel #by-day aria-labelledby="by-day-head" {
            div.panel-head {
                h2 #by-day-head { "Differences by day" }
                p { "By the payment's event time." @if unexplained.is_some() { " ▼ marks days with an unexplained one." } }
            }
            @if grid.rows.is_empty() {
                p.nothing { "No day has a difference." }
            } @else {
                (grid::legend(grid.columns.iter().map(|class| (*class, palette.paint(class)))))
                (plot::plot(&frame, |area| stacked(area, &bars, top, &|count| whole(*count))))
                details { summary { "Table: differences by day" } (grid.table("Differences by day and class", "Day")) }
            }
        }
    }
}

/// Shares of verdicts by day. Most payments are approved, so the rest is drawn large, and approval is what is missing.
pub(super) fn decisions(numbers: &Numbers) -> Markup {
    let grid = Grid::of(&numbers.decisions, VERDICTS.iter().map(|(word, _)| *word));
    let paint = |verdict: &str| {
        VERDICTS.iter().find(|(word, _)| *word == verdict).map_or(OTHERS, |(_, paint)| *paint)
    };
    let stopped = |counts: &[u64]| {
        let parts = grid.columns.iter().zip(counts).filter(|(verdict, _)| **verdict != "approve");
        number::share(parts.fold(0, |sum, (_, count)| sum + count), grid::total(counts))
    };
    let most = grid.rows.values().map(|counts| stopped(counts)).fold(0.0, f64::max);
    let near = most > 0.0 && most < 0.4;
    let bars: Vec<Bar> = calendar(numbers, &grid)
        .into_iter()
        .map(|day| {
            let counts = grid.rows.get(day.as_str()).map(Vec::as_slice).unwrap_or_default();
            let parts =
                grid.columns.iter().zip(counts).filter(|(verdict, _)| !near || **verdict != "approve");
            let share = |count: u64| number::share(count, grid::total(counts));
            let parts = parts.map(|(verdict, count)| (share(*count), paint(verdict))).collect();
            Bar { day, parts, marked: false }
        })
        .collect();
    let description = format!(
        "Stacked bars, one for each of {}: the shares of verdicts. At most {} of a day's payments were not approved.",
        number::counted(bars.len() as u64, "day"),
        number::percent(most),
    );
    let frame = frame("mix-plot", "Decision mix by day", &description);
    let top = if near { most * 1.12 } else { 1.0 };
    let drawn = grid.columns.iter().filter(|verdict| !near || **verdict != "approve");
    html! {
        section.panel #mix aria-labelledby="mix-head" {
            div.panel-head {
                h2 #mix-head { "Decision mix by day" }
                @if near { p { "Share of payments that were not approved; what is missing to 100 % was." } }
            }
            @if grid.rows.is_empty() {
                p.nothing { "No decision was looked at." }
            } @else {
                (grid::legend(drawn.map(|verdict| (*verdict, paint(verdict)))))
                (plot::plot(&frame, |area| stacked(area, &bars, top, &|share| axis_share(*share, top))))
                details { summary { "Table: decisions by day" } (grid.table("Decisions by day and verdict", "Day")) }
            }
        }
    }
}

const fn frame<'a>(id: &'a str, title: &'a str, description: &'a str) -> Frame<'a> {
    Frame { id, title, description, width: 560, height: 250 }
}

fn stacked(area: &Area<'_>, bars: &[Bar], top: f64, label: &dyn Fn(&f64) -> String) -> Drawn {
    let days = i32::try_from(bars.len()).unwrap_or(i32::MAX);
    let name = |day: &SegmentValue<i32>| match day {
        SegmentValue::CenterOf(place) => usize::try_from(*place)
            .ok()
            .and_then(|place| bars.get(place))
            .map(|bar| day_label(&bar.day))
            .unwrap_or_default(),
        SegmentValue::Exact(_) | SegmentValue::Last => String::new(),
    };
    let mut chart = ChartBuilder::on(area)
        .margin(plot::units(6))
        .margin_right(plot::units(24))
        .x_label_area_size(plot::units(26))
        .y_label_area_size(plot::units(56))
        .build_cartesian_2d((0..days - 1).into_segmented(), 0.0..top.max(f64::MIN_POSITIVE))?;
    let mut mesh = chart.configure_mesh();
    plot::look(&mut mesh);
    mesh.disable_x_mesh().x_labels(8).y_labels(5).x_label_formatter(&name).y_label_formatter(label).draw()?;
    // A quarter of a day stays free between two bars, as long as that can be seen.
    let gap = if days > 200 { 0 } else { 60 * plot::FINE / days.max(1).unsigned_abs() };
    for (place, bar) in (0..).zip(bars) {
        let mut from = 0.0;
        for (part, paint) in bar.parts.iter().filter(|(part, _)| *part > 0.0) {
            let corners = [(SegmentValue::Exact(place), from), (SegmentValue::Exact(place + 1), from + part)];
            let mut one = Rectangle::new(corners, paint.rgb().filled());
            one.set_margin(0, 0, gap, gap);
            chart.draw_series([one])?;
            from += part;
        }
        if bar.marked {
            let at = (SegmentValue::CenterOf(place), from + top * 0.05);
            chart.draw_series([TriangleMarker::new(at, -plot::units(6), DECLINE.rgb().filled())])?;
        }
    }
    Ok(())
}

/// Every day of the run, also those where nothing was, and whatever else the cells name.
fn calendar(numbers: &Numbers, grid: &Grid<'_>) -> Vec<String> {
    let named = grid.rows.keys().map(|day| (*day).to_owned());
    let mut days: BTreeSet<String> = named.collect();
    let ends = numbers.days.as_ref().map(|(first, last)| (first.parse::<Date>(), last.parse::<Date>()));
    if let Some((Ok(first), Ok(last))) = ends {
        let between = first.series(1.day()).take_while(|day| *day <= last);
        let between: Vec<Date> = between.take(MOST_DAYS + 1).collect();
        if between.len() <= MOST_DAYS {
            days.extend(between.iter().map(Date::to_string));
        }
    }
    days.into_iter().collect()
}

/// Such as `1 Apr`.
fn day_label(day: &str) -> String {
    match day.parse::<Date>() {
        Ok(date) => date.strftime("%-d %b").to_string(),
        Err(_) => number::short(day, 10),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a bar's height")]
const fn float(count: u64) -> f64 {
    count as f64
}

/// A share on an axis that ends at `top`: all with the same decimals.
fn axis_share(share: f64, top: f64) -> String {
    let decimals = if top < 0.02 { 2 } else { usize::from(top < 0.1) };
    format!("{:.decimals$}{}%", share * 100.0, number::THIN)
}

/// A count on an axis; nothing between whole ones.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and not negative")]
fn whole(count: f64) -> String {
    if count.fract() == 0.0 { number::grouped(count as u64) } else { String::new() }
}
