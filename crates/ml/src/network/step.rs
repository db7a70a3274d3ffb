//! Forward and backward over one batch.

use trainyard_core::model::architecture::Activation;

use super::Network;
use super::buffers::Workspace;
use super::mode::Mode;
use super::ops::Placed;
use super::plan::{Head, Segment};
use crate::data::Labels;
use crate::kernels::activation;
use crate::kernels::loss::{BatchLoss, Objective};
use crate::optimizer::Optimizer;
use crate::threads::Threads;

/// What a batch should have given.
#[derive(Debug, Clone, PartialEq)]
pub struct Targets {
    /// One label a row.
    pub labels: Labels,
    /// What each row counts; 1 where there are none.
    pub weights: Option<Vec<f32>>,
}

impl Network {
    /// Scores the preprocessed rows in `workspace`; read them with [`Workspace::output`].
    pub fn score(&self, workspace: &mut Workspace, n_rows: usize, threads: &Threads) {
        self.forward(workspace, n_rows, Mode::Score, threads);
        let n_values = n_rows * self.plan.n_outputs;
        let output = match workspace.steps.last_mut() {
            Some(last) => &mut last.out[..n_values],
            None => &mut workspace.input[..n_values],
        };
        let head = match self.plan.head {
            Head::Linear => Activation::Linear,
            Head::Softmax => Activation::Softmax,
            Head::Sigmoid => Activation::Sigmoid,
        };
        activation::forward(head, output, self.plan.n_columns);
    }

    /// The loss of the preprocessed rows in `workspace`, without a gradient and as in scoring.
    pub fn loss(
        &self,
        workspace: &mut Workspace,
        targets: &Targets,
        objective: &Objective,
        threads: &Threads,
    ) -> BatchLoss {
        let n_rows = targets.labels.len();
        self.forward(workspace, n_rows, Mode::Score, threads);
        let mut values = workspace.output(self, n_rows).to_vec();
        let mut loss = self.loss_of(&mut values, targets, objective);
        loss.loss_sum += self.penalty() * n_rows as f64;
        loss
    }

    /// The loss of the preprocessed rows in `workspace`, and the gradient of its mean by every parameter.
    ///
    /// # Panics
    /// If the workspace is one for scoring.
    pub fn gradients(
        &self,
        workspace: &mut Workspace,
        targets: &Targets,
        objective: &Objective,
        mode: Mode,
        threads: &Threads,
    ) -> BatchLoss {
        let loss = self.forward_loss(workspace, targets, objective, mode, threads);
        let n_rows = targets.labels.len();
        for segment_idx in (0..self.plan.stages.len()).rev() {
            self.segment_backward(workspace, segment_idx, n_rows, mode, threads);
        }
        self.add_penalty_gradients(workspace);
        loss
    }

    /// One step of training: [`Network::gradients`], then `optimizer`. Where the loss is not a number, nothing is changed.
    ///
    /// The kernels of dense layers are moved block by block as soon as a block's gradient is there, while all that
    /// belongs to it is in the cache; the bits are the same.
    pub(crate) fn train_step(
        &mut self,
        workspace: &mut Workspace,
        targets: &Targets,
        objective: &Objective,
        mode: Mode,
        optimizer: &mut Optimizer,
        learning_rate: f64,
        threads: &Threads,
    ) -> BatchLoss {
        let loss = self.forward_loss(workspace, targets, objective, mode, threads);
        if !loss.loss_sum.is_finite() {
            return loss;
        }
        let n_rows = targets.labels.len();
        let step = optimizer.begin(learning_rate);
        let mut is_done = vec![false; self.parameters.len()];
        for segment_idx in (0..self.plan.stages.len()).rev() {
            let stage = &self.plan.stages[segment_idx];
            let step_idx = stage.first_step;
            if let Segment::Dense(dense) = &stage.segment
                && optimizer.is_local()
                && self.specs[dense.op.kernel()].regularizer.is_none()
            {
                let kernel = dense.op.kernel();
                let at = Placed {
                    segment_idx,
                    step_idx,
                    n_rows,
                };
                let state = optimizer.state_mut(kernel);
                let parameters = &mut self.parameters;
                dense
                    .op
                    .backward_and_update(parameters, workspace, at, &step, state, threads);
                is_done[kernel] = true;
            } else {
                self.segment_backward(workspace, segment_idx, n_rows, mode, threads);
            }
        }
        self.add_penalty_gradients(workspace);
        self.update_moving_averages(workspace);
        optimizer.finish(
            &step,
            &mut self.parameters,
            &mut workspace.gradients,
            &is_done,
            threads,
        );
        loss
    }

    /// The loss, with the gradient by the last values left for the backward pass.
    fn forward_loss(
        &self,
        workspace: &mut Workspace,
        targets: &Targets,
        objective: &Objective,
        mode: Mode,
        threads: &Threads,
    ) -> BatchLoss {
        let n_rows = targets.labels.len();
        self.forward(workspace, n_rows, mode, threads);
        let len = n_rows * self.plan.n_outputs;
        let mut loss = if let Some(mut gradient) = workspace.segment_gradients.pop() {
            gradient[..len].copy_from_slice(&workspace.last_output()[..len]);
            let loss = self.loss_of(&mut gradient[..len], targets, objective);
            workspace.segment_gradients.push(gradient);
            loss
        } else {
            // A network of reshaping layers alone has nothing to learn.
            let mut values = workspace.last_output()[..len].to_vec();
            self.loss_of(&mut values, targets, objective)
        };
        loss.loss_sum += self.penalty() * n_rows as f64;
        loss
    }

    /// Through one segment: from the gradient by its output to those by its parameters and its input.
    pub(super) fn segment_backward(
        &self,
        workspace: &mut Workspace,
        segment_idx: usize,
        n_rows: usize,
        mode: Mode,
        threads: &Threads,
    ) {
        let stage = &self.plan.stages[segment_idx];
        let step_idx = stage.first_step;
        let parameters = &self.parameters;
        match &stage.segment {
            Segment::Rows(steps) => {
                let at = [segment_idx, step_idx];
                self.rows_backward(workspace, steps, at, n_rows, mode, threads);
            }
            Segment::Dense(step) => {
                let at = Placed {
                    segment_idx,
                    step_idx,
                    n_rows,
                };
                step.op.backward(parameters, workspace, at, threads);
            }
            Segment::BatchNorm(step) => step.op.backward(
                parameters,
                workspace,
                segment_idx,
                step_idx,
                n_rows,
                threads,
            ),
            Segment::Embedding(step) => {
                step.op.backward(workspace, segment_idx, step_idx, n_rows);
            }
        }
    }

    /// `values` are the last step's, before the head; they become the gradient by them.
    fn loss_of(&self, values: &mut [f32], targets: &Targets, objective: &Objective) -> BatchLoss {
        let weights = targets.weights.as_deref();
        match &targets.labels {
            Labels::Class(labels) => {
                objective.of_classes(values, labels, weights, self.plan.n_columns)
            }
            Labels::Value(labels) if self.plan.head == Head::Sigmoid => {
                activation::forward(Activation::Sigmoid, values, 1);
                let output = values.to_vec();
                let loss = objective.of_values(values, labels, weights);
                activation::backward(Activation::Sigmoid, &[], &output, values, 1);
                loss
            }
            Labels::Value(labels) => objective.of_values(values, labels, weights),
        }
    }

    pub(super) fn forward(
        &self,
        workspace: &mut Workspace,
        n_rows: usize,
        mode: Mode,
        threads: &Threads,
    ) {
        for segment_idx in 0..self.plan.stages.len() {
            self.segment_forward(workspace, segment_idx, n_rows, mode, threads);
        }
    }

    pub(super) fn segment_forward(
        &self,
        workspace: &mut Workspace,
        segment_idx: usize,
        n_rows: usize,
        mode: Mode,
        threads: &Threads,
    ) {
        let stage = &self.plan.stages[segment_idx];
        let step_idx = stage.first_step;
        let parameters = &self.parameters;
        match &stage.segment {
            Segment::Rows(steps) => {
                self.rows_forward(workspace, steps, step_idx, n_rows, mode, threads);
            }
            Segment::Dense(step) => {
                step.op
                    .forward(parameters, workspace, step_idx, n_rows, threads);
            }
            Segment::BatchNorm(step) => {
                step.op
                    .forward(parameters, workspace, step_idx, n_rows, mode, threads);
            }
            Segment::Embedding(step) => {
                step.op.forward(parameters, workspace, step_idx, n_rows);
            }
        }
    }

    /// Moves the moving averages by the batch that `workspace` holds.
    fn update_moving_averages(&mut self, workspace: &Workspace) {
        for stage in &self.plan.stages {
            if let Segment::BatchNorm(step) = &stage.segment {
                let buffers = &workspace.steps[stage.first_step];
                step.op
                    .update_moving_averages(&mut self.parameters, buffers);
            }
        }
    }

    /// What the regularisers add to the mean loss: `l1 * sum(|w|) + l2 * sum(w^2)`.
    fn penalty(&self) -> f64 {
        let penalised = self.specs.iter().zip(&self.parameters);
        penalised
            .filter_map(|(spec, values)| {
                let regularizer = spec.regularizer?;
                let (mut magnitudes, mut squares) = (0.0_f64, 0.0_f64);
                for &value in values {
                    magnitudes += f64::from(value).abs();
                    squares += f64::from(value) * f64::from(value);
                }
                Some(regularizer.l1 * magnitudes + regularizer.l2 * squares)
            })
            .sum()
    }

    fn add_penalty_gradients(&self, workspace: &mut Workspace) {
        for ((spec, values), gradient) in self
            .specs
            .iter()
            .zip(&self.parameters)
            .zip(&mut workspace.gradients)
        {
            let Some(regularizer) = spec.regularizer else {
                continue;
            };
            let (l1, l2) = (regularizer.l1 as f32, 2.0 * regularizer.l2 as f32);
            for (gradient, &value) in gradient.iter_mut().zip(values) {
                let sign = if value == 0.0 { 0.0 } else { value.signum() };
                *gradient += l1 * sign + l2 * value;
            }
        }
    }

    /// Index of the first layer whose weights, or else whose values in the last forward pass, are not finite.
    pub fn first_not_finite(&self, workspace: &Workspace, n_rows: usize) -> Option<(usize, bool)> {
        let is_bad = |values: &[f32]| values.iter().any(|value| !value.is_finite());
        let mut steps = self.plan.steps();
        let bad_weights = steps.find(|(_, operation)| {
            let mut own = operation.parameters().into_iter();
            own.any(|idx| is_bad(&self.parameters[idx]))
        });
        if let Some((sizes, _)) = bad_weights {
            return Some((sizes.layer_idx, true));
        }
        let bad_values = self
            .plan
            .steps()
            .zip(&workspace.steps)
            .find(|((sizes, _), buffers)| is_bad(&buffers.out[..n_rows * sizes.n_outputs]));
        bad_values.map(|((sizes, _), _)| (sizes.layer_idx, false))
    }
}
