//! The picture of what connecting takes.

use std::path::Path;

use plotters::prelude::*;

/// A name, and a point for each number of policies.
type Line = (String, Vec<(usize, f64)>);

/// Draws what does not depend on policies as straight lines, and the rest as lines over the
/// number of policies; all in microseconds.
pub(crate) fn draw(path: &Path, flat: &[(String, f64)], ours: &[Line]) {
    let all = ours.iter().flat_map(|(_, points)| points);
    let (first, last) = (
        10_usize,
        all.clone().map(|(policies, _)| *policies).max().unwrap(),
    );
    let highest = all
        .map(|(_, took)| *took)
        .chain(flat.iter().map(|(_, took)| *took));
    let top = highest.fold(0.0, f64::max) * 1.15;
    let area = SVGBackend::new(path, (760, 420)).into_drawing_area();
    area.fill(&WHITE).unwrap();
    let mut chart = ChartBuilder::on(&area)
        .caption(
            "Opening a TCP connection between two pods, median",
            ("sans-serif", 18),
        )
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(52)
        .build_cartesian_2d((first..last).log_scale(), 0.0..top)
        .unwrap();
    chart
        .configure_mesh()
        .x_desc("policies")
        .y_desc("microseconds")
        .light_line_style(WHITE)
        .draw()
        .unwrap();
    let greys = [
        RGBColor(170, 170, 170),
        RGBColor(90, 90, 90),
        RGBColor(200, 80, 60),
    ];
    let blues = [
        RGBColor(120, 180, 230),
        RGBColor(50, 120, 200),
        RGBColor(20, 60, 120),
    ];
    let flat = flat
        .iter()
        .map(|(name, took)| (name, vec![(first, *took), (last, *took)]));
    let ours = ours.iter().map(|(name, points)| (name, points.clone()));
    for ((name, points), colour) in flat.zip(greys).chain(ours.zip(blues)) {
        let line = chart.draw_series(LineSeries::new(points, colour.stroke_width(2)));
        line.unwrap().label(name).legend(move |(x, y)| {
            PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2))
        });
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .border_style(BLACK.mix(0.2))
        .background_style(WHITE.mix(0.8))
        .draw()
        .unwrap();
    area.present().unwrap();
}
