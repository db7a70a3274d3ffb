//! What the server must stand, for minutes: `cargo xtask soak serve`. Each figure is printed with its
//! bound; exit code 1 where one is not kept.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the figures are what it is asked for"
)]

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use trainyard_tests::serving::bounds::Figure;
use trainyard_tests::serving::overload::{self, Traffic, binary_images, json_images};
use trainyard_tests::serving::process::Setup;
use trainyard_tests::serving::termination::Terminations;
use trainyard_tests::serving::{mutated, slow, termination};

/// Load the server with more than it can do, and see that it keeps its bounds.
#[derive(Debug, Parser)]
struct Args {
    /// `trainyard-serve`.
    program: PathBuf,
    /// The folder of a model called `mnist`, of images of 28 × 28.
    model: PathBuf,
    /// Length of each overload.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Mutated requests.
    #[arg(long, default_value_t = 100_000)]
    mutations: usize,
    /// Servers that are ended under load.
    #[arg(long, default_value_t = 100)]
    terminations: usize,
    /// Of the mutations.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only checks whose name contains this: `overload`, `slow`, `mutated`, `terminated`.
    #[arg(long, default_value = "")]
    only: String,
}

const PREDICT: &str = "/v1/models/mnist:predict";
const INFER: &str = "/v2/models/mnist/infer";

/// Of a body: a little less than the default takes.
const LARGE_BODY_BYTES: usize = 16_000_000;

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every bound is kept.
fn run(args: &Args) -> io::Result<bool> {
    let setup = Setup::new(&args.program, &args.model);
    let mut holds = true;
    let mut n_checks = 0;
    let mut check = |name: &str, figures: &dyn Fn() -> io::Result<Vec<Figure>>| {
        if name.contains(&args.only) {
            n_checks += 1;
            for figure in figures()? {
                println!("{figure}");
                holds &= figure.holds();
            }
        }
        io::Result::Ok(())
    };
    let limited = Setup {
        address_space_kb: Some(400_000),
        ..setup.clone()
    };
    let of = |name: &str, request, n_clients| Traffic {
        name: name.to_owned(),
        request,
        n_clients,
        times_capacity: None,
    };
    let duration = Duration::from_secs(args.seconds);
    let rows = of("64 clients × 200 rows", json_images(PREDICT, 200), 64);
    check("overload", &|| overload::run(&limited, &rows, duration))?;
    let row_bytes = json_images(PREDICT, 2).len() - json_images(PREDICT, 1).len();
    let large = json_images(PREDICT, LARGE_BODY_BYTES / row_bytes);
    let megabytes = format!("64 clients × {:.1} MB", large.len() as f64 / 1e6);
    let large = of(&megabytes, large, 64);
    check("overload", &|| overload::run(&limited, &large, duration))?;
    // Each with a connection of its own.
    let many = Setup {
        n_files: 4096,
        ..limited.clone()
    };
    let ten = Traffic {
        times_capacity: Some(10.0),
        ..of("10 × capacity", binary_images(INFER, 256), 2000)
    };
    let many = many.with(&["--queue-timeout", "1"]);
    check("overload", &|| overload::run(&many, &ten, duration))?;
    let few = Setup {
        n_files: 256,
        ..setup.clone()
    };
    let one = json_images(PREDICT, 1);
    check("slow", &|| slow::run(&few, 400, &one, duration / 2))?;
    let patient = setup.clone().with(&mutated::OPTIONS);
    check("mutated", &|| {
        mutated::run(&patient, "mnist", &[28, 28, 1], args.mutations, args.seed)
    })?;
    let terminations = Terminations {
        n_times: args.terminations,
        n_clients: 64,
        request: json_images(PREDICT, 4),
        deadline: Duration::from_secs(21),
    };
    check("terminated", &|| termination::run(&setup, &terminations))?;
    if n_checks == 0 {
        return Err(io::Error::other(format!(
            "there is no check `{}`",
            args.only
        )));
    }
    Ok(holds)
}
