internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineExits
internal import ChatelainePrimitives
internal import ChatelaineVocabulary
internal import CLinux
internal import Glibc

/// What `audit witness` keeps: of each witness the head that it cosigned last, the newest head that enough of them
/// cosigned, and the alarm that stands. All of it heads and texts: nothing here is secret.
struct WitnessFolder {
  private let path: String
  private let key: NoteKey
  private let suffix: String

  /// `key` is the log's in the epoch of that number.
  init(_ path: String, key: NoteKey, epoch: UInt32) {
    (self.path, self.key) = (path, key)
    suffix = epoch == 1 ? "" : "-\(epoch)"
  }

  /// Opens the directory and locks it, for as long as the descriptor is open.
  static func lock(_ path: String) throws -> Int32 {
    let directory = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else {
      throw Failure(.cannotCreate, "\(printable(path)): no such directory (\(systemText(errno))): make it first")
    }
    try checkNobodyElseWrites(in: path, forbidden: 0o022)
    guard ch_lock_exclusively(directory) == 0 else {
      throw Failure(.busy, "\(printable(path)): another 'audit witness' is at work in it: stop it, or name another directory")
    }
    return directory
  }

  var cosignedPath: String { "\(path)/cosigned\(suffix)" }

  private func statePath(_ witness: WitnessKey) -> String {
    let name = SHA256.hash(Array(witness.text.utf8)).hex.prefix(16)
    return "\(path)/witness-\(name)\(suffix)"
  }

  /// The head that a witness cosigned last, with its cosignature; nil before the first one.
  func state(of witness: WitnessKey) throws -> SignedHead? {
    let place = statePath(witness)
    guard let head = try head(at: place) else { return nil }
    guard case .cosigned = head.note.cosigning(by: witness) else {
      throw EvidenceFailure(.tampered("the cosignature of \(witness.name) does not hold"), of: place)
    }
    return head
  }

  func keep(_ head: SignedHead, of witness: WitnessKey) throws { try Self.write(head.note.encoded, to: statePath(witness)) }

  /// The newest head that enough witnesses cosigned.
  func cosigned() throws -> SignedHead? { try head(at: cosignedPath) }

  func keep(cosigned head: SignedHead) throws { try Self.write(head.note.encoded, to: cosignedPath) }

  /// A head of this log, under its key.
  private func head(at place: String) throws -> SignedHead? {
    guard unsafe access(place, F_OK) == 0 else { return nil }
    let head = try readHead(place)
    if let fault = head.fault(under: key, called: "the head in it") {
      throw EvidenceFailure(fault, of: place)
    }
    return head
  }

  /// Makes the alarm stand, or takes it away; says whether that is new.
  static func show(alarm lines: [String], in path: String) throws -> Bool {
    let place = "\(path)/alarm"
    let text = Array(lines.map { $0 + "\n" }.joined().utf8)
    let before = unsafe access(place, F_OK) == 0 ? try InputFile(place).readAll(atMost: 1 << 16) ?? [] : nil
    guard !lines.isEmpty else {
      guard before != nil else { return false }
      guard unsafe unlink(place) == 0 else {
        throw Failure(.inputOutput, "\(printable(place)): it cannot be removed (\(systemText(errno)))")
      }
      return true
    }
    guard before != text else { return false }
    try write(text, to: place)
    return true
  }

  private static func write(_ bytes: [UInt8], to place: String) throws {
    let file = try OutputFile(place, isSecret: false)
    try file.write(bytes)
    try file.finish()
  }
}
