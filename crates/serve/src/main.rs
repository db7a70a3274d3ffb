//! `trainyard-serve`: see the library of this package.

fn main() -> std::process::ExitCode {
    trainyard_serve::main()
}
