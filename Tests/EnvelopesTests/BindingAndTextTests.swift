import ChatelaineEnvelopes
import ChatelainePrimitives
import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

struct ContextVector: Decodable, Sendable, CustomTestStringConvertible {
  let name: String
  let tenant: String
  let subject: String
  let pairs: [[String]]
  let hash: String

  var testDescription: String { name }
  static let all: [ContextVector] = load("context.json")
}

struct TextVector: Decodable, Sendable, CustomTestStringConvertible {
  let name: String
  let expect: String
  let text: String
  let bytes: String

  var testDescription: String { name }
  static let all: [TextVector] = load("text.json")
}

@Suite("Context hashes")
struct ContextHashTests {
  // MUST: CTX-1, CTX-4
  @Test("The hash is the vector's, whatever order the pairs come in", arguments: ContextVector.all)
  func vectors(vector: ContextVector) throws {
    for order in [vector.pairs, vector.pairs.reversed(), vector.pairs.shuffled()] {
      #expect(try contextHash(tenant: vector.tenant, subject: vector.subject, order).digest.hex == vector.hash)
    }
  }

  // MUST: CTX-5
  @Test("No two contexts have the same hash: nothing can be moved from one field to the next")
  func distinct() {
    print("context.json: \(ContextVector.all.count) vectors")
    #expect(ContextVector.all.count > 0)
    let contexts = Set(
      ContextVector.all.map { [[$0.tenant, $0.subject]] + $0.pairs.sorted { $0[0] < $1[0] } })
    #expect(Set(ContextVector.all.map(\.hash)).count == contexts.count)
    #expect(contexts.count > 15)
  }

  // MUST: WRAP-9
  @Test("Every part of a record changes its hash")
  func records() throws {
    let record = BindingHash.Record(
      tenant: try TenantID("acme"), keyName: try KeyName("payments"), subject: [1, 2], purpose: .seal,
      suite: .aes256GCM, created: .init(nanoseconds: 7))
    var others = [record, record, record, record, record, record, record, record, record]
    others[0].tenant = try TenantID("acmf")
    others[1].tenant = nil
    others[2].keyName = try KeyName("payment")
    others[3].subject = [1]
    others[4].subject = [1, 2, 0]
    others[5].purpose = .mac
    others[6].suite = .xchacha20Poly1305
    others[7].created = .init(nanoseconds: 8)
    others[8].suite = nil
    #expect(Set((others + [record]).map(BindingHash.record)).count == 10)
    var moved = record
    moved.tenant = try TenantID("acmep")
    moved.keyName = try KeyName("ayments")
    #expect(BindingHash.record(moved) != BindingHash.record(record))
  }
}

@Suite("Text form")
struct TextFormTests {
  // MUST: TEXT-1, TEXT-2, TEXT-3, TEXT-4, TEXT-5, FMT-4
  @Test("A text is the vector's bytes, or refused", arguments: TextVector.all)
  func vectors(vector: TextVector) throws {
    let text = Array(vector.text.utf8)
    guard vector.expect == "ok" else {
      #expect(throws: TextForm.Malformed.self) { try TextForm.decode(text.span) }
      return
    }
    let (bytes, again) = (try TextForm.decode(text.span), TextForm.encode([UInt8](hex: vector.bytes).span))
    #expect(bytes.hex == vector.bytes)
    #expect(again == text)
  }

  @Test("There are vectors of both outcomes")
  func coverage() {
    print("text.json: \(TextVector.all.count) vectors")
    #expect(Set(TextVector.all.map(\.expect)) == ["ok", "refused"])
  }

  @Test("Each refusal has its reason")
  func reasons() {
    let cases: [(String, TextForm.Malformed)] = [
      ("", .prefix), ("ch1", .prefix), ("CH1.AAAA", .prefix), ("ch2.AAAA", .prefix), (" ch1.AAAA", .prefix),
      ("ch1.A", .length), ("ch1.AAAAA", .length), ("ch1.", .length),
      ("ch1.AAA=", .character), ("ch1.AA+A", .character), ("ch1.AA/A", .character), ("ch1.AAA ", .character),
      ("ch1.AAA\n", .character), ("ch1.AA\u{e9}", .character), ("ch1.AAA\0", .character),
      ("ch1.AB", .trailingBits), ("ch1.AAB", .trailingBits), ("ch1.AP", .trailingBits),
      ("ch1.AAD", .trailingBits),
    ]
    for (text, reason) in cases {
      #expect(throws: reason, "\(text)") { try TextForm.decode(Array(text.utf8).span) }
    }
  }

  // MUST: FMT-4
  @Test("Every text of up to three characters that is read has exactly that encoding")
  func oneTextForEachValue() throws {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ .".utf8)
    let prefix = Array("ch1.".utf8)
    var seen = Set<[UInt8]>()
    var count = 0
    for a in alphabet {
      for b in alphabet {
        for tail in [[]] + alphabet.map({ [$0] }) {
          let text = prefix + [a, b] + tail
          guard let bytes = try? TextForm.decode(text.span) else { continue }
          count += 1
          seen.insert(bytes)
          if TextForm.encode(bytes.span) != text { Issue.record("\(text)") }
        }
      }
    }
    #expect(count == 256 + 65_536)
    #expect(seen.count == count)
  }

  @Test("Bytes of every length come back")
  func roundTrip() throws {
    var random = SeededRandom(announcing: "text round trip")
    for size in 1...600 {
      let bytes = random.bytes(size)
      let text = TextForm.encode(bytes.span)
      let again = try TextForm.decode(text.span)
      #expect(again == bytes && text.count == 4 + (size * 4 + 2) / 3)
    }
  }
}
