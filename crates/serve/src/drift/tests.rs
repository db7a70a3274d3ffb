use serde_json::json;

use super::*;
use crate::exposition::Page;

/// What Prometheus reads of it.
fn page_of(drift: &Drift) -> String {
    let mut page = Page::default();
    page::write(&[("model=\"m\",version=\"1\"", drift)], &mut page);
    page.into_text()
}

const ARGS: DriftArgs = DriftArgs {
    drift_window: 2000,
    drift_min_rows: 200,
};

/// Four bins of equal mass over 0 to 4.
fn histogram() -> serde_json::Value {
    json!({"edges": [1.0, 2.0, 3.0], "counts": [500, 500, 500, 500]})
}

fn values() -> serde_json::Value {
    json!({"n": 2000, "mean": 2.0, "std": 1.0, "min": 0.0, "max": 4.0, "histogram": histogram()})
}

/// A model with `n` inputs named `x0` and on, and these summaries.
fn manifest(n: usize, summary: &serde_json::Value, predicted: &serde_json::Value) -> ModelManifest {
    let is_classifier = predicted.get("classes").is_some();
    let classes = is_classifier.then(|| json!(["no", "yes"]));
    let columns: Vec<String> = (0..n).map(|idx| format!("x{idx}")).collect();
    serde_json::from_value(json!({
        "schema_version": 1,
        "name": "m",
        "task": if is_classifier { "classification" } else { "regression" },
        "input": {"name": "input", "datatype": "FP32", "shape": [n]},
        "columns": columns,
        "output": {"name": "output", "datatype": "FP32", "shape": [1]},
        "preprocessing": [],
        "class_names": classes,
        "artifact": {"type": "onnx", "graph": {"path": "g", "sha256": format!("sha256:{}", "0".repeat(64)), "size_bytes": 1},
            "external_data": [], "opset_version": 17, "graph_input": "x", "graph_output": "y"},
        "origin": {"type": "imported", "tool": "t", "proof": {"type": "absent"}},
        "input_summary": summary,
        "prediction_summary": {"rows": "validation", "n_rows": 2000, "predicted": predicted},
    }))
    .unwrap()
}

fn table(n: usize) -> serde_json::Value {
    json!({"over": "feature", "n_rows": 2000, "parts": vec![values(); n]})
}

fn classes() -> serde_json::Value {
    json!({"classes": [1500, 500]})
}

/// What the page says of a series, if it does.
fn sample(drift: &Drift, series: &str) -> Option<f64> {
    let text = page_of(drift);
    let line = text.lines().find_map(|line| line.strip_prefix(series))?;
    line.trim().parse().ok()
}

const PSI: &str = "trainyard_input_drift_psi{model=\"m\",version=\"1\",feature=\"x0\"}";
const KS: &str = "trainyard_input_drift_ks{model=\"m\",version=\"1\",feature=\"x0\"}";
const ROWS: &str = "trainyard_drift_rows{model=\"m\",version=\"1\"}";
const PREDICTED: &str = "trainyard_prediction_drift_psi{model=\"m\",version=\"1\"}";

/// Rows one by one, whose values cycle through 0.5, 1.5, … below `range`.
fn observe(drift: &Drift, n_rows: usize, n: usize, range: usize, class: usize) {
    for row in 0..n_rows {
        let values = vec![(row % range) as f32 + 0.5; n];
        drift.observe(1, &values, &[0.5], Some(&[class]));
    }
}

#[test]
fn drift_is_told_from_the_minimum_on_and_shows_what_has_shifted() {
    let drift = Drift::new(&manifest(2, &table(2), &classes()), ARGS);
    observe(&drift, 199, 2, 4, 0);
    assert_eq!(
        (sample(&drift, ROWS), sample(&drift, PSI)),
        (Some(199.0), None)
    );
    observe(&drift, 201, 2, 4, 0);
    // Exactly as in training: less than chance would have it.
    let expected = -3.0 * (1.0 / 400.0 + 1.0 / 2000.0);
    assert!((sample(&drift, PSI).unwrap() - expected).abs() < 1e-3);
    assert!(sample(&drift, KS).unwrap() < 0.01);
    // The class has never been anything but `no`.
    assert!(sample(&drift, PREDICTED).unwrap() > 0.25);
    // Only the lower half of the values, until the others are forgotten.
    observe(&drift, 2000, 2, 2, 0);
    assert!(sample(&drift, PSI).unwrap() > 2.0);
    assert!((sample(&drift, KS).unwrap() - 0.5).abs() < 1e-9);
    observe(&drift, 2000, 2, 4, 0);
    assert!(sample(&drift, PSI).unwrap() < 0.0);
}

#[test]
fn rows_of_images_are_measured_by_mean_and_contrast() {
    let parts = vec![values(); 3];
    let summary = json!({"over": "channel", "n_rows": 2000, "parts": parts,
        "rows": {"mean": values(), "contrast": values()}});
    let drift = Drift::new(&manifest(6, &summary, &classes()), ARGS);
    for row in 0..400 {
        let middle = (row % 4) as f32 + 0.5;
        // Contrast is always 1: a mean of each kind, one bin of contrasts.
        let image: Vec<f32> = (0..6).map(|idx| middle + [-1.0, 1.0][idx % 2]).collect();
        drift.observe(1, &image, &[0.5], Some(&[0]));
    }
    let psi = |name: &str| {
        let series =
            format!("trainyard_input_drift_psi{{model=\"m\",version=\"1\",feature=\"{name}\"}}");
        sample(&drift, &series).unwrap()
    };
    assert!(psi("mean") < 0.0 && psi("contrast") > 1.0);
    // A model that was trained before rows were summarised has no such series.
    let older = json!({"over": "channel", "n_rows": 2000, "parts": parts});
    let drift = Drift::new(&manifest(6, &older, &classes()), ARGS);
    assert!(drift.features.is_empty() && drift.is_measured());
}

#[test]
fn numbers_that_are_predicted_have_both_distances() {
    let drift = Drift::new(&manifest(1, &table(1), &json!({"values": values()})), ARGS);
    for row in 0..400 {
        drift.observe(1, &[0.5], &[(row % 2) as f32 + 2.5], None);
    }
    assert!(sample(&drift, PREDICTED).unwrap() > 1.0);
    let distance = sample(
        &drift,
        "trainyard_prediction_drift_ks{model=\"m\",version=\"1\"}",
    );
    assert!((distance.unwrap() - 0.5).abs() < 1e-9);
}

#[test]
fn wide_tables_have_a_bounded_number_of_series() {
    let drift = Drift::new(&manifest(100, &table(100), &classes()), ARGS);
    for row in 0..400 {
        let mut values = vec![(row % 4) as f32 + 0.5; 100];
        // One of those without a series of its own.
        values[90] = 0.5;
        drift.observe(1, &values, &[0.5], Some(&[0]));
    }
    let text = page_of(&drift);
    let n_series = |name: &str| {
        let is_series = |line: &&str| line.starts_with(&format!("trainyard_{name}{{"));
        text.lines().filter(is_series).count()
    };
    assert_eq!(
        (n_series("input_drift_psi"), n_series("input_drift_ks")),
        (64, 64)
    );
    let others = "trainyard_input_drift_psi{model=\"m\",version=\"1\",feature=\"(others)\"}";
    assert!(sample(&drift, others).unwrap() > 1.0);
    assert!(sample(&drift, PSI).unwrap() < 0.0);
}

#[test]
fn of_many_rows_at_a_time_a_part_is_counted() {
    let drift = Drift::new(&manifest(1, &table(1), &classes()), ARGS);
    drift.observe(128, &[0.5; 128], &[0.5; 128], Some(&[0; 128]));
    assert_eq!(sample(&drift, ROWS), Some(8.0));
    drift.observe(9, &[0.5; 9], &[0.5; 9], Some(&[0; 9]));
    assert_eq!(sample(&drift, ROWS), Some(13.0));
}

#[test]
fn values_that_are_not_finite_are_not_counted() {
    let drift = Drift::new(&manifest(1, &table(1), &classes()), ARGS);
    for _ in 0..400 {
        drift.observe(1, &[f32::NAN], &[0.5], Some(&[0]));
    }
    assert_eq!(
        (sample(&drift, ROWS), sample(&drift, PSI)),
        (Some(400.0), None)
    );
}

#[test]
fn options_that_could_never_tell_anything_are_refused() {
    let problem = |drift_window, drift_min_rows| {
        DriftArgs {
            drift_window,
            drift_min_rows,
        }
        .check()
        .err()
        .map(|error| error.to_string())
    };
    assert_eq!((problem(10_000, 500), problem(0, 500)), (None, None));
    assert!(
        problem(800, 500)
            .unwrap()
            .contains("set `--drift-window` to 1000 or more")
    );
    assert!(problem(99, 1).unwrap().contains("too short"));
    let off = DriftArgs {
        drift_window: 0,
        ..ARGS
    };
    let drift = Drift::new(&manifest(1, &table(1), &classes()), off);
    observe(&drift, 300, 1, 4, 0);
    assert_eq!(sample(&drift, ROWS), None);
}

/// Run by hand, `cargo test --release -- --ignored --nocapture`: the figures in `docs/reference/server.md`.
#[test]
#[ignore = "measures a duration"]
fn what_counting_a_row_costs() {
    const N_ROWS: u32 = 200_000;
    let wide = Drift::new(&manifest(64, &table(64), &classes()), ARGS);
    let parts = vec![values(); 1];
    let rows = json!({"over": "channel", "n_rows": 2000, "parts": parts,
        "rows": {"mean": values(), "contrast": values()}});
    let image = Drift::new(&manifest(784, &rows, &classes()), ARGS);
    for (name, drift, n) in [("64 columns", wide, 64), ("28 x 28 pixels", image, 784)] {
        let row: Vec<f32> = (0..n).map(|idx| (idx % 4) as f32).collect();
        let start = std::time::Instant::now();
        for _ in 0..N_ROWS {
            drift.observe(1, std::hint::black_box(&row), &[0.5], Some(&[1]));
        }
        eprintln!("{name}: {:?} a row", start.elapsed() / N_ROWS);
    }
}
