internal import ArgumentParser
internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineExits
internal import ChatelaineVocabulary

/// `chatelaine audit prove`: files that show something of the log to whoever has the public key and nothing else.
struct AuditProve: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prove", abstract: "Makes proofs from a log and its signed heads.", discussion: evidenceCodesHelp,
    subcommands: [ProveEntry.self, ProveConsistency.self])
}

/// Where a proof goes, and how the hashes for it are come by.
struct ProofOptions: ParsableArguments {
  @OptionGroup var log: LogOption
  @OptionGroup var epoch: EpochOption

  @Option(help: "Write to this file; without it, to standard output.")
  var out: String?

  func newest(_ storage: FileStorage) throws -> SignedHead {
    try newestHead(storage, epoch.descriptor(in: storage), key: nil, of: log.directory)
  }

  func write(_ bytes: [UInt8]) throws {
    let file = try OutputFile(out, isSecret: false)
    try file.write(bytes)
    try file.finish()
  }

  /// Makes something with the log's `nodes`, and where that does not hold, with what the whole log gives.
  func make<Made>(
    _ storage: FileStorage, _ make: (inout ProofSource) throws(ProofSource.Missing) -> Made?
  ) throws -> Made { try log.make(storage, epoch.descriptor(in: storage), make) }
}

extension LogOption {
  /// Makes something with the `nodes` of an epoch, and where that does not hold, with what the whole of it gives.
  func make<Made>(
    _ storage: FileStorage, _ epoch: EpochDescriptor,
    _ make: (inout ProofSource) throws(ProofSource.Missing) -> Made?
  ) throws -> Made {
    let files = try LogDirectory(storage, epoch: epoch.epoch)
    var source = ProofSource(files)
    if let made = try? make(&source) { return made }
    let progress = try ProgressLine(total: LogReader(storage, epoch: epoch.epoch).totalBytes(), label: "reading")
    var whole = try ProofSource(readingAll: files, progress: progress.advance)
    progress.finish()
    if let made = try? make(&whole) { return made }
    throw EvidenceFailure(
      .forked("the log's entries do not lead to the root that was signed: see 'chatelaine audit verify'"),
      of: directory)
  }
}

/// `chatelaine audit prove entry`: that an entry is in the log.
struct ProveEntry: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "entry", abstract: "Proves that an entry is in the log that a head was signed over (C2SP tlog-proof).",
    discussion: evidenceCodesHelp)

  @Argument(help: "The entry's sequence number.")
  var sequence: UInt64

  @OptionGroup var options: ProofOptions

  @Option(help: "The head to prove it under, in a file; without it, the log's newest.")
  var head: String?

  @Flag(help: "Leave the entry out: whoever checks needs the hash of its leaf.")
  var withoutEntry = false

  func run() throws {
    let storage = try options.log.open()
    let head = try self.head.map(readHead) ?? options.newest(storage)
    let (size, root) = (head.checkpoint.size, head.checkpoint.root)
    guard sequence < size else {
      throw Failure(.noInput, "the head was signed over \(size) entries, and \(sequence) is not among them: wait for a later head, or name one")
    }
    let proof = try options.make(storage) { (source) throws(ProofSource.Missing) -> EntryProof? in
      let entry = try source.entry(sequence)
      let hashes = try TreeProof.inclusion(of: sequence, in: size) { node throws(ProofSource.Missing) in
        try source.node(node)
      }
      let leaf = AuditEntry.leafHash(entry.span)
      guard TreeProof.isIncluded(leaf: leaf, index: sequence, size: size, root: root, proof: hashes) else { return nil }
      return EntryProof(entry: withoutEntry ? nil : entry, index: sequence, hashes: hashes, head: head)
    }
    try options.write(proof.encoded)
  }
}

/// `chatelaine audit prove consistency`: that a log only grew.
struct ProveConsistency: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "consistency", abstract: "Proves that the log of one head is the beginning of the log of another.",
    discussion: evidenceCodesHelp)

  @Argument(help: "The older head: a file, or the number of entries of a published one.")
  var old: String

  @Argument(help: "The newer head, likewise; without it, the log's newest.")
  var new: String?

  @OptionGroup var options: ProofOptions

  func run() throws {
    let storage = try options.log.open()
    let old = try head(old, storage)
    let new = try self.new.map { try head($0, storage) } ?? options.newest(storage)
    let (from, to) = (old.checkpoint, new.checkpoint)
    guard from.origin.utf8.elementsEqual(to.origin.utf8) else { throw Failure(.usage, "the two heads are of different logs") }
    guard from.size <= to.size else {
      throw EvidenceFailure(.truncated("the newer head has \(to.size) entries, the older one \(from.size)"), of: options.log.directory)
    }
    let proof = try options.make(storage) { (source) throws(ProofSource.Missing) -> ConsistencyProof? in
      let hashes = try TreeProof.consistency(from: from.size, to: to.size) { node throws(ProofSource.Missing) in
        try source.node(node)
      }
      let holds = TreeProof.isConsistent(
        old: from.size, oldRoot: from.root, new: to.size, newRoot: to.root, proof: hashes)
      return holds ? ConsistencyProof(hashes: hashes, old: old, new: new) : nil
    }
    try options.write(proof.encoded)
  }
}

extension ProveConsistency {
  /// A file's head, or the published one of so many entries.
  private func head(_ given: String, _ storage: FileStorage) throws -> SignedHead {
    guard let size = UInt64(given) else { return try readHead(given) }
    let epoch = try options.epoch.descriptor(in: storage)
    do throws(StorageFailure) {
      var list = try HeadListReader(storage, epoch: epoch.epoch)
      while let head = try list?.next() {
        if head.checkpoint.size == size { return head }
      }
    } catch { throw LogError.storage(error) }
    throw Failure(.noInput, "no head over \(size) entries was published: name one that was kept, in a file")
  }
}

/// `chatelaine audit check-proof`: what a proof is worth, with nothing but the public key.
struct AuditCheckProof: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check-proof", abstract: "Checks a proof with the public key and nothing else: no log, no service.",
    discussion: evidenceCodesHelp)

  @Argument(help: "The proof's file.")
  var file: String

  @OptionGroup var key: PublicKeyOption

  @Option(help: "The hash of the entry's leaf, in hex, as a receipt has it: for a proof without its entry.")
  var leaf: String?

  @OptionGroup var witness: WitnessOption

  @Flag(help: "Print one line of JSON.")
  var json = false

  func validate() throws {
    guard leaf == nil || leaf.flatMap(Digest.init(hex:)) != nil else {
      throw ValidationError("A leaf's hash is 64 hexadecimal digits.")
    }
  }

  func run() throws {
    let key = try key.read()
    let bytes = try InputFile(file).readAll(atMost: EntryProof.byteCountMax)
    var (verdict, proof) = verdict(of: bytes, key)
    if verdict == .valid, let proof { verdict = try witness.verdict(proof.newestHead, under: key, called: file) }
    if json {
      let reason: [(String, JSON)] = verdict.reason.map { [("reason", .string($0))] } ?? []
      print(JSON.object([("result", .string(verdict.word))] + reason + (proof?.fields ?? [])).text)
    } else if verdict == .valid, let proof {
      print(proof.lines)
    }
    guard verdict == .valid else { throw EvidenceFailure(verdict, of: file) }
  }

  private func verdict(of bytes: [UInt8]?, _ key: NoteKey) -> (EvidenceVerdict, Proof?) {
    guard let bytes else { return (ProofMalformed.tooLong.verdict, nil) }
    do throws(ProofMalformed) {
      let proof = try Proof(parsing: bytes)
      return (proof.verdict(of: key, leaf: leaf.flatMap(Digest.init(hex:))), proof)
    } catch { return (error.verdict, nil) }
  }
}

extension Proof {
  fileprivate var newestHead: SignedHead {
    switch self {
    case .entry(let proof): proof.head
    case .consistency(let proof): proof.new
    }
  }

  fileprivate var fields: [(String, JSON)] {
    switch self {
    case .entry(let proof):
      [
        ("kind", .string("entry")), ("sequence", .number(proof.index)), ("entries", .number(proof.head.checkpoint.size)),
        ("origin", .string(proof.head.checkpoint.origin)),
      ]
    case .consistency(let proof):
      [
        ("kind", .string("consistency")), ("old", .number(proof.old.checkpoint.size)),
        ("new", .number(proof.new.checkpoint.size)), ("origin", .string(proof.new.checkpoint.origin)),
      ]
    }
  }

  fileprivate var lines: String {
    switch self {
    case .entry(let proof):
      "VALID: entry \(proof.index) is in the log \(proof.head.checkpoint.origin), as it was signed with \(proof.head.checkpoint.size) entries"
    case .consistency(let proof):
      "VALID: the \(proof.old.checkpoint.size) entries of the older head begin the \(proof.new.checkpoint.size) of the newer, log \(proof.new.checkpoint.origin)"
    }
  }
}
