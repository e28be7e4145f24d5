import ChatelaineOutside
import Testing

/// Answers as they come from hosts that nobody has to believe.
struct HTTPAnswerTests {
  /// Read in one piece, and byte by byte: both must say the same.
  private func read(_ text: String, isHead: Bool = false, max: Int = 100) throws(OutsideError) -> HTTPAnswer {
    let whole = try read(Array(text.utf8), pieces: 1 << 20, isHead, max)
    let pieces = try read(Array(text.utf8), pieces: 1, isHead, max)
    #expect(whole == pieces)
    return whole
  }

  private func read(_ bytes: [UInt8], pieces: Int, _ isHead: Bool, _ max: Int) throws(OutsideError) -> HTTPAnswer {
    var rest = bytes[...]
    var reader = HTTPAnswerReader(bodyBytesMax: max) { () throws(OutsideError) in
      defer { rest = rest.dropFirst(pieces) }
      return Array(rest.prefix(pieces))
    }
    return try reader.read(isHead: isHead)
  }

  @Test func `Length, chunks and the end of the connection each end a body`() throws {
    let long = try read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A:  b \r\n\r\nhello more")
    #expect(long.status == 200 && long.body == Array("hello".utf8) && long["x-a"] == "b")
    let chunks = try read("HTTP/1.1 409 Conflict\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nT: r\r\n\r\n")
    #expect(chunks.status == 409 && chunks.body == Array("hello".utf8))
    #expect(try read("HTTP/1.0 200\r\n\r\nhello").body == Array("hello".utf8))
    #expect(try read("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n").body.isEmpty)
    #expect(try read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", isHead: true).body.isEmpty)
    #expect(try read("HTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").status == 200)
  }

  @Test func `A content type has no parameters`() throws {
    let answer = try read("HTTP/1.1 409 C\r\nContent-Type: Text/X.tlog.size; charset=utf-8\r\nContent-Length: 0\r\n\r\n")
    #expect(answer.contentType == "text/x.tlog.size")
  }

  @Test func `What is no HTTP is refused`() {
    for text in [
      "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 +20 OK\r\n\r\n", "hello\r\n\r\n", "HTTP/1.1 200 OK\n\n",
      "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\n: empty\r\n\r\n", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
      "HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n", "HTTP/1.1 200 OK\r\nA: \u{1}\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
      "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
      String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 20),
    ] {
      #expect(throws: OutsideError.malformed, "\(text)") { try read(text) }
    }
  }

  @Test func `What is more than was asked for is refused before it is kept`() {
    let long = String(repeating: "a", count: 101)
    for text in [
      "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + long, "HTTP/1.1 200 OK\r\n\r\n" + long,
      "HTTP/1.1 200 OK\r\nA: " + String(repeating: "b", count: 20_000), "HTTP/1.1 200 OK\r\n" + String(repeating: "A: b\r\n", count: 5000),
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + String(repeating: "1\r\na\r\n", count: 200),
    ] {
      #expect(throws: OutsideError.tooLong, "\(text.prefix(60))") { try read(text) }
    }
  }

  @Test func `What ends too early is no answer`() {
    let whole = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    for count in 0..<whole.utf8.count {
      #expect(throws: OutsideError.closed) { try read(String(decoding: whole.utf8.prefix(count), as: UTF8.self)) }
    }
    #expect(throws: OutsideError.closed) { try read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n") }
  }
}
