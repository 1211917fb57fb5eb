//! A flow drawn over time, for a person to look at: windows, round-trip time, goodput.

use super::trace::{Point, Trace};
use barenet::TcpInfo;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use std::path::Path;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'b, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Line = Vec<(f64, f64)>;

const SIZE: (u32, u32) = (1400, 1200);
const INK: RGBColor = RGBColor(60, 60, 60);
const BLUE: RGBColor = RGBColor(31, 90, 180);
const ORANGE: RGBColor = RGBColor(220, 120, 20);
const GREEN: RGBColor = RGBColor(40, 140, 60);
const RED: RGBColor = RGBColor(200, 30, 40);
const VIOLET: RGBColor = RGBColor(120, 60, 160);

/// A window that was never limited is not drawn: it would flatten the rest.
const UNLIMITED: u32 = 1 << 30;

/// Draws one flow of a run as SVG.
///
/// # Errors
///
/// There is nothing to draw, or the file can't be written.
pub fn plot(trace: &Trace, flow: usize, file: &Path) -> Result<(), String> {
    let points = trace.flows.get(flow).ok_or_else(|| format!("there is no flow {flow}"))?;
    let view =
        View::of(trace, flow, points).ok_or_else(|| format!("flow {flow} has never been looked at"))?;
    view.draw(flow, file).map_err(|e| format!("{}: {e}", file.display()))
}

/// What is drawn: seconds on the horizontal axis.
struct View {
    span: (f64, f64),
    cwnd: Line,
    ssthresh: Line,
    flight: Line,
    rtt: Line,
    goodput: Line,
    /// When segments were sent again, and when frames with text and without were lost.
    again: Vec<f64>,
    lost: Vec<f64>,
    lost_acks: Vec<f64>,
    summary: String,
}

impl View {
    fn of(trace: &Trace, flow: usize, points: &[Point]) -> Option<View> {
        let seconds = |at: barenet::time::Instant| at.since(trace.start).micros() as f64 / 1e6;
        let looks: Vec<(f64, TcpInfo)> =
            points.iter().filter_map(|p| p.info.map(|i| (seconds(p.at), i))).collect();
        let (first, last) = (looks.first()?, looks.last()?);
        // After the last byte nothing happens but timers.
        let total = points.last()?.read;
        let end = points.iter().find(|p| p.read == total).map_or(last.0, |p| seconds(p.at));
        let span = (first.0, end.max(first.0 + 1e-3) * 1.02);
        let line = |of: &dyn Fn(&TcpInfo) -> Option<f64>| -> Line {
            looks.iter().filter(|(t, _)| *t <= span.1).filter_map(|(t, i)| Some((*t, of(i)?))).collect()
        };
        let window = |w: u32| (w > 0 && w < UNLIMITED).then_some(f64::from(w) / 1024.0);
        let ms = |d: barenet::time::Duration| d.micros() as f64 / 1e3;
        let again = looks.windows(2);
        let again = again.filter(|w| w[0].1.segments_retransmitted < w[1].1.segments_retransmitted);
        let lost = |has_text: bool| {
            let of_flow = trace.drops.iter().filter(|d| d.flow == Some(flow) && d.has_text == has_text);
            of_flow.map(|d| seconds(d.at)).filter(|t| *t <= span.1).collect::<Vec<_>>()
        };
        let view = View {
            span,
            cwnd: line(&|i| window(i.cwnd)),
            ssthresh: line(&|i| window(i.ssthresh)),
            flight: line(&|i| Some(f64::from(i.in_flight) / 1024.0)),
            rtt: line(&|i| i.rtt.map(ms)),
            goodput: goodput(points.iter().map(|p| (seconds(p.at), p.read)), span),
            again: again.map(|w| w[1].0).collect(),
            lost: lost(true),
            lost_acks: lost(false),
            summary: format!(
                "{total} bytes in {:.3} s, {} segments sent again, {} timeouts",
                end - first.0,
                last.1.segments_retransmitted,
                last.1.timeouts
            ),
        };
        Some(view)
    }

    fn draw(&self, flow: usize, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let root = SVGBackend::new(file, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let title = format!("flow {flow}: {}", self.summary);
        let root = root.titled(&title, ("sans-serif", 24).into_font().color(&INK))?;
        let (windows, rest) = root.split_vertically(560);
        let (rtts, rates) = rest.split_vertically(280);
        self.windows(&windows)?;
        let mut chart = self.chart(&rtts, "RTT, ms", &[&self.rtt])?;
        draw_line(&mut chart, &self.rtt, BLUE.stroke_width(2), "smoothed RTT")?;
        legend(&mut chart)?;
        let mut chart = self.chart(&rates, "goodput, KB/s", &[&self.goodput])?;
        draw_line(&mut chart, &self.goodput, GREEN.stroke_width(2), "read by the application")?;
        legend(&mut chart)?;
        root.present()?;
        Ok(())
    }

    fn windows(&self, area: &Area<'_>) -> Result<(), Box<dyn std::error::Error>> {
        let mut chart = self.chart(area, "windows, KiB", &[&self.cwnd, &self.flight])?;
        draw_line(&mut chart, &self.flight, VIOLET.mix(0.6).stroke_width(1), "in flight")?;
        draw_line(&mut chart, &self.ssthresh, ORANGE.stroke_width(1), "ssthresh")?;
        draw_line(&mut chart, &self.cwnd, BLUE.stroke_width(2), "cwnd")?;
        // Marks in rows at the bottom of the chart, so that they hide no line.
        let top = chart.y_range().end;
        let mut marks = |times: &[f64], row: f64, color: RGBColor, what: String| {
            let marks = times.iter().map(|t| Cross::new((*t, -top * row), 4, color.stroke_width(1)));
            let series = chart.draw_series(marks);
            let label = move |(x, y)| Cross::new((x + 12, y), 4, color.stroke_width(1));
            series.map(|s| s.label(what).legend(label)).map(|_| ())
        };
        let label = |what: &str, times: &[f64]| format!("{what} ({})", times.len());
        marks(&self.again, 0.04, RED, "sent again".to_owned())?;
        marks(&self.lost, 0.09, INK, label("segment lost", &self.lost))?;
        marks(&self.lost_acks, 0.14, GREEN, label("ACK lost", &self.lost_acks))?;
        legend(&mut chart)
    }

    /// Axes that hold these lines.
    fn chart<'a, 'b>(
        &self,
        area: &'b Area<'a>,
        what: &str,
        lines: &[&Line],
    ) -> Result<Chart<'a, 'b>, Box<dyn std::error::Error>> {
        let most = lines.iter().copied().flatten().map(|(_, y)| *y).fold(0.0, f64::max) * 1.1 + 1e-3;
        // Room for marks under the windows.
        let least = if what.starts_with("windows") { -0.17 * most } else { 0.0 };
        let mut chart = ChartBuilder::on(area)
            .margin(10)
            .margin_right(30)
            .x_label_area_size(40)
            .y_label_area_size(80)
            .build_cartesian_2d(self.span.0..self.span.1, least..most)?;
        let style = ("sans-serif", 16).into_font().color(&INK);
        chart
            .configure_mesh()
            .x_desc("seconds")
            .y_desc(what)
            .label_style(style.clone())
            .axis_desc_style(style)
            .bold_line_style(INK.mix(0.15))
            .light_line_style(TRANSPARENT)
            .x_labels(14)
            .y_label_formatter(&|y| if *y < 0.0 { String::new() } else { format!("{y:.0}") })
            .draw()?;
        Ok(chart)
    }
}

/// A line whose values stay until they change.
fn draw_line(
    chart: &mut Chart<'_, '_>,
    line: &Line,
    style: ShapeStyle,
    name: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    let top = chart.y_range().end;
    let mut steps = Line::new();
    for (t, y) in line {
        if let Some((_, before)) = steps.last().copied()
            && before != *y
        {
            steps.push((*t, before));
        }
        steps.push((*t, y.min(top)));
    }
    let series = chart.draw_series(LineSeries::new(steps, style))?;
    series.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], style));
    Ok(())
}

fn legend<'a: 'b, 'b>(chart: &mut Chart<'a, 'b>) -> Result<(), Box<dyn std::error::Error>> {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .legend_area_size(30)
        .background_style(WHITE.mix(0.85))
        .border_style(INK.mix(0.3))
        .label_font(("sans-serif", 16).into_font().color(&INK))
        .draw()?;
    Ok(())
}

/// KB/s over a hundredth of the time each.
fn goodput(reads: impl Iterator<Item = (f64, u64)>, span: (f64, f64)) -> Line {
    let pause = (span.1 - span.0) / 100.0;
    let mut line = Line::new();
    let mut last = (span.0, 0);
    for (t, read) in reads.filter(|(t, _)| (span.0..=span.1).contains(t)) {
        if t - last.0 >= pause {
            line.push((t, (read - last.1) as f64 / 1e3 / (t - last.0)));
            last = (t, read);
        }
    }
    line
}
