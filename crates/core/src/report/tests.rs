use proptest::prelude::*;

use super::*;
use crate::digest::Sha256Digest;
use crate::evaluation::EpochRecord;
use crate::gate::{Baseline, Chain, Rule, Scorecard, judge};
use crate::metrics::Confusion;
use crate::statistics::IntervalMethod;
use crate::verdict::Verdict;

fn card(json: &str) -> Scorecard {
    Scorecard::parse(json.as_bytes(), std::path::Path::new("metrics.json")).unwrap()
}

fn verdict(candidate: &str, baseline: Option<&str>, rules: &[&str]) -> Verdict {
    let rules: Vec<Rule> = rules
        .iter()
        .map(|rule| toml::from_str(rule).unwrap())
        .collect();
    let baseline = baseline.map_or_else(
        || Baseline::None("none".to_owned()),
        |json| Baseline::Ready {
            source: "main".to_owned(),
            card: Box::new(card(json)),
        },
    );
    let chain = Chain {
        rules_digest: Sha256Digest::of(b"rules"),
        trainyard_version: "0.0.0".to_owned(),
        commit: Some("abc123".to_owned()),
    };
    judge(&rules, Ok(&card(candidate)), &baseline, chain)
}

fn report(verdict: &Verdict) -> Report<'_> {
    Report {
        verdict,
        evaluation: None,
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

    1 rule missed.

    > Whether the baseline was scored on the same rows is not known: the files do not say.


    | Metric | Baseline | This commit | Change | Rule | Verdict |
    | :-- | --: | --: | --: | :-- | :-- |
    | accuracy | 0.9849 | 0.9861 | +0.0012 better | at least 0.98<br>worse than the baseline by at most 0.002 | ✅ pass<br>✅ pass |
    | loss | 0.046 | 0.0451 | −0.0009 better | at most 0.04 | ❌ fail |

    - ❌ **loss** at most 0.04: 0.0451 is not at most 0.04

    <details><summary>Where this comes from</summary>

    | | |
    | :-- | :-- |
    | Evaluation | `40a68c1dabc0` |
    | Rules | `6c621d1a0513` |
    | Commit | abc123 |
    | Baseline | main |
    | Trainyard | 0.0.0 |

    </details>
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
    metric    value   rule                                      verdict
    accuracy  0.9861  at least 0.98                             pass
                      worse than the baseline by at most 0.002  skipped
    loss      0.0451
    los       absent  at most 0.04                              inconclusive

    skipped: accuracy worse than the baseline by at most 0.002: not judged: none
    inconclusive: los at most 0.04: there is no metric `los`; did you mean `loss`?
    note: There is no baseline to compare with (none): only absolute bounds were judged.
    verdict: inconclusive — 1 rule could not be judged. 1 rule skipped for want of a baseline.
    ");
}

#[test]
fn hostile_names_break_neither_table_nor_page_and_ping_nobody() {
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

/// Names as somebody who means harm would choose them.
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
        verdict.metrics[1].name.clone_from(&metric);
        verdict.notes[0] = note;
        verdict.rules[0].reason.clone_from(&reason);
        if let Some(baseline) = &mut verdict.baseline {
            baseline.source = source;
        }
        verdict.commit = Some(reason);
        let point = |commit: &str| HistoryPoint {
            commit: commit.to_owned(),
            metric: metric.clone(),
            value: 0.5,
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
    assert!(text.contains("| ℹ️ missed<br>✅ pass |"), "{text}");
    assert!(text.contains("0.5 is not at least 0.9"), "{text}");
}

#[test]
fn an_override_heads_the_report() {
    let mut verdict = verdict(
        r#"{"accuracy": 0.5}"#,
        None,
        &["metric = 'accuracy'\nmin = 0.9"],
    );
    verdict.overridden = Some(crate::verdict::Override {
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
        text.contains("Left out for want of space: ") && text.contains("metrics"),
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
    let confusion = Confusion {
        classes: vec!["<a>".to_owned(), "b".to_owned()],
        counts: vec![vec![3, 1], vec![0, 2]],
    };
    let svg = confusion_matrix(&confusion).unwrap();
    assert_eq!(svg.matches("<rect").count(), 5);
    assert!(svg.contains("&lt;a&gt;"));
    let many = Confusion {
        classes: vec![String::new(); 41],
        counts: vec![vec![0; 41]; 41],
    };
    assert!(confusion_matrix(&many).is_none());
}

#[test]
fn signs_are_never_lost() {
    assert_eq!(
        [
            signed(0.0012),
            signed(-0.25),
            signed(1e-9),
            signed(0.002_783)
        ],
        ["+0.0012", "−0.25", "±0", "+0.00278"]
    );
}

#[test]
fn an_interval_has_the_digits_of_its_width() {
    let words = |lower, upper| {
        interval_in_words(&Interval {
            lower,
            upper,
            confidence: 0.95,
            method: IntervalMethod::Wilson,
        })
    };
    assert_eq!(words(0.986, 0.990_23), "0.9860 – 0.9902");
    assert_eq!(words(0.030_755, 0.045_353), "0.031 – 0.045");
    assert_eq!(words(2900.1, 3712.9), "2900 – 3713");
    assert_eq!(words(1.0, 1.0), "1 – 1");
}
