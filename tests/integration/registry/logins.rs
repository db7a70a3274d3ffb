//! Passwords, tokens that end, and token servers in trouble.

use super::fake::{Answer, Login, says};
use super::*;

fn with_tokens(n_uses: usize, faults: Vec<(&'static str, Answer)>) -> Fake {
    Fake::start(Behaviour {
        login: Login::Token { n_uses },
        faults,
        ..Behaviour::default()
    })
}

/// publishing.md row 9: tokens that end again and again in the middle of a push.
#[tokio::test(start_paused = true)]
async fn a_token_that_has_ended_is_renewed() {
    // One that holds for the whole push, and one for a few requests.
    for (n_uses, n_tokens) in [(1000, 1), (4, 3)] {
        let fake = with_tokens(n_uses, Vec::new());
        let (pushed, steps) = push(&fake).await;
        pushed.unwrap();
        assert_eq!(waits(&steps), []);
        assert!(fake.count("GET /token") >= n_tokens);
        assert_whole(&fake, REPOSITORY);
    }
}

/// publishing.md row 9: asked again, and not taken for a wrong password.
#[tokio::test(start_paused = true)]
async fn a_token_server_in_trouble_is_asked_again() {
    let busy = |headers: &str| ("GET /token", says("503 Service Unavailable", headers));
    let fake = with_tokens(1000, vec![busy("Retry-After: 3\r\n")]);
    let (pushed, steps) = push(&fake).await;
    pushed.unwrap();
    let expected = "the registry's token server answers 503 Service Unavailable".to_owned();
    assert_eq!(waits(&steps), [(Duration::from_secs(3), expected)]);
    assert_eq!(fake.count("GET /token"), 2);

    let fake = with_tokens(1000, vec![busy(""); 9]);
    let error = push(&fake).await.0.unwrap_err();
    assert!(
        matches!(error, RegistryError::Unreachable { n_attempts: 6, .. }),
        "{error}"
    );
    let text = trainyard_core::error_chain::in_one_line(&error);
    assert!(text.contains("token server answers 503"), "{text}");
    assert!(!text.contains("password"), "{text}");

    let fake = with_tokens(1000, vec![("GET /token", says("401 Unauthorized", ""))]);
    let (error, steps) = push(&fake).await;
    assert!(matches!(error, Err(RegistryError::Unauthorized { .. })));
    assert_eq!(waits(&steps), []);
}

/// Both names are in use (distribution specification, "Token Authentication").
#[tokio::test(start_paused = true)]
async fn a_token_that_is_none_is_said_to_be_none() {
    for body in ["{}", "<html>", r#"{"token":7}"#] {
        let answer = Answer {
            status: "200 OK",
            body: body.as_bytes().to_vec(),
            ..Answer::default()
        };
        let fake = with_tokens(1000, vec![("GET /token", answer)]);
        let error = push(&fake).await.0.unwrap_err();
        let text = trainyard_core::error_chain::in_one_line(&error);
        assert!(
            text.contains("token server") && text.contains("no JSON object with a `token`"),
            "{text}"
        );
    }
}

/// publishing.md row 7: what Azure's registry gives to log in with is exchanged for a token.
#[tokio::test(start_paused = true)]
async fn an_identity_token_is_exchanged() {
    let fake = with_tokens(1000, Vec::new());
    let with = |token: &str| ConnectOptions {
        credentials: Credentials::IdentityToken(token.to_owned()),
        ..options(fake.address())
    };
    push_with(&fake, with("t0k3n")).await.0.unwrap();
    assert_eq!(
        (fake.count("POST /token"), fake.count("GET /token")),
        (1, 0)
    );
    let error = push_with(&fake, with("other")).await.0.unwrap_err();
    assert!(
        matches!(error, RegistryError::Unauthorized { .. }),
        "{error}"
    );
}

/// A password is sent once it is asked for, and not tried twice.
#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_said_at_once() {
    let fake = Fake::start(Behaviour {
        login: Login::Basic,
        ..Behaviour::default()
    });
    push(&fake).await.0.unwrap();
    fake.state().requests.clear();
    let wrong = ConnectOptions {
        credentials: Credentials::Basic {
            username: "ci".to_owned(),
            password: "wrong".to_owned(),
        },
        ..options(fake.address())
    };
    let (error, steps) = push_with(&fake, wrong).await;
    assert!(matches!(error, Err(RegistryError::Unauthorized { .. })));
    assert_eq!(waits(&steps), []);
    assert_eq!(fake.state().requests.len(), 2);
}

/// The permission to write is asked for without writing.
#[tokio::test(start_paused = true)]
async fn whether_one_may_write_is_known_beforehand() {
    let fake = Fake::start(Behaviour::default());
    let (registry, _) = connect(fake.address(), REPOSITORY, options(fake.address()));
    registry.check_write().await.unwrap();
    assert_eq!((fake.count("POST"), fake.count("DELETE")), (1, 1));
    let refused = ("POST /v2/acme/m/blobs/uploads/", says("403 Forbidden", ""));
    fake.state().behaviour.faults.push(refused);
    let error = registry.check_write().await.unwrap_err();
    assert!(matches!(error, RegistryError::Forbidden { .. }), "{error}");
}
