//! Reliability, ROC and precision-recall curves as charts over the unit square.

use std::fmt::Write as _;

use super::chart::{FAINT, GRID, INK, TRAINING, VALIDATION, opening, shortened, text};
use crate::figure::figure;
use crate::metrics::{ClassCurves, Reliability};

/// Colours of up to ten classes, told apart on white also by people who do not see all colours (Okabe and Ito's, darkened where faint).
const PALETTE: [&str; 10] = [
    TRAINING, VALIDATION, "#1a7f37", "#8250df", "#9a6700", "#0e7490", "#bf3989", "#57606a",
    "#4d7c0f", "#1f2328",
];

/// The square in which curves are drawn.
const LEFT: f64 = 58.0;
const TOP: f64 = 44.0;
const SIDE: f64 = 240.0;
const WIDTH: f64 = 316.0;
const BOTTOM: f64 = TOP + SIDE;

/// Height of the bars of counts, and where they stand.
const BARS: f64 = 44.0;
const BARS_BOTTOM: f64 = BOTTOM + 124.0;

/// How often predictions of a given confidence are right, with the rows of each bin; `None` without bins.
pub fn reliability_chart(reliability: &Reliability) -> Option<String> {
    let most = reliability.bins.iter().map(|bin| bin.n_rows).max()?;
    let height = BARS_BOTTOM + 14.0;
    let mut svg = opening(WIDTH as usize, height as usize, "Reliability");
    square(
        &mut svg,
        "Reliability",
        "confidence",
        "share predicted right",
        true,
    );
    let points = reliability
        .bins
        .iter()
        .map(|bin| (bin.confidence, bin.accuracy));
    let points: Vec<(f64, f64)> = points.collect();
    line(&mut svg, &points, TRAINING);
    for (bin, (x, y)) in reliability.bins.iter().zip(&points) {
        // A point of few rows says little, and looks so.
        let radius = 1.6 + 2.4 * (bin.n_rows as f64 / most as f64).sqrt();
        let _ = writeln!(
            svg,
            r#"<circle cx="{:.1}" cy="{:.1}" r="{radius:.1}" fill="{TRAINING}"/>"#,
            across(*x),
            up(*y)
        );
    }
    label(
        &mut svg,
        LEFT,
        BARS_BOTTOM - BARS - 18.0,
        "start",
        "rows in each bin",
    );
    for bin in &reliability.bins {
        let (x0, x1) = (across(bin.lower), across(bin.upper));
        let bar = BARS * bin.n_rows as f64 / most as f64;
        // A bin of few rows is still seen.
        let bar = bar.max(1.0);
        let _ = writeln!(
            svg,
            r#"<rect x="{:.1}" y="{:.1}" width="{:.1}" height="{bar:.1}" fill="{TRAINING}" fill-opacity="0.5"><title>{} rows</title></rect>"#,
            x0 + 0.5,
            BARS_BOTTOM - bar,
            x1 - x0 - 1.0,
            bin.n_rows
        );
        let middle = f64::midpoint(x0, x1);
        let y = BARS_BOTTOM - bar - 3.0;
        text(
            &mut svg,
            middle,
            y,
            "middle",
            7,
            FAINT,
            "400",
            &short_count(bin.n_rows),
        );
    }
    let _ = writeln!(
        svg,
        r#"<path d="M{LEFT} {BARS_BOTTOM}h{SIDE}" stroke="{FAINT}"/>"#
    );
    svg.push_str("</svg>\n");
    Some(svg)
}

/// True against false positive rate; `None` without curves.
pub fn roc_chart(curves: &[ClassCurves]) -> Option<String> {
    let axes = ("ROC curve", "false positive rate", "true positive rate");
    chart_of_classes(curves, axes, true, |curves| {
        let points = curves.roc.iter();
        points
            .map(|point| (point.false_positive_rate, point.true_positive_rate))
            .collect()
    })
}

/// Precision against recall; `None` without curves.
pub fn precision_recall_chart(curves: &[ClassCurves]) -> Option<String> {
    let axes = ("Precision-recall curve", "recall", "precision");
    chart_of_classes(curves, axes, false, |curves| {
        let mut points = Vec::new();
        let mut reached = 0.0;
        // Steps: the area below is the average precision.
        for point in &curves.precision_recall {
            points.push((reached, point.precision));
            points.push((point.recall, point.precision));
            reached = point.recall;
        }
        points
    })
}

fn chart_of_classes(
    curves: &[ClassCurves],
    (title, x_axis, y_axis): (&str, &str, &str),
    has_diagonal: bool,
    points: impl Fn(&ClassCurves) -> Vec<(f64, f64)>,
) -> Option<String> {
    if curves.is_empty() {
        return None;
    }
    // Two names a line below the axis.
    let n_lines = curves.len().div_ceil(2);
    let height = BOTTOM + 56.0 + 18.0 * n_lines as f64;
    let mut svg = opening(WIDTH as usize, height as usize, title);
    square(&mut svg, title, x_axis, y_axis, has_diagonal);
    for (idx, (of_class, colour)) in curves.iter().zip(PALETTE).enumerate() {
        line(&mut svg, &points(of_class), colour);
        let x = LEFT + SIDE / 2.0 * (idx % 2) as f64;
        let y = BOTTOM + 60.0 + 18.0 * (idx / 2) as f64;
        let _ = writeln!(
            svg,
            r#"<path d="M{x} {:.1}h14" stroke="{colour}" stroke-width="2"/>"#,
            y - 4.0
        );
        label(&mut svg, x + 18.0, y, "start", &shortened(&of_class.class));
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

/// Title, grid, ticks and names of the axes; `has_diagonal` draws the dashed line from corner to corner.
fn square(svg: &mut String, title: &str, x_axis: &str, y_axis: &str, has_diagonal: bool) {
    text(svg, LEFT, 24.0, "start", 14, INK, "600", title);
    for quarter in 0..=4 {
        let value = f64::from(quarter) / 4.0;
        let (x, y) = (across(value), up(value));
        let _ = writeln!(
            svg,
            r#"<path d="M{LEFT} {y:.1}h{SIDE}M{x:.1} {TOP}v{SIDE}" stroke="{GRID}"/>"#
        );
        let tick = figure(value);
        label(svg, LEFT - 8.0, y + 4.0, "end", &tick);
        label(svg, x, BOTTOM + 18.0, "middle", &tick);
    }
    if has_diagonal {
        let _ = writeln!(
            svg,
            r#"<path d="M{LEFT} {BOTTOM}L{:.1} {TOP}" stroke="{FAINT}" stroke-dasharray="5 4"/>"#,
            LEFT + SIDE
        );
    }
    label(svg, LEFT + SIDE / 2.0, BOTTOM + 38.0, "middle", x_axis);
    let middle = TOP + SIDE / 2.0;
    let _ = writeln!(
        svg,
        r#"<text x="16" y="{middle}" text-anchor="middle" font-size="11" fill="{FAINT}" transform="rotate(-90 16 {middle})">{y_axis}</text>"#
    );
}

fn line(svg: &mut String, points: &[(f64, f64)], colour: &str) {
    let points: Vec<String> = points
        .iter()
        .map(|&(x, y)| format!("{:.1},{:.1}", across(x), up(y)))
        .collect();
    let _ = writeln!(
        svg,
        r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>"#,
        points.join(" ")
    );
}

fn label(svg: &mut String, x: f64, y: f64, anchor: &str, content: &str) {
    text(svg, x, y, anchor, 11, FAINT, "400", content);
}

fn across(value: f64) -> f64 {
    LEFT + value * SIDE
}

fn up(value: f64) -> f64 {
    BOTTOM - value * SIDE
}

/// As narrow as a bar: `940`, `12k`, `3M`.
fn short_count(n_rows: u64) -> String {
    match n_rows {
        0..1_000 => n_rows.to_string(),
        1_000..1_000_000 => format!("{}k", (n_rows + 500) / 1_000),
        _ => format!("{}M", (n_rows + 500_000) / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{PrecisionRecallPoint, ReliabilityBin, RocPoint};

    #[test]
    fn bins_have_a_point_a_bar_and_their_number_of_rows() {
        let bin = |lower: f64, upper: f64, n_rows: u64| ReliabilityBin {
            lower,
            upper,
            n_rows,
            confidence: f64::midpoint(lower, upper),
            accuracy: 0.5,
        };
        let reliability = Reliability {
            bins: vec![bin(0.4, 0.6, 940), bin(0.8, 1.0, 11_600)],
        };
        let svg = reliability_chart(&reliability).unwrap();
        assert_eq!(svg.matches("<circle").count(), 2);
        for part in [
            ">940<",
            ">12k<",
            "11600 rows",
            "stroke-dasharray",
            "share predicted right",
        ] {
            assert!(svg.contains(part), "{part}\n{svg}");
        }
        assert!(reliability_chart(&Reliability { bins: Vec::new() }).is_none());
    }

    #[test]
    fn names_of_classes_are_escaped_and_precision_is_a_step() {
        let roc = [(0.0, 0.0), (0.0, 0.5), (1.0, 1.0)];
        let curves = ClassCurves {
            class: "<b>".to_owned(),
            roc: roc
                .map(|(false_positive_rate, true_positive_rate)| RocPoint {
                    false_positive_rate,
                    true_positive_rate,
                })
                .to_vec(),
            precision_recall: vec![
                PrecisionRecallPoint {
                    recall: 0.5,
                    precision: 1.0,
                },
                PrecisionRecallPoint {
                    recall: 1.0,
                    precision: 0.5,
                },
            ],
        };
        let roc = roc_chart(std::slice::from_ref(&curves)).unwrap();
        assert!(roc.contains("58.0,284.0 58.0,164.0 298.0,44.0"), "{roc}");
        assert!(roc.contains("&lt;b&gt;"), "{roc}");
        let steps = precision_recall_chart(&[curves]).unwrap();
        assert!(
            steps.contains("58.0,44.0 178.0,44.0 178.0,164.0 298.0,164.0"),
            "{steps}"
        );
        assert!(roc_chart(&[]).is_none());
    }
}
