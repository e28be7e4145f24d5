import ChatelaineVocabulary
import Testing

@Suite("JSON, read in place")
struct JSONReaderTests {
  /// A body's one member `a`, as a text; or why it is none.
  static func text(_ json: String) -> Result<String, JSONFault> {
    var bytes = Array(json.utf8)
    return Result { () throws(JSONFault) in
      var span = bytes.mutableSpan
      var reader = JSONReader(in: 0..<span.count)
      try reader.openObject(span)
      guard try reader.nextMember(span) != nil else {
        try reader.finish(span)
        return ""
      }
      let range = try reader.text(&span)
      guard try reader.nextMember(span) == nil else { throw .malformed }
      try reader.finish(span)
      return String(decoding: span.span.extracting(range).copiedBytes, as: UTF8.self)
    }
  }

  static func number(_ json: String) -> UInt64? {
    var bytes = Array(json.utf8)
    let span = bytes.mutableSpan
    var reader = JSONReader(in: 0..<span.count)
    guard let value = try? reader.number(span), (try? reader.finish(span)) != nil else { return nil }
    return value
  }

  static func flag(_ json: String) -> Bool? {
    var bytes = Array(json.utf8)
    let span = bytes.mutableSpan
    var reader = JSONReader(in: 0..<span.count)
    guard let value = try? reader.flag(span), (try? reader.finish(span)) != nil else { return nil }
    return value
  }

  @Test("Blanks stand between any two parts, and escapes are what they stand for (RFC 8259 §7)")
  func texts() throws {
    #expect(Self.text(#"{"a":"b"}"#) == .success("b"))
    #expect(Self.text(" {\t\"a\"\r\n: \"b\" } \n") == .success("b"))
    #expect(Self.text("{ }") == .success(""))
    #expect(Self.text(#"{"a":""}"#) == .success(""))
    #expect(Self.text(#"{"a":"\"\\\/\b\f\n\r\t"}"#) == .success("\"\\/\u{8}\u{c}\n\r\t"))
    #expect(Self.text(#"{"a":"\u0041\u00e9\u20ac\ud834\udd1e.\uD834\uDD1E"}"#) == .success("Aé€𝄞.𝄞"))
    #expect(Self.text(#"{"a":"\u0000x"}"#) == .success("\0x"))
    #expect(Self.text("{\"a\":\"é€𝄞\u{7f}\"}") == .success("é€𝄞\u{7f}"))
  }

  @Test("What is no JSON is refused, at whatever place it ends")
  func malformed() {
    for json in [
      "", " ", "{", "}", "[]", "null", "{}{}", "{} x", "{a:\"b\"}", "{'a':'b'}", #"{"a"}"#, #"{"a":}"#, #"{"a" "b"}"#,
      #"{"a":"b",}"#, #"{,"a":"b"}"#, #"{"a":"b""c":"d"}"#, #"{"a":"b"]"#, #"{"a":"b"},"#, #"{"a":"b"}\0"#, #"{"a":b}"#,
      #"{"a":"b}"#, #"{"a":"\x"}"#, #"{"a":"\u12"}"#, #"{"a":"\u12g4"}"#, #"{"a":"\"}"#, "{\"a\":\"\n\"}", "{\"a\":\"\t\"}",
      "{\"a\":\"\0\"}", "\u{feff}{}", #"{"a":"b"/**/}"#, #"{"a":["b"]}"#, #"{"a":{"b":"c"}}"#, #"{"a":1}"#,
    ] {
      #expect(Self.text(json) == .failure(.malformed), "\(json)")
    }
    let whole = #"{"a":"b\u0041\n"}"#
    for count in 0..<whole.utf8.count { #expect(throws: JSONFault.self) { try Self.text(String(whole.prefix(count))).get() } }
    #expect(Self.text(whole) == .success("bA\n"), "the control")
  }

  @Test("Half of a surrogate pair is no character")
  func surrogates() {
    for text in [#"\ud834"#, #"\udd1e"#, #"\ud834x"#, #"\ud834\n"#, #"\ud834\ud834"#, #"\ud834\u0041"#, #"\udd1e\ud834"#] {
      #expect(Self.text("{\"a\":\"\(text)\"}") == .failure(.notUnicode), "\(text)")
    }
  }

  @Test("Nesting ends at its bound")
  func depth() {
    func open(_ count: Int) -> JSONFault? {
      var bytes = [UInt8](repeating: UInt8(ascii: "["), count: count)
      let span = bytes.mutableSpan
      var reader = JSONReader(in: 0..<span.count)
      do throws(JSONFault) {
        for _ in 0..<count { try reader.openArray(span) }
        return nil
      } catch { return error }
    }
    #expect(open(JSONReader.depthMax) == nil)
    #expect(open(JSONReader.depthMax + 1) == .tooDeep)
  }

  @Test("Numbers are whole and not negative, or strings of them; flags too")
  func scalars() {
    #expect(Self.number("0") == 0 && Self.number("7") == 7 && Self.number(" \"256\" ") == 256)
    #expect(Self.number("18446744073709551615") == .max)
    for text in ["", "-1", "+1", "01", "00", "1.0", "1e2", "18446744073709551616", "\"\"", "\"1", "1\"", "0x1", "1a", "null", "\"-1\""] {
      #expect(Self.number(text) == nil, "\(text)")
    }
    #expect(Self.flag("true") == true && Self.flag("false") == false && Self.flag("\"true\"") == true)
    for text in ["True", "1", "\"yes\"", "tru", "truee", "null", "\"true"] { #expect(Self.flag(text) == nil, "\(text)") }
  }
}

extension Span<UInt8> {
  var copiedBytes: [UInt8] { indices.map { self[$0] } }
}
