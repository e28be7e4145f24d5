import ChatelaineAuditTrail
import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

/// Tests/Vectors/entry.json on every path: parse, validate, encode again, leaf hash.
struct EntryVectorTests {
  struct File: Decodable { let vectors: [Vector] }

  struct Vector: Decodable, Sendable, CustomTestStringConvertible {
    let name: String
    let expect: String
    let entry: String
    let leafHash: String
    let fields: Fields
    var testDescription: String { name }
    var bytes: [UInt8] { Hex.decode(entry) ?? [] }
  }

  struct Fields: Decodable, Sendable {
    struct Item: Decodable, Sendable {
      let outcome, reason: UInt16
      let bytes: UInt32
      let contextDigest: String
    }

    struct Detail: Decodable, Sendable {
      let tag: UInt8
      let value: String
    }

    let `class`: UInt8?
    let operation, outcome, reason: UInt16?
    let seq, wallNs, bootNs, connection, storeGeneration: String?
    let prev, blind, requestId, keyId: String?
    let incarnation, peerPid, peerUid, keyVersion, masterVersion: UInt32?
    let door, principalKind: UInt8?
    let tenant, keyName, principal, role, rule, source, subjectDigest, actor, purpose: String?
    let items: [Item]?
    let details: [Detail]?
  }

  static let vectors = (try? OwnVectors.load("entry.json", as: File.self).vectors) ?? []
  static let good = vectors.filter { $0.expect == "ok" }
  static let bad = vectors.filter { $0.expect != "ok" }

  @Test func `The vectors are there`() {
    #expect(Self.good.count >= 21)
    #expect(Self.bad.count >= 59)
  }

  // MUST: ENT-2, ENT-3
  @Test(arguments: good) func `An entry parses to its fields`(_ vector: Vector) throws {
    let entry = try AuditEntry(parsing: vector.bytes.span)
    let fields = vector.fields
    #expect(entry.entryClass.rawValue == fields.class)
    #expect(entry.operation.rawValue == fields.operation)
    #expect(entry.outcome.rawValue == fields.outcome)
    #expect(entry.reason.rawValue == fields.reason)
    #expect(String(entry.sequence) == fields.seq)
    #expect(entry.previous.hex == fields.prev)
    #expect(entry.blind.hex == fields.blind)
    #expect(String(entry.wall.nanoseconds) == fields.wallNs)
    #expect(String(entry.bootNanoseconds) == fields.bootNs)
    #expect(entry.incarnation == fields.incarnation)
    #expect(entry.peerPID == fields.peerPid)
    #expect(entry.peerUID == fields.peerUid)
    #expect(String(entry.connection) == fields.connection)
    #expect(entry.requestID.hex == fields.requestId)
    #expect(entry.keyID.hex == fields.keyId)
    #expect(entry.keyVersion == fields.keyVersion)
    #expect(entry.masterVersion == fields.masterVersion)
    #expect(String(entry.storeGeneration) == fields.storeGeneration)
    #expect(entry.door.rawValue == fields.door)
    #expect(entry.principalKind.rawValue == fields.principalKind)
  }

  // MUST: ENT-4, ENT-5, ENT-6, ENT-7, ENT-8, ENT-9, ENT-13, ENT-15
  @Test(arguments: good) func `An entry parses to its names, items and details`(_ vector: Vector) throws {
    let entry = try AuditEntry(parsing: vector.bytes.span)
    let fields = vector.fields
    #expect((entry.tenant?.rawValue ?? AuditEntry.serviceTenant) == fields.tenant)
    #expect((entry.keyName?.rawValue ?? "") == fields.keyName)
    #expect(Hex.encode(entry.principal.span) == fields.principal)
    #expect(Hex.encode(entry.role.span) == fields.role)
    #expect(Hex.encode(entry.rule.span) == fields.rule)
    #expect(Hex.encode(entry.source.span) == fields.source)
    #expect((entry.subjectDigest?.hex ?? "") == fields.subjectDigest)
    #expect(Hex.encode(entry.actor.span) == fields.actor)
    #expect(Hex.encode(entry.purpose.span) == fields.purpose)
    let items = try #require(fields.items)
    #expect(entry.items.map(\.outcome.rawValue) == items.map(\.outcome))
    #expect(entry.items.map(\.reason.rawValue) == items.map(\.reason))
    #expect(entry.items.map(\.byteCount) == items.map(\.bytes))
    #expect(entry.items.map(\.contextDigest.hex) == items.map(\.contextDigest))
    #expect(entry.details.map(\.tag.rawValue) == fields.details?.map(\.tag))
    #expect(entry.details.map { Hex.encode($0.value.span) } == fields.details?.map(\.value))
  }

  // MUST: ENT-10, FMT-4
  @Test(arguments: good) func `An entry encodes to the bytes it came from`(_ vector: Vector) throws {
    let bytes = vector.bytes
    #expect(try AuditEntry(parsing: bytes.span).encoded() == bytes)
    #expect(AuditEntry.leafHash(bytes.span).hex == vector.leafHash)
    #expect(throws: Never.self) { try AuditEntry.validate(bytes.span) }
  }

  @Test(arguments: bad) func `What is no entry is refused by the parser and by validate alike`(
    _ vector: Vector
  ) {
    let bytes = vector.bytes
    let byValidate = Self.fault { () throws(EntryFault) in try AuditEntry.validate(bytes.span) }
    let byParser = Self.fault { () throws(EntryFault) in _ = try AuditEntry(parsing: bytes.span) }
    #expect(byValidate != nil)
    #expect(byValidate == byParser)
  }

  // MUST: ENT-1, ENT-2, ENT-4, ENT-5, ENT-6, ENT-7, ENT-8, ENT-9, ENT-10, ENT-12, ENT-14
  @Test(arguments: [
    ("version", EntryFault.version, 2), ("class", .entryClass, 3), ("1,025 items", .itemCount, 1),
    ("tenant", .tenant, 8), ("key name", .keyName, 4), ("principal of 513", .principal, 1),
    ("subject digest of", .subjectDigest, 4), ("detail of 16,385", .detail, 1), ("65,536 bytes", .length, 1),
    ("detail tags the wrong way", .detail, 1), ("a detail tag twice", .detail, 1),
    ("detail value cut", .detail, 1), ("detail length cut", .detail, 1), ("detail tag alone", .detail, 1),
    ("detail tag ", .detail, 31),
  ])
  func `A refusal names the rule that was broken`(_ prefix: String, _ fault: EntryFault, _ count: Int) {
    let vectors = Self.bad.filter { $0.name.hasPrefix("malformed: " + prefix) }
    #expect(vectors.count == count)
    for vector in vectors {
      let bytes = vector.bytes
      #expect(throws: fault, "\(vector.name)") { try AuditEntry.validate(bytes.span) }
    }
  }

  // MUST: ENT-11, FMT-1
  @Test func `A good entry cut anywhere, or with a byte more, is refused`() throws {
    let bytes = try #require(Self.good.first).bytes
    for count in 0..<bytes.count {
      #expect(throws: EntryFault.self) { try AuditEntry.validate(bytes.span.extracting(0..<count)) }
    }
    #expect(throws: EntryFault.length) { try AuditEntry.validate((bytes + [0]).span) }
  }

  @Test func `The parser and validate agree on every changed byte, and what they take is the only encoding`()
    throws
  {
    for vector in Self.good where vector.bytes.count < 700 {
      var bytes = vector.bytes
      for index in bytes.indices {
        for mask: UInt8 in [1, 0x80, 0xff] {
          bytes[index] ^= mask
          let fault = Self.fault { () throws(EntryFault) in try AuditEntry.validate(bytes.span) }
          let parsed = try? AuditEntry(parsing: bytes.span)
          #expect((fault == nil) == (parsed != nil), "byte \(index) of \(vector.name)")
          if let parsed { #expect(parsed.encoded() == bytes, "byte \(index) of \(vector.name)") }
          bytes[index] ^= mask
        }
      }
    }
  }

  private static func fault(_ body: () throws(EntryFault) -> Void) -> EntryFault? {
    do throws(EntryFault) {
      try body()
      return nil
    } catch { return error }
  }
}
