internal import ChatelaineVocabulary
internal import ChatelaineWire
internal import Foundation

/// Requests as whole frames, made once; and what their replies hold.
enum Requests {
  static let tenant = "bench"
  static let key = "bench"

  static func encrypt(_ plaintext: [UInt8], tenant: String = tenant, key: String = key) throws -> [UInt8] {
    try frame(.encrypt, [plaintext], tenant: tenant, key: key)
  }

  /// One for each body; those of a batch share the call.
  static func frame(
    _ method: KeyMethod, _ bodies: [[UInt8]], tenant: String = tenant, key: String? = key
  ) throws -> [UInt8] {
    let context = try EncryptionContext([.init(key: Array("table".utf8), value: Array("cards".utf8))])
    let writer = KeyRequestWriter(
      method, tenant: try TenantID(tenant), key: try key.map { try KeyName($0) },
      contexts: Array(repeating: context, count: max(1, bodies.count)))
    let sizes = method == .issueDataKey ? [0] : bodies.map(\.count)
    let payload = writer.byteCount(bodies: sizes)
    let (service, name) = (KeyMethod.service, method.bytes)
    let count = TtrpcRequest.byteCount(
      service: service.span, method: name.span, payloadByteCount: payload, timeoutNanoseconds: nil)
    return bytes(TtrpcFrame.headerByteCount + count) { output in
      TtrpcFrame(.request, stream: 1, byteCount: count).append(to: &output)
      TtrpcRequest.appendHead(
        service: service.span, method: name.span, payloadByteCount: payload, timeoutNanoseconds: nil, to: &output)
      writer.appendHead(to: &output)
      for (index, size) in sizes.enumerated() {
        writer.appendItem(index, body: size, to: &output)
        if method != .issueDataKey { for byte in bodies[index] { output.append(byte) } }
      }
    }
  }

  private static func bytes(_ count: Int, _ fill: (inout OutputRawSpan) -> Void) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    unsafe bytes.withUnsafeMutableBytes { room in
      var output = unsafe OutputRawSpan(buffer: room, initializedCount: 0)
      fill(&output)
      _ = unsafe output.finalize(for: room)
    }
    return bytes
  }

  /// What the transit floor is asked.
  static func http(_ plaintext: [UInt8]) -> [UInt8] {
    func text(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }
    let body = "{\"plaintext\":\"\(text(plaintext))\",\"associated_data\":\"\(text(Array("table=cards".utf8)))\"}"
    let head = """
      POST /v1/transit/encrypt/bench HTTP/1.1\r\nHost: floor\r\nX-Token: floor\r\n\
      Content-Length: \(body.utf8.count)\r\n\r\n
      """
    return Array((head + body).utf8)
  }

  /// The first field of each result of a good reply: envelopes, plaintexts, wrapped keys.
  static func results(of method: KeyMethod, _ message: [UInt8]) throws -> [[UInt8]] {
    let response = try TtrpcResponse(message.span, in: 0..<message.count)
    let reply = try KeyReply(method, message.span, in: response.payload)
    if reply.results.contains(where: { $0.code != nil }) { throw BenchError("An item of a batch was refused.") }
    let ranges = reply.results.isEmpty ? [reply.first, reply.second].compactMap(\.self) : reply.results.map(\.body)
    return ranges.map { Array(message[$0]) }
  }
}
