//! `[image] sign`: whether what is said about an image must be signed, and by what.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const KEYLESS: &str = "keyless";

/// What signs what is said about an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignConfig {
    /// A key, where there is one; written `false`.
    #[default]
    IfKey,
    /// A key, which must be there; written `true`.
    Key,
    /// A certificate for the identity that an OpenID Connect token names; written `"keyless"`.
    Keyless,
}

impl<'de> Deserialize<'de> for SignConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FlagOrWord;

        impl Visitor<'_> for FlagOrWord {
            type Value = SignConfig;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("`true`, `false` or `\"keyless\"`")
            }

            fn visit_bool<E>(self, must_sign: bool) -> Result<SignConfig, E> {
                Ok(match must_sign {
                    true => SignConfig::Key,
                    false => SignConfig::IfKey,
                })
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<SignConfig, E> {
                match word {
                    KEYLESS => Ok(SignConfig::Keyless),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }
        }
        deserializer.deserialize_any(FlagOrWord)
    }
}

impl Serialize for SignConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::IfKey => serializer.serialize_bool(false),
            Self::Key => serializer.serialize_bool(true),
            Self::Keyless => serializer.serialize_str(KEYLESS),
        }
    }
}

impl JsonSchema for SignConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SignConfig".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [{ "type": "boolean" }, { "const": KEYLESS }] })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_a_flag_or_the_word() {
        for (written, sign) in [
            (json!(false), SignConfig::IfKey),
            (json!(true), SignConfig::Key),
            (json!("keyless"), SignConfig::Keyless),
        ] {
            assert_eq!(
                serde_json::from_value::<SignConfig>(written.clone()).unwrap(),
                sign
            );
            assert_eq!(serde_json::to_value(sign).unwrap(), written);
        }
        let error = serde_json::from_value::<SignConfig>(json!("key")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid value: string \"key\", expected `true`, `false` or `\"keyless\"`"
        );
    }
}
