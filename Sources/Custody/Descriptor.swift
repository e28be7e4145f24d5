internal import ChatelaineSecretMemory
internal import Glibc

/// An open file, closed when the value goes away.
struct Descriptor: ~Copyable {
  let number: Int32

  init(_ number: Int32) { self.number = number }

  var isOpen: Bool { number >= 0 }

  deinit { if number >= 0 { _ = close(number) } }
}

extension SecretBytes {
  /// read(2) straight into secret memory, from byte `offset` to the end at most.
  mutating func read(from descriptor: Int32, at offset: Int) -> Int {
    withMutableBytes { span in
      unsafe span.withUnsafeMutableBytes { buffer in
        unsafe Glibc.read(descriptor, buffer.baseAddress! + offset, buffer.count - offset)
      }
    }
  }

  /// write(2) straight from secret memory, all of it; false with errno.
  borrowing func write(to descriptor: Int32) -> Bool {
    withBytes { span in
      unsafe span.withUnsafeBytes { buffer in
        var written = 0
        while written < buffer.count {
          let count = unsafe Glibc.write(descriptor, buffer.baseAddress! + written, buffer.count - written)
          if count < 0, errno == EINTR { continue }
          guard count > 0 else { return false }
          written += count
        }
        return true
      }
    }
  }
}
