//! CSV tables; the first byte chooses how they are read.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, table)) = bytes.split_first() else {
        return;
    };
    let missing = ["'error'", "'drop'", "'mean'", "-1.5"][usize::from(choice % 4)];
    let delimiter = [",", ";"][usize::from(choice / 4 % 2)];
    let (task, last, classes) = match choice / 8 % 2 {
        0 => ("regression", "units = 1", ""),
        _ => (
            "classification",
            "units = 2\nactivation = 'softmax'",
            "classes = ['c0', 'c1']",
        ),
    };
    let weight = ["", "weight = 'w'", "row_id = 'w'"][usize::from(choice / 16 % 3)];
    let text = format!(
        "[model]\nname = 'm'\ntask = '{task}'\ninput_shape = [2]\n[[model.layers]]\ntype = 'Dense'\n{last}\n\
         [data]\nformat = 'csv'\n{classes}\ntrain = {{ path = 't.csv' }}\ntest = {{ path = 't.csv' }}\n\
         [data.csv]\nlabel = 'y'\ndelimiter = '{delimiter}'\nmissing = {missing}\n{weight}\n"
    );
    trainyard_fuzz::with_file("t.csv", table, |base| trainyard_fuzz::load(&text, base));
});
