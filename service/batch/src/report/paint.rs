//! Colours of plots. A plot is drawn in the light scheme's values, and the style sheet, which knows them by these values,
//! puts the reader's scheme in their place: the backend of the plots knows no variables.

use plotters::style::RGBColor;

/// A colour: its variable in the style sheet, and its value in the light scheme, no two the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Paint {
    pub(super) variable: &'static str,
    red: u8,
    green: u8,
    blue: u8,
}

const fn paint(variable: &'static str, rgb: u32) -> Paint {
    let [_, red, green, blue] = rgb.to_be_bytes();
    Paint { variable, red, green, blue }
}

pub(super) const PANEL: Paint = paint("panel", 0xff_ff_fe);
pub(super) const SOFT: Paint = paint("soft", 0x55_60_77);
pub(super) const FAINT: Paint = paint("faint", 0xe4_e8_ef);
pub(super) const EDGE: Paint = paint("edge", 0x8a_94_a8);
pub(super) const LINE: Paint = paint("line", 0x3b_5b_db);
pub(super) const APPROVE: Paint = paint("approve", 0x2b_8a_3e);
pub(super) const REVIEW: Paint = paint("review", 0xc2_6a_00);
pub(super) const CHALLENGE: Paint = paint("challenge", 0x70_48_e8);
pub(super) const DECLINE: Paint = paint("decline", 0xe0_31_31);
pub(super) const OTHERS: Paint = paint("others", 0xa5_ae_bd);

/// For what has no colour of its own; none is near the red of `unexplained`.
pub(super) const HUES: [Paint; 8] = [
    paint("hue-1", 0x3b_6f_d8),
    paint("hue-2", 0xe3_9a_1f),
    paint("hue-3", 0x0c_85_99),
    paint("hue-4", 0x92_65_d6),
    paint("hue-5", 0x6a_9a_1f),
    paint("hue-6", 0x8a_64_40),
    paint("hue-7", 0xd0_55_9c),
    paint("hue-8", 0x5b_6b_85),
];

/// All of them.
pub(super) const PAINTS: [Paint; 18] = [
    PANEL, SOFT, FAINT, EDGE, LINE, APPROVE, REVIEW, CHALLENGE, DECLINE, OTHERS, HUES[0], HUES[1], HUES[2],
    HUES[3], HUES[4], HUES[5], HUES[6], HUES[7],
];

impl Paint {
    /// As the plots' backend writes it.
    pub(super) fn hex(self) -> String {
        format!("#{:02X}{:02X}{:02X}", self.red, self.green, self.blue)
    }

    pub(super) const fn rgb(self) -> RGBColor {
        RGBColor(self.red, self.green, self.blue)
    }
}

#[cfg(test)]
mod tests;
