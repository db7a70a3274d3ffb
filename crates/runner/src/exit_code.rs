//! The numbers with which a stage ends.

/// What a stage tells its caller. The numbers are part of the interface: scripts depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// The stage did its work; the gate passed, maybe with warnings.
    Success = 0,
    /// The gate failed, or publish met a failed verdict.
    GateFailed = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// The gate could not judge, or publish met no valid verdict.
    Inconclusive = 3,
    /// Data or a model could not be read, or a result not be written.
    Data = 4,
    /// GitHub, a registry or a cluster was unreachable or refused.
    Service = 5,
    /// A deployment failed and the one before it was restored.
    RolledBack = 6,
    /// A deployment failed, and so did restoring the one before it.
    RollbackFailed = 7,
    /// A bug of Trainyard.
    Bug = 70,
    /// Interrupted by the user (SIGINT), with a checkpoint to resume from.
    Interrupted = 130,
    /// Ended by the system (SIGTERM), with a checkpoint to resume from.
    Terminated = 143,
}

impl From<ExitCode> for u8 {
    fn from(code: ExitCode) -> Self {
        code as Self
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(u8::from(code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_design() {
        let codes = [
            ExitCode::Success,
            ExitCode::GateFailed,
            ExitCode::Usage,
            ExitCode::Inconclusive,
            ExitCode::Data,
            ExitCode::Service,
            ExitCode::RolledBack,
            ExitCode::RollbackFailed,
            ExitCode::Bug,
            ExitCode::Interrupted,
            ExitCode::Terminated,
        ];
        assert_eq!(codes.map(u8::from), [0, 1, 2, 3, 4, 5, 6, 7, 70, 130, 143]);
    }
}
