internal import ChatelaineVocabulary
internal import ChatelaineWire
internal import Foundation
internal import SwiftProtobuf
internal import Testing

/// The codec by hand against the generated one: two implementations that share no line.
@Suite("Messages of the data door, against the generated code")
struct AgainstGeneratedTests {
  @Test("A request written by the generated code is read as it was meant")
  func readsGenerated() throws {
    var request = Chatelaine_V1_EncryptRequest()
    request.tenant = "acme"
    request.key = "payments"
    request.plaintext = Data("4111 1111 1111 1111".utf8)
    request.context = ["table": "cards", "column": "número", "": ""]
    request.context[""] = nil
    request.attribution.requestID = Data((0..<16).map { UInt8($0) })
    request.attribution.actor = "user 7"
    request.attribution.purpose = "checkout"
    let bytes = [UInt8](try request.serializedData())
    let call = try KeyCall(.encrypt, bytes.span, in: 0..<bytes.count)
    #expect(call.tenant.rawValue == "acme" && call.key?.rawValue == "payments")
    #expect(Array(bytes[call.items[0].body]) == Array("4111 1111 1111 1111".utf8))
    #expect(
      call.items[0].context.pairs.map { String(decoding: $0.key, as: UTF8.self) } == ["column", "table"])
    #expect(call.attribution.requestID?.hex == "000102030405060708090a0b0c0d0e0f")
    #expect(call.attribution.actor == Array("user 7".utf8) && call.attribution.purpose == Array("checkout".utf8))
  }

  @Test("Batches, data keys and rewraps by the generated code are read as they were meant")
  func readsOtherMethods() throws {
    var batch = Chatelaine_V1_DecryptBatchRequest()
    batch.tenant = "acme"
    batch.items = (0..<1024).map { index in
      .with {
        $0.envelope = Data(repeating: UInt8(index & 255), count: index % 7)
        $0.context = ["row": "\(index)"]
      }
    }
    let many = [UInt8](try batch.serializedData())
    let call = try KeyCall(.decryptBatch, many.span, in: 0..<many.count)
    #expect(call.items.map(\.body.count) == (0..<1024).map { $0 % 7 })
    #expect(call.items[1023].context.pairs[0].value == Array("1023".utf8))

    let issue = Chatelaine_V1_IssueDataKeyRequest.with {
      $0.tenant = "acme"
      $0.key = "files"
      $0.wrappedOnly = true
    }
    let issueBytes = [UInt8](try issue.serializedData())
    #expect(try KeyCall(.issueDataKey, issueBytes.span, in: 0..<issueBytes.count).wrappedOnly)

    let rewrap = Chatelaine_V1_RewrapRequest.with {
      $0.tenant = "acme"
      $0.wrappedDataKey = Data(repeating: 7, count: 148)
    }
    let rewrapBytes = [UInt8](try rewrap.serializedData())
    let moved = try KeyCall(.rewrap, rewrapBytes.span, in: 0..<rewrapBytes.count)
    #expect(moved.isWrappedDataKey && moved.items[0].body.count == 148)
  }

  @Test("A request written by hand is read by the generated code as it was meant")
  func writesForGenerated() throws {
    let context = try EncryptionContext([.init(key: Array("a".utf8), value: Array("b".utf8))])
    var attribution = WireAttribution()
    attribution.requestID = Identifier(high: 1, low: 2)
    attribution.actor = Array("me".utf8)
    let writer = KeyRequestWriter(
      .encryptBatch, tenant: try TenantID("acme"), key: try KeyName("k"), contexts: [context, .empty],
      attribution: attribution)
    let bodies = [Array("one".utf8), [UInt8](repeating: 9, count: 300)]
    let bytes = [UInt8](capacity: writer.byteCount(bodies: bodies.map(\.count))) { output in
      var raw = Appending()
      writer.write(bodies, into: &raw)
      for byte in raw.bytes { output.append(byte) }
    }
    let read = try Chatelaine_V1_EncryptBatchRequest(serializedBytes: bytes)
    #expect(read.tenant == "acme" && read.key == "k" && read.attribution.actor == "me")
    #expect(read.items.map { [UInt8]($0.plaintext) } == bodies)
    #expect(read.items[0].context == ["a": "b"] && read.items[1].context.isEmpty)
    #expect(bytes.count == writer.byteCount(bodies: bodies.map(\.count)))
  }

  @Test("A status and its detail written by hand are read by the generated code")
  func writesStatus() throws {
    let receipt = WireReceipt(
      logID: Identifier(high: 5, low: 6), epoch: 1, sequence: 77, leafHash: Digest(1, 2, 3, 4))
    let status = WireStatus(
      status: 14, message: "Wait.", code: "AUDIT_UNAVAILABLE", requestID: Identifier(high: 1, low: 2), retry: .later,
      retryAfterMilliseconds: 1000, receipt: receipt)
    let bytes = written(status.byteCount) { status.append(to: &$0) }
    #expect(bytes.count == status.byteCount)
    #expect(try WireStatus(bytes.span, in: 0..<bytes.count) == status)
    // The detail stands last: its bytes are found behind the type's URL.
    let start = try #require(bytes.firstRange(of: WireStatus.typeURL)).upperBound
    let detail = try Chatelaine_V1_ErrorDetail(serializedBytes: Array(bytes[(start + 2)...]))
    #expect(detail.code == "AUDIT_UNAVAILABLE" && detail.retry == .later && detail.retryAfterMs == 1000)
    #expect(detail.receipt.sequence == 77 && detail.receipt.epoch == 1 && detail.receipt.leafHash.count == 32)
  }
}

/// Bytes written through an output span.
func written(_ count: Int, _ body: (inout OutputRawSpan) -> Void) -> [UInt8] {
  let room = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
  defer { room.deallocate() }
  var output = OutputRawSpan(buffer: room, initializedCount: 0)
  body(&output)
  let filled = output.finalize(for: room)
  return Array(room[..<filled])
}

struct Appending {
  var bytes: [UInt8] = []
}

extension KeyRequestWriter {
  func write(_ bodies: [[UInt8]], into output: inout Appending) {
    output.bytes = written(byteCount(bodies: bodies.map(\.count))) { raw in
      appendHead(to: &raw)
      for (index, body) in bodies.enumerated() {
        appendItem(index, body: body.count, to: &raw)
        for byte in body { raw.append(byte) }
      }
    }
  }
}
