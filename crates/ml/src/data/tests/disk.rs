use std::fs::File;
use std::sync::Arc;

use trainyard_core::config::Config;

use super::*;
use crate::data::features::Sink;
use crate::threads::Threads;
use crate::train::{Event, Flow, Job, TrainError, train};

#[test]
fn rows_on_the_disk_are_the_rows_in_memory() {
    let bytes: Vec<u8> = (0..60).collect();
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, &bytes).unwrap();
    let (memory, stored) = (
        Features::U8(bytes[10..].to_vec()),
        Features::Stored(Stored::new(file, Path::new("x.idx"), 10, true)),
    );
    for start in [0, 5, 40] {
        let (mut left, mut right) = ([0.0; 10], [1.0; 10]);
        memory.read(start, &mut left).unwrap();
        stored.read(start, &mut right).unwrap();
        assert_eq!(left, right);
    }
    let error = stored.read(45, &mut [0.0; 10]).unwrap_err();
    assert_eq!(
        format!("{error:#}: {}", std::error::Error::source(&error).unwrap()),
        "cannot read rows of `x.idx` any more: was it changed while it was in use?: \
         the file is shorter than when it was opened"
    );
    let mut sink = Sink::new();
    (0..100).for_each(|idx| sink.push(&[idx as f32, 0.5]).unwrap());
    let mut row = [0.0; 2];
    let features = sink.finish(Path::new("t.csv")).unwrap();
    features.read(2 * 99, &mut row).unwrap();
    assert_eq!(row, [99.0, 0.5]);
}

/// 64 rows of 2 bytes on the disk, and the file that they are in.
fn rows_on_disk(folder: &Path) -> (Dataset, File) {
    let path = folder.join("x.idx");
    std::fs::write(&path, (0..128).collect::<Vec<u8>>()).unwrap();
    let stored = Stored::new(File::open(&path).unwrap(), &path, 0, true);
    let rows = Dataset {
        row_shape: vec![2],
        features: Arc::new(Features::Stored(stored)),
        selection: None,
        labels: Labels::Value(vec![1.0; 64]),
        weights: None,
        row_ids: None,
        fill: None,
        keys: std::collections::BTreeMap::new(),
        columns: None,
        description: Vec::new(),
        warnings: Vec::new(),
        files: Vec::new(),
    };
    let writable = File::options().write(true).open(&path).unwrap();
    (rows, writable)
}

fn config(layers: &str) -> Config {
    let text = format!(
        "[model]\nname = 'm'\ntask = 'regression'\ninput_shape = [2]\n{layers}[[model.layers]]\ntype = 'Dense'\n\
         units = 1\n[data]\npreprocessing = [{{ divide_by = 255 }}]\ntrain = {{ features = 'x', labels = 'y' }}\n\
         test = {{ features = 'x', labels = 'y' }}\n[train]\nepochs = 3\nbatch_size = 8\n"
    );
    Config::parse(&text, Path::new("trainyard.toml")).unwrap()
}

/// How training ends when the file is cut short after so many batches.
fn end_of_training(layers: &str, cut_after: Option<usize>, is_validated: bool) -> TrainError {
    let folder = tempfile::tempdir().unwrap();
    let (stored, file) = rows_on_disk(folder.path());
    let memory = Dataset {
        features: Arc::new(Features::U8(vec![7; 128])),
        ..stored.clone()
    };
    if cut_after.is_none() {
        file.set_len(50).unwrap();
    }
    let mut n_batches = 0;
    let job = Job {
        config: &config(layers),
        rows: if is_validated { &memory } else { &stored },
        validation: is_validated.then_some(&stored),
        threads: &Threads::new(Some(2)),
    };
    let outcome = train(job, None, |event| {
        if let Event::Batch { .. } = event {
            n_batches += 1;
            if cut_after == Some(n_batches) {
                file.set_len(50).unwrap();
            }
        }
        Flow::Continue
    });
    outcome.unwrap_err()
}

#[test]
fn a_file_cut_short_during_training_ends_it_with_the_file_and_the_cause() {
    let normalization = "[[model.layers]]\ntype = 'Normalization'\n";
    for (layers, cut_after, is_validated) in [
        ("", Some(1), false),
        ("", Some(9), false),
        ("", None, false),
        // While the statistics of a layer are taken, and in the rows that judge an epoch.
        (normalization, None, false),
        ("", Some(8), true),
    ] {
        let error = end_of_training(layers, cut_after, is_validated);
        let place = (layers, cut_after, is_validated);
        let TrainError::Data(DataError::Lost { path, source }) = &error else {
            panic!("{place:?}: {error}");
        };
        assert!(path.ends_with("x.idx"), "{place:?}: {error}");
        assert_eq!(
            source.kind(),
            std::io::ErrorKind::UnexpectedEof,
            "{place:?}"
        );
    }
}
