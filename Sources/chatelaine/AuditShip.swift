internal import ArgumentParser
internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineExits
internal import ChatelaineOutside
internal import ChatelaineVocabulary

/// `chatelaine audit ship`: copies what of a log does not change any more to where nobody can change it.
struct AuditShip: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ship",
    abstract: "Copies sealed segments, epochs and heads to a directory, or to S3 with Object Lock, once for good.",
    discussion: """
      The log is verified first; each file is looked at after it was put there, and again in each later run. What is there \
      already is left alone, so a run that was stopped goes on where it was; a file that is there with other bytes is named and \
      refused, and the rest is shipped. The place can be verified like a log: 'audit verify --log'. The newest segment is \
      shipped once it is sealed.
      For S3, credentials come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN in the environment or from \
      --credentials; objects are locked in compliance mode until --retain-until or for --retain-days.
      Exit status: 0 everything is there; 65 the log is not as it was written, or a file is there with other bytes; 69 the server was not \
      reached or refuses; 73, 74 it cannot be written; 77 not permitted; others as with 'audit verify'.
      """)

  @OptionGroup var log: LogOption

  @Option(help: ArgumentHelp("An existing directory, or s3://BUCKET[/PREFIX].", valueName: "place"))
  var to: String

  @Option(help: "Check signed heads under this public key, or the one in this file, before anything is shipped.")
  var key: String?

  @Option(help: "Ship this head, too, in a file: what witnesses cosigned. Repeat for more.")
  var head: [String] = []

  @Option(help: "Of S3: the server, where it is not Amazon's of the region.")
  var endpoint: String?

  @Option(help: "Of S3: the region; without it, AWS_REGION of the environment, or us-east-1.")
  var region: String?

  @Option(help: "Of S3: lock objects until this time, such as 2033-01-01T00:00:00Z.")
  var retainUntil: String?

  @Option(help: "Of S3: lock new objects for so many days from now.")
  var retainDays: Int?

  @Option(help: "Of S3: a file with the lines aws_access_key_id and aws_secret_access_key, of mode 0600.")
  var credentials: String?

  @Option(help: "Trust these certificates (PEM) for https, instead of the system's.")
  var caFile: String?

  @Flag(help: "Print one line of JSON.")
  var json = false

  private var isBucket: Bool { to.hasPrefix("s3://") }

  func validate() throws {
    guard isBucket else {
      guard retainUntil == nil, retainDays == nil, endpoint == nil, credentials == nil else {
        throw ValidationError("A directory has no endpoint, no credentials and no retention: what keeps it is its filesystem.")
      }
      return
    }
    guard (retainUntil == nil) != (retainDays == nil) else {
      throw ValidationError("Say how long S3 is to keep objects: --retain-until or --retain-days.")
    }
    guard retainUntil == nil || retainUntil.flatMap(WallTime.init(rfc3339:)) != nil, (1...36_500).contains(retainDays ?? 1) else {
      throw ValidationError("--retain-until takes a time such as 2033-01-01T00:00:00Z, --retain-days 1 to 36500.")
    }
  }

  func run() throws {
    let place: any ShippingPlace = isBucket ? try bucket() : try ShippingDirectory(to)
    let storage = try log.open()
    let epochs = try LogEpochs(storage)
    try verify(storage, epochs)
    let kept = try head.map { path in
      let head = try readHead(path)
      guard epochs.newest.epochNumber(ofOrigin: head.checkpoint.origin) != nil else {
        throw Failure(.data, "\(printable(path)): it is another log's head: \(printable(head.checkpoint.origin))")
      }
      return head
    }
    let shipments = try ShippableLog(storage: storage, epochs: epochs).shipments(kept: kept)
    try ship(shipments, to: place)
  }

  /// What is shipped for good should be right before.
  private func verify(_ storage: FileStorage, _ epochs: LogEpochs) throws {
    let heads = try key.map { try HeadsOfEpochs(storage, epochs, key: readPublicKey($0), kept: nil) }
    let progress = try ProgressLine(total: epochs.totalBytes(storage), label: "verifying")
    let readings = try epochs.readAll(
      storage, ahead: .allCores, prepare: { try heads?.watch(&$0) }, progress: progress.advance)
    progress.finish()
    if let verdict = try heads?.verdict(readings), verdict != .valid { throw EvidenceFailure(verdict, of: log.directory) }
  }

  private func ship(_ shipments: [Shipment], to place: any ShippingPlace) throws {
    let progress = ProgressLine(total: shipments.reduce(0) { $0 + $1.byteCount }, label: "shipping")
    var (new, bytes, differing) = (0, UInt64(0), [Failure]())
    for shipment in shipments {
      do {
        if try place.ship(shipment) {
          new += 1
          bytes += shipment.byteCount
        }
      } catch let failure as Failure where failure.status == .data { differing.append(failure) }
      progress.advance(shipment.byteCount)
    }
    progress.finish()
    tell(shipments.count, new, bytes, differing.map(\.sentence))
    guard let first = differing.first else { return }
    differing.dropFirst().forEach { printError("chatelaine: \($0.sentence)") }
    throw first
  }

  private func tell(_ count: Int, _ new: Int, _ bytes: UInt64, _ refused: [String]) {
    guard json else {
      return print("\(new) files shipped, \(bytes) bytes; \(count - new - refused.count) were there already; \(refused.count) refused")
    }
    print(
      JSON.object([
        ("shipped", .number(UInt64(new))), ("bytes", .number(bytes)), ("present", .number(UInt64(count - new - refused.count))),
        ("refused", .array(refused.map(JSON.string))),
      ]).text)
  }

  // MARK: S3

  private func bucket() throws -> ShippingBucket {
    let rest = to.dropFirst("s3://".count)
    let bucket = rest.prefix { $0 != "/" }
    let prefix = rest.dropFirst(bucket.count + 1).split(separator: "/").map { $0 + "/" }.joined()
    guard (3...63).contains(bucket.utf8.count), bucket.utf8.allSatisfy(Self.isOfBucket), prefix.utf8.count <= 512,
      prefix.utf8.allSatisfy({ Self.isOfBucket($0) || (0x41...0x5a).contains($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "/") })
    else { throw Failure(.usage, "\(printable(to)): of the form s3://BUCKET/PREFIX, with letters, digits, '.', '-', '_' and '/'") }
    let region = region ?? environmentValue("AWS_REGION") ?? "us-east-1"
    guard !region.isEmpty, region.utf8.allSatisfy(Self.isOfBucket) else {
      throw Failure(.usage, "\(printable(region)): this is no region")
    }
    let address = endpoint ?? "https://s3.\(region).amazonaws.com"
    let server: WebAddress
    do throws(WebAddress.Malformed) { server = try WebAddress(parsing: address) } catch {
      throw Failure(.usage, "\(printable(address)): \(error.words)")
    }
    let now = wallSeconds()
    let date = retainUntil.flatMap(WallTime.init(rfc3339:))
    let place = ShippingBucket.Place(
      endpoint: server, region: region, bucket: String(bucket), prefix: prefix,
      retainUntil: date ?? WallTime(nanoseconds: (now + UInt64(retainDays ?? 0) * 86_400) * 1_000_000_000),
      retainedAtLeast: date ?? WallTime(nanoseconds: now * 1_000_000_000), trust: caFile)
    return ShippingBucket(place, try readBucketCredentials(file: credentials))
  }

  private static func isOfBucket(_ byte: UInt8) -> Bool {
    (0x61...0x7a).contains(byte) || (0x30...0x39).contains(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
  }
}
