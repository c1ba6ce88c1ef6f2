//! Cells as a table: rows by name, columns in a given order, and what a bar of them looks like.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::number;
use super::paint::Paint;
use crate::numbers::Cell;

/// A table of counts, nought where no cell was.
pub(super) struct Grid<'a> {
    /// Only those that count something.
    pub(super) columns: Vec<&'a str>,
    /// By name.
    pub(super) rows: BTreeMap<&'a str, Vec<u64>>,
}

impl<'a> Grid<'a> {
    /// Columns as ordered, then the others by name.
    pub(super) fn of(cells: &'a [Cell], order: impl Iterator<Item = &'a str>) -> Self {
        let counts = |column: &str| cells.iter().any(|cell| cell.column == column && cell.count > 0);
        let mut columns: Vec<&str> = order.filter(|column| counts(column)).collect();
        let mut others: Vec<&str> = cells.iter().map(|cell| cell.column.as_str()).collect();
        others.sort_unstable();
        others.dedup();
        others.retain(|column| counts(column) && !columns.contains(column));
        columns.append(&mut others);
        let mut rows: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for cell in cells.iter().filter(|cell| cell.count > 0) {
            let row = rows.entry(&cell.row).or_insert_with(|| vec![0; columns.len()]);
            let place = columns.iter().position(|column| *column == cell.column);
            if let Some(count) = place.and_then(|place| row.get_mut(place)) {
                *count = count.saturating_add(cell.count);
            }
        }
        Self { columns, rows }
    }

    /// The largest sum of a row.
    pub(super) fn most(&self) -> u64 {
        self.rows.values().map(|row| total(row)).max().unwrap_or_default()
    }

    /// Every number of it.
    pub(super) fn table(&self, caption: &str, row: &str) -> Markup {
        html! {
            div.scroll tabindex="0" role="region" aria-label=(caption) {
                table {
                    caption { (caption) }
                    thead {
                        tr {
                            th scope="col" { (row) }
                            @for column in &self.columns { th.number scope="col" { (number::spoken(column)) } }
                            th.number scope="col" { "all" }
                        }
                    }
                    tbody {
                        @for (name, counts) in &self.rows {
                            tr {
                                th.nowrap scope="row" { (name) }
                                @for count in counts { td.number { (number::count(*count)) } }
                                td.number { (number::grouped(total(counts))) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The sum of a row.
pub(super) fn total(row: &[u64]) -> u64 {
    row.iter().fold(0, |sum, count| sum.saturating_add(*count))
}

/// One bar of parts, so long as their sum is of the whole. What counts something can be seen.
pub(super) fn strip(parts: &[(u64, Paint)], whole: u64) -> Markup {
    const WIDTH: f64 = 400.0;
    const LEAST: f64 = 1.5;
    let mut from = 0.0;
    let mut rects = Vec::new();
    for (count, paint) in parts.iter().filter(|(count, _)| *count > 0) {
        let width = (WIDTH * number::share(*count, whole)).clamp(LEAST, WIDTH);
        rects.push((from, width, paint.hex()));
        from += width;
    }
    html! {
        svg.strip viewBox="0 0 404 10" preserveAspectRatio="none" aria-hidden="true" {
            @for (from, width, fill) in rects {
                rect x=(format!("{from:.2}")) width=(format!("{width:.2}")) height="10" fill=(fill) {}
            }
        }
    }
}

/// What the colours of a plot mean.
pub(super) fn legend<'a>(entries: impl Iterator<Item = (&'a str, Paint)>) -> Markup {
    html! {
        ul.legend {
            @for (word, paint) in entries { li { (swatch(paint)) (number::spoken(word)) } }
        }
    }
}

/// A spot of a colour.
pub(super) fn swatch(paint: Paint) -> Markup {
    html! { svg.swatch viewBox="0 0 10 10" aria-hidden="true" { rect width="10" height="10" rx="2" fill=(paint.hex()) {} } }
}
