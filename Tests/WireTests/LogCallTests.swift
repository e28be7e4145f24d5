internal import ChatelaineVocabulary
internal import ChatelaineWire
internal import Foundation
internal import SwiftProtobuf
internal import Testing

@Suite("Messages of the log's reviewers, against the generated code")
struct LogCallTests {
  static let id = Identifier(high: 0x0102_0304_0506_0708, low: 9)

  static func generated() -> Chatelaine_V1_ListEntriesRequest {
    .with {
      ($0.tenant, $0.key, $0.principal, $0.operation, $0.outcome) = ("acme", "k", "uid:7", "decrypt", "ok")
      ($0.limit, $0.pageToken, $0.newestFirst, $0.epoch) = (70_000, Data([1, 2, 3]), true, 300)
      ($0.requestID, $0.subjectDigest, $0.actor) = (Data(id.bytes), Data(id.bytes), "a\\x0a")
      ($0.sinceUnixNs, $0.untilUnixNs, $0.fromSequence, $0.beforeSequence) = (1, .max, 1 << 40, 128)
      ($0.attribution.actor, $0.attribution.purpose, $0.attribution.requestID) = ("user 7", "audit", Data(id.bytes))
    }
  }

  static func fault(_ method: LogMethod, _ bytes: [UInt8]) -> CallFault? {
    do throws(CallFault) { _ = try LogCall(method, bytes.span, in: 0..<bytes.count) } catch { return error }
    return nil
  }

  @Test("A list by the generated code is read as it was meant, and the other way round")
  func list() throws {
    let bytes = [UInt8](try Self.generated().serializedData())
    let call = try LogCall(.listEntries, bytes.span, in: 0..<bytes.count)
    #expect(call.tenant == Array("acme".utf8) && call.key == Array("k".utf8) && call.principal == Array("uid:7".utf8))
    #expect(call.operation == Array("decrypt".utf8) && call.outcome == Array("ok".utf8) && call.limit == 70_000)
    #expect(call.pageToken == [1, 2, 3] && call.isNewestFirst && call.epoch == 300 && call.actor == Array("a\\x0a".utf8))
    #expect(call.requestID == Self.id && call.subjectDigest == Self.id && call.attribution.requestID == Self.id)
    #expect(call.since == 1 && call.until == .max && call.from == 1 << 40 && call.before == 128)
    #expect(try Chatelaine_V1_ListEntriesRequest(serializedBytes: call.encoded) == Self.generated())
    #expect(try LogCall(.listEntries, bytes.span, in: 0..<0) == LogCall(.listEntries) && LogCall(.listEntries).encoded.isEmpty)
  }

  @Test("So is a history")
  func history() throws {
    let made = Chatelaine_V1_GetHistoryRequest.with {
      ($0.tenant, $0.limit, $0.pageToken, $0.attribution.purpose) = ("_service", 9, Data([7]), "audit")
    }
    let bytes = [UInt8](try made.serializedData())
    let call = try LogCall(.getHistory, bytes.span, in: 0..<bytes.count)
    #expect(call.tenant == Array("_service".utf8) && call.limit == 9 && call.pageToken == [7])
    #expect(try Chatelaine_V1_GetHistoryRequest(serializedBytes: call.encoded) == made)
    #expect(Self.fault(.getHistory, [0x20, 1]) == .unknownField(4), "which a list has")
    #expect(Self.fault(.listEntries, [0x20, 1]) == nil, "the control")
  }

  @Test("What is no call is refused: unknown and double fields, other types, what is too long, what is no text")
  func refused() {
    #expect(Self.fault(.listEntries, [0x0A, 1, 0x61]) == nil, "the control")
    #expect(Self.fault(.listEntries, [0x0A, 1, 0x61, 0x0A, 1, 0x61]) == .duplicateField(1))
    #expect(Self.fault(.listEntries, [0x92, 0x01, 0]) == .unknownField(18))
    #expect(Self.fault(.listEntries, [0x08, 1]) == .malformed && Self.fault(.listEntries, [0x12, 0]) == .malformed)
    #expect(Self.fault(.listEntries, [0x0A, 1, 0xFF]) == .notUTF8)
    #expect(Self.fault(.listEntries, [0x0A, 65] + [UInt8](repeating: 0x61, count: 65)) == .value(1))
    #expect(Self.fault(.listEntries, [0x1A, 0x81, 1] + [UInt8](repeating: 1, count: 129)) == .value(3))
    #expect(Self.fault(.listEntries, [0x5A, 15] + [UInt8](repeating: 1, count: 15)) == .value(11))
    #expect(Self.fault(.listEntries, [0x28, 0x80, 0x80, 0x80, 0x80, 0x10]) == .value(5), "an epoch of 2^32")
    #expect(Self.fault(.listEntries, [0x42, 3, 0x22, 1, 1]) == .unknownField(4), "in the attribution")
  }

  @Test("Replies written by hand are read by the generated code, and the other way round")
  func replies() throws {
    let receipt = WireReceipt(logID: Self.id, epoch: 2, sequence: 700, leafHash: Digest(1, 2, 3, 4))
    let entries = [
      LogReply.Entry(epoch: 1, sequence: 0, leafHash: Digest(5, 6, 7, 8), bytes: [1, 2, 3]),
      LogReply.Entry(epoch: 2, sequence: 1 << 50, leafHash: Digest(9, 6, 7, 8), bytes: []),
    ]
    let reply = LogReply(entries: entries, nextPageToken: [4, 5], proof: Array("a proof\n".utf8), receipt: receipt)
    let bytes = written(reply.byteCount) { reply.append(to: &$0) }
    #expect(bytes.count == reply.byteCount)
    let read = try Chatelaine_V1_GetHistoryResponse(serializedBytes: bytes)
    #expect(read.entries.map(\.sequence) == [0, 1 << 50] && read.entries.map(\.epoch) == [1, 2])
    #expect(read.entries.map { [UInt8]($0.entry) } == [[1, 2, 3], []], "the second has nothing but its hash")
    #expect([UInt8](read.entries[1].leafHash) == entries[1].leafHash.bytes && read.receipt.sequence == 700)
    #expect([UInt8](read.nextPageToken) == [4, 5] && [UInt8](read.proof) == reply.proof)
    let again = [UInt8](try read.serializedData())
    #expect(try LogReply(again.span, in: 0..<again.count) == reply)
    let empty: [UInt8] = [0x0A, 0]
    #expect(throws: MalformedBytes.self) { try LogReply(empty.span, in: 0..<2) }
    #expect(throws: MalformedBytes.self, "without a receipt") { try LogReply(empty.span, in: 0..<0) }
  }
}
