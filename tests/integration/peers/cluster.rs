//! `trainyard-deploy` against what its users have: a control plane of Kubernetes, kubectl, kustomize, helm, and Kubernetes's schemas.
#![cfg(unix)]

mod on_the_control_plane;
mod rendered;
