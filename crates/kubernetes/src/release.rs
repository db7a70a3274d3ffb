//! A release: what applying an app changes, applied, waited for and, where it fails, taken back.

use std::time::Duration;

use serde_json::{Value, json};
use trainyard_core::deployment::{DeployedObject, ObjectChange};
use trainyard_core::held_out_sample::HeldOutSample;

use crate::cluster::{Apply, Cluster, ClusterError, FIELD_MANAGER};
use crate::manifest::{
    AUTOSCALER_V1, AUTOSCALER_V2, App, DEPLOYMENT, Manifest, Offered, Track, image_of,
};
use crate::rollout::{Rolled, Rollout};
use crate::{diff, owned, parity};

/// Manager of the number of pods from the moment that an autoscaler takes it over: without any, the server would fall back to one pod.
const SCALE_MANAGER: &str = "trainyard-scale";

/// What a Deployment makes pods of: where it differs, pods are replaced.
const TEMPLATE: &str = "/spec/template";

/// What applying would do.
pub struct Plan<'a> {
    cluster: &'a Cluster,
    app: &'a App,
    /// In the order in which they are applied.
    items: Vec<Planned>,
    is_forced: bool,
}

/// An object, as it is and as it would be.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    manifest: Manifest,
    live: Option<Value>,
    /// What the API server says that applying comes to.
    applied: Value,
    change: ObjectChange,
    /// Of its YAML.
    diff: String,
}

/// What became of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseOutcome {
    /// The image runs.
    RolledOut,
    /// It does not; what ran before does again.
    RolledBack(String),
    /// Neither does.
    RollbackFailed(String),
    /// Another deployment took over.
    Superseded(String),
}

impl<'a> Plan<'a> {
    /// Asks the API server what applying each object would come to, without applying any: a conflict ends the run before anything is changed.
    pub async fn of(
        cluster: &'a Cluster,
        app: &'a App,
        is_forced: bool,
    ) -> Result<Self, ClusterError> {
        let offered = Offered::by(cluster).await?;
        let is_scaled = app.config.autoscale.is_some() || is_scaled(cluster, app, offered).await?;
        let replicas = (!is_scaled).then_some(app.config.replicas);
        // The Deployment last: what limits its pods is there before them.
        let mut manifests = app.surroundings(offered);
        manifests.push(app.deployment(Track::Stable, replicas));
        let mut items = Vec::new();
        for manifest in manifests {
            let live = cluster.get(manifest.kind, manifest.name()).await?;
            let dry = Apply {
                is_dry_run: true,
                is_forced,
            };
            let mut applied = cluster.apply(manifest.kind, &manifest.value, dry).await?;
            if manifest.kind == DEPLOYMENT
                && let Some(n) = live.as_ref().and_then(|it| it.pointer("/spec/replicas"))
                && is_scaled
            {
                // Applying hands the number over before it lets go of it.
                applied["spec"]["replicas"] = n.clone();
            }
            let (change, diff) = diff::compare(live.as_ref(), &applied);
            items.push(Planned {
                manifest,
                live,
                applied,
                change,
                diff,
            });
        }
        Ok(Self {
            cluster,
            app,
            items,
            is_forced,
        })
    }

    /// What is done to each object.
    pub fn objects(&self) -> Vec<DeployedObject> {
        let of = |item: &Planned| DeployedObject {
            kind: item.manifest.kind().to_owned(),
            name: item.manifest.name().to_owned(),
            change: item.change,
        };
        self.items.iter().map(of).collect()
    }

    /// The lines that change, as a unified diff.
    pub fn diff(&self) -> String {
        self.items.iter().map(|item| item.diff.as_str()).collect()
    }

    /// Whether the cluster is as it should be.
    pub fn is_unchanged(&self) -> bool {
        self.items
            .iter()
            .all(|item| item.change == ObjectChange::None)
    }

    /// The image that runs now, if any does.
    pub fn previous_image(&self) -> Option<&str> {
        image_of(self.deployment()?)
    }

    /// Whether pods that serve are replaced by others.
    pub fn replaces_pods(&self) -> bool {
        let deployment = self
            .items
            .iter()
            .find(|item| item.manifest.kind == DEPLOYMENT);
        deployment.is_some_and(|item| {
            let live = item.live.as_ref();
            live.is_some_and(|live| live.pointer(TEMPLATE) != item.applied.pointer(TEMPLATE))
        })
    }

    /// Whether any pod serves now.
    pub fn has_ready_pods(&self) -> bool {
        self.n_available() > 0
    }

    /// Waits until what is applied already is ready, and asks it for the sample's answers. The inner error says why it is not.
    pub async fn settle(
        &self,
        sample: Option<&HeldOutSample>,
    ) -> Result<Result<(), String>, ClusterError> {
        match self.wait(&self.app.image).await? {
            Rolled::Ready => {}
            Rolled::Failed(reason) => return Ok(Err(reason)),
            Rolled::Superseded(by) => {
                return Ok(Err(format!("another deployment took over: {by}")));
            }
        }
        let Some(sample) = sample else {
            return Ok(Ok(()));
        };
        let selector = self.app.selector(Track::Stable);
        let checked = parity::check(self.cluster, self.app, &selector, sample).await?;
        Ok(checked.map(|_| ()))
    }

    /// Pods of the stable Deployment that are available.
    pub(crate) fn n_available(&self) -> u32 {
        let n = self
            .deployment()
            .and_then(|it| it.pointer("/status/availableReplicas"));
        let n = n.and_then(Value::as_u64).unwrap_or(0);
        u32::try_from(n).unwrap_or(u32::MAX)
    }

    /// The Deployment as it is.
    fn deployment(&self) -> Option<&Value> {
        let item = self
            .items
            .iter()
            .find(|item| item.manifest.kind == DEPLOYMENT)?;
        item.live.as_ref()
    }

    /// Applies what changes, waits for the rollout and asks the new pods for the sample's answers. Takes it back where any of these fails.
    pub async fn release(
        &self,
        sample: Option<&HeldOutSample>,
    ) -> Result<ReleaseOutcome, ClusterError> {
        if let Some(by) = self.changed_since().await? {
            return Ok(ReleaseOutcome::Superseded(by));
        }
        for (n_applied, item) in self.items.iter().enumerate() {
            if item.change == ObjectChange::None {
                continue;
            }
            if let Err(error) = self.apply(item).await {
                // Between plan and now it was refused. What was applied before it goes back.
                tracing::warn!("applying failed; taking back what was applied");
                // The answer may be lost and the object applied.
                return match self.restore(n_applied + 1).await {
                    Ok(()) => Err(error),
                    Err(again) => Ok(ReleaseOutcome::RollbackFailed(format!(
                        "{}; restoring failed: {}",
                        trainyard_net::in_one_line(&error),
                        trainyard_net::in_one_line(&again)
                    ))),
                };
            }
        }
        let rolled = self.wait(&self.app.image).await.unwrap_or_else(|error| {
            Rolled::Failed(format!(
                "whether the pods are ready is not known: {}",
                trainyard_net::in_one_line(&error)
            ))
        });
        let reason = match rolled {
            Rolled::Ready => match sample {
                None => return Ok(ReleaseOutcome::RolledOut),
                Some(sample) => {
                    let selector = self.app.selector(Track::Stable);
                    match parity::check(self.cluster, self.app, &selector, sample).await {
                        Ok(Ok(_)) => return Ok(ReleaseOutcome::RolledOut),
                        Ok(Err(reason)) => reason,
                        Err(error) => format!(
                            "the pods could not be asked for the held-out sample: {}",
                            trainyard_net::in_one_line(&error)
                        ),
                    }
                }
            },
            Rolled::Failed(reason) => reason,
            Rolled::Superseded(by) => return Ok(ReleaseOutcome::Superseded(by)),
        };
        tracing::warn!("the rollout failed: {reason}");
        self.take_back(reason).await
    }

    /// The image that another deployment has put in place since the plan was made.
    async fn changed_since(&self) -> Result<Option<String>, ClusterError> {
        let now = self.cluster.get(DEPLOYMENT, &self.app.name).await?;
        let template = |object: Option<&Value>| object.and_then(|it| it.pointer(TEMPLATE)).cloned();
        if template(now.as_ref()) == template(self.deployment()) {
            return Ok(None);
        }
        let image = now.as_ref().and_then(image_of);
        Ok(Some(image.unwrap_or("nothing").to_owned()))
    }

    async fn apply(&self, item: &Planned) -> Result<(), ClusterError> {
        let Planned { manifest, live, .. } = item;
        let how = Apply {
            is_dry_run: false,
            is_forced: self.is_forced,
        };
        let lets_go =
            manifest.kind == DEPLOYMENT && manifest.value.pointer("/spec/replicas").is_none();
        if let Some(live) = live.as_ref().filter(|_| lets_go)
            && owned::manages(live, FIELD_MANAGER, &["spec", "replicas"])
        {
            let kept = json!({
                "apiVersion": DEPLOYMENT.api_version,
                "kind": DEPLOYMENT.name,
                "metadata": { "name": manifest.name() },
                "spec": { "replicas": live["spec"]["replicas"] },
            });
            let applied = self
                .cluster
                .apply_as(SCALE_MANAGER, DEPLOYMENT, &kept, Apply::FORCED);
            applied.await?;
        }
        self.cluster
            .apply(manifest.kind, &manifest.value, how)
            .await?;
        let done = match item.change {
            ObjectChange::Create => "created",
            _ => "changed",
        };
        tracing::info!("{done} {} `{}`", manifest.kind, manifest.name());
        Ok(())
    }

    async fn wait(&self, image: &str) -> Result<Rolled, ClusterError> {
        let selector = self.app.selector(Track::Stable);
        let rollout = Rollout {
            name: &self.app.name,
            selector: &selector,
            image,
            timeout: Duration::from_secs(self.app.config.timeout_s.into()),
        };
        rollout.wait(self.cluster).await
    }

    /// Restores everything and waits until what ran before does again.
    async fn take_back(&self, reason: String) -> Result<ReleaseOutcome, ClusterError> {
        if let Err(error) = self.restore(self.items.len()).await {
            return Ok(ReleaseOutcome::RollbackFailed(format!(
                "{reason}; restoring failed: {}",
                trainyard_net::in_one_line(&error)
            )));
        }
        let Some(previous) = self.previous_image() else {
            return Ok(ReleaseOutcome::RolledBack(format!(
                "{reason}; nothing ran before, so what was created is removed"
            )));
        };
        tracing::info!("restored `{previous}`; waiting for it");
        Ok(match self.wait(previous).await {
            Ok(Rolled::Ready) => ReleaseOutcome::RolledBack(reason),
            Ok(Rolled::Failed(again)) => ReleaseOutcome::RollbackFailed(format!(
                "{reason}; the restored image is not ready either: {again}"
            )),
            Ok(Rolled::Superseded(by)) => ReleaseOutcome::Superseded(by),
            Err(error) => ReleaseOutcome::RollbackFailed(format!(
                "{reason}; whether the restored image is ready is not known: {}",
                trainyard_net::in_one_line(&error)
            )),
        })
    }

    /// Applies again what we had applied to the first `n` objects, or where they were others' the whole of what they were; removes those that
    /// were not there.
    async fn restore(&self, n: usize) -> Result<(), ClusterError> {
        let changed = self.items[..n].iter().rev();
        for item in changed.filter(|item| item.change != ObjectChange::None) {
            let Planned { manifest, live, .. } = item;
            let Some(live) = live else {
                self.cluster.delete(manifest.kind, manifest.name()).await?;
                tracing::info!("removed {} `{}`", manifest.kind, manifest.name());
                continue;
            };
            let before = owned::applied_by(live, FIELD_MANAGER);
            let before = before.unwrap_or_else(|| diff::wanted_state(live));
            self.cluster
                .apply(manifest.kind, &before, Apply::FORCED)
                .await?;
            tracing::info!("restored {} `{}`", manifest.kind, manifest.name());
        }
        Ok(())
    }
}

/// Whether an autoscaler of the cluster scales the Deployment.
async fn is_scaled(cluster: &Cluster, app: &App, offered: Offered) -> Result<bool, ClusterError> {
    let kind = match offered.has_autoscaling_v2 {
        true => AUTOSCALER_V2,
        false => AUTOSCALER_V1,
    };
    let all = match cluster.list(kind, "").await {
        Ok(all) => all,
        // A user who may not list them scales by hand.
        Err(ClusterError::Refused {
            status: 403,
            message,
            ..
        }) => {
            tracing::info!("autoscalers are not looked at: {message}");
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    Ok(all.iter().any(|autoscaler| {
        let target = &autoscaler["spec"]["scaleTargetRef"];
        target["kind"] == DEPLOYMENT.name && target["name"] == app.name.as_str()
    }))
}
