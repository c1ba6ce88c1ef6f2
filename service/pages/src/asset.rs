//! The pages' files, compiled in: no page asks anybody else.

/// A file that pages ask for, served as `/assets/` and its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// Its name.
    pub name: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// Its text.
    pub text: &'static str,
}

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

macro_rules! asset {
    ($name:literal, $media_type:expr) => {
        Asset { name: $name, media_type: $media_type, text: include_str!(concat!("../assets/", $name)) }
    };
}

/// Every file. The icon is the board's, `/assets/icon.svg`.
pub const ASSETS: [Asset; 11] = [
    asset!("queue.css", CSS),
    asset!("queue-parts.css", CSS),
    asset!("queue.js", JS),
    asset!("queue-ask.js", JS),
    asset!("queue-alert.js", JS),
    asset!("queue-draft.js", JS),
    asset!("queue-keys.js", JS),
    asset!("queue-list.js", JS),
    asset!("queue-live.js", JS),
    asset!("queue-say.js", JS),
    asset!("queue-undo.js", JS),
];
