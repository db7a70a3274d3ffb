use super::*;

/// The message that OpenSSL signed, see `fixtures/README.md`.
const MESSAGE: &[u8] = b"DSSEv1 28 application/vnd.in-toto+json 2 {}";

struct Golden {
    private: &'static str,
    public: &'static str,
    signature: &'static str,
    algorithm: Algorithm,
    /// `openssl pkey -pubin -in KEY.pub -outform DER | sha256sum`
    fingerprint: &'static str,
    /// `openssl pkey -pubin -in KEY.pub -outform DER | openssl dgst -sha256 -binary | base64`
    cosign_hint: &'static str,
    /// `sha256sum < KEY.pub`
    model_signing_hint: &'static str,
}

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../fixtures/", $name))
    };
}

const GOLDEN: [Golden; 3] = [
    Golden {
        private: fixture!("p256.pem"),
        public: fixture!("p256.pub"),
        signature: fixture!("p256.sig"),
        algorithm: Algorithm::EcdsaP256,
        fingerprint: "2563d648ac2889306cd66f560bdd98df562b1e54cd0b2cb68decfe2f5536fa56",
        cosign_hint: "JWPWSKwoiTBs1m9WC92Y31YrHlTNCyy2jez+L1U2+lY=",
        model_signing_hint: "c8d63d2a6108f6e70a321daf5aefdc1c645e745c446fef148c32e6f4688b2ec9",
    },
    Golden {
        private: fixture!("p384.pem"),
        public: fixture!("p384.pub"),
        signature: fixture!("p384.sig"),
        algorithm: Algorithm::EcdsaP384,
        fingerprint: "15a72c6f46c65fe01f39cd234c0e1feb69d3da053a8654073637286f7259a483",
        cosign_hint: "Facsb0bGX+AfOc0jTA4f62nT2gU6hlQHNjcob3JZpIM=",
        model_signing_hint: "dbe22d0029ee3c707e7f403855764a4714ad4eb43b04c5e984e7675244a426e6",
    },
    Golden {
        private: fixture!("ed25519.pem"),
        public: fixture!("ed25519.pub"),
        signature: fixture!("ed25519.sig"),
        algorithm: Algorithm::Ed25519,
        fingerprint: "958a800ff7336322101fb25c7d08ba730bdaa32c3a6f0ab405925653cb89bced",
        cosign_hint: "lYqAD/czYyIQH7JcfQi6cwvaoyw6bwq0BZJWU8uJvO0=",
        model_signing_hint: "558c18c7a4baa2b4a1b8227943f816e80abc0a9bf0cfed5d371a73a0883b093f",
    },
];

/// Independent source: OpenSSL 3.0.
#[test]
fn keys_and_hints_are_openssls() {
    for golden in &GOLDEN {
        let private = PrivateKey::from_pem(golden.private).unwrap();
        let public = PublicKey::from_pem(golden.public).unwrap();
        assert_eq!(*private.public_key(), public);
        assert_eq!(public.algorithm(), golden.algorithm);
        assert_eq!(public.to_pem(), golden.public);
        assert_eq!(public.fingerprint().hex(), golden.fingerprint);
        assert_eq!(public.cosign_hint(), golden.cosign_hint);
        assert_eq!(public.model_signing_hint(), golden.model_signing_hint);
    }
}

#[test]
fn openssls_signatures_verify_and_only_under_their_own_key() {
    for (idx, golden) in GOLDEN.iter().enumerate() {
        let signature = STANDARD.decode(golden.signature.trim_end()).unwrap();
        for (other_idx, other) in GOLDEN.iter().enumerate() {
            let key = PublicKey::from_pem(other.public).unwrap();
            assert_eq!(key.has_signed(MESSAGE, &signature), idx == other_idx);
        }
        let key = PublicKey::from_pem(golden.public).unwrap();
        assert!(!key.has_signed(b"DSSEv1 28 application/vnd.in-toto+json 2 []", &signature));
    }
}

#[test]
fn what_a_key_signs_verifies() {
    for golden in &GOLDEN {
        let key = PrivateKey::from_pem(golden.private).unwrap();
        let signature = key.sign(MESSAGE).unwrap();
        assert!(key.public_key().has_signed(MESSAGE, &signature));
        assert!(!key.public_key().has_signed(b"other", &signature));
    }
}

#[test]
fn keys_of_sec_1_are_read_as_those_of_pkcs_8() {
    let key = PrivateKey::from_pem(fixture!("p256-sec1.pem")).unwrap();
    let public = PublicKey::from_pem(fixture!("p256.pub")).unwrap();
    assert_eq!(*key.public_key(), public);
    let key = PrivateKey::from_pem(fixture!("p256-params.pem")).unwrap();
    let public = PublicKey::from_pem(fixture!("p256-params.pub")).unwrap();
    assert_eq!(*key.public_key(), public);
}

#[test]
fn text_around_a_key_and_carriage_returns_do_not_matter() {
    let text = format!(
        "my key\r\n{}\r\n",
        fixture!("p256.pub").replace('\n', "\r\n")
    );
    let key = PublicKey::from_pem(&text).unwrap();
    assert_eq!(key, PublicKey::from_pem(fixture!("p256.pub")).unwrap());
}

#[test]
fn an_encrypted_key_is_refused_with_what_to_do() {
    for text in [
        fixture!("encrypted-cosign.pem"),
        fixture!("encrypted-pkcs8.pem"),
        fixture!("encrypted-sec1.pem"),
    ] {
        let error = PrivateKey::from_pem(text).unwrap_err();
        assert!(matches!(error, KeyError::Encrypted { .. }), "{error}");
        let command =
            "`openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem`";
        assert!(error.to_string().contains(command), "{error}");
    }
}

#[test]
fn other_kinds_of_keys_are_refused() {
    for text in [fixture!("rsa.pem"), fixture!("p521.pem")] {
        assert_eq!(
            PrivateKey::from_pem(text).unwrap_err(),
            KeyError::Unsupported
        );
    }
    for text in [
        fixture!("rsa.pub"),
        fixture!("p521.pub"),
        fixture!("p256-compressed.pub"),
        fixture!("explicit.pub"),
    ] {
        assert_eq!(
            PublicKey::from_pem(text).unwrap_err(),
            KeyError::Unsupported
        );
    }
}

/// The last byte of the point is another one, so it is not on the curve.
#[test]
fn a_point_that_is_not_on_the_curve_is_refused() {
    let text = fixture!("p256.pub").replace("W4tEOA==", "W4tEOQ==");
    assert_ne!(text, fixture!("p256.pub"));
    assert_eq!(
        PublicKey::from_pem(&text).unwrap_err(),
        KeyError::Unsupported
    );
}

#[test]
fn a_key_of_the_other_sort_is_named() {
    let error = PrivateKey::from_pem(fixture!("p256.pub")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no PEM block `-----BEGIN PRIVATE KEY-----` was found, but `-----BEGIN PUBLIC KEY-----`"
    );
    let error = PublicKey::from_pem(fixture!("p256.pem")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no PEM block `-----BEGIN PUBLIC KEY-----` was found, but `-----BEGIN PRIVATE KEY-----`"
    );
    assert_eq!(
        PublicKey::from_pem("").unwrap_err().to_string(),
        "no PEM block `-----BEGIN PUBLIC KEY-----` was found"
    );
    let cut_off = &fixture!("p256.pub")[..100];
    assert!(matches!(
        PublicKey::from_pem(cut_off),
        Err(KeyError::NoKey { .. })
    ));
    let damaged = fixture!("p256.pub").replace("MFkw", "MF*w");
    assert!(matches!(
        PublicKey::from_pem(&damaged),
        Err(KeyError::NotBase64 { .. })
    ));
}

/// Neither the PEM text's base64 nor the scalar in any usual form.
#[test]
fn a_secret_is_never_shown() {
    for golden in &GOLDEN {
        let key = PrivateKey::from_pem(golden.private).unwrap();
        let shown = format!("{key:?} {key:#?}");
        assert!(shown.contains(golden.fingerprint), "{shown}");
        let block = pem::Block::all(golden.private).remove(0);
        let der = block.bytes().unwrap();
        for window in der[..48].windows(8) {
            let hex: String = window.iter().map(|byte| format!("{byte:02x}")).collect();
            let list = window
                .iter()
                .map(u8::to_string)
                .collect::<Vec<_>>()
                .join(", ");
            assert!(!shown.contains(&hex) && !shown.contains(&list), "{shown}");
        }
        assert!(golden.private.lines().all(|line| !shown.contains(line)));
    }
}

/// The second would be passed over in silence.
#[test]
fn a_file_of_several_public_keys_is_refused() {
    let one = PrivateKey::from_pem(include_str!("../../fixtures/p256.pem")).unwrap();
    let other = PrivateKey::from_pem(include_str!("../../fixtures/p384.pem")).unwrap();
    let both = one.public_key().to_pem() + &other.public_key().to_pem();
    let error = PublicKey::from_pem(&both).unwrap_err();
    assert_eq!(error, KeyError::Several(2));
    assert!(error.to_string().contains("a file of its own"), "{error}");
}
