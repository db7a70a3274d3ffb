//! OCI images without a daemon: files in, reproducible layers, an image, a layout folder and a push out.
//!
//! The same inputs give the same digests: nothing here reads a clock, and the environment only where
//! [`Credentials::find`] asks Docker's configuration.

pub mod annotation;
mod attachment;
mod contents;
mod credentials;
mod digest_copy;
mod digest_writer;
mod image;
mod layer;
mod layer_cache;
mod layout;
mod model_pack;
mod push;
mod reference;
mod registry;
pub mod spec;
pub mod tags;
mod timestamp;
mod unpack;

pub use attachment::{Artifact, Attachment};
pub use contents::files_below;
pub use credentials::{Credentials, CredentialsError};
pub use image::{EncodedImage, Image, ImageError, Platform, RuntimeConfig};
pub use layer::{Compression, Layer, LayerError, LayerFile, LayerPlan, PackedFile};
pub use layout::{Layout, LayoutError};
pub use model_pack::{MODEL_PACK, ModelDescription, ModelPack};
pub use push::{PushOptions, PushSource, Pushed, Uploaded};
pub use reference::{ImageReference, ReferenceError};
pub use registry::{
    Access, Attached, AttachedFile, BlobSource, Challenge, ConnectOptions, Fetched, Progress,
    ProgressFn, Registry, RegistryError, RequestError, Server, WrittenManifest,
};
pub use timestamp::{MAX_SECONDS, rfc3339};
pub use trainyard_net::{ClientOptions, RetryPolicy};
pub use unpack::{UnpackError, unpack, unpack_file, unpack_files};
