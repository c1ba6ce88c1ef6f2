//! Writes every page with made-up alerts into a folder, with the assets beside them: to be looked at.
//!
//!     cargo run --release -p tripline-pages --example fixtures -- FOLDER

#![allow(missing_docs, dead_code)]

use std::fs;
use std::path::PathBuf;

#[path = "../src/tests/sample.rs"]
mod sample;

const ICON: &str = include_str!("../../src/http/assets/icon.svg");

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| std::io::Error::other("name the folder into which the pages go"))?;
    fs::create_dir_all(folder.join("assets"))?;
    for asset in &pages::ASSETS {
        fs::write(folder.join("assets").join(asset.name), asset.text)?;
    }
    fs::write(folder.join("assets/icon.svg"), ICON)?;
    for (name, text) in sample::all() {
        fs::write(folder.join(format!("{name}.html")), text.replace("\"/assets/", "\"assets/"))?;
    }
    Ok(())
}
