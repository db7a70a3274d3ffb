use super::*;

fn named(name: &str, layer: Layer) -> NamedLayer {
    NamedLayer {
        name: name.to_owned(),
        layer,
    }
}

/// Independent source: the shapes and parameter counts that Keras 3 prints in `model.summary()` for this network.
#[test]
fn the_articles_network_has_the_shapes_that_keras_prints() {
    let layers = [
        named("conv2d", conv2d(32)),
        named(
            "max_pooling2d",
            Layer::MaxPooling2D(Pooling {
                pool_size: [2, 2],
                strides: [2, 2],
                padding: Padding::Valid,
            }),
        ),
        named("flatten", Layer::Flatten(Flatten {})),
        named("dense", dense(128, Activation::Relu)),
        named("dense_1", dense(10, Activation::Softmax)),
    ];
    let shapes = shapes(&layers, &[28, 28, 1]).unwrap();
    let expected: [&[usize]; 6] = [
        &[28, 28, 1],
        &[26, 26, 32],
        &[13, 13, 32],
        &[5408],
        &[128],
        &[10],
    ];
    assert_eq!(shapes, expected);
    let counts: Vec<usize> = layers
        .iter()
        .zip(&shapes)
        .map(|(layer, input)| {
            layer
                .parameters(input)
                .unwrap()
                .iter()
                .map(|p| p.shape.iter().product::<usize>())
                .sum()
        })
        .collect();
    assert_eq!(counts, [320, 0, 0, 692_352, 1_290]);
}

/// Independent source: TensorFlow's documented formula for `SAME`, worked by hand.
#[test]
fn same_padding_puts_the_odd_cell_last() {
    assert_eq!(same_padding(28, 3, 1), (1, 1));
    assert_eq!(same_padding(28, 3, 2), (0, 1));
    assert_eq!(same_padding(5, 2, 2), (0, 1));
    assert_eq!(same_padding(4, 2, 2), (0, 0));
}

#[test]
fn layers_that_do_not_fit_say_what_they_need() {
    let pool = Layer::MaxPooling2D(Pooling {
        pool_size: [9, 9],
        strides: [9, 9],
        padding: Padding::Valid,
    });
    assert!(
        pool.output_shape(&[4, 4, 1])
            .unwrap_err()
            .to_string()
            .contains("larger than its input")
    );
    assert!(
        pool.output_shape(&[16])
            .unwrap_err()
            .to_string()
            .contains("[height, width, channels]")
    );
}

fn conv2d(filters: usize) -> Layer {
    Layer::Conv2D(Conv {
        filters,
        kernel_size: [3, 3],
        strides: [1, 1],
        padding: Padding::Valid,
        dilation_rate: [1, 1],
        activation: Activation::Relu,
        use_bias: true,
        kernel_regularizer: None,
        bias_regularizer: None,
    })
}

fn dense(units: usize, activation: Activation) -> Layer {
    Layer::Dense(Dense {
        units,
        activation,
        use_bias: true,
        kernel_regularizer: None,
        bias_regularizer: None,
    })
}

#[test]
fn a_layer_is_read_back_from_its_json() {
    for layer in [
        conv2d(3),
        dense(2, Activation::Gelu),
        Layer::Normalization(Normalization {}),
        Layer::Reshape(Reshape {
            target_shape: vec![-1, 2],
        }),
    ] {
        let json = serde_json::to_string(&layer).unwrap();
        assert_eq!(
            serde_json::from_str::<Layer>(&json).unwrap(),
            layer,
            "{json}"
        );
    }
    assert!(serde_json::from_str::<Layer>(r#"{"type": "Dense", "units": 1, "unit": 2}"#).is_err());
}

/// Independent source: the shapes that Keras 3 prints for these layers.
#[test]
fn shapes_of_the_other_layers_are_kerass() {
    let dilated = match conv2d(4) {
        Layer::Conv2D(conv) => Layer::Conv2D(Conv {
            dilation_rate: [2, 2],
            ..conv
        }),
        other => other,
    };
    assert_eq!(dilated.output_shape(&[10, 9, 3]).unwrap(), [6, 5, 4]);
    let reshape = |target: &[i64]| {
        Layer::Reshape(Reshape {
            target_shape: target.to_vec(),
        })
        .output_shape(&[6, 4])
    };
    assert_eq!(reshape(&[-1, 8]).unwrap(), [3, 8]);
    assert!(
        reshape(&[5, -1]).is_err() && reshape(&[-1, -1]).is_err() && reshape(&[0, 24]).is_err()
    );
    let padded = Layer::ZeroPadding2D(ZeroPadding2D {
        padding: [[1, 2], [0, 3]],
    });
    assert_eq!(padded.output_shape(&[4, 4, 2]).unwrap(), [7, 7, 2]);
    assert_eq!(
        Layer::GlobalMaxPooling2D(GlobalPooling {})
            .output_shape(&[4, 5, 6])
            .unwrap(),
        [6]
    );
    let embedding = Layer::Embedding(Embedding {
        input_dim: 100,
        output_dim: 8,
    });
    assert_eq!(embedding.output_shape(&[12]).unwrap(), [12, 8]);
}

/// Every type is complete with its example alone, and takes no argument of another.
#[test]
fn every_type_is_read_from_its_example() {
    for kind in Layer::TYPES {
        let table: toml::Table = Layer::example(kind).join("\n").parse().unwrap();
        let layer = Layer::read(kind, toml::Value::Table(table.clone())).unwrap();
        let layer = layer.unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!((layer.type_name(), layer.check()), (*kind, Ok(())));
        for argument in table.keys() {
            let mut without = table.clone();
            without.remove(argument);
            let layer = Layer::read(kind, toml::Value::Table(without)).unwrap();
            assert!(layer.is_err(), "{kind} has a default for `{argument}`");
        }
        let mut foreign = table;
        foreign.insert("zeal".to_owned(), 1.into());
        assert!(
            Layer::read(kind, toml::Value::Table(foreign))
                .unwrap()
                .is_err()
        );
        let json = serde_json::to_string(&layer).unwrap();
        assert_eq!(serde_json::from_str::<Layer>(&json).unwrap(), layer);
    }
    assert!(Layer::read("Dence", toml::Value::Table(toml::Table::new())).is_none());
}

/// Keras's defaults, which the arguments of a layer depend on.
#[test]
fn arguments_that_are_not_given_are_kerass() {
    let read = |kind: &str, text: &str| {
        let table: toml::Table = text.parse().unwrap();
        let layer = Layer::read(kind, toml::Value::Table(table))
            .unwrap()
            .unwrap();
        serde_json::to_value(layer).unwrap()
    };
    assert_eq!(
        read("MaxPooling2D", "pool_size = 3"),
        serde_json::json!({"type": "MaxPooling2D", "pool_size": [3, 3], "strides": [3, 3], "padding": "valid"})
    );
    assert_eq!(
        read("AveragePooling1D", "strides = [1]"),
        serde_json::json!({"type": "AveragePooling1D", "pool_size": [2], "strides": [1], "padding": "valid"})
    );
    assert_eq!(
        read("ZeroPadding2D", "padding = [1, [2, 3]]"),
        serde_json::json!({"type": "ZeroPadding2D", "padding": [[1, 1], [2, 3]]})
    );
    assert_eq!(
        read("BatchNormalization", ""),
        serde_json::json!({"type": "BatchNormalization", "momentum": 0.99, "epsilon": 0.001, "center": true, "scale": true})
    );
}
