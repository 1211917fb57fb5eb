//! The traits of the standard library on what is shared: several threads may read and write by references to one
//! stream. (Those on streams and halves stand beside these types.)

use std::io;

use crate::socket::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, TcpStream, WriteHalf};

impl io::Read for &TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(ReadHalf(self).read(buf)?)
    }
}

impl io::Write for &TcpStream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        Ok(WriteHalf(self).write(data)?)
    }
    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        Ok(WriteHalf(self).write_slices(slices)?)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(self.push()?)
    }
}

impl io::Read for OwnedReadHalf {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(OwnedReadHalf::read(self, buf)?)
    }
}

impl io::Write for OwnedWriteHalf {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        Ok(OwnedWriteHalf::write(self, data)?)
    }
    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        Ok(self.half().write_slices(slices)?)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(OwnedWriteHalf::flush(self)?)
    }
}
