//! The first use of an action on a fresh runner: `actions/support/run.sh` before a server of release files, which
//! answers well, breaks off, or holds other bytes.
#![cfg(unix)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::run_sh::{Runner, stderr, stdout, target};
use crate::support::{binaries, output, repository, run};

/// Serves the files of a folder for as long as this test runs.
struct Releases {
    address: String,
    n_requests: Arc<AtomicUsize>,
}

impl Releases {
    /// Answers the first `n_broken` requests with half of the file, though the length is that of the whole.
    fn serve(folder: PathBuf, n_broken: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let n_requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&n_requests);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let is_broken = counter.fetch_add(1, Ordering::SeqCst) < n_broken;
                let folder = folder.clone();
                thread::spawn(move || answer(stream, &folder, is_broken));
            }
        });
        Self {
            address,
            n_requests,
        }
    }

    fn n_requests(&self) -> usize {
        self.n_requests.load(Ordering::SeqCst)
    }
}

/// One request over one connection. A client that goes away is not an error.
fn answer(mut stream: TcpStream, folder: &Path, is_broken: bool) {
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|n| n > 0) {}
    let path = head.split(' ').nth(1).unwrap_or_default();
    let Ok(file) = fs::read(folder.join(path.trim_start_matches('/'))) else {
        let _ = stream
            .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
    };
    let n_sent = if is_broken {
        file.len() / 2
    } else {
        file.len()
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        file.len()
    );
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&file[..n_sent]);
}

/// `run.sh train` before the server.
fn train(runner: &Runner, releases: &Releases) -> Command {
    let mut command = runner.command();
    command.env("TRAINYARD_RELEASES", &releases.address);
    command
}

/// The real programs, as a release holds them.
fn release_of_the_built_programs(runner: &Runner) {
    for stage in ["train", "evaluate", "gate", "publish-image", "serve"] {
        let program = format!("trainyard-{stage}");
        let to = runner.unpacked_release().join(&program);
        fs::copy(binaries().join(&program), to).unwrap();
    }
    runner.record(&runner.pack_release());
}

/// How long it takes until the program itself, not `run.sh`, writes its first line.
fn until_first_line(command: &mut Command) -> Duration {
    let started = Instant::now();
    let mut child: Child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    let elapsed = started.elapsed();
    let mut log = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut log)
        .unwrap();
    assert!(child.wait().unwrap().success(), "{first}{log}");
    assert!(!first.trim().is_empty(), "{log}");
    elapsed
}

/// Download, check, unpack, start, and the example's data read for the content key. A busy machine slows one of three
/// down, hardly all.
#[test]
fn a_first_use_takes_less_than_five_seconds_and_a_second_downloads_nothing() {
    let runner = Runner::new();
    release_of_the_built_programs(&runner);
    let releases = Releases::serve(runner.path("releases"), 0);
    let mut command = train(&runner, &releases);
    command
        .env(
            "INPUT_CONFIG",
            repository().join("examples/mnist/trainyard.toml"),
        )
        .env("INPUT_CONTENT_KEY", "true")
        // As another CI system says that it sets inputs.
        .env("TRAINYARD_INPUTS", "true");
    let mut durations: Vec<Duration> = Vec::new();
    for n_uses in 1..=3 {
        let tools = runner.path(&format!("fresh-{n_uses}"));
        command.env("RUNNER_TOOL_CACHE", &tools);
        durations.push(until_first_line(&mut command));
        assert_eq!(releases.n_requests(), n_uses);
    }
    let quickest = durations.iter().min().unwrap();
    assert!(*quickest < Duration::from_secs(5), "{durations:?}");

    let n_before = releases.n_requests();
    let again = output(&mut command);
    assert!(again.status.success(), "{}", stderr(&again));
    assert!(
        stderr(&again).contains("from the tool cache, found in "),
        "{}",
        stderr(&again)
    );
    assert_eq!(releases.n_requests(), n_before);
}

#[test]
fn a_changed_byte_is_refused_and_nothing_else_is_tried() {
    let runner = Runner::new();
    runner.record(&runner.release("released"));
    let mut bytes = fs::read(runner.archive()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(runner.archive(), bytes).unwrap();
    let releases = Releases::serve(runner.path("releases"), 0);
    let refused = output(&mut train(&runner, &releases));
    assert_eq!(refused.status.code(), Some(5), "{refused:?}");
    assert!(stdout(&refused).contains("the file was replaced or damaged"));
    assert!(
        !stdout(&refused).contains("cargo build"),
        "{}",
        stdout(&refused)
    );
    assert_eq!(releases.n_requests(), 1);
    assert!(runner.tool_cache().is_empty(), "{:?}", runner.tool_cache());
}

#[test]
fn a_download_that_breaks_off_is_tried_again() {
    let runner = Runner::new();
    runner.record(&runner.release("released"));
    let releases = Releases::serve(runner.path("releases"), 1);
    let answer = run(&mut train(&runner, &releases));
    assert_eq!(answer, "released model a/trainyard.toml\n");
    assert_eq!(releases.n_requests(), 2);
}

#[test]
fn a_file_that_the_server_lacks_is_asked_for_once_and_the_tree_is_built_instead() {
    let runner = Runner::new();
    runner.record(&runner.release("released"));
    let releases = Releases::serve(runner.path("empty"), 0);
    let built = output(&mut train(&runner, &releases));
    assert!(stdout(&built).starts_with("cargo build"), "{built:?}");
    assert_eq!(releases.n_requests(), 1);
}

#[test]
fn jobs_that_begin_at_once_do_not_disturb_each_other() {
    let runner = Runner::new();
    // Large enough for the downloads to overlap.
    fs::write(
        runner.unpacked_release().join("trainyard-serve"),
        vec![7; 4 << 20],
    )
    .unwrap();
    runner.record(&runner.release("released"));
    let releases = Releases::serve(runner.path("releases"), 0);
    let folder = runner.path("tools/trainyard/1.2.3").join(target());
    let check = |begin: &str| {
        let mut command = train(&runner, &releases);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let jobs: Vec<Child> = (0..6).map(|_| command.spawn().unwrap()).collect();
        for job in jobs {
            let output = job.wait_with_output().unwrap();
            let answer = "released model a/trainyard.toml\n";
            assert_eq!(stdout(&output), answer, "{begin}: {}", stderr(&output));
        }
        assert_eq!(
            runner.tool_cache(),
            std::slice::from_ref(&folder),
            "{begin}"
        );
        assert!(
            !folder.join("bin").exists(),
            "{begin}: a later job's folder stayed"
        );
    };
    check("nothing in the cache");
    for n_times in 1..=3 {
        fs::write(folder.join("trainyard-train"), "cut o").unwrap();
        check(&format!("a damaged program, {n_times}"));
    }
    fs::remove_file(folder.join("trainyard-train.sha256")).unwrap();
    check("a program without its digest");
}
