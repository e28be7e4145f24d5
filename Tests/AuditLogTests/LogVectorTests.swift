import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineLogTestSupport
import ChatelaineTestSupport
import ChatelaineVocabulary
import Foundation
import Testing

/// Tests/Vectors/logs: every directory as LogReader and LogWriter.open take it.
struct LogVectorTests {
  struct Index: Decodable { let logs: [Case] }

  struct Place: Decodable, Equatable, Sendable {
    let file: String
    let offset: UInt64
    let kind: UInt8

    init?(_ fault: LogFault, file: String) {
      guard case .unsupportedFrame(let kind) = fault.kind else { return nil }
      (self.file, offset, self.kind) = (file, fault.offset, kind.rawValue)
    }
  }

  struct Case: Decodable, Sendable, CustomTestStringConvertible {
    let name: String
    let expect: String
    let firstBadSequence: UInt64?
    let treeSize: UInt64
    let root: String
    let unsupported: Place?
    var testDescription: String { name }

    func storage() throws -> MemoryStorage {
      let directory = OwnVectors.directory.appending(path: "logs/\(name)")
      let files = try FileManager.default.contentsOfDirectory(atPath: directory.path)
      return MemoryStorage(
        files: try Dictionary(
          uniqueKeysWithValues: files.map {
            ($0, [UInt8](try Data(contentsOf: directory.appending(path: $0))))
          }))
    }
  }

  static let cases = (try? OwnVectors.load("logs/index.json", as: Index.self).logs) ?? []

  @Test func `All 51 directories are there`() { #expect(Self.cases.count == 51) }

  // MUST: FRAME-10, SEG-1, SEG-2, SEG-3, SEG-5, SEG-8, SEG-9, END-1, END-2, END-3, END-4, END-6
  @Test(arguments: cases) func `A reader gives the verdict of the index`(_ vector: Case) throws {
    let found = Verification(try vector.storage(), keepingEntries: true)
    switch found.verdict {
    case .valid: #expect(vector.expect == "valid")
    case .torn: #expect(vector.expect == "torn")
    case .tampered: #expect(vector.expect == "tampered")
    case .unsupported(let fault, let file):
      #expect(vector.expect == "unsupported" && Place(fault, file: file) == vector.unsupported)
    case .unreadable(let failure): Issue.record("\(failure)")
    }
    #expect(found.firstBadSequence == vector.firstBadSequence)
    #expect(found.treeSize == vector.treeSize)
    #expect(found.root.hex == vector.root)
    #expect(found.entries.map(\.sequence) == Array(0..<found.treeSize))
  }

  // MUST: END-9
  @Test(arguments: cases.filter { $0.expect == "tampered" })
  func `A writer refuses a tampered log, names file, offset and sequence, and writes nothing`(_ vector: Case)
    throws
  {
    let storage = try vector.storage()
    let before = storage.files
    let error = #expect(throws: LogError.self) { _ = try LogWriter.open(in: storage, options: .small()) }
    guard case .corrupt(let fault, let file) = error else {
      Issue.record("not corrupt: \(String(describing: error))")
      return
    }
    #expect(fault.sequence == vector.firstBadSequence)
    #expect(file.hasSuffix(".seg") || file.hasPrefix("epoch-"))
    #expect(fault.sentence.hasPrefix("entry "))
    #expect(storage.files == before)
  }

  // MUST: END-10
  @Test(arguments: cases.filter { $0.expect == "unsupported" })
  func `A writer refuses what a newer version wrote, names file, offset and kind, and writes nothing`(
    _ vector: Case
  ) throws {
    let storage = try vector.storage()
    let before = storage.files
    let error = #expect(throws: LogError.self) { _ = try LogWriter.open(in: storage, options: .small()) }
    guard case .unsupported(let fault, let file) = error else {
      Issue.record("not unsupported: \(String(describing: error))")
      return
    }
    #expect(Place(fault, file: file) == vector.unsupported && vector.unsupported != nil)
    #expect(fault.sentence.contains("of kind \(vector.unsupported?.kind ?? 0) ("))
    #expect(storage.files == before)
  }

  // MUST: END-1, END-6, END-8
  @Test(arguments: cases.filter { $0.expect == "valid" || $0.expect == "torn" })
  func `A writer opens a valid or torn log and goes on in it`(_ vector: Case) throws {
    let storage = try vector.storage()
    let (writer, recovery) = try LogWriter.open(in: storage, options: .small(), clock: .stepping())
    #expect((recovery.tear != nil) == (vector.expect == "torn"))
    try writer.commit([[.sample(1)], [.sample(2)]]) { _, _ in }
    let found = Verification(storage, keepingEntries: true)
    #expect(found.verdict == .valid)
    #expect(found.treeSize == vector.treeSize + 2 + (vector.expect == "torn" ? 1 : 0))
    #expect(found.entries.contains { $0.entryClass == .recovered } == (vector.expect == "torn"))
  }
}
