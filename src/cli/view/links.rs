//! What is printed: where a volume is served, and how viewers open it.

use super::{request::encoded, share::Share};

const NEUROGLANCER: &str = "https://neuroglancer-demo.appspot.com/#!";
const NIIVUE: &str = "https://niivue.github.io/niivue-vscode/?images=";

/// Addresses and links, a line each. `zarr` is the version of an OME-Zarr.
pub(super) fn told(share: &Share, zarr: Option<u8>, port: u16) -> String {
    let address = format!("http://127.0.0.1:{port}/{}/{}", share.secret, encoded(&share.name));
    let mut lines = vec![format!("{} is served on this machine alone, until Ctrl-C:", share.name)];
    match zarr {
        Some(version) => {
            let source = format!("{address}/|zarr{version}:");
            let layer = format!("{{\"type\":\"image\",\"name\":\"{}\",\"source\":\"{source}\"}}", quoted(&share.name));
            let state = format!("{{\"layers\":[{layer}],\"layout\":\"4panel\"}}");
            lines.push(format!("  address       {address}/"));
            lines.push(format!("  Neuroglancer  {NEUROGLANCER}{}", encoded(&state)));
            lines.push(format!("  napari        napari --plugin napari-ome-zarr {address}/"));
        }
        None => {
            lines.push(format!("  address       {address}"));
            lines.push(format!("  niivue        {NIIVUE}{address}"));
        }
    }
    lines.push(
        "The pages come from their makers' sites; the voxels go from this program to your browser, and nowhere else."
            .into(),
    );
    lines.join("\n")
}

/// A text within a string of JSON.
fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    json[1..json.len() - 1].to_string()
}
