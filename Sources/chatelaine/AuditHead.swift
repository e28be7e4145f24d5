internal import ArgumentParser
internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineExits
internal import ChatelaineVocabulary

/// `chatelaine audit head`: the newest signed head, for keeping elsewhere.
struct AuditHead: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "head",
    abstract: "Prints the newest signed head of a log: keep it elsewhere, by mail, in a ticket, on paper.",
    discussion: evidenceCodesHelp)

  @OptionGroup var log: LogOption
  @OptionGroup var epoch: EpochOption

  @Option(help: "Check it under this public key, or the one in this file.")
  var key: String?

  @Flag(help: "Print one line of JSON.")
  var json = false

  func run() throws {
    let storage = try log.open()
    let head = try newestHead(storage, epoch.descriptor(in: storage), key: key.map(readPublicKey), of: log.directory)
    guard json else {
      print(String(decoding: head.note.encoded, as: UTF8.self), terminator: "")
      return
    }
    print(
      JSON.object([
        ("origin", .string(head.checkpoint.origin)), ("entries", .number(head.checkpoint.size)),
        ("treeRoot", .string(head.checkpoint.root.hex)),
        ("head", .string(String(decoding: head.note.encoded, as: UTF8.self))), ("checked", .bool(key != nil)),
      ]).text)
  }
}

/// The newest head of an epoch that lies beside a log; without a key, whoever signed it.
func newestHead(
  _ storage: FileStorage, _ epoch: EpochDescriptor, key: NoteKey?, of directory: String
) throws -> SignedHead {
  let number = epoch.epoch
  do {
    let head =
      if let key { try KeptHeads(storage, key: key.named(for: epoch), epoch: number).newest } else {
        try KeptHeads.newestUnverified(storage, epoch: number)
      }
    guard let head else {
      throw Failure(.noInput, "\(directory): the log has no signed head: name a key in the configuration, log.signing-key")
    }
    return head
  } catch let error as KeptHeads.Unusable {
    throw failure(of: error)
  } catch let error as StorageFailure { throw LogError.storage(error) }
}

extension NoteKey {
  /// The same key under the name that it has in another epoch of its log; a key of another log stays what it is.
  func named(for epoch: EpochDescriptor) -> NoteKey {
    guard epoch.epochNumber(ofOrigin: name) != nil else { return self }
    return NoteKey(name: epoch.origin, publicKey: publicKey)
  }
}

/// Why the heads beside a log are of no use, as it ends a command.
func failure(of unusable: KeptHeads.Unusable) -> any Error {
  switch unusable {
  case .otherKey(let file): EvidenceFailure(.wrongKey, of: file)
  case .damaged(let file): EvidenceFailure(.tampered("no head in it holds under the key"), of: file)
  case .storage(let failure): LogError.storage(failure)
  }
}
