/// One request to another host: a connection of its own, one answer, no redirects, no cookies, no proxy.
package struct HTTPRequest {
  /// What is sent, in pieces: so many bytes, from a function that gives the next ones.
  package struct Body {
    let byteCount: Int
    let next: () throws(OutsideError) -> ArraySlice<UInt8>

    package init(byteCount: Int, next: @escaping () throws(OutsideError) -> ArraySlice<UInt8>) {
      self.byteCount = byteCount
      self.next = next
    }

    package init(_ bytes: [UInt8]) {
      byteCount = bytes.count
      next = { () throws(OutsideError) in bytes[...] }
    }
  }

  package let method: String
  package let address: WebAddress
  /// Behind the address's own; with a slash, and with what follows a question mark.
  package let path: String
  /// Besides `Host`, `Content-Length` and `Connection`.
  package let headers: [(name: String, value: String)]
  package let body: Body?

  /// None of the texts may hold a control character, and `path` no blank.
  package init(
    _ method: String, _ address: WebAddress, path: String, headers: [(name: String, value: String)] = [], body: Body? = nil
  ) {
    let lines = [method, path] + headers.flatMap { [$0.name, $0.value] }
    precondition(lines.allSatisfy { $0.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f } } && !path.utf8.contains(0x20))
    (self.method, self.address, self.path, self.headers, self.body) = (method, address, path, headers, body)
  }

  var head: [UInt8] {
    var lines = ["\(method) \(address.path)\(path) HTTP/1.1", "Host: \(address.authority)", "Connection: close"]
    if let body { lines.append("Content-Length: \(body.byteCount)") }
    lines += headers.map { "\($0.name): \($0.value)" }
    return Array((lines + ["", ""]).joined(separator: "\r\n").utf8)
  }

  /// Blocks until the answer is whole, or the deadline has passed. `trust`: a file of certificates in PEM that the host's
  /// must lead to; without it, those of the system.
  package func send(by deadline: Deadline, trust: String? = nil, bodyBytesMax: Int) throws(OutsideError) -> HTTPAnswer {
    let socket = try Socket(to: address, by: deadline)
    var stream: any ByteStream = socket
    if address.isSecure { stream = try TLS(over: socket, to: address, trust: trust) }
    var isCutShort = false
    do throws(OutsideError) { try write(to: stream) } catch {
      // why: a server may refuse before it has read everything; what it said is worth more than that it hung up.
      guard case .connectionFailed = error else { throw error }
      isCutShort = true
    }
    let source = stream
    var reader = HTTPAnswerReader(bodyBytesMax: bodyBytesMax) { () throws(OutsideError) in try source.read(16_384) }
    let answer = try reader.read(isHead: method == "HEAD")
    guard !isCutShort || answer.status >= 300 else { throw .closed }
    return answer
  }

  private func write(to stream: any ByteStream) throws(OutsideError) {
    try stream.writeAll(head[...])
    guard let body else { return }
    var left = body.byteCount
    while left > 0 {
      let bytes = try body.next()
      guard !bytes.isEmpty, bytes.count <= left else { throw .source }
      try stream.writeAll(bytes)
      left -= bytes.count
    }
  }
}
