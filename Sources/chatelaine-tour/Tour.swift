internal import ArgumentParser
internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineHardening
internal import ChatelaineKeyService
internal import ChatelaineVocabulary
internal import CWipingFree
internal import Glibc

/// The main job in one process, on real files: master key, store, log, two tenants, encryption with every
/// access durable before its result, rotation, a refused tenant. The service will do the same behind its
/// sockets.
@main struct Tour: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "chatelaine-tour", abstract: "Shows the key service at work on real files, in one process.")

  @Option(help: "An empty directory for keyring, store and log.")
  var directory: String

  @Option(help: "A directory whose files are encrypted whole.")
  var blobs = "/usr/share/common-licenses"

  @Option(help: "A text whose lines are encrypted one by one.")
  var lines = "/usr/share/zoneinfo/tzdata.zi"

  static func main() {
    do {
      let policy = Hardening.Policy(
        allowed: [.root, .swap], lockedBytesNeeded: 1 << 20, freeWipes: ch_wiping_free_is_linked() == 1)
      for measure in try Hardening.close(policy) where !measure.isHeld {
        print("not held here: \(measure.name): \(measure.detail)")
      }
      var tour = try Tour.parse()
      try tour.run()
    } catch { Tour.exit(withError: error) }
  }

  mutating func run() throws {
    let tour = try Journey(directory: directory)
    print("1. master key v1 in \(directory)/keyring, store and log beside it, self-test of both ciphers passed")
    try tour.makeTenants()
    print("2. tenants acme (AES-256-GCM) and globex (XChaCha20-Poly1305), a key each: \(tour.generation) changes in store and log")
    let files = try readFiles(below: blobs)
    let sealedFiles = try tour.encrypt(files, for: tour.acme)
    print("3. \(files.count) files of \(blobs) encrypted for acme: \(tour.lastRate)")
    let fields = try readLines(lines)
    let sealedFields = try tour.encrypt(fields, for: tour.globex)
    print("4. \(fields.count) lines of \(lines) encrypted for globex: \(tour.lastRate)")
    print("5. globex opening acme's file: \(try tour.refusal(sealedFiles[0], for: tour.globex)) (the log has the true reason)")
    let version = try tour.rotate(tour.acme)
    try tour.expect(sealedFiles, toOpenTo: files, for: tour.acme)
    print("6. acme's key rotated to v\(version); all \(files.count) old envelopes still open: \(tour.lastRate)")
    try tour.expect(sealedFields, toOpenTo: fields, for: tour.globex)
    print("7. all \(fields.count) lines decrypted and compared: \(tour.lastRate)")
    tour.close()
  }

  private func readFiles(below path: String) throws -> [[UInt8]] {
    guard let folder = unsafe opendir(path) else { throw ValidationError("\(path) cannot be read: name another with --blobs") }
    defer { unsafe closedir(folder) }
    var files: [[UInt8]] = []
    while let entry = unsafe readdir(folder) {
      let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if !name.hasPrefix("."), let content = readFile("\(path)/\(name)") { files.append(content) }
    }
    guard !files.isEmpty else { throw ValidationError("\(path) has no files: name another with --blobs") }
    return files
  }

  private func readLines(_ path: String) throws -> [[UInt8]] {
    guard let text = readFile(path) else { throw ValidationError("\(path) cannot be read: name another with --lines") }
    return text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(Array.init)
  }

  /// A file of up to 1 MiB, or nil.
  private func readFile(_ path: String) -> [UInt8]? {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { _ = Glibc.close(descriptor) }
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: Limits.plaintextBytesMax) { buffer, count in
      while count < buffer.count {
        let got = unsafe read(descriptor, buffer.baseAddress! + count, buffer.count - count)
        guard got > 0 else { return }
        count += got
      }
    }
    return bytes.isEmpty ? nil : bytes
  }
}
