internal import ChatelaineWire

/// What stands where a frame should begin.
enum FrameStart {
  /// Too little is here to say.
  case incomplete
  case frame(TtrpcFrame)
  /// A frame of more bytes than any may have.
  case tooLong(TtrpcFrame)
  case http
  /// Another protocol: there is nobody who would understand an answer.
  case foreign

  init(_ bytes: Span<UInt8>) {
    self = .incomplete
    guard bytes.count > 0 else { return }
    // why: as lengths these were 352 MiB and more, and who means a frame by them is told so, if in another way.
    if (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(bytes[0]) {
      self = .http
    } else if bytes[0] == Self.tlsHandshake {
      self = .foreign
    } else if bytes.count >= TtrpcFrame.headerByteCount, let frame = try? TtrpcFrame(bytes) {
      self = Self.of(frame)
    }
  }

  private static let tlsHandshake: UInt8 = 22
  private static let byteCountAnyoneMeans = 1 << 24

  private static func of(_ frame: TtrpcFrame) -> FrameStart {
    guard frame.byteCount > TtrpcFrame.messageBytesMax else { return .frame(frame) }
    let isOurs = frame.byteCount < byteCountAnyoneMeans || frame.kind == TtrpcFrame.Kind.request.rawValue
    return isOurs ? .tooLong(frame) : .foreign
  }

  static let httpRefusal = """
    HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
    This socket speaks ttrpc, not HTTP: generate a client from proto/chatelaine/v1.\r\n
    """
}
