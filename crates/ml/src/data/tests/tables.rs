use super::*;

fn error_of(project: &Project, classes: Option<usize>, settings: &str) -> String {
    project.table(classes, settings).unwrap_err()
}

#[test]
fn lines_are_named_as_an_editor_numbers_them() {
    for (text, expected) in [
        ("a,b,y\r\n1,2,3\r\n1,x,3\r\n", "line 3: `x`"),
        ("a,b,y\n1,2,3\n1,x,3\n", "line 3: `x`"),
        (
            "a,b,y\r\n\"1\",\"2\",\"3\"\r\n1,\"x\r\nz\",3\r\n",
            "line 3: `x\\r\\nz`",
        ),
        ("a,b,y,z\r\n1,2,3,\"p\r\nq\"\r\n1,x,3,r\r\n", "line 4: `x`"),
        ("a,b,y\n\n\n1,x,3\n", "line 4: `x`"),
        ("\u{feff}a,b,y\r\n1,x,3\r\n", "line 2: `x`"),
        ("a,b,y\r1,2,3\r1,x,3\r", "line 3: `x`"),
        (
            "a,b,y\r\n1,2,3\r\n1,2\r\n",
            "line 3: 2 cells, but the header has 3",
        ),
        (
            "a,b,y\r\n1,2,3\r\n1,2,x\r\n",
            "line 3: the label `x` is not a number",
        ),
    ] {
        let settings = if text.contains(",z") {
            "features = ['a', 'b']"
        } else {
            ""
        };
        let error = error_of(&csv(text), None, settings);
        assert!(error.contains(expected), "{text:?}: {error}");
    }
}

#[test]
fn words_for_missing_values_are_labels_where_classes_list_them() {
    let load = |classes: &str, labels: [&str; 2]| {
        let text = format!("a,b,y\n1,2,{}\n3,4,{}\n", labels[0], labels[1]);
        let data = "format = 'csv'\ntrain = { path = 't.csv' }\ntest = { path = 't.csv' }\n[data.csv]\nlabel = 'y'\n";
        csv(&text).load_classes(classes, data)
    };
    for word in ["NA", "None", "null", "nan", "none", "?", "NaN"] {
        let dataset = load(&format!("['{word}', 'EU']"), ["EU", word]).unwrap();
        assert_eq!(dataset.labels, Labels::Class(vec![1, 0]), "{word}");
        let error = load("['US', 'EU']", ["EU", word]).unwrap_err();
        let expected = format!(
            "line 3: the label `y` is empty (`{word}`); if it is the name of a class, add \"{word}\" to `[data] classes`"
        );
        assert!(error.contains(&expected), "{word}: {error}");
    }
    // Case counts: pandas writes `nan` for a gap.
    assert!(load("['NA', 'EU']", ["EU", "na"]).is_err());
    // Blanks around a label are not part of it.
    let dataset = load("['US', 'EU']", ["  EU", "US \t"]).unwrap();
    assert_eq!(dataset.labels, Labels::Class(vec![1, 0]));
    let error = load("['US ', 'EU']", ["EU", "US"]).unwrap_err();
    assert!(
        error.contains("the class name `US ` begins or ends with a space"),
        "{error}"
    );
    // As a feature such a word is a gap, and a gap among numbers to predict is an error.
    let error = error_of(&csv("a,b,y\n1,?,3\n"), None, "");
    assert!(
        error.contains("line 2: the column `b` is empty (`?`); say what to do"),
        "{error}"
    );
    let error = error_of(&csv("a,b,y\n1,2,nan\n"), None, "");
    assert!(
        error.contains("line 2: the label `y` is empty (`nan`); fill it in"),
        "{error}"
    );
}

#[test]
fn quotes_that_would_swallow_rows_are_named_by_their_line() {
    let rows: String = (0..3000).map(|idx| format!("{idx},{idx},c1\n")).collect();
    // The last column may be one that nothing is read from, so that the rest of the file would be gone in silence.
    for (text, settings) in [
        (format!("a,b,y\n1,2,\"c0\n{rows}"), ""),
        (
            format!("a,b,y,z\n1,2,c0,p\n1,2,c0,\"q\n{rows}"),
            "ignore = ['z']",
        ),
    ] {
        let error = error_of(&csv(&text), Some(2), settings);
        let line = if settings.is_empty() { 2 } else { 3 };
        let expected = format!("line {line}: a quote is opened here and never closed");
        assert!(error.contains(&expected) && error.len() < 400, "{error}");
    }
    let text = format!("a,b,y,z\n1,2,c0,\"p\n{rows}3,4,c1,\"q\"\n");
    let error = error_of(&csv(&text), Some(2), "ignore = ['z']");
    assert!(
        error.contains(
            "line 3003: text follows the closing quote of the cell that is opened on line 2"
        ),
        "{error}"
    );
    let long = format!("a,b,y\n1,2,{}\n", "x".repeat(5000));
    let error = error_of(&csv(&long), Some(2), "");
    let cut = format!("the label `{}…` is none of the classes", "x".repeat(80));
    assert!(error.contains(&cut), "{error}");
    let header: Vec<String> = (0..2000).map(|idx| format!("column{idx}")).collect();
    let error = error_of(&csv(&format!("{}\n", header.join(","))), Some(2), "");
    assert!(
        error.contains("`column11` and 1988 more") && error.len() < 400,
        "{error}"
    );
}

#[test]
fn a_decimal_comma_is_a_setting() {
    let project = csv("a;b;y\n0,5;1;2,25\n-1,5e1;,25;-3\n");
    let settings = "delimiter = ';'\ndecimal = ','";
    let dataset = project.table(None, settings).unwrap();
    assert_eq!(values(&dataset), [0.5, 1.0, -15.0, 0.25]);
    assert_eq!(dataset.labels, Labels::Value(vec![2.25, -3.0]));
    let error = error_of(&project, None, "delimiter = ';'");
    assert!(
        error.contains("line 2: `0,5` in the column `a` is written with a decimal comma; set `decimal = \",\"` in `[data.csv]`"),
        "{error}"
    );
    for (text, settings, expected) in [
        (
            "a;b;y\n1;2;2,5\n",
            "delimiter = ';'",
            "the label `2,5` is not a number; set `decimal = \",\"`",
        ),
        (
            "a;b;y\n1;2.5;2\n",
            settings,
            "`2.5` in the column `b` is written with a decimal point; set `decimal = \".\"`",
        ),
        (
            "a;b;y\n1;1.234,5;2\n",
            settings,
            "`1.234,5` in the column `b` has separators between thousands",
        ),
        (
            "a;b;y\n1;1,234.5;2\n",
            "delimiter = ';'",
            "`1,234.5` in the column `b` has separators between thousands",
        ),
        (
            "a,b,y\n1,2,3\n",
            "decimal = ','",
            "the comma is also the field delimiter",
        ),
        (
            "a,b,y\n1,2,3\n",
            "delimiter = '\"'",
            "a quote or a line break cannot be the field delimiter",
        ),
        ("a,b,y\n1,2,3\n", "decimal = 'x'", "unknown variant `x`"),
    ] {
        let error = error_of(&csv(text), None, settings);
        assert!(error.contains(expected), "{text:?}: {error}");
    }
}

#[test]
fn files_that_are_not_tables_are_told_apart() {
    let utf16 = |mark: &str, is_big: bool| -> Vec<u8> {
        let units = format!("{mark}a\tb\ty\n1\t2\t3\n");
        let bytes = units.encode_utf16().map(|unit| match is_big {
            true => unit.to_be_bytes(),
            false => unit.to_le_bytes(),
        });
        bytes.flatten().collect()
    };
    for (bytes, expected) in [
        (
            utf16("\u{feff}", false),
            "this is UTF-16 text; save it as UTF-8",
        ),
        (utf16("\u{feff}", true), "this is UTF-16 text"),
        (utf16("", false), "this is UTF-16 text"),
        (utf16("", true), "this is UTF-16 text"),
        (
            b"\x1f\x8b\x08\x00".to_vec(),
            "this is compressed with gzip; unpack it first",
        ),
        (
            b"PK\x03\x04....".to_vec(),
            "this is a zip archive or an Excel workbook",
        ),
        (b"PAR1....".to_vec(), "this is in Parquet's format"),
        (b"\n<!DOCTYPE html><html>".to_vec(), "this is an HTML page"),
        (Vec::new(), "the file is empty"),
        (b"\xEF\xBB\xBF".to_vec(), "the file is empty"),
        (b"\n\n".to_vec(), "the file is empty"),
        (b"a,b,y\n".to_vec(), "there are no rows below the header"),
        (b"a,b,y\n1,2\0,3\n".to_vec(), "line 2: there is a NUL byte"),
        (
            b"a,b,y\n1,2,caf\xe9\n".to_vec(),
            "line 2: this is not UTF-8 text; save the file as UTF-8",
        ),
        (
            b"a,\xe9,y\n1,2,3\n".to_vec(),
            "line 1: this is not UTF-8 text",
        ),
        (
            b"a,b,a,y\n1,2,3,4\n".to_vec(),
            "two columns are called `a` (columns 1 and 3)",
        ),
        (
            b"a;b;y\n1;2;3\n".to_vec(),
            "there is no column `y`; there are `a;b;y`; set `delimiter = \";\"`",
        ),
        (
            b"a,b,y\n1,2,3,4\n".to_vec(),
            "line 2: 4 cells, but the header has 3",
        ),
        (
            b"a,b,y\n1,1e39,3\n".to_vec(),
            "line 2: `1e39` in the column `b` is too large for a 32-bit number",
        ),
        (
            b"a,b,y\n1,-Infinity,3\n".to_vec(),
            "line 2: `-Infinity` in the column `b` is not a finite number",
        ),
        (
            b"a,b,y\n1,2,inf\n".to_vec(),
            "line 2: the label inf is not a finite number",
        ),
    ] {
        let error = error_of(&Project::new(&[("t.csv", &bytes)]), None, "");
        assert!(error.contains(expected), "{bytes:?}: {error}");
    }
}

#[test]
fn dropped_rows_are_counted() {
    let project = csv("a,b,y\n1,,3\n4,5,6\n,8,9\n1,2,3\n");
    let dataset = project.table(None, "missing = 'drop'").unwrap();
    assert_eq!(values(&dataset), [4.0, 5.0, 1.0, 2.0]);
    let described = &dataset.description[0];
    assert!(
        described.contains("2 rows (2 more dropped for a missing value)"),
        "{described}"
    );
    let error = error_of(&csv("a,b,y\n1,,3\n,5,6\n"), None, "missing = 'drop'");
    assert!(
        error.contains("each of the 2 rows lacks a value"),
        "{error}"
    );
    let error = error_of(
        &csv("a,b,id,y\n1,2,é7,3\n1,2,8,3\n1,2,é7,3\n"),
        None,
        "row_id = 'id'",
    );
    assert!(
        error.contains("line 4: the row id `é7` is there twice, first on line 2"),
        "{error}"
    );
}

#[test]
fn rows_sorted_by_class_are_drawn_from_every_class() {
    let rows: String = (0..40)
        .map(|idx| format!("{idx},0,c{}\n", usize::from(idx >= 30)))
        .collect();
    let project = csv(&format!("a,b,y\n{rows}"));
    let data = "format = 'csv'\nmax_train_rows = 8\ntrain = { path = 't.csv' }\ntest = { path = 't.csv' }\n\
                [data.csv]\nlabel = 'y'";
    let dataset = project.load("[2]", Some(2), data).unwrap();
    assert_eq!(dataset.labels, Labels::Class(vec![0, 0, 0, 0, 0, 0, 1, 1]));
    let drawn = values(&dataset);
    let places: Vec<f32> = drawn.iter().copied().step_by(2).collect();
    assert!(places.is_sorted());
    assert_ne!(places[..6], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
}

/// Test data with its columns in another order were once scored by position: accuracy fell from 1 to 0.55 without a word.
#[test]
fn a_table_for_a_model_is_read_by_the_names_of_its_columns() {
    let columns = ["a", "b"].map(str::to_owned);
    let read = |table: &str, settings: &str| {
        let text = format!(
            "[model]\nname = 'm'\ninput_shape = [2]\ntask = 'regression'\n[[model.layers]]\ntype = 'Dense'\nunits = 1\n\
             [data]\nformat = 'csv'\ntrain = {{ path = 't.csv' }}\ntest = {{ path = 't.csv' }}\n[data.csv]\nlabel = 'y'\n{settings}"
        );
        csv(table).load_for(Split::Test, &text, Some(&columns))
    };
    let swapped = read("y,b,a\n1,2,3\n", "").unwrap();
    assert_eq!(values(&swapped), [3.0, 2.0]);
    assert_eq!(swapped.columns.as_deref(), Some(&columns[..]));
    for (table, settings, expected) in [
        ("y,foo,bar\n1,2,3\n", "", "there is no column `a`"),
        (
            "y,b,a,note\n1,2,3,4\n",
            "",
            "the model was not trained on the column `note`; remove it, or leave it out with `[data.csv] ignore = [\"note\"]`",
        ),
        (
            "y,b,a\n1,2,3\n",
            "features = ['b', 'a']",
            "the model was trained on the columns `a`, `b`, but `[data.csv] features` says `b`, `a`",
        ),
    ] {
        let error = read(table, settings).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    for settings in ["ignore = ['note']", "features = ['a', 'b']"] {
        let read = read("y,b,a,note\n1,2,3,4\n", settings).unwrap();
        assert_eq!(values(&read), [3.0, 2.0]);
    }
}

#[test]
fn a_class_without_training_rows_is_named_in_a_warning() {
    let project = csv("a,b,y\n1,2,c0\n3,4,c0\n");
    let warnings = project.table(Some(2), "").unwrap().warnings;
    assert_eq!(
        warnings,
        ["no training row has the class `c1`, so it cannot be learnt"]
    );
}

#[test]
fn columns_that_folds_follow_are_kept_whatever_their_role() {
    let read = |table: &str, folds: &str| {
        csv(table).table(
            Some(2),
            &format!(
                "ignore = ['who', 'day']\nmissing = 'drop'\n[evaluate.cross_validation]\n{folds}"
            ),
        )
    };
    let table = "who,a,day,b,y\nx,1,2026-05-02,2,c0\nx,,2026-05-01,2,c0\ny,3,2026-05-01,4,c1\n";
    let groups = "method = 'group_k_fold'\ngroup = 'who'";
    let dataset = read(table, groups).unwrap();
    assert_eq!(dataset.keys["who"], ["x", "y"]);
    assert_eq!(dataset.subset(&[1]).keys["who"], ["y"]);
    assert_eq!(values(&dataset), [1.0, 2.0, 3.0, 4.0]);
    let times = "method = 'time_series_split'\ntime = 'day'";
    assert_eq!(read(table, times).unwrap().keys["day"].len(), 2);
    // A feature may be followed too.
    let by_feature = "method = 'group_k_fold'\ngroup = 'a'";
    assert_eq!(read(table, by_feature).unwrap().keys["a"], ["1", "3"]);
    for (folds, table, expected) in [
        (
            groups,
            table.replace("y,3", ",3"),
            "line 4: the column `who` is empty",
        ),
        (
            times,
            table.replace("2026-05-01,4", "1 May,4"),
            "line 4: `1 May` is neither a number nor a date",
        ),
        (
            "method = 'group_k_fold'\ngroup = 'whom'",
            table.to_owned(),
            "there is no column `whom`",
        ),
    ] {
        let error = read(&table, folds).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
