import ChatelaineSocketBuffers
import NIOCore
import Testing

@Suite("Buffers of sockets, erased where they lie")
struct ErasingTests {
  @Test("Erasing a buffer that somebody else holds too erases the bytes that both see")
  func inPlace() {
    let buffer = ByteBuffer(string: "4111 1111 1111 1111")
    let held = buffer
    buffer.eraseInPlace()
    #expect(held.readableBytesView.allSatisfy { $0 == 0 })
  }

  @Test("The control: erased through the buffer's own methods, the other holder's bytes stay")
  func control() {
    var buffer = ByteBuffer(string: "4111 1111 1111 1111")
    let held = buffer
    buffer.setRepeatingByte(0, count: buffer.readableBytes, at: buffer.readerIndex)
    #expect(String(buffer: held) == "4111 1111 1111 1111")
  }

  @Test("A read that was moved into the connection's own memory is erased where it came from")
  func moved() {
    var frames = FrameBuffer()
    let read = ByteBuffer(string: "secret")
    frames.take(read)
    #expect(read.readableBytesView.allSatisfy { $0 == 0 })
    #expect(frames.withBytes { $0.count } == 6)
    #expect(frames.withBytes { $0[0] } == UInt8(ascii: "s"))
    frames.drop(6)
    #expect(frames.count == 0)
  }
}
