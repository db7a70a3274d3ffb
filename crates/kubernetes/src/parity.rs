//! Whether pods answer the held-out sample as the evaluated model did.

use serde_json::Value;
use trainyard_core::figure::count;
use trainyard_core::held_out_sample::HeldOutSample;
use trainyard_net::{encode, in_one_line};

use crate::cluster::{Cluster, ClusterError};
use crate::manifest::App;
use crate::pods;

/// Asks every ready pod of the app's image among those that `selector` chooses. The outer error is the cluster's, the inner one says how
/// an answer differs; without one, how many pods were asked.
pub(crate) async fn check(
    cluster: &Cluster,
    app: &App,
    selector: &str,
    sample: &HeldOutSample,
) -> Result<Result<usize, String>, ClusterError> {
    let path = format!("/v2/models/{}/infer", encode(&sample.model_name));
    let request = sample.request();
    let pods = pods::chosen_by(cluster, selector).await?;
    let mut n_asked = 0;
    for pod in pods
        .iter()
        .filter(|pod| pod.is_ready && !pod.is_ending && pod.image == app.image)
    {
        let answer = match cluster
            .ask_pod(&pod.name, app.port, &path, Some(&request))
            .await
        {
            Ok(answer) => answer,
            // A pod that refuses the sample is another model than the evaluated one; one that is gone by now is not.
            Err(ClusterError::Refused { status: 404, .. })
                if is_gone(cluster, selector, &pod.name).await? =>
            {
                continue;
            }
            Err(ClusterError::Refused {
                status, message, ..
            }) if status < 500 => {
                return Ok(Err(format!(
                    "the pod `{}` does not answer the held-out sample ({status}): {message}",
                    pod.name
                )));
            }
            Err(error) => return Err(error),
        };
        let answer: Value = match serde_json::from_str(&answer) {
            Ok(answer) => answer,
            Err(error) => {
                return Ok(Err(format!(
                    "the pod `{}` does not answer the held-out sample in JSON: {error}",
                    pod.name
                )));
            }
        };
        if let Err(mismatch) = sample.compare(&answer) {
            return Ok(Err(format!(
                "the pod `{}` does not answer as the evaluated model: {}",
                pod.name,
                in_one_line(&mismatch)
            )));
        }
        n_asked += 1;
    }
    match n_asked {
        0 => Ok(Err(
            "no pod was there to be asked for the held-out sample".to_owned()
        )),
        n => {
            let rows = count(sample.n_rows as u64, "held-out row");
            tracing::info!(
                "{} answered {rows} as the evaluated model did",
                count(n as u64, "pod")
            );
            Ok(Ok(n))
        }
    }
}

async fn is_gone(cluster: &Cluster, selector: &str, name: &str) -> Result<bool, ClusterError> {
    let pods = pods::chosen_by(cluster, selector).await?;
    Ok(!pods.iter().any(|pod| pod.name == name && !pod.is_ending))
}
