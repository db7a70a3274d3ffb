use proptest::prelude::*;

use super::*;
use crate::config::GateConfig;
use crate::digest::Sha256Digest;
use crate::evaluation::EpochRecord;
use crate::gate::{
    Baseline, Case, HistoryPoint, RulesInForce, RulesOrigin, Scorecard, Trust, Verdict,
};
use crate::metrics::Confusion;

fn card(json: &str) -> Scorecard {
    Scorecard::parse(json.as_bytes(), std::path::Path::new("metrics.json")).unwrap()
}

fn verdict(candidate: &str, baseline: Option<&str>, rules: &[&str]) -> Verdict {
    let gate = GateConfig {
        rules: rules
            .iter()
            .map(|rule| toml::from_str(rule).unwrap())
            .collect(),
        ..GateConfig::default()
    };
    let baseline = baseline.map_or_else(
        || Baseline::NotConfigured("none is configured".to_owned()),
        |json| Baseline::Ready {
            source: "main".to_owned(),
            card: Box::new(card(json)),
            shared: None,
        },
    );
    Case {
        rules: RulesInForce {
            gate: &gate,
            digest: Sha256Digest::of(b"rules"),
            origin: RulesOrigin::Own,
        },
        candidate: Ok(&card(candidate)),
        baseline: &baseline,
        trust: Trust::Verified,
        overridden: None,
        model_name: None,
        commit: Some("abc123"),
        trainyard_version: "0.0.0",
        rule_changes: &[],
        must_pass: None,
        looks: Ok(None),
        evaluate: None,
        fresh_rows: None,
        flips: None,
        notes: &[],
    }
    .judge()
}

fn report(verdict: &Verdict) -> Report<'_> {
    Report {
        verdict,
        evaluation: None,
        artifact: None,
        run_url: None,
        tested_commit: None,
        history: &[],
    }
}

#[test]
fn the_comment_begins_with_verdict_model_metric_and_change() {
    let verdict = verdict(
        r#"{"accuracy": 0.9861, "loss": 0.0451}"#,
        Some(r#"{"accuracy": 0.9849, "loss": 0.0460}"#),
        &[
            "metric = 'accuracy'\nmin = 0.98",
            "metric = 'accuracy'\nmax_drop = 0.002",
            "metric = 'loss'\nmax = 0.04",
        ],
    );
    insta::assert_snapshot!(report(&verdict).markdown(COMMENT_LIMIT), @r"
    ### ❌ Fail · model — loss **0.0451** (−0.0009 against the baseline)

    > [!CAUTION]
    > 1 rule missed.

    > It is not known whether the baseline was scored on the same rows: the files do not say.


    | Metric | Baseline | This commit | Change | Rule | Verdict |
    | :-- | --: | --: | --: | :-- | :-- |
    | accuracy | 0.9849 | 0.9861 | +0.0012 better | at least 0.98 | ✅ pass |
    |  |  |  |  | no more than 0.002 below the baseline | ✅ pass |
    | loss | 0.0460 | 0.0451 | −0.0009 better | at most 0.04 | ❌ fail |

    - ❌ **loss** at most 0.04: 0.0451 is not at most 0.04

    <details><summary>Provenance</summary>

    | | |
    | :-- | :-- |
    | Evaluation | `40a68c1dabc0` |
    | Rules | `6c621d1a0513` |
    | Commit | abc123 |
    | Baseline | main |
    | Trainyard | 0.0.0 |

    </details>

    Results for abc123 against main
    ");
}

#[test]
fn the_terminal_table_is_aligned() {
    let verdict = verdict(
        r#"{"accuracy": 0.9861, "loss": 0.0451}"#,
        None,
        &[
            "metric = 'accuracy'\nmin = 0.98",
            "metric = 'accuracy'\nmax_drop = 0.002",
            "metric = 'los'\nmax = 0.04",
        ],
    );
    insta::assert_snapshot!(report(&verdict).terminal(false), @r"
    metric    value   rule                                   verdict
    accuracy  0.9861  at least 0.98                          pass
                      no more than 0.002 below the baseline  skipped
    loss      0.0451
    los       absent  at most 0.04                           inconclusive

    skipped: accuracy no more than 0.002 below the baseline: not judged: none is configured
    inconclusive: los at most 0.04: there is no metric `los`; did you mean `loss`?
    verdict: inconclusive — 1 rule could not be judged. No change was judged, so 1 rule was skipped: none is configured.
    ");
}

#[test]
fn hostile_names_break_neither_table_nor_page_and_mention_no_user() {
    for name in [
        "a|b",
        "</td><script>",
        "@team",
        "`x`",
        "[x](https://evil)",
        "![i](https://evil)",
        "a\nb",
        "\u{202E}x",
    ] {
        let escaped = escape(name);
        assert!(
            !escaped.contains('\n') && !escaped.contains('<') && !escaped.contains('\u{202E}'),
            "{escaped}"
        );
        assert!(
            !escaped.contains("@t") && !escaped.contains("](") && !escaped.starts_with('`'),
            "{escaped}"
        );
    }
    assert_eq!(escape("a|b"), "a\\|b");
    // GitHub makes a link of this without being asked.
    assert_eq!(escape("www.evil.example"), "www\u{2060}.evil.example");
}

/// Names as an attacker would choose them.
fn hostile_name() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("</details>".to_owned()),
        Just("\n\n# heading\n".to_owned()),
        Just("```\n".to_owned()),
        Just("| a | b |".to_owned()),
        Just("@everyone".to_owned()),
        Just("::set-output name=a::b".to_owned()),
        Just("<!-- trainyard-report key=x run=9.9 head=0 -->".to_owned()),
        Just("[trainyard-record]: #x".to_owned()),
        Just("![x](https://evil.example)".to_owned()),
        Just("\u{202E}\u{2066}".to_owned()),
        Just("\"]\n click a".to_owned()),
        Just("&lt;script&gt;<script>".to_owned()),
        "\\PC{0,6}",
    ];
    proptest::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_name_breaks_the_report(names in proptest::collection::vec(hostile_name(), 5)) {
        let [model, metric, source, note, reason] = <[String; 5]>::try_from(names).unwrap();
        let mut verdict = verdict(
            r#"{"accuracy": 0.9861, "other": 1}"#,
            Some(r#"{"accuracy": 0.98}"#),
            &["metric = 'accuracy'\nmin = 0.99"],
        );
        let harmless = report(&verdict).markdown(COMMENT_LIMIT);
        verdict.model_name = Some(model);
        verdict.metrics[1].key.metric.clone_from(&metric);

        verdict.notes[0] = note;
        verdict.rules[0].reason.clone_from(&reason);
        if let Some(baseline) = &mut verdict.baseline {
            baseline.source = source;
        }
        verdict.commit = Some(reason);
        let point = |commit: &str| HistoryPoint {
            commit: commit.to_owned(),
            values: [("accuracy".to_owned(), 0.5)].into(),
            decision: Decision::Pass,
            rules: [("accuracy at least 0.9".to_owned(), Decision::Pass)].into(),
        };
        let history = [point("abc"), point(&metric)];
        let text = Report { history: &history, ..report(&verdict) }.markdown(COMMENT_LIMIT);
        let (chart, rest) = text
            .split_once("<details><summary>The last 2 commits")
            .and_then(|(before, after)| {
                let (chart, after) = after.split_once("</details>\n")?;
                Some((chart.to_owned(), format!("{before}{after}")))
            })
            .unwrap_or_default();
        // No line more or less, no HTML and no table cell but ours, no mention.
        let borders = |text: &str| {
            let lines = text.lines().map(|line| line.replace("\\\\", "").replace("\\|", ""));
            lines.map(|line| line.matches('|').count()).collect::<Vec<_>>()
        };
        let tags = |text: &str| text.matches('<').count();
        let rest = rest.replace("\n\n\n", "\n\n");
        let harmless = harmless.replace("\n\n\n", "\n\n");
        prop_assert_eq!(borders(&rest), borders(&harmless), "{}", rest);
        prop_assert_eq!(tags(&rest), tags(&harmless), "{}", rest);
        let pings = rest.split('@').skip(1).any(|after| !after.starts_with('\u{2060}'));
        let has_direction_marks = text.contains(['\u{202E}', '\u{2066}']);
        prop_assert!(!pings && !has_direction_marks, "{}", text);
        prop_assert!(!text.lines().any(|line| line.starts_with("::") || line.starts_with("[trainyard")));
        // Within the diagram, quotes end nothing but labels.
        prop_assert_eq!(chart.matches("```").count(), 2, "{}", chart);
        prop_assert_eq!(chart.matches('"').count(), 18, "{}", chart);
        let title = report(&verdict).title();
        prop_assert!(title.lines().count() == 1 && title.chars().count() < 250, "{}", title);
    }
}

#[test]
fn a_missed_rule_for_information_is_seen() {
    let verdict = verdict(
        r#"{"accuracy": 0.5}"#,
        None,
        &[
            "metric = 'accuracy'\nmin = 0.9\nlevel = 'info'",
            "metric = 'accuracy'\nmin = 0.1",
        ],
    );
    let text = report(&verdict).markdown(COMMENT_LIMIT);
    assert!(text.starts_with("### ✅ Pass"), "{text}");
    assert!(
        text.contains("| at least 0.9 (information) | ℹ️ missed |\n"),
        "{text}"
    );
    assert!(
        text.contains("|  |  | at least 0.1 | ✅ pass |\n"),
        "{text}"
    );
    assert!(text.contains("0.5 is not at least 0.9"), "{text}");
}

#[test]
fn an_override_heads_the_report() {
    let mut verdict = verdict(
        r#"{"accuracy": 0.5}"#,
        None,
        &["metric = 'accuracy'\nmin = 0.9"],
    );
    verdict.overridden = Some(crate::gate::Override {
        commit: "abc123".to_owned(),
        by: "maria".to_owned(),
        reason: "the labels @team gave were <b>wrong</b>".to_owned(),
        url: "https://github.com/acme/x/pull/7#issuecomment-1".to_owned(),
    });
    let text = report(&verdict).markdown(COMMENT_LIMIT);
    assert!(
        text.starts_with("### ❌ Fail, overridden · model"),
        "{text}"
    );
    let note = "> **Overridden by maria** for this commit: the labels @\u{2060}team gave were &lt;b&gt;wrong&lt;/b&gt; (<https://github.com/acme/x/pull/7#issuecomment-1>)";
    assert!(text.contains(note), "{text}");
    assert!(!verdict.verdict.is_green() && verdict.is_let_through());
}

#[test]
fn a_report_that_is_too_long_loses_its_least_important_parts_and_says_so() {
    let json: String = (0..2000).map(|i| format!("\"metric_{i}\": {i},")).collect();
    let verdict = verdict(
        &format!("{{{json} \"accuracy\": 0.5}}"),
        None,
        &["metric = 'accuracy'\nmin = 0.9"],
    );
    let text = report(&verdict).markdown(5000);
    assert!(text.chars().count() <= 5000);
    assert!(
        text.contains("❌ Fail") && text.contains("0.5 is not at least 0.9"),
        "{text}"
    );
    assert!(
        text.contains("Omitted to fit GitHub's size limit: ") && text.contains("metrics"),
        "{text}"
    );
    assert!(report(&verdict).markdown(40).chars().count() <= 40);
}

#[test]
fn junit_counts_its_cases() {
    let verdict = verdict(
        r#"{"a": 1}"#,
        None,
        &["metric = 'a'\nmin = 2", "metric = 'b<'\nmin = 2"],
    );
    let xml = report(&verdict).junit();
    assert!(
        xml.contains(r#"tests="2" failures="1" errors="1" skipped="0""#),
        "{xml}"
    );
    assert!(xml.contains("b&lt;") && !xml.contains("b<:"), "{xml}");
}

#[test]
fn charts_are_drawn_only_where_there_is_something_to_draw() {
    let record = |epoch| EpochRecord {
        epoch,
        loss: 0.5 / epoch as f64,
        accuracy: Some(0.9),
        val_loss: None,
        val_accuracy: None,
    };
    assert!(learning_curve(&[record(1)]).is_none());
    let svg = learning_curve(&[record(1), record(2)]).unwrap();
    assert_eq!(svg.matches("<polyline").count(), 2);
    let classes = vec!["<a>".to_owned(), "b".to_owned()];
    let confusion = Confusion::new(classes, [(0, 0, 3), (0, 1, 1), (1, 1, 2)]);
    let svg = confusion_matrix(&confusion).unwrap();
    assert_eq!(svg.matches("<rect").count(), 5);
    assert!(svg.contains("&lt;a&gt;"));
    let many = Confusion::new(vec![String::new(); 41], []);
    assert!(confusion_matrix(&many).is_none());
}

/// A dozen verdicts in every form in which people or machines read them.
mod gallery {
    use std::collections::BTreeMap;

    use super::*;
    use crate::evaluation::{DataReference, Evaluation, ModelReference};
    use crate::gate::{CandidateError, Override};
    use crate::measurement::Measurement;
    use crate::metrics::{self, ClassifiedRows};
    use crate::model::Loss;
    use crate::prediction_task::PredictionTask;
    use crate::row_mask::RowMask;
    use crate::row_set::RowSet;

    /// 200 rows of three classes, of which every `step`-th is predicted as the next class.
    fn evaluation(step: usize) -> Evaluation {
        let classes = ["cat", "dog", "lynx"].map(str::to_owned).to_vec();
        let labels: Vec<u32> = (0..200).map(|row| row % 3).collect();
        let predicted: Vec<u32> = labels
            .iter()
            .enumerate()
            .map(|(row, label)| {
                if row % step == 0 {
                    (label + 1) % 3
                } else {
                    *label
                }
            })
            .collect();
        let rows = ClassifiedRows {
            labels: &labels,
            predicted: &predicted,
            scores: None,
            classes: &classes,
            weights: None,
            groups: None,
        };
        let scoring = metrics::Scoring::new(Loss::SparseCategoricalCrossentropy, 0.95);
        let mut measured = metrics::classify(&rows, &scoring).unwrap();
        // A new metric in the catalog changes no snapshot.
        let shown = ["accuracy", "recall_macro", "precision", "recall", "f1"];
        let is_shown = |found: &Measurement| shown.contains(&found.key.metric.as_str());
        measured.measurements.retain(is_shown);
        let missed = measured.misses.iter().map(|&row| row as u64).collect();
        let label = |row: usize| classes[labels[row] as usize].as_str().into();
        Evaluation {
            schema_version: 1,
            task: PredictionTask::Classification,
            model: ModelReference {
                name: "pets".to_owned(),
                digest: Some(Sha256Digest::of(&[step as u8])),
                size_bytes: Some(1_000),
                training: None,
            },
            data: DataReference {
                digest: Sha256Digest::of(b"data"),
                rows: RowSet::of_positions(200, label, BTreeMap::new()),
            },
            scoring,
            settings: None,
            threshold: None,
            measurements: measured.measurements,
            undefined: measured.undefined,
            slices: Vec::new(),
            weak_segments: None,
            folds: None,
            seeds: None,
            confusion: measured.confusion,
            reliability: measured.reliability,
            curves: measured.curves,
            classes: Vec::new(),
            outputs: Vec::new(),
            missed_rows: RowMask::new(200, missed),
            predictions: None,
            files: Vec::new(),
            history: Vec::new(),
            notes: Vec::new(),
            overriding_inputs: Vec::new(),
            trainyard_version: "0.0.0".to_owned(),
            commit: None,
        }
    }

    struct Example {
        name: &'static str,
        rules: &'static [&'static str],
        candidate: Result<Evaluation, CandidateError>,
        baseline: Baseline,
        origin: RulesOrigin,
        trust: Trust,
        overridden: Option<Override>,
    }

    fn example(
        name: &'static str,
        rules: &'static [&'static str],
        step: usize,
        baseline: Baseline,
    ) -> Example {
        Example {
            name,
            rules,
            candidate: Ok(evaluation(step)),
            baseline,
            origin: RulesOrigin::Own,
            trust: Trust::Verified,
            overridden: None,
        }
    }

    fn card_of(evaluation: &Evaluation) -> Scorecard {
        Scorecard::of_evaluation(evaluation, Sha256Digest::of(b"evaluation"))
    }

    fn main_branch(step: usize) -> Baseline {
        Baseline::Ready {
            source: "commit 1234567".to_owned(),
            card: Box::new(card_of(&evaluation(step))),
            shared: None,
        }
    }

    fn examples() -> Vec<Example> {
        const ACCURACY: &str = "metric = 'accuracy'\nmin = 0.9";
        const DROP: &str = "metric = 'accuracy'\nmax_drop = 0.02";
        let not_configured = || Baseline::NotConfigured("none is configured".to_owned());
        vec![
            example("pass", &[ACCURACY], 20, not_configured()),
            example("pass_with_a_change", &[ACCURACY, DROP], 20, main_branch(19)),
            example(
                "fail",
                &["metric = 'accuracy'\nmin = 0.99"],
                20,
                main_branch(40),
            ),
            example(
                "fail_on_a_class",
                &["metric = 'recall'\nclass = 'dog'\nmin = 0.97", ACCURACY],
                20,
                main_branch(30),
            ),
            example(
                "warn_by_interval",
                &["metric = 'accuracy'\nmax_drop = 0.02\nconfidence = 0.95"],
                20,
                main_branch(21),
            ),
            example(
                "missed_for_information",
                &["metric = 'accuracy'\nmin = 0.99\nlevel = 'info'", ACCURACY],
                20,
                not_configured(),
            ),
            example(
                "first_run",
                &[ACCURACY, DROP],
                20,
                Baseline::NeverRecorded("no commit before this one has a record".to_owned()),
            ),
            example(
                "baseline_unavailable",
                &[ACCURACY, DROP],
                20,
                Baseline::Unavailable("GitHub answered 503".to_owned()),
            ),
            example(
                "misspelt",
                &["metric = 'acuracy'\nmin = 0.9"],
                20,
                not_configured(),
            ),
            example("no_rules", &[], 20, not_configured()),
            Example {
                candidate: Err(CandidateError::Refused(
                    "the artifact holds a link".to_owned(),
                )),
                ..example("unreadable", &[ACCURACY], 20, not_configured())
            },
            Example {
                overridden: Some(Override {
                    commit: "abc123".to_owned(),
                    by: "maria".to_owned(),
                    reason: "known drift".to_owned(),
                    url: "https://github.com/acme/x/pull/7#issuecomment-1".to_owned(),
                }),
                ..example(
                    "overridden",
                    &["metric = 'accuracy'\nmin = 0.99"],
                    20,
                    not_configured(),
                )
            },
            Example {
                trust: Trust::Unverified,
                ..example("of_a_fork", &[ACCURACY], 20, main_branch(20))
            },
            Example {
                origin: RulesOrigin::Unread("403: add `contents: read`".to_owned()),
                ..example("base_rules_unread", &[ACCURACY], 20, not_configured())
            },
        ]
    }

    /// The escapes of the OpenMetrics specification, section "Text format"; its Python parser reads them back in `peers::metrics`.
    #[test]
    fn the_metrics_text_holds_any_name() {
        let mut evaluation = evaluation(10);
        "a \"pet\" \\ dog\n".clone_into(&mut evaluation.model.name);
        let key = MetricKey::overall("p95 of größe");
        evaluation.measurements = vec![
            Measurement::bare(MetricKey::overall("accuracy"), 0.9, None, None),
            Measurement::bare(MetricKey::of_class("recall", "cat"), 0.5, None, None),
            Measurement::bare(key, 1e-7, None, None),
        ];
        insta::assert_snapshot!(super::super::open_metrics(&evaluation), @r#"
        # TYPE trainyard_metric gauge
        # HELP trainyard_metric Metric of a model over all rows of its evaluation.
        trainyard_metric{model="a \"pet\" \\ dog\n",metric="accuracy"} 0.9
        trainyard_metric{model="a \"pet\" \\ dog\n",metric="p95 of größe"} 0.0000001
        # EOF
        "#);
    }

    #[test]
    fn every_form_of_a_dozen_verdicts() {
        for example in examples() {
            let gate = GateConfig {
                rules: example
                    .rules
                    .iter()
                    .map(|rule| toml::from_str(rule).unwrap())
                    .collect(),
                ..GateConfig::default()
            };
            let card = example.candidate.as_ref().map(card_of);
            let verdict = Case {
                rules: RulesInForce {
                    gate: &gate,
                    digest: Sha256Digest::of(b"rules"),
                    origin: example.origin,
                },
                candidate: card.as_ref().map_err(|error| *error),
                baseline: &example.baseline,
                trust: example.trust,
                overridden: example.overridden.as_ref(),
                model_name: Some("pets"),
                commit: Some("abc123"),
                trainyard_version: "0.0.0",
                rule_changes: &[],
                must_pass: None,
                looks: Ok(None),
                evaluate: None,
                fresh_rows: None,
                flips: None,
                notes: &[],
            }
            .judge();
            let report = Report {
                evaluation: example.candidate.as_ref().ok(),
                ..report(&verdict)
            };
            let forms = format!(
                "{}\n\n===== Markdown\n{}\n===== terminal\n{}\n===== JUnit\n{}",
                report.title(),
                report.markdown(COMMENT_LIMIT),
                report.terminal(false),
                report.junit()
            );
            insta::assert_snapshot!(example.name, forms);
        }
    }
}
