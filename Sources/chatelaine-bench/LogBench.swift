internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineMeasures
internal import ChatelainePrimitives
internal import ChatelaineVocabulary
internal import Foundation

/// The log's writer in batches of 64 against the same bytes written to a plain pre-written file, both
/// with an fdatasync a batch; then verification from the raw bytes.
struct LogBench {
  private static let batchEntries = 64
  let folder: String
  let rounds: Int
  let batches: Int

  func run(into report: inout Report) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var (appended, floor, single, sync) = (Series(), Series(), Series(), Series())
    let storage = try FileStorage(path: folder, exclusively: true)
    var options = LogOptions()
    // why: the whole run in one segment, so that both sides write to what was filled before.
    options.firstSegmentBytes = UInt64(rounds * batches) * 24_576 + UInt64(rounds * batches) * 4_096 + (8 << 20)
    _ = try LogWriter.create(in: storage, name: "bench", options: options)
    let (writer, _) = try LogWriter.open(in: storage, options: options)
    let plain = try PlainFile(path: folder + "/plain", byteCount: rounds * batches * 24_576)
    let drafts = (0..<Self.batchEntries).map { EntryDraft(sampleEntry($0)) }
    for _ in 0..<rounds {
      let each = nanosecondsEach(batches) { _ in
        guard (try? writer.commit([drafts]) { _, _ in }) != nil else { fatalError("append failed") }
      }
      appended.add(Double(Self.batchEntries) / each * 1e9)
      floor.add(Double(Self.batchEntries) / nanosecondsEach(batches) { _ in plain.append(20_480) } * 1e9)
      single.add(nanosecondsEach(batches) { _ in _ = try? writer.commit([[drafts[0]]]) { _, _ in } } / 1000)
      sync.add(nanosecondsEach(batches) { _ in plain.rewrite(4096) } / 1000)
    }
    report.measurements += [
      Measured(
        "log append, batches of 64", unit: "entries/s", .higher, appended, floor: .init("pre-written file", floor)),
      Measured(
        "log append, one entry", unit: "us", .lower, single, floor: .init("4 KiB write + fdatasync", sync)),
    ]
    report.aims.append(Aim("log append, batches of 64, of a pre-written file", appended.over(floor), .atLeast, 0.8))
    try verify(storage, into: &report)
  }

  private func verify(_ storage: FileStorage, into report: inout Report) throws {
    var rate = Series()
    for _ in 0..<rounds {
      var reader = try LogReader(storage)
      let start = now()
      _ = try reader.readAvailable { _ in }
      rate.add(Double(reader.verifier.nextSequence) / Double(now() - start) * 1e9)
    }
    report.measurements.append(Measured("verify, one core", unit: "entries/s", .higher, rate))
    report.aims.append(Aim("verify, one core, entries/s", rate, .atLeast, 1_000_000))
  }

  private func sampleEntry(_ index: Int) -> AuditEntry {
    var entry = AuditEntry(.keyUse, .encrypt)
    entry.outcome = .ok
    entry.tenant = try? TenantID("acme")
    entry.keyName = try? KeyName("payments")
    entry.keyVersion = 1
    entry.keyID = SecureRandom.identifier()
    entry.requestID = SecureRandom.identifier()
    entry.principalKind = .uid
    entry.principal = Array("uid:1000".utf8)
    entry.rule = Array("billing-app".utf8)
    entry.items = [.init(outcome: .ok, byteCount: 100, contextDigest: .zero)]
    return entry
  }
}

/// The floor: a file filled with zeros, then pwrite and fdatasync.
private final class PlainFile {
  private let descriptor: Int32
  private let bytes: [UInt8]
  private var offset = 0

  init(path: String, byteCount: Int) throws {
    descriptor = unsafe open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600)
    bytes = [UInt8](repeating: 0x61, count: 1 << 16)
    let zeros = [UInt8](repeating: 0, count: 1 << 20)
    for start in stride(from: 0, to: byteCount + (1 << 20), by: zeros.count) {
      _ = unsafe zeros.withUnsafeBytes { unsafe pwrite(descriptor, $0.baseAddress, $0.count, start) }
    }
    fsync(descriptor)
  }

  deinit { close(descriptor) }

  func append(_ count: Int) {
    _ = unsafe bytes.withUnsafeBytes { unsafe pwrite(descriptor, $0.baseAddress, count, offset) }
    fdatasync(descriptor)
    offset += count
  }

  func rewrite(_ count: Int) {
    _ = unsafe bytes.withUnsafeBytes { unsafe pwrite(descriptor, $0.baseAddress, count, 0) }
    fdatasync(descriptor)
  }
}
