//! Image files of any format, which their content decides; the first byte chooses channels and whether they are resized.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, image)) = bytes.split_first() else {
        return;
    };
    let n_channels = [1, 3, 4][usize::from(choice % 3)];
    let resize = choice / 3 % 2 == 0;
    let text = format!(
        "[model]\nname = 'm'\ninput_shape = [4, 4, {n_channels}]\n[[model.layers]]\ntype = 'Flatten'\n\
         [[model.layers]]\ntype = 'Dense'\nunits = 2\nactivation = 'softmax'\n[data]\nformat = 'images'\n\
         resize = {resize}\nclasses = ['a', 'b']\ntrain = {{ path = 'i' }}\ntest = {{ path = 'i' }}\n"
    );
    trainyard_fuzz::with_file("i/a/0.png", image, |base| {
        std::fs::create_dir_all(base.join("i/b")).expect("a folder");
        std::fs::write(base.join("i/b/0.png"), image).expect("a file");
        trainyard_fuzz::load(&text, base);
    });
});
