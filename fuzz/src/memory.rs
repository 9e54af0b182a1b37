//! How much memory code takes, counted by the allocator itself.
//!
//! The counters are those of the whole process, so that only one thread may run while something is measured.

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What memory something may take, at its peak, for an input of some length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Bytes for each byte of the input.
    pub per_byte: usize,
    /// Bytes however short the input is.
    pub constant: usize,
}

impl Bound {
    /// Runs `work` on an input of `length` bytes, which is not counted itself.
    ///
    /// # Panics
    /// If it takes more memory than this allows, what it gives included.
    pub fn check<R>(self, what: &str, length: usize, work: impl FnOnce() -> R) -> R {
        let (result, peak) = peak(work);
        self.check_peak(what, length, peak);
        result
    }

    /// Checks a [`peak`].
    ///
    /// # Panics
    /// If it is more than this allows.
    pub fn check_peak(self, what: &str, length: usize, peak: usize) {
        let most = self.per_byte * length + self.constant;
        assert!(
            peak <= most,
            "{what} took {peak} bytes for an input of {length}; at most {most} are allowed"
        );
    }
}

/// What `work` gives, and how many bytes were allocated at most while it ran, those from before left out.
pub fn peak<R>(work: impl FnOnce() -> R) -> (R, usize) {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let result = work();
    (result, ALLOCATOR.peak_usage().saturating_sub(before))
}
