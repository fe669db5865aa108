//! Curves as SVG, with axes, ticks and a legend above each panel.

use crate::diag::InternalError;
use crate::runtime::format;
use crate::runtime::plot::{Curve, Panel};
use plotters::coord::Shift;
use plotters::prelude::{
    ChartBuilder, Circle, DrawingArea, IntoDrawingArea, IntoFont, LineSeries, PathElement, RGBColor,
    SVGBackend, ShapeStyle, Text, WHITE,
};
use unicode_width::UnicodeWidthStr;

const SIZE: (u32, u32) = (800, 500);
const FONT: i32 = 16;
/// Okabe and Ito's colours, which people with any colour vision can tell apart; the brightest left out.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The panels one below the other.
pub fn svg(panels: &[Panel]) -> Result<String, InternalError> {
    let mut out = String::new();
    {
        let root = SVGBackend::with_string(&mut out, SIZE).into_drawing_area();
        draw(&root, panels)
            .and_then(|()| root.present().map_err(|e| e.to_string()))
            .map_err(|message| InternalError { stage: "plot", message })?;
    }
    Ok(out)
}

fn draw(root: &Area<'_>, panels: &[Panel]) -> Result<(), String> {
    root.fill(&WHITE).map_err(|e| e.to_string())?;
    let steps = Panel::steps(panels);
    let areas = root.split_evenly((panels.len().max(1), 1));
    for (i, (panel, area)) in panels.iter().zip(&areas).enumerate() {
        let last = i + 1 == panels.len();
        draw_panel(area, panel, steps, last)?;
    }
    Ok(())
}

fn draw_panel(area: &Area<'_>, panel: &Panel, steps: (f64, f64), last: bool) -> Result<(), String> {
    let told = |e: &dyn std::fmt::Display| e.to_string();
    let below = legend(area, &panel.curves)?;
    let (low, high) = panel.values();
    let (_, area) = area.split_vertically(below);
    let mut chart = ChartBuilder::on(&area)
        .margin_right(24)
        .margin_top(6)
        .margin_bottom(if last { 8 } else { 2 })
        .x_label_area_size(if last { 42 } else { 22 })
        .y_label_area_size(70)
        .build_cartesian_2d(steps.0..steps.1, low..high + (high - low) * 0.04)
        .map_err(|e| told(&e))?;
    let label = |x: &f64| format::float(if x.abs() < (high - low) * 1e-9 { 0.0 } else { *x }, None);
    let step_label = |x: &f64| format::float(*x, None);
    let mut mesh = chart.configure_mesh();
    mesh.max_light_lines(0)
        .bold_line_style(RGBColor(225, 225, 225))
        .axis_style(RGBColor(110, 110, 110))
        .label_style(("sans-serif", FONT).into_font())
        .x_labels(8)
        .y_labels(6)
        .x_label_formatter(&step_label)
        .y_label_formatter(&label);
    if last {
        mesh.x_desc("step");
    }
    mesh.draw().map_err(|e| told(&e))?;
    for (curve, colour) in panel.curves.iter().zip(COLOURS.iter().cycle()) {
        let style = ShapeStyle { color: (*colour).into(), filled: true, stroke_width: 2 };
        let points: Vec<(f64, f64)> = curve.finite().collect();
        if let [point] = points[..] {
            chart.draw_series([Circle::new(point, 4, style)]).map_err(|e| told(&e))?;
        } else {
            chart.draw_series(LineSeries::new(points, style)).map_err(|e| told(&e))?;
        }
    }
    Ok(())
}

/// Names beside a piece of their line, in rows; the height that they take.
fn legend(area: &Area<'_>, curves: &[Curve]) -> Result<i32, String> {
    let (mut x, mut y) = (70, 10);
    for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        // About the width of the text: whoever shows the picture chooses the font.
        let width = 34 + curve.name.width() as i32 * FONT * 3 / 5;
        if x > 70 && x + width > SIZE.0 as i32 - 20 {
            (x, y) = (70, y + FONT + 6);
        }
        let style = ShapeStyle { color: (*colour).into(), filled: true, stroke_width: 2 };
        let line = PathElement::new(vec![(x, y + FONT / 2), (x + 22, y + FONT / 2)], style);
        area.draw(&line).map_err(|e| e.to_string())?;
        let text = Text::new(curve.name.clone(), (x + 28, y), ("sans-serif", FONT).into_font());
        area.draw(&text).map_err(|e| e.to_string())?;
        x += width + 16;
    }
    Ok(y + FONT + 6)
}
