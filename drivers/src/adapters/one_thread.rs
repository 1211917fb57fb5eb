//! Devices that must stay on their thread.

use barenet::device::{Capabilities, Device, LinkState, Mac, RxFrame, TxError, TxFrame};

/// A device that is not `Send`, for a network that is used by one thread: with [`Spin`](barenet::wait::Spin), fibers
/// or an executor of one thread.
pub struct OneThread<D> {
    device: core::mem::ManuallyDrop<D>,
    #[cfg(feature = "std")]
    owner: std::thread::ThreadId,
}

// SAFETY: the device is used and dropped by the thread alone that made the value: with `std` every use looks at that,
// and on another thread the device is leaked; without, whoever made the value has promised it.
unsafe impl<D> Send for OneThread<D> {}

impl<D> OneThread<D> {
    /// For the thread that calls. Dropped by another one, the device is leaked.
    ///
    /// # Panics
    ///
    /// Not here: when another thread uses the network that the device was given to.
    #[cfg(feature = "std")]
    pub fn new(device: D) -> Self {
        OneThread { device: core::mem::ManuallyDrop::new(device), owner: std::thread::current().id() }
    }

    /// For a machine without threads.
    ///
    /// # Safety
    ///
    /// One thread of control, and no interrupt handler, uses the network that the device is given to and drops it.
    #[cfg(not(feature = "std"))]
    pub unsafe fn new_unchecked(device: D) -> Self {
        OneThread { device: core::mem::ManuallyDrop::new(device) }
    }

    fn is_here(&self) -> bool {
        #[cfg(feature = "std")]
        return self.owner == std::thread::current().id();
        #[cfg(not(feature = "std"))]
        true
    }

    fn get(&self) -> &D {
        assert!(self.is_here(), "the device belongs to another thread");
        &self.device
    }

    fn get_mut(&mut self) -> &mut D {
        assert!(self.is_here(), "the device belongs to another thread");
        &mut self.device
    }
}

impl<D> Drop for OneThread<D> {
    fn drop(&mut self) {
        if self.is_here() {
            // SAFETY: it is not used any more.
            unsafe { core::mem::ManuallyDrop::drop(&mut self.device) };
        }
    }
}

impl<D: Device> Device for OneThread<D> {
    fn capabilities(&self) -> Capabilities {
        self.get().capabilities()
    }
    fn receive(&mut self, sink: &mut dyn FnMut(RxFrame<'_>)) -> bool {
        self.get_mut().receive(sink)
    }
    fn transmit(&mut self, frame: TxFrame<'_>) -> Result<(), TxError> {
        self.get_mut().transmit(frame)
    }
    fn flush(&mut self) {
        self.get_mut().flush();
    }
    fn arm(&mut self) -> bool {
        self.get_mut().arm()
    }
    fn link(&mut self) -> LinkState {
        self.get_mut().link()
    }
    fn set_multicast(&mut self, group: Mac, join: bool) {
        self.get_mut().set_multicast(group, join);
    }
}
