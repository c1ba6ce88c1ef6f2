//! Differences by feature: a bar for each beside its numbers, the longest first.

use std::cmp::Reverse;

use maud::{Markup, html};

use super::grid::{self, Grid};
use super::number;
use super::palette::Palette;
use crate::numbers::Cell;

/// The table with its bars.
pub(super) fn panel(cells: &[Cell], palette: &Palette) -> Markup {
    let grid = Grid::of(cells, palette.order());
    html! {
        section.panel #by-feature aria-labelledby="by-feature-head" {
            div.panel-head { h2 #by-feature-head { "Differences by feature" } p { "By event time and as of the log, by class." } }
            @if grid.rows.is_empty() {
                p.nothing { "No feature differs." }
            } @else {
                (grid::legend(grid.columns.iter().map(|class| (*class, palette.paint(class)))))
                (table(&grid, palette))
            }
        }
    }
}

fn table(grid: &Grid<'_>, palette: &Palette) -> Markup {
    let mut rows: Vec<_> = grid.rows.iter().map(|(name, counts)| (*name, counts)).collect();
    rows.sort_by_key(|(_, counts)| Reverse(grid::total(counts)));
    let most = grid.most();
    html! {
        div.scroll tabindex="0" role="region" aria-label="Table of features" {
            table.barred {
                thead {
                    tr {
                        th scope="col" { "Feature" }
                        th scope="col" { "Differences" }
                        th.number scope="col" { "All" }
                        th scope="col" { "By class" }
                    }
                }
                tbody {
                    @for (name, counts) in rows {
                        @let parts: Vec<_> = grid.columns.iter().zip(counts).map(|(class, count)| (*count, palette.paint(class))).collect();
                        tr {
                            th.value scope="row" { code { (name) } }
                            td.strip-cell { (grid::strip(&parts, most)) }
                            td.number { (number::grouped(grid::total(counts))) }
                            td.soft { (by_class(&grid.columns, counts)) }
                        }
                    }
                }
            }
        }
    }
}

/// Such as `late 12, early label 3`.
fn by_class(columns: &[&str], counts: &[u64]) -> String {
    let named = columns.iter().zip(counts).filter(|(_, count)| **count > 0);
    let parts: Vec<_> = named
        .map(|(class, count)| format!("{} {}", number::spoken(class), number::grouped(*count)))
        .collect();
    parts.join(", ")
}
