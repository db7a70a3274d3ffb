//! How often a test that is looked at again and again raises a false alarm: e-processes after every fresh row, and the rule for the k-th
//! model judged on the same rows.

use std::fmt::Write as _;

use trainyard_core::statistics::{CellBootstrap, PairedRows, e_rejects, look_level, tango};

use crate::agreement::matthews;
use crate::random::Random;
use crate::simulation::Settings;

const N_ROWS: u32 = 2000;

/// A way to look, and what is looked at.
pub(crate) struct Looks {
    test: &'static str,
    population: &'static str,
    /// Whether one simulated history raises an alarm at this level.
    has_alarm: fn(f64, &mut Random) -> bool,
    /// One history in so many of the settings' is simulated.
    thinning: u32,
    /// Nothing is claimed of looking again at the same level.
    has_claim: bool,
}

/// A row of the table.
pub(crate) struct Alarms {
    looks: Looks,
    n_histories: u32,
    n_alarms: u32,
}

pub(crate) const fn all() -> [Looks; 8] {
    [
        Looks {
            test: "e-process on discordant rows",
            population: "5 % gained, 5 % lost; after every fresh row",
            has_alarm: |alpha, random| discordant(0.05, alpha, random),
            thinning: 1,
            has_claim: true,
        },
        Looks {
            test: "e-process on discordant rows",
            population: "0.5 % gained, 0.5 % lost; after every fresh row",
            has_alarm: |alpha, random| discordant(0.005, alpha, random),
            thinning: 1,
            has_claim: true,
        },
        Looks {
            test: "e-process on gained less lost",
            population: "5 % gained, 5 % lost, no tolerance; after every fresh row",
            has_alarm: |alpha, random| betting(0.05, 0.0, alpha, random),
            thinning: 1,
            has_claim: true,
        },
        Looks {
            test: "e-process on gained less lost",
            population: "1 % gained, 2 % lost, tolerance 1 %; after every fresh row",
            has_alarm: |alpha, random| betting(0.01, 0.01, alpha, random),
            thinning: 1,
            has_claim: true,
        },
        Looks {
            test: "Tango at α / (k (k + 1))",
            population: "30 unrelated models on the same rows, 5 % gained, 5 % lost",
            has_alarm: |alpha, random| pushes(false, alpha, random),
            thinning: 1,
            has_claim: true,
        },
        Looks {
            test: "Tango at α / (k (k + 1))",
            population: "30 models, each changing 10 more rows of the same",
            has_alarm: |alpha, random| pushes(true, alpha, random),
            thinning: 1,
            has_claim: true,
        },
        Looks {
            test: "Tango at α each time",
            population: "30 unrelated models on the same rows, 5 % gained, 5 % lost",
            has_alarm: |alpha, random| (0..30).any(|_| is_tango_worse(&unrelated(random), alpha)),
            thinning: 1,
            has_claim: false,
        },
        Looks {
            test: "BCa of MCC's change at α / (k (k + 1))",
            population: "30 unrelated models on the same rows, 5 % gained, 5 % lost",
            has_alarm: bootstrap,
            // The 30th look needs 372,000 replicates.
            thinning: 8,
            has_claim: true,
        },
    ]
}

impl Looks {
    pub(crate) fn run(self, stream: u64, settings: &Settings) -> Alarms {
        let mut random = Random::new(settings.seed, stream);
        let n_histories = settings.n_samples / self.thinning;
        let alpha = settings.tail();
        let n_alarms = (0..n_histories)
            .map(|_| u32::from((self.has_alarm)(alpha, &mut random)))
            .sum();
        Alarms {
            looks: self,
            n_histories,
            n_alarms,
        }
    }
}

impl Alarms {
    fn share(&self) -> f64 {
        f64::from(self.n_alarms) / f64::from(self.n_histories)
    }

    /// The level, and two standard errors of this simulation.
    fn limit(&self, settings: &Settings) -> f64 {
        let alpha = settings.tail();
        alpha + 2.0 * (alpha * (1.0 - alpha) / f64::from(self.n_histories)).sqrt()
    }

    pub(crate) fn holds(&self, settings: &Settings) -> bool {
        !self.looks.has_claim || self.share() <= self.limit(settings)
    }
}

/// The table of false alarms, as Markdown.
pub(crate) fn render(rows: &[Alarms], settings: &Settings) -> String {
    let mut text = String::from(
        "| test | population | histories | false alarms | limit | claim |\n\
         | :-- | :-- | --: | --: | --: | :-- |\n",
    );
    for row in rows {
        let claim = match (row.looks.has_claim, row.holds(settings)) {
            (false, _) => "none",
            (true, true) => "holds",
            (true, false) => "**broken**",
        };
        let limit = if row.looks.has_claim {
            format!("{:.1} %", 100.0 * row.limit(settings))
        } else {
            String::new()
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.1} % | {limit} | {claim} |",
            row.looks.test,
            row.looks.population,
            row.n_histories,
            100.0 * row.share(),
        );
    }
    text
}

/// One fresh row: gained, lost or neither.
fn record(rows: &mut PairedRows, gained: f64, lost: f64, random: &mut Random) -> bool {
    let place = random.uniform();
    rows.record(place < gained, place >= gained && place < gained + lost);
    place < gained + lost
}

fn discordant(share: f64, alpha: f64, random: &mut Random) -> bool {
    let mut rows = PairedRows::default();
    (0..N_ROWS).any(|_| {
        record(&mut rows, share, share, random) && e_rejects(rows.ln_e_discordant(), alpha)
    })
}

fn betting(gained: f64, tolerance: f64, alpha: f64, random: &mut Random) -> bool {
    let mut rows = PairedRows::default();
    (0..N_ROWS).any(|_| {
        record(&mut rows, gained, gained + tolerance, random);
        e_rejects(rows.ln_e_worse_than(tolerance), alpha)
    })
}

fn is_tango_worse(rows: &PairedRows, alpha: f64) -> bool {
    tango(rows.n_gained, rows.n_lost, N_ROWS.into(), 1.0 - 2.0 * alpha)
        .is_some_and(|interval| interval.upper < 0.0)
}

fn unrelated(random: &mut Random) -> PairedRows {
    let mut rows = PairedRows::default();
    for _ in 0..N_ROWS {
        record(&mut rows, 0.05, 0.05, random);
    }
    rows
}

/// Thirty models against one baseline; related ones keep the rows that the last one changed, and change ten more.
fn pushes(is_related: bool, alpha: f64, random: &mut Random) -> bool {
    let mut related = PairedRows::default();
    (1..=30).any(|look| {
        let rows = if is_related {
            for _ in 0..10 {
                record(&mut related, 0.5, 0.5, random);
            }
            related
        } else {
            unrelated(random)
        };
        is_tango_worse(&rows, look_level(alpha, look))
    })
}

/// Thirty models against one baseline, by the change of Matthews' correlation over the cells (label, old, new).
fn bootstrap(alpha: f64, random: &mut Random) -> bool {
    (1..=30).any(|look| {
        let mut counts = [0_u64; 8];
        for _ in 0..N_ROWS {
            let label = usize::from(random.uniform() < 0.3);
            let place = random.uniform();
            // Both right 80 %, both wrong 10 %, gained 5 %, lost 5 %.
            let (old, new) = match place {
                ..0.8 => (label, label),
                0.8..0.9 => (1 - label, 1 - label),
                0.9..0.95 => (1 - label, label),
                _ => (label, 1 - label),
            };
            counts[label * 4 + old * 2 + new] += 1;
        }
        let level = look_level(alpha, look);
        let n_replicates = (10.0 / level).ceil() as usize + 1;
        let seed = random.below(usize::MAX) as u64;
        CellBootstrap::of(&counts, n_replicates, seed, &[&change_of_matthews])
            .first()
            .and_then(|bootstrap| bootstrap.bca(1.0 - 2.0 * level).ok())
            .is_some_and(|interval| interval.upper < 0.0)
    })
}

fn change_of_matthews(cells: &[u64]) -> f64 {
    let mut of_old = [0.0; 4];
    let mut of_new = [0.0; 4];
    for (cell, &count) in cells.iter().enumerate() {
        let (label, old, new) = (cell / 4, cell / 2 % 2, cell % 2);
        of_old[label * 2 + old] += count as f64;
        of_new[label * 2 + new] += count as f64;
    }
    matthews(&of_new) - matthews(&of_old)
}
