import ChatelaineClient
import Foundation
import Testing

@Suite("The client with the real service", .serialized)
struct ServiceTests {
  private static func with(_ body: (ChatelaineConnection, RunningService) async throws -> Void) async throws {
    let service = try RunningService()
    let connection = try await ChatelaineConnection.connect(
      path: service.dataSocket, expecting: .sameUserAsCaller)
    try await body(connection, service)
    await connection.close()
  }

  private static func code(
    _ body: () async throws(ClientError) -> some Sendable
  ) async -> ClientError.Code? {
    do throws(ClientError) { _ = try await body() } catch { return error.code }
    return nil
  }

  @Test("Every call does what it says, and the log has each under its request id")
  func everyCall() async throws {
    try await Self.with { connection, service in
      let text = Array("4111 1111 1111 1111".utf8)
      let context = ["table": "cards", "número": "1"]
      let id = RequestID.random()
      let sealed = try await connection.encrypt(
        text, tenant: "acme", key: "k", context: context, options: .init(requestID: id, actor: "user 7"))
      let shown = try service.run(["audit", "show", "--log", "d/log", "--request-id", "\(id)", "--json"])
      #expect(shown.contains("\"sequence\":\(sealed.receipt.sequence),"))
      let opened = try await connection.decrypt(sealed.value, tenant: "acme", context: context)
      #expect(opened.value == text && opened.receipt.sequence > sealed.receipt.sequence)
      #expect(sealed.value.count == text.count + 96)
      let empty = try await connection.encrypt([], tenant: "acme", key: "k")
      let nothing = try await connection.decrypt(empty.value, tenant: "acme")
      #expect(nothing.value.isEmpty)

      let issued = try await connection.issueDataKey(tenant: "acme", key: "k", context: context)
      let unwrapped = try await connection.unwrapDataKey(
        issued.value.wrapped, tenant: "acme", context: context)
      #expect(unwrapped.value == issued.value.key && unwrapped.value.count == 32)
      let wrapped = try await connection.issueWrappedDataKey(tenant: "acme", key: "k")
      #expect(wrapped.value.count == 148)

      try service.run(["key", "rotate", "acme/k", "--config", "d/chatelaine.yaml"])
      let moved = try await connection.rewrap(envelope: sealed.value, tenant: "acme", context: context)
      #expect(try EnvelopeDescription(moved.value).keyVersion == 2)
      let again = try await connection.decrypt(moved.value, tenant: "acme", context: context)
      #expect(again.value == text)
      let movedKey = try await connection.rewrap(
        wrappedDataKey: issued.value.wrapped, tenant: "acme", context: context)
      let sameKey = try await connection.unwrapDataKey(movedKey.value, tenant: "acme", context: context)
      #expect(sameKey.value == issued.value.key)
    }
  }

  @Test("A batch answers item by item, in order, with one receipt")
  func batch() async throws {
    try await Self.with { connection, _ in
      let texts = (0..<1024).map { Array("value \($0)".utf8) }
      let sealed = try await connection.encryptBatch(texts.map { BatchItem($0) }, tenant: "acme", key: "k")
      var envelopes = try sealed.value.map { try $0.get() }
      envelopes[7][60] ^= 1
      let opened = try await connection.decryptBatch(envelopes.map { BatchItem($0) }, tenant: "acme")
      for (index, result) in opened.value.enumerated() {
        switch result {
        case .success(let text): #expect(text == texts[index] && index != 7)
        case .failure(let error): #expect(error.code == .decryptionFailed && index == 7)
        }
      }
      let others = try await connection.decryptBatch(envelopes.map { BatchItem($0) }, tenant: "other")
      #expect(
        others.value.allSatisfy {
          if case .failure(let e) = $0 { e.code == .decryptionFailed } else { false }
        })
    }
  }

  @Test("2,000 calls from 50 tasks over one connection each get their own answer")
  func pipelined() async throws {
    try await Self.with { connection, _ in
      try await withThrowingTaskGroup(of: Int.self) { group in
        for task in 0..<50 {
          group.addTask {
            for call in 0..<20 {
              let text = Array("\(task)/\(call)".utf8)
              let sealed = try await connection.encrypt(text, tenant: "acme", key: "k")
              let opened = try await connection.decrypt(sealed.value, tenant: "acme")
              guard opened.value == text else { return 0 }
            }
            return 40
          }
        }
        let answered = try await group.reduce(0, +)
        #expect(answered == 2000)
      }
    }
  }

  @Test(
    "What is refused comes typed: other tenants, unknown keys, disabled keys, a plaintext at the limit is not"
  )
  func refusals() async throws {
    try await Self.with { connection, service in
      let text = [UInt8](repeating: 7, count: 1 << 20)
      let sealed = try await connection.encrypt(text, tenant: "acme", key: "k").value
      let opened = try await connection.decrypt(sealed, tenant: "acme").value
      #expect(opened == text)
      let stranger = await Self.code { () throws(ClientError) in
        try await connection.decrypt(sealed, tenant: "other")
      }
      #expect(stranger == .decryptionFailed)
      let unknown = await Self.code { () throws(ClientError) in
        try await connection.encrypt([1], tenant: "acme", key: "none")
      }
      #expect(unknown == .notFound)
      try service.run(["key", "disable", "acme/k", "--config", "d/chatelaine.yaml"])
      do throws(ClientError) { _ = try await connection.encrypt([1], tenant: "acme", key: "k") } catch {
        #expect(error.code == .keyDisabled && error.requestID != nil && error.receipt != nil)
      }
    }
  }

  @Test("A service that is killed fails every call under way, and none hangs")
  func killed() async throws {
    try await Self.with { connection, service in
      let codes = await withTaskGroup(of: ClientError.Code?.self) { group in
        for _ in 0..<20 {
          group.addTask {
            await Self.code { () throws(ClientError) in
              while true { _ = try await connection.encrypt([1], tenant: "acme", key: "k") }
            }
          }
        }
        try? await Task.sleep(for: .milliseconds(300))
        service.kill()
        return await group.reduce(into: []) { $0.append($1) }
      }
      #expect(codes == Array(repeating: .connectionLost, count: 20))
    }
  }
}
