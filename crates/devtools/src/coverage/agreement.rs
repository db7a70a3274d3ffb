//! Matthews' correlation and Cohen's kappa of a confusion matrix, cell by cell, for the bootstrap over cells.

/// Gorodkin's R_K, which is Matthews' correlation of two classes; NaN where a margin holds all rows.
pub(crate) fn matthews(cells: &[f64]) -> f64 {
    let (n, right, labelled, predicted) = margins(cells);
    let product = dot(&labelled, &predicted);
    let spread = (n * n - dot(&labelled, &labelled)) * (n * n - dot(&predicted, &predicted));
    (right * n - product) / spread.sqrt()
}

/// Cohen's kappa; NaN where all rows are of one class in both margins.
pub(crate) fn kappa(cells: &[f64]) -> f64 {
    let (n, right, labelled, predicted) = margins(cells);
    let product = dot(&labelled, &predicted);
    (right * n - product) / (n * n - product)
}

fn margins(cells: &[f64]) -> (f64, f64, Vec<f64>, Vec<f64>) {
    let k = cells.len().isqrt();
    let (mut labelled, mut predicted) = (vec![0.0; k], vec![0.0; k]);
    let (mut n, mut right) = (0.0, 0.0);
    for (cell, &count) in cells.iter().enumerate() {
        labelled[cell / k] += count;
        predicted[cell % k] += count;
        n += count;
        if cell / k == cell % k {
            right += count;
        }
    }
    (n, right, labelled, predicted)
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter()
        .zip(right)
        .map(|(left, right)| left * right)
        .sum()
}
