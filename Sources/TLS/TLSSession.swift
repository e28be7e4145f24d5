internal import CTLS
package import ChatelaineAccessPolicy
package import ChatelaineVocabulary

/// Who a client is, by the certificate that was verified.
package struct CertifiedPeer: Sendable, Equatable {
  /// At least one.
  package let names: [CertificateName]
  /// SHA-256 of its certificate, then of those up to the CA.
  package let chain: [Digest]
  /// Until its certificate ends.
  package let secondsLeft: Int64
}

/// One connection's TLS, over memory: bytes go in and come out, and somebody else has the socket. For one thread at a
/// time.
@safe package final class TLSSession {
  package enum Handshake {
    /// More has to come in.
    case unfinished
    case done(CertifiedPeer)
    /// In libssl's words.
    case refused(String)
  }

  package enum Read: Equatable {
    case bytes
    /// More has to come in.
    case nothing
    /// The other side has said that it sends no more (close_notify, RFC 8446 §6.1).
    case ended
    case broken
  }

  /// Plaintext of one record (RFC 8446 §5.1).
  package static let recordBytesMax = 16 << 10
  /// What sealing adds to a record, at most: header, tag, kind.
  package static let recordBytesMore = 32

  private let handle: OpaquePointer
  // why: the session's callbacks ask its context.
  private let context: TLSContext

  /// nil: there is no memory.
  package init?(_ context: TLSContext) {
    guard let handle = unsafe ch_tls_begin(context.handle) else { return nil }
    unsafe self.handle = handle
    self.context = context
  }

  deinit { unsafe ch_tls_end(handle) }

  /// Takes what came in; false where there is no memory for it.
  package func feed(_ bytes: Span<UInt8>) -> Bool {
    unsafe bytes.withUnsafeBytes { unsafe ch_tls_feed(handle, $0.baseAddress, $0.count) == 0 }
  }

  /// Bytes that are to go out.
  package var outgoingCount: Int { unsafe ch_tls_outgoing(handle) }

  /// Appends what is to go out, as far as there is room.
  package func takeOutgoing(_ output: inout OutputRawSpan) {
    unsafe output.withUnsafeMutableBytes { room, count in
      let free = unsafe UnsafeMutableRawBufferPointer(rebasing: room[count...])
      count += unsafe ch_tls_take(handle, free.baseAddress, free.count)
    }
  }

  package func shakeHands() -> Handshake {
    switch unsafe ch_tls_shake_hands(handle) {
    case 1: .done(peer())
    case 0: .unfinished
    default: .refused(unsafe String(cString: ch_tls_failure(handle)))
    }
  }

  /// Appends what was opened, of one record at most.
  package func read(_ output: inout OutputRawSpan) -> Read {
    unsafe output.withUnsafeMutableBytes { room, count in
      let free = unsafe UnsafeMutableRawBufferPointer(rebasing: room[count...])
      let got = unsafe ch_tls_read(handle, free.baseAddress, free.count)
      count += max(0, got)
      return got > 0 ? .bytes : got == 0 ? .nothing : got == -1 ? .ended : .broken
    }
  }

  /// Seals bytes; false where the session is broken.
  package func write(_ bytes: Span<UInt8>) -> Bool {
    unsafe bytes.withUnsafeBytes { unsafe ch_tls_write(handle, $0.baseAddress, $0.count) == 0 }
  }

  /// Says that this side sends no more.
  package func sayGoodbye() { unsafe ch_tls_say_goodbye(handle) }

  private func peer() -> CertifiedPeer {
    let count = unsafe ch_tls_chain_count(handle)
    let chain = (0..<count).map { place in
      var bytes = [UInt8](repeating: 0, count: Digest.byteCount)
      _ = unsafe ch_tls_chain_fingerprint(handle, place, &bytes)
      return Digest(bytes.span)
    }
    return CertifiedPeer(names: names(), chain: chain, secondsLeft: unsafe ch_tls_seconds_left(handle))
  }

  private func names() -> [CertificateName] {
    var (names, place, kind) = ([CertificateName](), 0, Int32(0))
    var room = [UInt8](repeating: 0, count: CertificateName.lengthMax)
    while true {
      let count = unsafe ch_tls_name(handle, place, &kind, &room, room.count)
      guard count >= 0 else { return names }
      let name = unsafe room.withUnsafeBytes { unsafe certificateName(kind, $0.baseAddress, count) }
      if let name, !names.contains(name) { names.append(name) }
      place += 1
    }
  }
}
