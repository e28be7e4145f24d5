package import ChatelaineVocabulary

/// The head of a reply (RFC 9112), with room for what is known only later: where the log has the call.
package struct ReplyHead: Sendable, Equatable {
  package var status: Int
  /// Nothing more comes on this connection.
  package var isLast = false
  /// A `204` has none.
  package var hasBody: Bool { status != 204 }
  /// Room is left for the receipt of the call's entry.
  package var hasReceipt = false
  package var retryAfterSeconds: UInt32?
  /// The methods of a path, with a 405.
  package var allowed: String?

  package init(status: Int) { self.status = status }

  /// Characters of a receipt.
  package static let receiptWidth = 32 + 1 + 10 + 1 + 20 + 1 + 64
  package static let byteCountMax = 512

  /// Appends the head; gives how many bytes behind its first one the receipt goes. There are blanks, which belong to no
  /// value.
  package func append(bodyByteCount: Int, to output: inout OutputRawSpan) -> Int? {
    let start = output.byteCount
    var receipt: Int?
    output.append(text: "HTTP/1.1 \(status) ")
    output.append(text: Self.reason(status))
    output.append(text: "\r\nCache-Control: no-store\r\n")
    if hasBody {
      output.append(text: "Content-Type: application/json\r\nContent-Length: \(bodyByteCount)\r\n")
    }
    if let allowed { output.append(text: "Allow: \(allowed)\r\n") }
    if let retryAfterSeconds { output.append(text: "Retry-After: \(retryAfterSeconds)\r\n") }
    if isLast { output.append(text: "Connection: close\r\n") }
    if hasReceipt {
      output.append(text: "X-Chatelaine-Receipt: ")
      receipt = output.byteCount - start
      for _ in 0..<Self.receiptWidth { output.append(UInt8(ascii: " ")) }
      output.append(text: "\r\n")
    }
    output.append(text: "\r\n")
    return receipt
  }

  private static func reason(_ status: Int) -> String {
    switch status {
    case 200: "OK"
    case 204: "No Content"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 408: "Request Timeout"
    case 409: "Conflict"
    case 413: "Content Too Large"
    case 417: "Expectation Failed"
    case 429: "Too Many Requests"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 503: "Service Unavailable"
    case 504: "Gateway Timeout"
    default: "See the body"
    }
  }
}

/// Where the log has a call's entry, as a header has it: `LOG/EPOCH/SEQUENCE/LEAF-HASH`.
package func receiptText(logID: Identifier, epoch: UInt32, sequence: UInt64, leafHash: Digest) -> String {
  "\(logID.hex)/\(epoch)/\(sequence)/\(leafHash.hex)"
}

extension OutputRawSpan {
  /// Appends a text of ours; no room for it is a bug.
  package mutating func append(text: String) {
    for byte in text.utf8 { append(byte) }
  }
}
