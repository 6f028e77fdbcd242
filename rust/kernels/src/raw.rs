//! A slice that several threads write to, each in places of its own.

/// The start and length of a mutable slice. Whoever uses it must keep the slice alive and see to it
/// that no place is written by two threads in one region.
#[derive(Debug)]
pub struct RawMut<T> {
    start: *mut T,
    len: usize,
}

impl<T> Clone for RawMut<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for RawMut<T> {}

// SAFETY: it is only an address; every use is unsafe and carries the conditions.
unsafe impl<T: Send> Send for RawMut<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for RawMut<T> {}

impl<T> RawMut<T> {
    /// The slice's place.
    #[inline(always)]
    pub fn new(slice: &mut [T]) -> Self {
        RawMut { start: slice.as_mut_ptr(), len: slice.len() }
    }

    /// The address of an element.
    ///
    /// # Safety
    /// `index` is inside the slice, or one past its end.
    #[inline(always)]
    pub unsafe fn at(self, index: usize) -> *mut T {
        debug_assert!(index <= self.len, "{index} of {}", self.len);
        // SAFETY: the caller's condition.
        unsafe { self.start.add(index) }
    }

    /// Writes an element.
    ///
    /// # Safety
    /// `index` is inside the slice, which is alive; no other thread uses that element now.
    #[inline(always)]
    pub unsafe fn write(self, index: usize, value: T) {
        debug_assert!(index < self.len, "{index} of {}", self.len);
        // SAFETY: the caller's condition.
        unsafe { self.start.add(index).write(value) };
    }

    /// A part of the slice.
    ///
    /// # Safety
    /// The range is inside the slice, which is alive; no other thread uses that part now.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn slice<'a>(self, start: usize, len: usize) -> &'a mut [T] {
        debug_assert!(start + len <= self.len, "{start} + {len} of {}", self.len);
        // SAFETY: the caller's condition.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), len) }
    }
}

impl<T: Copy> RawMut<T> {
    /// Writes consecutive elements.
    ///
    /// # Safety
    /// As for [`RawMut::write`], for each of the elements.
    #[inline(always)]
    pub unsafe fn write_all(self, index: usize, values: &[T]) {
        // SAFETY: the caller's condition.
        unsafe { self.slice(index, values.len()) }.copy_from_slice(values);
    }
}
