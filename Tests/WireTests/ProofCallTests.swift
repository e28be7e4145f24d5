internal import ChatelaineVocabulary
internal import ChatelaineWire
internal import Foundation
internal import Testing

@Suite("Questions about the log, against the generated code")
struct ProofCallTests {
  static func call(_ method: ProofMethod, _ bytes: [UInt8]) throws(CallFault) -> ProofCall {
    try ProofCall(method, bytes.span, in: 0..<bytes.count)
  }

  static func fault(_ method: ProofMethod, _ bytes: [UInt8]) -> CallFault? {
    do throws(CallFault) { _ = try call(method, bytes) } catch { return error }
    return nil
  }

  @Test("Questions by the generated code are read as they were meant, and the other way round")
  func requests() throws {
    for number in [0, 1, 300, UInt64.max] {
      let head = [UInt8](try Chatelaine_V1_GetHeadRequest.with { $0.fromSize = number }.serializedData())
      let asked = try Self.call(.getHead, head)
      #expect(asked == .head(from: number == 0 ? nil : number))
      #expect(try Chatelaine_V1_GetHeadRequest(serializedBytes: written(asked.byteCount) { asked.append(to: &$0) }).fromSize == number)
      let entry = [UInt8](try Chatelaine_V1_ProveEntryRequest.with { $0.sequence = number }.serializedData())
      let proved = try Self.call(.proveEntry, entry)
      #expect(proved == .entry(sequence: number))
      #expect(try Chatelaine_V1_ProveEntryRequest(serializedBytes: written(proved.byteCount) { proved.append(to: &$0) }).sequence == number)
    }
  }

  @Test("Replies written by hand are read by the generated code, and the other way round")
  func replies() throws {
    let hashes = [Digest(1, 2, 3, 4), Digest(5, 6, 7, 8)]
    let reply = ProofReply(Array("a note\n".utf8), hashes: hashes)
    let bytes = written(reply.byteCount) { reply.append(to: &$0) }
    #expect(bytes.count == reply.byteCount)
    let read = try Chatelaine_V1_GetHeadResponse(serializedBytes: bytes)
    #expect([UInt8](read.head) == reply.bytes && read.consistency.map { [UInt8]($0) } == hashes.map(\.bytes))
    let again = [UInt8](try read.serializedData())
    #expect(try ProofReply(again.span, in: 0..<again.count) == reply)
    let proof = [UInt8](try Chatelaine_V1_ProveEntryResponse.with { $0.proof = Data([1]) }.serializedData())
    #expect(try ProofReply(proof.span, in: 0..<proof.count) == ProofReply([1]))
  }

  @Test("What is no question is refused: another field, a field twice, another type, trailing bytes")
  func refused() {
    #expect(Self.fault(.getHead, [0x08, 1]) == nil, "the control")
    #expect(Self.fault(.getHead, [0x10, 1]) == .unknownField(2))
    #expect(Self.fault(.proveEntry, [0x08, 1, 0x08, 1]) == .duplicateField(1))
    #expect(Self.fault(.proveEntry, [0x0A, 1, 0]) == .malformed)
    #expect(Self.fault(.proveEntry, [0x08, 1, 0]) == .malformed)
  }

  @Test("What is no reply is refused: nothing in it, a hash of another length, more hashes than a proof has")
  func refusedReplies() {
    func isRead(_ bytes: [UInt8]) -> Bool { (try? ProofReply(bytes.span, in: 0..<bytes.count)) != nil }
    let hash = [0x12, 32] + [UInt8](repeating: 1, count: 32)
    #expect(isRead([0x0A, 1, 1] + hash), "the control")
    #expect(!isRead([]) && !isRead([0x0A, 0]) && !isRead([0x0A, 1, 1, 0x12, 1, 1]))
    #expect(!isRead([0x0A, 1, 1] + (0..<66).flatMap { _ in hash }))
  }
}
