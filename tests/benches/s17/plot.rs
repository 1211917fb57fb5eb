//! What one looks at first: goodput and queue over time, one line for each pair of ends.

use super::run::STEP;
use plotters::prelude::*;
use std::path::Path;

const SIZE: (u32, u32) = (1400, 900);
const COLORS: [RGBColor; 5] = [
    RGBColor(60, 60, 60),
    RGBColor(31, 90, 180),
    RGBColor(40, 140, 60),
    RGBColor(200, 150, 60),
    RGBColor(200, 30, 40),
];

/// Mbit/s and milliseconds of queue, step by step.
type Series<'a> = &'a [(f64, f64)];

/// Draws a cell to `target/s17/NAME.svg`.
pub(super) fn draw(name: &str, lines: &[(String, Series<'_>)]) -> Result<(), String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/s17");
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let file: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let path = folder.join(format!("{file}.svg"));
    picture(&path, name, lines).map_err(|e| format!("{}: {e}", path.display()))
}

fn picture(
    path: &Path,
    name: &str,
    lines: &[(String, Series<'_>)],
) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let root = root.titled(&format!("Mbit/s, RTT in ms, queue in BDP: {name}"), ("sans-serif", 24))?;
    let halves = root.split_evenly((2, 1));
    for (area, what) in halves.iter().zip(["goodput, Mbit/s", "queue, ms"]) {
        let value = |&(mbit, queue_ms): &(f64, f64)| if what.starts_with("queue") { queue_ms } else { mbit };
        let most = lines.iter().flat_map(|(_, s)| s.iter().map(value)).fold(1e-3, f64::max);
        let steps = lines.iter().map(|(_, s)| s.len()).max().unwrap_or(0);
        let seconds = |step: usize| (step + 1) as f64 * STEP.as_secs_f64();
        let mut chart = ChartBuilder::on(area)
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(80)
            .build_cartesian_2d(0.0..seconds(steps), 0.0..most * 1.1)?;
        chart.configure_mesh().x_desc("seconds").y_desc(what).light_line_style(TRANSPARENT).draw()?;
        for ((name, series), color) in lines.iter().zip(COLORS) {
            let points = series.iter().enumerate().map(|(step, s)| (seconds(step), value(s)));
            let drawn = chart.draw_series(LineSeries::new(points, color.stroke_width(2)))?;
            drawn.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], color));
        }
        chart.configure_series_labels().background_style(WHITE.mix(0.85)).border_style(BLACK).draw()?;
    }
    root.present()?;
    Ok(())
}
