//! The drawing itself: at twice the size, then made smaller, which smooths every edge.

use std::sync::OnceLock;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::{time_label, times, values, zone_name};
use super::runs::{Spot, runs};
use super::{ChartError, SIZE};
use crate::store::HistoryPoint;

/// Pixels drawn for each pixel of the picture, in both directions.
const SCALE_U8: u8 = 2;
const SCALE: u32 = SCALE_U8 as u32;
const FONT: &str = "sans-serif";
/// Roboto, cut down to Latin; see `assets/README.md`.
static FONT_FILE: &[u8] = include_bytes!("../../../assets/roboto-subset.ttf");

const BACKGROUND: RGBColor = RGBColor(0x23, 0x24, 0x28);
const GRID: RGBColor = RGBColor(0x3a, 0x3c, 0x43);
const WORDS: RGBColor = RGBColor(0xb5, 0xba, 0xc1);
const HEADING: RGBColor = RGBColor(0xf2, 0xf3, 0xf5);
pub(super) const PLAYERS: RGBColor = RGBColor(0x5a, 0xa9, 0xff);
pub(super) const UPS: RGBColor = RGBColor(0x4c, 0xc3, 0x6d);

/// The height of the two panels and of what stands below them, of `SIZE`.
const PLAYERS_HEIGHT: u32 = 300;
const FOOT_HEIGHT: u32 = 26;

/// Values are drawn in thousandths: the axis of a plot has lines at places of our choice only for whole numbers.
const THOUSAND: f64 = 1000.0;

type Canvas<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// What all panels share.
struct Frame<'a> {
    span: std::ops::Range<i64>,
    ticks: Vec<i64>,
    zone: &'a TimeZone,
}

/// One of the two.
struct Panel {
    heading: String,
    colour: RGBColor,
    lines: Vec<Vec<Spot>>,
    /// What reaches higher, shown faintly.
    peaks: Vec<Vec<Spot>>,
    /// What the line is, and what the faint area is.
    legend: &'static [(Mark, &'static str)],
    most: f64,
    /// Whether the times stand below it.
    labelled: bool,
}

/// How a thing of the legend looks.
#[derive(Clone, Copy)]
enum Mark {
    Line,
    Area,
}

/// RGB, row by row.
pub(super) fn paint(
    points: &[HistoryPoint],
    from: Timestamp,
    to: Timestamp,
    zone: &TimeZone,
) -> Result<Vec<u8>, ChartError> {
    load_font()?;
    let (width, height) = (SIZE.0 * SCALE, SIZE.1 * SCALE);
    let mut large = vec![0; (width * height * 3) as usize];
    {
        let canvas = BitMapBackend::with_buffer(&mut large, (width, height)).into_drawing_area();
        canvas.fill(&BACKGROUND).map_err(drawing)?;
        let frame = Frame { span: from.as_second()..to.as_second(), ticks: times(from, to, zone), zone };
        let (above, below) = canvas.split_vertically(PLAYERS_HEIGHT * SCALE);
        let (below, foot) = below.split_vertically((SIZE.1 - PLAYERS_HEIGHT - FOOT_HEIGHT) * SCALE);
        panel(&above, &frame, &players(points))?;
        panel(&below, &frame, &ups(points))?;
        footer(&foot, &frame)?;
        canvas.present().map_err(drawing)?;
    }
    Ok(smaller(&large))
}

/// Once for the process; the name then stands for it everywhere.
fn load_font() -> Result<(), ChartError> {
    static LOADED: OnceLock<bool> = OnceLock::new();
    let loaded = *LOADED.get_or_init(|| register_font(FONT, FontStyle::Normal, FONT_FILE).is_ok());
    if loaded { Ok(()) } else { Err(ChartError::Drawing("the font cannot be read".to_owned())) }
}

fn drawing(error: impl std::fmt::Display) -> ChartError {
    ChartError::Drawing(error.to_string())
}

fn players(points: &[HistoryPoint]) -> Panel {
    let most = points.iter().filter_map(|point| point.players_max).max();
    Panel {
        heading: most.map_or("Players".to_owned(), |most| format!("Players, at most {most}")),
        colour: PLAYERS,
        lines: runs(points, |point| point.players),
        peaks: runs(points, |point| point.players_max.map(f64::from)),
        legend: &[(Mark::Area, "most at once"), (Mark::Line, "mean")],
        most: f64::from(most.unwrap_or(0)),
        labelled: false,
    }
}

fn ups(points: &[HistoryPoint]) -> Panel {
    let measured = || points.iter().filter_map(|point| point.ups);
    Panel {
        heading: match (measured().reduce(f64::min), measured().reduce(f64::max)) {
            (Some(least), Some(most)) => format!("UPS, {least:.0} to {most:.0}"),
            _ => "UPS".to_owned(),
        },
        colour: UPS,
        lines: runs(points, |point| point.ups),
        peaks: Vec::new(),
        legend: &[(Mark::Line, "mean")],
        most: measured().fold(60.0, f64::max),
        labelled: true,
    }
}

fn words(size: u32, colour: &RGBColor) -> TextStyle<'_> {
    (FONT, size * SCALE).into_font().color(colour)
}

fn panel(area: &Canvas<'_>, frame: &Frame<'_>, panel: &Panel) -> Result<(), ChartError> {
    let scaled = |pixels: u32| pixels * SCALE;
    let heading = words(20, &HEADING).pos(Pos::new(HPos::Left, VPos::Top));
    let corner = (24 * SCALE.cast_signed(), 14 * SCALE.cast_signed());
    area.draw(&Text::new(panel.heading.clone(), corner, heading)).map_err(drawing)?;
    if !panel.lines.is_empty() {
        legend(area, panel)?;
    }
    let steps = values(panel.most.max(1.0));
    let top = whole(steps.last().copied().unwrap_or(1.0) * 1.04);
    let steps: Vec<i64> = steps.into_iter().map(whole).collect();
    let mut chart = ChartBuilder::on(area)
        .margin_top(scaled(46))
        .margin_right(scaled(24))
        .y_label_area_size(scaled(54))
        .x_label_area_size(scaled(if panel.labelled { 30 } else { 6 }))
        .build_cartesian_2d(frame.span.clone().with_key_points(frame.ticks.clone()), (0..top).with_key_points(steps))
        .map_err(drawing)?;
    let time = |second: &i64| if panel.labelled { time_label(*second, frame.zone) } else { String::new() };
    chart
        .configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(GRID.stroke_width(SCALE))
        .x_label_formatter(&time)
        .y_label_formatter(&|value| (value / 1000).to_string())
        .label_style(words(16, &WORDS))
        .draw()
        .map_err(drawing)?;
    let faint = panel.colour.mix(0.16);
    for run in &panel.peaks {
        chart.draw_series(AreaSeries::new(spots(run), 0, faint)).map_err(drawing)?;
    }
    for run in &panel.lines {
        chart.draw_series(AreaSeries::new(spots(run), 0, faint)).map_err(drawing)?;
        chart.draw_series(LineSeries::new(spots(run), panel.colour.stroke_width(scaled(2)))).map_err(drawing)?;
    }
    // A line of one point would not be seen.
    let alone = panel.lines.iter().filter(|run| run.len() == 1).flat_map(|run| spots(run));
    chart.draw_series(alone.map(|at| Circle::new(at, scaled(2), panel.colour.filled()))).map_err(drawing)?;
    if panel.lines.is_empty() {
        let middle = (area.dim_in_pixel().0.cast_signed() / 2, area.dim_in_pixel().1.cast_signed() / 2);
        let style = words(16, &WORDS).pos(Pos::new(HPos::Center, VPos::Center));
        area.draw(&Text::new("Nothing is known of this time", middle, style)).map_err(drawing)?;
    }
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "what is larger than any chart is cut off at its edge")]
fn whole(value: f64) -> i64 {
    (value * THOUSAND).round() as i64
}

fn spots(run: &[Spot]) -> impl Iterator<Item = (i64, i64)> {
    run.iter().map(|(at, value)| (*at, whole(*value)))
}

/// From the right edge leftwards, beside the heading.
fn legend(area: &Canvas<'_>, panel: &Panel) -> Result<(), ChartError> {
    let scaled = |pixels: i32| pixels * SCALE.cast_signed();
    let style = words(14, &WORDS).pos(Pos::new(HPos::Right, VPos::Center));
    let (width, middle) = (area.dim_in_pixel().0.cast_signed(), scaled(24));
    let mut right = width - scaled(24);
    for (mark, name) in panel.legend {
        let length = area.estimate_text_size(name, &style).map_err(drawing)?.0.cast_signed();
        area.draw(&Text::new(*name, (right, middle), style.clone())).map_err(drawing)?;
        let (from, to) = (right - length - scaled(30), right - length - scaled(8));
        let half = scaled(if matches!(mark, Mark::Line) { 1 } else { 6 });
        let colour = if matches!(mark, Mark::Line) { panel.colour.to_rgba() } else { panel.colour.mix(0.32) };
        area.draw(&Rectangle::new([(from, middle - half), (to, middle + half)], colour.filled())).map_err(drawing)?;
        right = from - scaled(18);
    }
    Ok(())
}

fn footer(area: &Canvas<'_>, frame: &Frame<'_>) -> Result<(), ChartError> {
    let left = (54 * SCALE).cast_signed();
    let right = (area.dim_in_pixel().0 - 24 * SCALE).cast_signed();
    let style = |side| words(14, &WORDS).pos(Pos::new(side, VPos::Top));
    area.draw(&Text::new("Gaps: nothing is known", (left, 0), style(HPos::Left))).map_err(drawing)?;
    let name = zone_name(frame.zone, Timestamp::from_second(frame.span.end).unwrap_or_default());
    area.draw(&Text::new(name, (right, 0), style(HPos::Right))).map_err(drawing)
}

/// Each pixel is the mean of those it takes the place of.
fn smaller(large: &[u8]) -> Vec<u8> {
    let (width, scale) = (SIZE.0 as usize, usize::from(SCALE_U8));
    let area = u16::from(SCALE_U8) * u16::from(SCALE_U8);
    let mut pixels = Vec::with_capacity(width * SIZE.1 as usize * 3);
    for rows in large.chunks_exact(width * scale * scale * 3) {
        let mut sums = vec![0_u16; width * 3];
        for row in rows.chunks_exact(width * scale * 3) {
            for (x, pixel) in row.chunks_exact(3).enumerate() {
                let at = x / scale * 3;
                sums.iter_mut().skip(at).zip(pixel).for_each(|(sum, colour)| *sum += u16::from(*colour));
            }
        }
        pixels.extend(sums.into_iter().map(|sum| (sum / area).to_le_bytes()[0]));
    }
    pixels
}
