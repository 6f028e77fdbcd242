//! Results below the range of normal numbers as zeros: x86 takes some hundred cycles for each of them.

use std::marker::PhantomData;

/// While this lives, results that would be denormal are zeros on the thread that made it. Nothing on
/// CPUs other than x86-64, where denormals cost little.
///
/// Denormal operands count for what they are: half-precision numbers are read through them. The
/// compiler is not told, and may round its constants otherwise: by less than 1.2e-38.
pub struct FlushDenormals {
    #[cfg(target_arch = "x86_64")]
    before: u32,
    /// It belongs to its thread.
    _thread: PhantomData<*const ()>,
}

#[cfg(target_arch = "x86_64")]
mod control {
    use std::arch::asm;

    /// "Flush to zero" in the control register of SSE and AVX.
    pub const FLUSH: u32 = 1 << 15;

    pub fn read() -> u32 {
        let mut register = 0u32;
        // SAFETY: it stores 4 bytes at the address given; every x86-64 has the instruction.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut register, options(nostack)) };
        register
    }

    pub fn write(register: u32) {
        // SAFETY: the value is one that `read` gave but for `FLUSH`, so that no exception traps.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const register, options(nostack)) };
    }
}

impl FlushDenormals {
    /// From now on.
    pub fn begin() -> FlushDenormals {
        #[cfg(target_arch = "x86_64")]
        let before = control::read();
        #[cfg(target_arch = "x86_64")]
        control::write(before | control::FLUSH);
        FlushDenormals {
            #[cfg(target_arch = "x86_64")]
            before,
            _thread: PhantomData,
        }
    }
}

impl Drop for FlushDenormals {
    fn drop(&mut self) {
        #[cfg(target_arch = "x86_64")]
        control::write(self.before);
    }
}

#[cfg(test)]
#[cfg(target_arch = "x86_64")]
mod tests {
    use std::hint::black_box;

    use super::*;
    use crate::isa::{F, Isa, Kernel};
    use crate::isa::{LEVELS, dispatch_at};

    #[test]
    fn denormal_results_are_zero_for_a_while() {
        let halved = || black_box(black_box(f32::MIN_POSITIVE) * 0.5);
        assert!(halved() > 0.0);
        {
            let _denormals = FlushDenormals::begin();
            assert_eq!(halved(), 0.0);
        }
        assert!(halved() > 0.0);
    }

    struct Half(u16);
    impl Kernel for Half {
        type Output = F;
        #[inline(always)]
        fn run<A: Isa>(self, isa: A) -> F {
            isa.half(std::simd::Simd::splat(self.0))
        }
    }

    #[test]
    fn small_halves_are_read_all_the_same() {
        let _denormals = FlushDenormals::begin();
        for &level in LEVELS.iter() {
            assert_eq!(dispatch_at(level, Half(black_box(1)))[0], 2f32.powi(-24), "{level:?}");
        }
        assert_eq!(crate::quant::half(black_box([3, 0])), 3.0 * 2f32.powi(-24));
    }
}
