//! Charts as SVG text, readable on light and dark grounds: they bring their own white one.

use std::fmt::Write as _;

use super::parts::FoldFigures;
use crate::evaluation::EpochRecord;
use crate::figure::figure;
use crate::measurement::Measurement;
use crate::metrics::Confusion;

pub(super) const INK: &str = "#1f2328";
pub(super) const FAINT: &str = "#59636e";
pub(super) const GRID: &str = "#e6e9ed";
pub(super) const TRAINING: &str = "#0969da";
pub(super) const VALIDATION: &str = "#bc4c00";

/// Beyond this many classes a matrix of figures cannot be read.
const MAX_MATRIX_CLASSES: usize = 40;

/// Loss, and accuracy where there is one, over the epochs; `None` for fewer than two epochs.
pub fn learning_curve(history: &[EpochRecord]) -> Option<String> {
    if history.len() < 2 {
        return None;
    }
    let epochs: Vec<usize> = history.iter().map(|record| record.epoch).collect();
    let column = |value: fn(&EpochRecord) -> Option<f64>| -> Option<Vec<f64>> {
        history.iter().map(value).collect()
    };
    let mut panels = vec![(
        "Loss",
        column(|record| Some(record.loss)),
        column(|record| record.val_loss),
    )];
    if let accuracy @ Some(_) = column(|record| record.accuracy) {
        panels.push(("Accuracy", accuracy, column(|record| record.val_accuracy)));
    }
    let width = 420 * panels.len();
    let mut svg = opening(width, 300, "Learning curve");
    for (panel_idx, (title, training, validation)) in panels.into_iter().enumerate() {
        let series: Vec<(&str, &str, Vec<f64>)> = [
            ("training", TRAINING, training),
            ("validation", VALIDATION, validation),
        ]
        .into_iter()
        .filter_map(|(name, colour, values)| Some((name, colour, values?)))
        .collect();
        line_panel(&mut svg, 420.0 * panel_idx as f64, title, &epochs, &series);
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

fn line_panel(
    svg: &mut String,
    left: f64,
    title: &str,
    epochs: &[usize],
    series: &[(&str, &str, Vec<f64>)],
) {
    let (x0, x1, y0, y1) = (left + 62.0, left + 400.0, 250.0, 48.0);
    let values = || {
        series
            .iter()
            .flat_map(|(_, _, values)| values.iter().copied())
            .filter(|value| value.is_finite())
    };
    let (low, high) = (
        values().fold(f64::INFINITY, f64::min),
        values().fold(f64::NEG_INFINITY, f64::max),
    );
    let (low, high) = if low.is_finite() {
        (low, high)
    } else {
        (0.0, 1.0)
    };
    let step = tick_step((high - low).max(low.abs().max(1e-6) * 1e-3) / 4.0);
    let (bottom, top) = ((low / step).floor() * step, (high / step).ceil() * step);
    let top = if top > bottom { top } else { bottom + step };
    let y = |value: f64| y0 + (value - bottom) / (top - bottom) * (y1 - y0);
    let last = (epochs.len() - 1) as f64;
    let x = |idx: usize| x0 + idx as f64 / last * (x1 - x0);
    text(svg, x0, 24.0, "start", 14, INK, "600", title);
    let n_ticks = ((top - bottom) / step).round() as usize;
    for tick in 0..=n_ticks {
        let value = bottom + tick as f64 * step;
        let _ = writeln!(
            svg,
            r#"<path d="M{x0} {0:.1}H{x1}" stroke="{GRID}"/>"#,
            y(value)
        );
        text(
            svg,
            x0 - 8.0,
            y(value) + 4.0,
            "end",
            11,
            FAINT,
            "400",
            &figure((value / step).round() * step),
        );
    }
    let every = epochs.len().div_ceil(10);
    for (idx, epoch) in epochs
        .iter()
        .enumerate()
        .filter(|(idx, _)| idx % every == 0)
    {
        text(
            svg,
            x(idx),
            y0 + 18.0,
            "middle",
            11,
            FAINT,
            "400",
            &epoch.to_string(),
        );
    }
    text(
        svg,
        f64::midpoint(x0, x1),
        y0 + 38.0,
        "middle",
        11,
        FAINT,
        "400",
        "epoch",
    );
    for (series_idx, (name, colour, values)) in series.iter().enumerate() {
        let points: Vec<String> = values
            .iter()
            .enumerate()
            .map(|(idx, &value)| format!("{:.1},{:.1}", x(idx), y(value)))
            .collect();
        let _ = writeln!(
            svg,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>"#,
            points.join(" ")
        );
        for (idx, &value) in values.iter().enumerate().filter(|_| epochs.len() <= 30) {
            let _ = writeln!(
                svg,
                r#"<circle cx="{:.1}" cy="{:.1}" r="2.6" fill="{colour}"/>"#,
                x(idx),
                y(value)
            );
        }
        let legend_x = x1 - 150.0 + 82.0 * series_idx as f64;
        let _ = writeln!(
            svg,
            r#"<path d="M{legend_x} 20h14" stroke="{colour}" stroke-width="2"/>"#
        );
        text(svg, legend_x + 18.0, 24.0, "start", 11, FAINT, "400", name);
    }
}

/// The first metric of `figures` in each fold, with the mean over the folds and its interval; `None` for fewer than two
/// folds.
pub fn fold_chart(figures: &FoldFigures<'_>) -> Option<String> {
    let metric = *figures.metrics.first()?;
    let mean = figures.means.first().and_then(|(mean, _)| *mean);
    let of_folds: Vec<(u32, f64)> = figures
        .rows
        .iter()
        .filter_map(|(fold, cells)| Some((fold.fold, cells.first().copied().flatten()?.value)))
        .collect();
    if of_folds.len() < 2 {
        return None;
    }
    let (width, height) = (420.0, 300.0);
    let (x0, x1, y0, y1) = (62.0, 400.0, 250.0, 48.0);
    let interval = mean.and_then(|mean| mean.interval);
    let ends = interval
        .iter()
        .flat_map(|interval| [interval.lower, interval.upper]);
    let all: Vec<f64> = of_folds
        .iter()
        .map(|(_, value)| *value)
        .chain(ends)
        .collect();
    let low = all.iter().copied().fold(f64::INFINITY, f64::min);
    let high = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let step = tick_step((high - low).max(low.abs().max(1e-6) * 1e-3) / 4.0);
    let (bottom, top) = ((low / step).floor() * step, (high / step).ceil() * step);
    let top = if top > bottom { top } else { bottom + step };
    let y = |value: f64| y0 + (value - bottom) / (top - bottom) * (y1 - y0);
    let mut svg = opening(width as usize, height as usize, "Folds");
    text(&mut svg, x0, 24.0, "start", 14, INK, "600", metric);
    for tick in 0..=((top - bottom) / step).round() as usize {
        let value = bottom + tick as f64 * step;
        let _ = writeln!(
            svg,
            r#"<path d="M{x0} {0:.1}H{x1}" stroke="{GRID}"/>"#,
            y(value)
        );
        let label = figure((value / step).round() * step);
        text(
            &mut svg,
            x0 - 8.0,
            y(value) + 4.0,
            "end",
            11,
            FAINT,
            "400",
            &label,
        );
    }
    if let Some(interval) = interval {
        let (upper, lower) = (y(interval.upper), y(interval.lower));
        let _ = writeln!(
            svg,
            r#"<rect x="{x0}" y="{upper:.1}" width="{}" height="{:.1}" fill="{TRAINING}" fill-opacity="0.12"/>"#,
            x1 - x0,
            lower - upper
        );
    }
    if let Some(mean) = mean {
        let _ = writeln!(
            svg,
            r#"<path d="M{x0} {0:.1}H{x1}" stroke="{TRAINING}" stroke-dasharray="5 4"/>"#,
            y(mean.value)
        );
        text(
            &mut svg,
            x1,
            24.0,
            "end",
            11,
            FAINT,
            "400",
            "dashed: mean, with its interval",
        );
    }
    let n_folds = of_folds.len();
    let every = n_folds.div_ceil(10);
    for (place, (fold, value)) in of_folds.into_iter().enumerate() {
        let x = x0 + (x1 - x0) * (place as f64 + 0.5) / n_folds as f64;
        let _ = writeln!(
            svg,
            r#"<circle cx="{x:.1}" cy="{:.1}" r="4" fill="{VALIDATION}"/>"#,
            y(value)
        );
        if place % every == 0 {
            text(
                &mut svg,
                x,
                y0 + 18.0,
                "middle",
                11,
                FAINT,
                "400",
                &fold.to_string(),
            );
        }
    }
    text(
        &mut svg,
        f64::midpoint(x0, x1),
        y0 + 38.0,
        "middle",
        11,
        FAINT,
        "400",
        "fold",
    );
    svg.push_str("</svg>\n");
    Some(svg)
}

/// A value with its interval on the scale `[low, high]`, and a line at `reference`: one cell of a table, in the colours of
/// the page.
pub(super) fn range_mark(
    measured: &Measurement,
    reference: Option<f64>,
    low: f64,
    high: f64,
) -> String {
    let (x0, x1) = (6.0, 174.0);
    let span = if high > low { high - low } else { 1.0 };
    let x = |value: f64| x0 + (value.clamp(low, high) - low) / span * (x1 - x0);
    let mut svg =
        r#"<svg class="range" viewBox="0 0 180 16" width="180" height="16" aria-hidden="true">"#
            .to_owned();
    if let Some(reference) = reference {
        let _ = write!(
            svg,
            r#"<path d="M{:.1} 1V15" stroke="var(--faint)" stroke-dasharray="2 2"/>"#,
            x(reference)
        );
    }
    if let Some(interval) = measured.interval {
        let _ = write!(
            svg,
            r#"<path d="M{:.1} 8H{:.1}" stroke="var(--mark)" stroke-width="2"/>"#,
            x(interval.lower),
            x(interval.upper)
        );
    }
    let _ = write!(
        svg,
        r#"<circle cx="{:.1}" cy="8" r="4" fill="var(--mark)"/></svg>"#,
        x(measured.value)
    );
    svg
}

/// A step of 1, 2 or 5 times a power of ten, at least `least`.
fn tick_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= least * 0.999)
        .unwrap_or(10.0 * power)
}

/// Labels against predictions, each row shaded by its shares; `None` where there are too many classes to read.
pub fn confusion_matrix(confusion: &Confusion) -> Option<String> {
    let n_classes = confusion.classes().len();
    if n_classes == 0 || n_classes > MAX_MATRIX_CLASSES {
        return None;
    }
    let cell = if n_classes <= 12 { 44.0 } else { 28.0 };
    let longest = confusion
        .classes()
        .iter()
        .map(|class| class.chars().count().min(14))
        .max()
        .unwrap_or(1);
    let (left, top) = (50.0 + 7.0 * longest as f64, 84.0);
    let side = cell * n_classes as f64;
    // Long class names stand upright above their column.
    let is_upright = longest > 4;
    let top = if is_upright {
        top + 6.0 * longest as f64
    } else {
        top
    };
    let width = (left + side + 20.0).max(300.0);
    let mut svg = opening(
        width as usize,
        (top + side + 20.0) as usize,
        "Confusion matrix",
    );
    text(
        &mut svg,
        16.0,
        26.0,
        "start",
        14,
        INK,
        "600",
        "Confusion matrix",
    );
    text(
        &mut svg,
        left + side / 2.0,
        52.0,
        "middle",
        11,
        FAINT,
        "400",
        "predicted",
    );
    let middle = top + side / 2.0;
    let _ = writeln!(
        svg,
        r#"<text x="20" y="{middle}" text-anchor="middle" font-size="11" fill="{FAINT}" transform="rotate(-90 20 {middle})">label</text>"#
    );
    for (class_idx, class) in confusion.classes().iter().enumerate() {
        let name = shortened(class);
        let offset = cell * (class_idx as f64 + 0.5);
        text(
            &mut svg,
            left - 8.0,
            top + offset + 4.0,
            "end",
            11,
            INK,
            "400",
            &name,
        );
        if is_upright {
            let (x, y) = (left + offset + 4.0, top - 8.0);
            let _ = writeln!(
                svg,
                r#"<text x="{x}" y="{y}" font-size="11" fill="{INK}" transform="rotate(-90 {x} {y})">{}</text>"#,
                escape(&name)
            );
        } else {
            text(
                &mut svg,
                left + offset,
                top - 8.0,
                "middle",
                11,
                INK,
                "400",
                &name,
            );
        }
    }
    for label in 0..n_classes {
        let support = confusion.support(label).max(1) as f64;
        for predicted in 0..n_classes {
            let count = confusion.counts().at(label, predicted);
            let share = count as f64 / support;
            // The square root makes few mistakes visible beside many right answers.
            let opacity = share.sqrt();
            let colour = if label == predicted {
                TRAINING
            } else {
                VALIDATION
            };
            let (x, y) = (left + cell * predicted as f64, top + cell * label as f64);
            let _ = writeln!(
                svg,
                r#"<rect x="{x}" y="{y}" width="{cell}" height="{cell}" fill="{colour}" fill-opacity="{opacity:.3}" stroke="{GRID}"/>"#
            );
            if count > 0 {
                let ink = if opacity > 0.6 { "#ffffff" } else { INK };
                text(
                    &mut svg,
                    x + cell / 2.0,
                    y + cell / 2.0 + 4.0,
                    "middle",
                    11,
                    ink,
                    "400",
                    &count.to_string(),
                );
            }
        }
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

pub(super) fn opening(width: usize, height: usize, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{title}\" font-family=\"system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif\">\n<rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"#ffffff\"/>\n"
    )
}

pub(super) fn text(
    svg: &mut String,
    x: f64,
    y: f64,
    anchor: &str,
    size: usize,
    colour: &str,
    weight: &str,
    content: &str,
) {
    let _ = writeln!(
        svg,
        r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" fill="{colour}">{}</text>"#,
        escape(content)
    );
}

pub(super) fn shortened(name: &str) -> String {
    if name.chars().count() <= 14 {
        name.to_owned()
    } else {
        name.chars().take(13).chain(['…']).collect()
    }
}

fn escape(text: &str) -> String {
    let visible: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    visible
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
