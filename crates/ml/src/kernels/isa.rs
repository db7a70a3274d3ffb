//! Which instructions this machine has, found out once when the program runs: the released binary is one build.

use std::sync::OnceLock;

/// Instructions that kernels are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Isa {
    /// What every machine of the target has; multiplications and additions are rounded separately.
    Portable,
    /// AVX2 with fused multiply-add and bit manipulation.
    Avx2,
    /// AVX-512F.
    Avx512,
}

impl Isa {
    /// The best of this machine. `TRAINYARD_ISA` (`portable`, `avx2`, `avx512`) asks for less.
    pub(crate) fn detect() -> Self {
        static DETECTED: OnceLock<Isa> = OnceLock::new();
        *DETECTED.get_or_init(|| {
            let best = Self::best();
            let asked = match std::env::var("TRAINYARD_ISA").as_deref() {
                Ok("portable") => Self::Portable,
                Ok("avx2") => Self::Avx2,
                _ => Self::Avx512,
            };
            best.min(asked)
        })
    }

    /// All that this machine has, worst first.
    #[cfg(test)]
    pub(crate) fn available() -> Vec<Self> {
        let all = [Self::Portable, Self::Avx2, Self::Avx512];
        all.into_iter().filter(|isa| *isa <= Self::best()).collect()
    }

    /// Those that must give the same bits.
    #[cfg(test)]
    pub(crate) fn fused() -> Vec<Self> {
        let mut fused = Self::available();
        fused.retain(|isa| *isa != Self::Portable);
        fused
    }

    fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let has_avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("bmi1");
            if has_avx2 && is_x86_feature_detected!("avx512f") {
                return Self::Avx512;
            }
            if has_avx2 {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    /// As `model.json` records it. AVX2 and AVX-512 compute the same bits, so they have one name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 | Self::Avx512 => "fma",
        }
    }
}

/// Runs a function body compiled for AVX2 where the machine has it: `with_avx2!(fn name(a: A, b: B) { … })`.
///
/// The body is compiled twice, from the same source and without contraction, so both give the same bits.
macro_rules! with_avx2 {
    ($(#[$meta:meta])* $visibility:vis fn $name:ident($($argument:ident: $kind:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$meta])*
        $visibility fn $name($($argument: $kind),*) $(-> $result)? {
            #[inline(always)]
            #[allow(clippy::inline_always, clippy::allow_attributes, reason = "one body, compiled for each instruction set")]
            fn body($($argument: $kind),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2($($argument: $kind),*) $(-> $result)? {
                body($($argument),*)
            }

            #[cfg(target_arch = "x86_64")]
            if $crate::kernels::isa::Isa::detect() >= $crate::kernels::isa::Isa::Avx2 {
                // SAFETY: AVX2 was detected on this machine.
                #[allow(unsafe_code, clippy::allow_attributes, reason = "calls what was detected")]
                return unsafe { avx2($($argument),*) };
            }
            body($($argument),*)
        }
    };
}

pub(crate) use with_avx2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_among_the_available() {
        let available = Isa::available();
        assert_eq!(available.first(), Some(&Isa::Portable));
        assert!(available.contains(&Isa::detect()));
    }
}
