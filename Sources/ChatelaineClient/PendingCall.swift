internal import ChatelaineSocketBuffers
internal import ChatelaineVocabulary
internal import ChatelaineWire
internal import NIOCore
internal import Synchronization

/// What is sent: the method, and a payload that is written straight into its frame.
struct Outgoing: Sendable {
  let service: [UInt8]
  let method: [UInt8]
  let payloadByteCount: Int
  var requestID: RequestID?
  var token: AccessToken?
  /// Writes exactly `payloadByteCount` bytes.
  let write: @Sendable (inout OutputRawSpan) -> Void

  init(
    service: [UInt8], method: [UInt8], payloadByteCount: Int, requestID: RequestID?,
    write: @escaping @Sendable (inout OutputRawSpan) -> Void
  ) {
    self.service = service
    self.method = method
    self.payloadByteCount = payloadByteCount
    self.requestID = requestID
    self.write = write
  }

  private func messageByteCount(_ timeout: UInt64) -> Int {
    TtrpcRequest.byteCount(
      service: service.span, method: method.span, payloadByteCount: payloadByteCount,
      timeoutNanoseconds: timeout, tokenByteCount: token?.bytes.count)
  }

  /// Whether one frame can carry it, with any timeout.
  var fits: Bool { messageByteCount(.max) <= TtrpcFrame.messageBytesMax }

  /// The whole frame. It may hold plaintext: whoever makes it erases it.
  func frame(stream: UInt32, timeoutNanoseconds: UInt64) -> ByteBuffer {
    let count = messageByteCount(timeoutNanoseconds)
    var buffer = ByteBufferAllocator().buffer(capacity: TtrpcFrame.headerByteCount + count)
    buffer.append(roomFor: TtrpcFrame.headerByteCount + count) { output in
      TtrpcFrame(.request, stream: stream, byteCount: count).append(to: &output)
      if let token { TtrpcRequest.append(token: token.bytes.span, to: &output) }
      TtrpcRequest.appendHead(
        service: service.span, method: method.span, payloadByteCount: payloadByteCount,
        timeoutNanoseconds: timeoutNanoseconds, to: &output)
      write(&output)
    }
    return buffer
  }
}

/// What the event loop and a task that may be cancelled both hold.
final class CallToken: Sendable {
  private let cancelled = Atomic<Bool>(false)

  var isCancelled: Bool { cancelled.load(ordering: .acquiring) }
  func cancel() { cancelled.store(true, ordering: .releasing) }
}

/// A call without its result's type. It ends once: by `receive` that does not throw, or by `fail`.
protocol PendingCall: AnyObject, Sendable {
  var outgoing: Outgoing { get }
  var deadline: NIODeadline { get }
  var token: CallToken { get }
  /// Takes a good reply; one that does not parse leaves the call as it was.
  func receive(_ bytes: Span<UInt8>, in range: Range<Int>) throws(MalformedBytes)
  func fail(_ error: ClientError)
}

/// A call that a task awaits.
final class Call<Value: Sendable>: PendingCall {
  typealias Reader = @Sendable (Span<UInt8>, Range<Int>) throws(MalformedBytes) -> Value
  typealias Continuation = CheckedContinuation<Result<Value, ClientError>, Never>

  let outgoing: Outgoing
  let deadline: NIODeadline
  let token: CallToken
  private let read: Reader
  private let continuation: Continuation

  init(
    _ outgoing: Outgoing, deadline: NIODeadline, token: CallToken, read: @escaping Reader,
    continuation: Continuation
  ) {
    self.outgoing = outgoing
    self.deadline = deadline
    self.token = token
    self.read = read
    self.continuation = continuation
  }

  func receive(_ bytes: Span<UInt8>, in range: Range<Int>) throws(MalformedBytes) {
    let value = try read(bytes, range)
    continuation.resume(returning: .success(value))
  }

  func fail(_ error: ClientError) { continuation.resume(returning: .failure(error)) }
}
