//! An SVG as pixels.

use super::PictureError;
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};
use std::sync::Arc;

/// Where it is from and what was left out of it: assets/README.md.
const FONT: &[u8] = include_bytes!("../../assets/font/DejaVuSans-subset.ttf");

/// The PNG file of a picture that `Figure::to_svg` made.
///
/// # Errors
/// [`PictureError::Raster`] if `svg` is no such picture.
pub fn to_png(svg: &str) -> Result<Vec<u8>, PictureError> {
    let error = |e: &dyn std::fmt::Display| PictureError::Raster(e.to_string());
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(FONT.to_vec());
    let options = Options { fontdb: Arc::new(fonts), ..Options::default() };
    let tree = Tree::from_str(svg, &options).map_err(|e| error(&e))?;
    let size = tree.size().to_int_size();
    let mut pixels = Pixmap::new(size.width(), size.height()).ok_or_else(|| error(&"no memory for the pixels"))?;
    resvg::render(&tree, Transform::identity(), &mut pixels.as_mut());
    pixels.encode_png().map_err(|e| error(&e))
}
