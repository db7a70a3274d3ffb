use proptest::prelude::*;

use super::*;

fn annotator(variables: &[(&str, &str)]) -> Annotator {
    Annotator::from_environment(&variables.iter().copied().collect())
}

fn in_actions() -> Annotator {
    annotator(&[("GITHUB_ACTIONS", "true"), ("API_TOKEN", "s3cr3t-value")])
}

fn emit(annotator: &mut Annotator, annotations: Vec<Annotation>) -> String {
    let mut out = Vec::new();
    annotator.emit(annotations, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

type Properties = Vec<(String, String)>;

/// What the runner understands of a line (`ActionCommand.cs`, actions/runner 2.336.0): the command, its
/// properties and its data.
fn decode(line: &str) -> Option<(String, Properties, String)> {
    let unescape_data = |text: &str| {
        text.replace("%0D", "\r")
            .replace("%0A", "\n")
            .replace("%25", "%")
    };
    let unescape_property =
        |text: &str| unescape_data(&text.replace("%3A", ":").replace("%2C", ","));
    let rest = line.trim_start().strip_prefix("::")?;
    let (head, data) = rest.split_once("::")?;
    let (command, properties) = head.split_once(' ').unwrap_or((head, ""));
    let properties = properties
        .split(',')
        .filter_map(|property| property.split_once('='))
        .map(|(key, value)| (key.to_owned(), unescape_property(value)))
        .collect();
    Some((command.to_owned(), properties, unescape_data(data)))
}

#[test]
fn an_annotation_is_one_escaped_line() {
    let annotation = Annotation::error("100% wrong:\n`accuracy`, s3cr3t-value")
        .title("rule 1: accuracy, min")
        .at("a,b/trainyard.toml", 12);
    insta::assert_snapshot!(
        emit(&mut in_actions(), vec![annotation]),
        @"::error file=a%2Cb/trainyard.toml,line=12,title=rule 1%3A accuracy%2C min::100%25 wrong:%0A`accuracy`, ***"
    );
    assert_eq!(
        emit(&mut in_actions(), vec![Annotation::notice("a")]),
        "::notice::a\n"
    );
}

#[test]
fn elsewhere_it_is_plain_text() {
    let annotation = Annotation::warning("first\nsecond")
        .title("T")
        .at("trainyard.toml", 3);
    let mut plain = annotator(&[]);
    assert_eq!(
        emit(&mut plain, vec![annotation]),
        "warning: trainyard.toml:3: T: first\n  second\n"
    );
    let many = vec![Annotation::error("e"); 30];
    assert_eq!(emit(&mut plain, many).lines().count(), 30);
}

#[test]
fn paths_are_relative_to_the_checkout() {
    let here = std::env::current_dir().unwrap();
    let mut annotator = annotator(&[
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_WORKSPACE", here.parent().unwrap().to_str().unwrap()),
    ]);
    let folder = here.file_name().unwrap().to_str().unwrap();
    let text = emit(
        &mut annotator,
        vec![Annotation::error("e").at("trainyard.toml", 1)],
    );
    assert_eq!(
        text,
        format!("::error file={folder}/trainyard.toml,line=1::e\n")
    );
    let text = emit(
        &mut annotator,
        vec![Annotation::error("e").at("/elsewhere/x", 1)],
    );
    assert_eq!(text, "::error file=/elsewhere/x,line=1::e\n");
}

#[test]
fn the_worst_ten_are_shown_and_the_rest_is_counted() {
    let mut annotator = in_actions();
    let mut annotations = vec![Annotation::notice("n"); 2];
    annotations.extend(vec![Annotation::warning("w"); 11]);
    annotations.extend((0..9).map(|n| Annotation::error(n.to_string())));
    let text = emit(&mut annotator, annotations);
    assert!(text.starts_with("::error::0\n::error::1\n"), "{text}");
    assert_eq!(text.matches("::warning::").count(), 10);
    assert_eq!(text.matches("::notice::n").count(), 2);
    let last = text.lines().last().unwrap();
    assert_eq!(
        last,
        "::notice title=Trainyard::1 more warning was left off here, since GitHub shows ten of each a step; the report has all"
    );
    // The limits are the step's, not the call's.
    let text = emit(&mut annotator, vec![Annotation::error("e"); 3]);
    assert_eq!(text.matches("::error::").count(), 1);
    assert!(text.contains("2 more errors were left off"), "{text}");
}

#[test]
fn masks_and_groups_are_silent_elsewhere() {
    let (yes, no) = (in_actions(), annotator(&[]));
    let mut out = Vec::new();
    yes.add_mask("two\nlines", &mut out).unwrap();
    yes.add_mask("", &mut out).unwrap();
    no.add_mask("x", &mut out).unwrap();
    drop(yes.group("Building\n::error::x", &mut out).unwrap());
    drop(no.group("Building", &mut out).unwrap());
    insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r"
    ::add-mask::two%0Alines
    ::group::Building%0A::error::x
    ::endgroup::
    ");
}

#[test]
fn text_cannot_become_a_command() {
    assert_eq!(
        neutralise("a::b\n \t::error::x\r::add-mask::y ##[group]z"),
        "a::b\n  \\::error::x\r\\::add-mask::y ##\\[group]z"
    );
    assert!(matches!(neutralise("plain"), Cow::Borrowed(_)));
}

proptest! {
    #[test]
    fn the_runner_reads_what_was_meant(
        message in r"(\PC|[\n\r%:,]|%0A|::){0,20}",
        title in r"(\PC|[\n\r%:,]|%2C|::){1,20}",
        file in r"(\PC|[%:,]|::){1,20}",
    ) {
        let annotation = Annotation::warning(&message).title(&title).at(&file, 7);
        let text = emit(&mut annotator(&[("GITHUB_ACTIONS", "true")]), vec![annotation]);
        let line = text.strip_suffix('\n').unwrap();
        prop_assert!(!line.contains(['\n', '\r']));
        let (command, properties, data) = decode(line).unwrap();
        prop_assert_eq!(command, "warning");
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let expected = [pair("file", &file), pair("line", "7"), pair("title", &title)];
        prop_assert_eq!(properties, expected);
        prop_assert_eq!(data, message);
    }

    #[test]
    fn long_messages_are_cut_between_characters(message in r"\PC{4000,4200}") {
        let short = shorten(&message);
        let n_units = short.encode_utf16().count();
        prop_assert!(n_units <= MAX_MESSAGE_CHARS);
        if message.encode_utf16().count() > MAX_MESSAGE_CHARS {
            prop_assert!(n_units >= MAX_MESSAGE_CHARS - 1);
            prop_assert!(short.ends_with('…') && message.starts_with(short.trim_end_matches('…')));
        } else {
            prop_assert_eq!(&*short, message.as_str());
        }
    }

    #[test]
    fn no_neutralised_line_is_a_command(text in r"([ \t\n\r:#\[\]]|::|##\[|error|\PC){0,30}") {
        let harmless = neutralise(&text);
        for line in harmless.split(['\n', '\r']) {
            prop_assert!(!line.trim_start().starts_with("::"), "{:?}", harmless);
        }
        prop_assert!(!harmless.contains("##["));
    }
}
