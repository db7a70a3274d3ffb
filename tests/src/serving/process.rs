//! A server of its own, with the limits of a small machine.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Seek as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What is started, and under which limits.
#[derive(Debug, Clone)]
pub struct Setup {
    /// `trainyard-serve`.
    pub program: PathBuf,
    /// The folder of the model.
    pub model: PathBuf,
    /// Further options.
    pub options: Vec<String>,
    /// Files and connections that it may have open.
    pub n_files: u32,
    /// Address space that it may take, in kB (`ulimit -v`).
    pub address_space_kb: Option<u32>,
}

impl Setup {
    /// The model in `model`, served with the default options and room for 1,024 files.
    pub fn new(program: &Path, model: &Path) -> Self {
        Self {
            program: program.to_owned(),
            model: model.to_owned(),
            options: Vec::new(),
            n_files: 1024,
            address_space_kb: None,
        }
    }

    /// The same with these options.
    #[must_use]
    pub fn with(self, options: &[&str]) -> Self {
        Self {
            options: options.iter().map(|&option| option.to_owned()).collect(),
            ..self
        }
    }
}

/// A server that runs; killed when dropped.
#[derive(Debug)]
pub struct Server {
    process: Child,
    /// Where it listens.
    pub address: SocketAddr,
    log: File,
}

impl Server {
    /// Starts it, and returns once it listens.
    pub fn start(setup: &Setup) -> io::Result<Self> {
        let address_space =
            (setup.address_space_kb).map_or_else(|| "unlimited".to_owned(), |kb| kb.to_string());
        // The shell sets the limits and becomes the server.
        let script = r#"ulimit -n "$1" && ulimit -v "$2" && shift 2 && exec "$@""#;
        let log = unnamed_file()?;
        let mut process = Command::new("sh")
            .args([
                "-c",
                script,
                "sh",
                &setup.n_files.to_string(),
                &address_space,
            ])
            .arg(&setup.program)
            .args(["--host", "127.0.0.1", "--port", "0", "--model"])
            .arg(&setup.model)
            .args(&setup.options)
            .stdout(Stdio::piped())
            .stderr(log.try_clone()?)
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let address = line.trim().strip_prefix("http://").map(str::parse);
        let Some(Ok(address)) = address else {
            let _ = process.kill();
            let _ = process.wait();
            return Err(io::Error::other(format!(
                "the server does not start: {line:?}"
            )));
        };
        Ok(Self {
            process,
            address,
            log,
        })
    }

    /// The most memory that it had resident so far, in MB.
    pub fn peak_memory_mb(&self) -> io::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kb = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        // Of a process that has ended there is no such line.
        let kb = kb.ok_or_else(|| io::Error::other("the server is gone"))?;
        Ok(kb * 1024.0 / 1e6)
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> io::Result<bool> {
        Ok(self.process.try_wait()?.is_none())
    }

    /// Asks it to end, as container platforms do.
    pub fn terminate(&self) -> io::Result<()> {
        let mut kill = Command::new("kill");
        kill.arg(self.process.id().to_string());
        match kill.status()?.success() {
            true => Ok(()),
            false => Err(io::Error::other("the server is gone")),
        }
    }

    /// Waits for its end: whether it succeeded.
    pub fn wait(&mut self) -> io::Result<bool> {
        Ok(self.process.wait()?.success())
    }

    /// What it has logged.
    pub fn log(&mut self) -> io::Result<String> {
        self.log.rewind()?;
        io::read_to_string(&mut self.log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A file for what the server logs, without a name, so that nothing is left of it.
fn unnamed_file() -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("trainyard-serve-{}.log", unique()));
    let file = File::options()
        .read(true)
        .append(true)
        .create_new(true)
        .open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

/// Tells files of several threads and processes apart.
fn unique() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let idx = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{idx}", std::process::id())
}
