//! The picture of a game's last day or week: players above, UPS below. Pure: points in, a PNG out.

mod axis;
mod paint;
mod runs;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::store::HistoryPoint;

/// Its size in pixels.
pub const SIZE: (u32, u32) = (1000, 560);

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// The drawing failed, for this reason.
    #[error("the chart cannot be drawn: {0}")]
    Drawing(String),
    /// The picture could not be written as a PNG.
    #[error("the chart cannot be encoded: {0}")]
    Encoding(#[from] png::EncodingError),
}

/// A PNG of what happened from `from` to `to`, with the times of `zone`. Where nothing is known, nothing is drawn: no
/// line crosses a gap. It takes tens of milliseconds: not for a thread that others wait for.
///
/// # Errors
/// When the drawing fails, which would be a mistake of this program.
pub fn chart(points: &[HistoryPoint], from: Timestamp, to: Timestamp, zone: &TimeZone) -> Result<Vec<u8>, ChartError> {
    let pixels = paint::paint(points, from, to, zone)?;
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, SIZE.0, SIZE.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(file)
}

/// What the picture shows, in words.
#[must_use]
pub fn alt_text(points: &[HistoryPoint]) -> String {
    let most = points.iter().filter_map(|point| point.players_max).max();
    let ups = || points.iter().filter_map(|point| point.ups);
    let players = most.map_or("players unknown".to_owned(), |most| format!("at most {most} players at once"));
    let speed = match (ups().reduce(f64::min), ups().reduce(f64::max)) {
        (Some(least), Some(most)) => format!("{least:.0} to {most:.0} UPS"),
        _ => "UPS unknown".to_owned(),
    };
    format!("A chart of players and UPS over time: {players}, {speed}")
}

#[cfg(test)]
mod tests;
