//! Prints how often the ends of our intervals miss the truth, by simulation, and fails where one misses more often than we claim.
//!
//! Run as `cargo xtask bench coverage`; `docs/benchmarks/coverage.md` holds its table.

#![expect(clippy::print_stdout, reason = "a command-line tool for developers")]

mod agreement;
mod grouped;
mod looks;
mod populations;
mod random;
mod scored;
mod simulation;
mod table;

use std::panic::resume_unwind;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use clap::Parser;

use crate::looks::Alarms;
use crate::simulation::{Cell, Settings};

/// Simulate the coverage of confidence intervals.
#[derive(Parser)]
struct Cli {
    /// Samples a cell.
    #[arg(long, default_value_t = 2000)]
    samples: u32,
    /// Samples a cell whose widths are compared with the percentile bootstrap's, with 500 replicates each.
    #[arg(long, default_value_t = 200)]
    bootstrap_samples: u32,
    /// Two-sided level of the intervals.
    #[arg(long, default_value_t = 0.95)]
    confidence: f64,
    /// Only metrics whose name contains this; `looks` for repeated looks alone.
    #[arg(long, default_value = "")]
    metric: String,
    /// Seed of all samples.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

const ROWS: [usize; 3] = [30, 200, 2000];

fn main() -> ExitCode {
    let cli = Cli::parse();
    let settings = Settings {
        n_samples: cli.samples,
        n_bootstrap_samples: cli.bootstrap_samples.min(cli.samples),
        n_replicates: 500,
        confidence: cli.confidence,
        seed: cli.seed,
    };
    let cells = simulate(&cli.metric, &settings);
    println!("{}", table::render(&cells, &settings));
    let alarms = match cli.metric.as_str() {
        "" | "looks" => look(&settings),
        _ => Vec::new(),
    };
    print!("{}", looks::render(&alarms, &settings));
    let is_covered = cells.iter().all(|cell| cell.verdict(&settings).is_ok());
    if is_covered && alarms.iter().all(|alarm| alarm.holds(&settings)) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The false alarms of repeated looks, each on a thread of its own.
fn look(settings: &Settings) -> Vec<Alarms> {
    thread::scope(|scope| {
        let threads: Vec<_> = looks::all()
            .into_iter()
            .zip(0..)
            .map(|(looks, stream)| scope.spawn(move || looks.run(stream, settings)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

/// All cells, in the order of the table whatever the number of threads.
fn simulate(metric: &str, settings: &Settings) -> Vec<Cell> {
    let populations = populations::all();
    // A job's place among all of them decides its draws, whichever of them are run.
    let jobs: Vec<(u64, usize, usize)> = (0..populations.len())
        .flat_map(|population| ROWS.map(|n| (population, n)))
        .zip(0..)
        .map(|((population, n), stream)| (stream, population, n))
        .filter(|(_, population, _)| populations[*population].has_metric(metric))
        .collect();
    let next = AtomicUsize::new(0);
    let n_threads = thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut done = Vec::new();
        loop {
            // The largest ones come first, so that no thread is left with one at the end.
            let taken = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.len().checked_sub(taken + 1) else {
                return done;
            };
            let (stream, population, n) = jobs[job];
            done.push((job, populations[population].run(n, stream, settings)));
        }
    };
    let mut done: Vec<(usize, Vec<Cell>)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..n_threads).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    done.sort_by_key(|(job, _)| *job);
    done.into_iter().flat_map(|(_, cells)| cells).collect()
}
