//! Clients that load the inference server, and what it must stand: for the benchmark, the soak and, in short, the tests.

pub mod bounds;
pub mod client;
pub mod load;
pub mod mutated;
pub mod mutation;
pub mod overload;
pub mod process;
pub mod slow;
pub mod termination;
