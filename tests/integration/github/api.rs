//! Where the stand-in for GitHub's API answers, for the tests of what we write there.
//!
//! `cargo xtask test` starts it once with Prism before it, and says by the environment where both are. Everywhere else
//! each test process starts its own, without Prism: the same tests, but nothing holds us and the stand-in to GitHub's
//! description of its API.

use std::env;
use std::net::TcpListener;
use std::sync::OnceLock;
use std::thread;

/// The way to the stand-in.
#[derive(Clone, Copy)]
pub(crate) enum Api {
    /// Through Prism where it runs, which refuses every request and answer that does not fit GitHub's description.
    Checked,
    /// To the stand-in itself, for faults that Prism would not let through.
    Direct,
}

impl Api {
    pub(crate) fn address(self) -> String {
        let variable = match self {
            Self::Checked => "TRAINYARD_GITHUB_CHECKED",
            Self::Direct => "TRAINYARD_GITHUB_FAKE",
        };
        if let Ok(address) = env::var(variable) {
            return address;
        }
        // Falling back here would leave the check out without a word.
        assert!(
            env::var("NEXTEST_PROFILE").as_deref() != Ok("peers"),
            "nextest's profile `peers` checks each call of GitHub's API by Prism, which does not run: use `cargo xtask \
             test`, which installs and starts it (it needs Node 20 or newer with npm), or `cargo xtask test --no-peers`"
        );
        in_process().to_owned()
    }
}

/// The address of this process's own stand-in.
fn in_process() -> &'static str {
    static ADDRESS: OnceLock<String> = OnceLock::new();
    ADDRESS.get_or_init(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        listener.set_nonblocking(true).unwrap();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                trainyard_tests::github::serve(listener).await.unwrap();
            });
        });
        address
    })
}
