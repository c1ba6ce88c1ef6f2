//! The files of `deploy/examples/demo` and the demo's model, compiled in, so that the binary alone can run the demo.

use std::io;
use std::path::{Path, PathBuf};

const FILES: [(&str, &[u8]); 5] = [
    ("tripline.toml", include_bytes!("../../../deploy/examples/demo/tripline.toml")),
    ("features.toml", include_bytes!("../../../deploy/examples/demo/features.toml")),
    ("policy.toml", include_bytes!("../../../deploy/examples/demo/policy.toml")),
    ("models/demo/1/manifest.toml", include_bytes!("../../../models/artifacts/demo/1/manifest.toml")),
    ("models/demo/1/model.onnx", include_bytes!("../../../models/artifacts/demo/1/model.onnx")),
];

/// Writes them into a folder; gives the config's path.
///
/// # Errors
/// When the folder cannot be written.
pub fn unpack(folder: &Path) -> io::Result<PathBuf> {
    for (name, bytes) in FILES {
        let file = folder.join(name);
        std::fs::create_dir_all(file.parent().unwrap_or(folder))?;
        std::fs::write(file, bytes)?;
    }
    Ok(folder.join("tripline.toml"))
}
