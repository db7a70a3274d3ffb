//! An app as files: plain YAML, a kustomization and a Helm chart, all from the same typed objects.

use serde_json::{Value, json};
use trainyard_core::config::{AutoscaleConfig, DeployConfig};

use crate::manifest::{App, Manifest, Offered, TRACK, Track};
use crate::{kserve, yaml};

/// Every object, as one file.
pub fn plain(app: &App) -> String {
    yaml::documents(app.manifests(Offered::CURRENT).iter().map(Manifest::value))
}

/// The kustomization of [`plain`] as `manifests.yaml`, in which `images` is what a pipeline edits.
pub fn kustomization(app: &App) -> String {
    let (repository, digest) = app.image.split_once('@').unwrap_or((&app.image, ""));
    yaml::text(&json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": app.namespace,
        "resources": ["manifests.yaml"],
        "images": [{ "name": repository, "digest": digest }],
    }))
}

/// KServe's form.
pub fn inference_service(app: &App) -> String {
    yaml::text(&kserve::inference_service(app))
}

/// A scalar that the chart's values fill: the mark by which it is found, and what takes its place.
struct Slot {
    /// A scalar in the objects.
    mark: &'static str,
    /// For a scalar.
    expression: &'static str,
}

/// Scalars of the objects, each with the expression that Helm writes in its place.
const SLOTS: [Slot; 10] = [
    Slot {
        mark: "SLOT-NAMESPACE",
        expression: "{{ .Release.Namespace }}",
    },
    Slot {
        mark: "SLOT-NAME",
        expression: "{{ .Release.Name }}",
    },
    Slot {
        mark: "SLOT-IMAGE",
        expression: "{{ include \"trainyard.image\" . }}",
    },
    Slot {
        mark: "SLOT-CPU-LIMIT",
        expression: "{{ .Values.resources.cpuLimit | quote }}",
    },
    Slot {
        mark: "SLOT-CPU",
        expression: "{{ .Values.resources.cpu | quote }}",
    },
    Slot {
        mark: "SLOT-MEMORY",
        expression: "{{ .Values.resources.memory | quote }}",
    },
    Slot {
        mark: "2147483001",
        expression: "{{ .Values.autoscale.minReplicas }}",
    },
    Slot {
        mark: "2147483002",
        expression: "{{ .Values.autoscale.maxReplicas }}",
    },
    Slot {
        mark: "2147483003",
        expression: "{{ .Values.autoscale.cpuPercent }}",
    },
    Slot {
        mark: "2147483004",
        expression: "{{ .Values.minAvailable }}",
    },
];

/// Lines of the objects that become a block of their own: the whole line without its indentation, and the block, in which `INDENT` is that
/// indentation as a number.
const BLOCKS: [(&str, &str); 6] = [
    (
        "replicas: 2147483000",
        "{{- if not .Values.autoscale.enabled }}\n@replicas: {{ .Values.replicas }}\n{{- end }}",
    ),
    (
        "slot/labels: SLOT",
        "{{- with .Values.labels }}\n{{- toYaml . | nindent INDENT }}\n{{- end }}",
    ),
    (
        "slot/annotations: SLOT",
        "{{- with .Values.podAnnotations }}\n{{- toYaml . | nindent INDENT }}\n{{- end }}",
    ),
    (
        "- SLOT-ARGUMENTS",
        "{{- with .Values.arguments }}\n{{- toYaml . | nindent INDENT }}\n{{- end }}",
    ),
    (
        "- name: SLOT-SECRET",
        "{{- range .Values.imagePullSecrets }}\n@- name: {{ . | quote }}\n{{- end }}",
    ),
    (
        "cpu: SLOT-CPU-LIMIT",
        "{{- with .Values.resources.cpuLimit }}\n@cpu: {{ . | quote }}\n{{- end }}",
    ),
];

/// The files of a Helm chart, by path, for this version of ours.
pub fn chart(app: &App, version: &str) -> Vec<(String, String)> {
    let slotted = slotted(app);
    let deployment = slotted.deployment(Track::Stable, Some(2_147_483_000));
    let mut files = vec![
        ("Chart.yaml".to_owned(), metadata(app, version)),
        ("values.yaml".to_owned(), yaml::text(&values(app))),
        (
            "values.schema.json".to_owned(),
            serde_json::to_string_pretty(&schema()).expect("it is JSON") + "\n",
        ),
        ("templates/_helpers.tpl".to_owned(), HELPERS.to_owned()),
        (
            "templates/deployment.yaml".to_owned(),
            template(&deployment),
        ),
    ];
    for manifest in slotted.surroundings(Offered::CURRENT) {
        let kind = manifest.kind();
        let condition = match kind {
            "NetworkPolicy" => Some(".Values.networkPolicy"),
            "PodDisruptionBudget" => Some(".Values.minAvailable"),
            "HorizontalPodAutoscaler" => Some(".Values.autoscale.enabled"),
            _ => None,
        };
        let text = template(&manifest);
        let text = match condition {
            Some(condition) => format!("{{{{- if {condition} }}}}\n{text}{{{{- end }}}}\n"),
            None => text,
        };
        files.push((format!("templates/{}.yaml", kind.to_lowercase()), text));
    }
    files
}

/// The reference of the image: a digest says exactly which, so it goes before a tag.
const HELPERS: &str = "\
{{- define \"trainyard.image\" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ required \"image.digest or image.tag must be set\" .Values.image.tag }}
{{- end -}}
{{- end -}}
";

/// The app with a mark in each place that a value fills.
fn slotted(app: &App) -> App {
    let text = str::to_owned;
    App {
        name: text("SLOT-NAME"),
        namespace: text("SLOT-NAMESPACE"),
        image: text("SLOT-IMAGE"),
        provenance: [(text("slot/annotations"), text("SLOT"))].into(),
        config: DeployConfig {
            labels: [(text("slot/labels"), text("SLOT"))].into(),
            cpu: text("SLOT-CPU"),
            cpu_limit: Some(text("SLOT-CPU-LIMIT")),
            memory: text("SLOT-MEMORY"),
            arguments: vec![text("SLOT-ARGUMENTS")],
            pull_secrets: vec![text("SLOT-SECRET")],
            network_policy: true,
            min_available: Some(2_147_483_004),
            autoscale: Some(AutoscaleConfig {
                min_replicas: 2_147_483_001,
                max_replicas: 2_147_483_002,
                cpu_pct: 2_147_483_003,
            }),
            // Helm's users split traffic by a tool of their own.
            canary: None,
            annotations: std::collections::BTreeMap::new(),
            ..app.config.clone()
        },
        ..app.clone()
    }
}

fn template(manifest: &Manifest) -> String {
    let text = yaml::text(manifest.value());
    let mut out = String::new();
    for line in text.lines() {
        let content = line.trim_start();
        let indent = line.len() - content.len();
        let unquoted = content.replace(['"', '\''], "");
        if let Some((_, block)) = BLOCKS.iter().find(|(mark, _)| *mark == unquoted) {
            let block = block.replace("INDENT", &indent.to_string());
            for line in block.lines() {
                if let Some(line) = line.strip_prefix('@') {
                    out.extend([&" ".repeat(indent), line, "\n"]);
                } else {
                    out.extend([line, "\n"]);
                }
            }
            continue;
        }
        let mut line = line.to_owned();
        for Slot { mark, expression } in &SLOTS {
            line = line.replace(mark, expression);
        }
        out.push_str(&line);
        out.push('\n');
    }
    out
}

fn metadata(app: &App, version: &str) -> String {
    yaml::text(&json!({
        "apiVersion": "v2",
        "name": app.name,
        "description": format!("The inference server of the model {}.", app.name),
        "type": "application",
        "version": version,
    }))
}

fn values(app: &App) -> Value {
    let config = &app.config;
    let (repository, digest) = app.image.split_once('@').unwrap_or((&app.image, ""));
    let scaling = config.autoscale.as_ref();
    // What the templates write themselves would be there twice.
    let is_fixed = |key: &String| {
        key.starts_with("app.kubernetes.io/") || key.starts_with("prometheus.io/") || key == TRACK
    };
    let mut labels = config.labels.clone();
    labels.retain(|key, _| !is_fixed(key));
    let mut annotations = config.annotations.clone();
    annotations.extend(app.provenance.clone());
    annotations.retain(|key, _| !is_fixed(key));
    json!({
        "image": { "repository": repository, "digest": digest, "tag": "" },
        "imagePullSecrets": config.pull_secrets,
        "replicas": config.replicas,
        "arguments": config.arguments,
        "resources": {
            "cpu": config.cpu,
            "memory": config.memory,
            "cpuLimit": config.cpu_limit.as_deref().unwrap_or_default(),
        },
        "networkPolicy": config.network_policy,
        "minAvailable": config.min_available.unwrap_or(0),
        "autoscale": {
            "enabled": scaling.is_some(),
            "minReplicas": scaling.map_or(config.replicas, |it| it.min_replicas),
            "maxReplicas": scaling.map_or(2 * config.replicas, |it| it.max_replicas),
            "cpuPercent": scaling.map_or(70, |it| it.cpu_pct),
        },
        "labels": labels,
        "podAnnotations": annotations,
    })
}

/// JSON schema of the values: `helm lint` and `helm install` refuse a misspelt one.
fn schema() -> Value {
    let text = json!({ "type": "string" });
    let count = json!({ "type": "integer", "minimum": 0 });
    let positive = json!({ "type": "integer", "minimum": 1 });
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    let map = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    let object = |properties: Value| json!({ "type": "object", "additionalProperties": false, "properties": properties });
    let mut schema = object(json!({
        "image": object(json!({
            "repository": { "type": "string", "minLength": 1 },
            "digest": { "type": "string", "pattern": "^$|^sha256:[0-9a-f]{64}$" },
            "tag": text,
        })),
        "imagePullSecrets": texts,
        "replicas": positive,
        "arguments": texts,
        "resources": object(json!({ "cpu": text, "memory": text, "cpuLimit": text })),
        "networkPolicy": { "type": "boolean" },
        "minAvailable": count,
        "autoscale": object(json!({
            "enabled": { "type": "boolean" },
            "minReplicas": positive,
            "maxReplicas": positive,
            "cpuPercent": positive,
        })),
        "labels": map,
        "podAnnotations": map,
    }));
    schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    // Helm adds those of parent charts.
    schema["properties"]["global"] = json!({ "type": "object" });
    schema
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn app() -> App {
        App {
            name: "digits".to_owned(),
            namespace: "ml".to_owned(),
            image: format!("ghcr.io/team/digits@sha256:{}", "1".repeat(64)),
            port: 8080,
            config: DeployConfig::default(),
            provenance: BTreeMap::new(),
        }
    }

    /// A mark that is left over would be a value of every release.
    #[test]
    fn no_mark_is_left_and_every_slot_is_filled() {
        let files = chart(&app(), "1.0.0");
        let all: String = files.iter().map(|(_, text)| text.as_str()).collect();
        assert!(
            !all.contains("SLOT") && !all.contains("slot/") && !all.contains("214748300"),
            "{all}"
        );
        for Slot { expression, mark } in &SLOTS {
            // The limit is a block.
            assert!(
                all.contains(expression) || *mark == "SLOT-CPU-LIMIT",
                "{expression}"
            );
        }
        let blocks = [
            "{{ .Values.replicas }}",
            ".Values.labels",
            ".Values.podAnnotations",
            "nindent 8",
            ".Values.imagePullSecrets",
            ".Values.resources.cpuLimit",
        ];
        for block in blocks {
            assert!(all.contains(block), "{block}\n{all}");
        }
    }

    #[test]
    fn the_kustomization_names_the_digest_once() {
        let text = kustomization(&app());
        assert!(
            text.contains(&format!("digest: sha256:{}", "1".repeat(64))),
            "{text}"
        );
        assert!(text.contains("name: ghcr.io/team/digits\n"), "{text}");
    }
}
