internal import ArgumentParser
internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineExits

/// What the commands about heads and proofs end with, beside those of sysexits.h.
let evidenceCodesHelp = """
  Exit status: 0 valid; 65 tampered: something in it is not as it was made; 2 an interrupted write at the log's end; 3 \
  nothing to verify; 4 truncated: the log, or the file, ends before it should; 5 forked: two heads, or a head and the log, \
  that no one log can have; 6 the wrong public key; 8 witnesses that were asked for did not cosign; 64 wrong arguments; 66 there is none; 74 it cannot be read; 77 it may \
  not be read; 78 a newer version made it.
  """

/// The public key that heads are checked under.
struct PublicKeyOption: ParsableArguments {
  @Option(help: "The public key, name+hash+base64, or a file that holds it.")
  var key: String

  func read() throws -> NoteKey { try readPublicKey(key) }
}

/// A text with plus signs in it is the key itself.
func readPublicKey(_ given: String) throws -> NoteKey {
  do throws(NoteKey.Malformed) { return try NoteKey(parsing: given) } catch {
    guard given.utf8.split(separator: UInt8(ascii: "+")).count < 3 || given.contains("/") && error == .text else {
      throw Failure(error == .algorithm ? .configuration : .data, "the public key: \(error.sentence)")
    }
  }
  let bytes = try InputFile(given).readAll(atMost: NoteKey.textBytesMax)
  do throws(NoteKey.Malformed) { return try NoteKey(parsing: String(decoding: bytes ?? [], as: UTF8.self)) } catch {
    throw Failure(error == .algorithm ? .configuration : .data, "\(printable(given)): \(error.sentence)")
  }
}

/// A signed head in a file, as it was kept.
func readHead(_ path: String) throws -> SignedHead {
  let bytes = try InputFile(path).readAll(atMost: SignedNote.byteCountMax)
  let file = bytes ?? []
  do throws(SignedHead.Malformed) { return try SignedHead(parsing: file.span) } catch {
    switch error {
    // why: "nothing to verify" is said of a log, or of what is to be judged; this is a file that was to be held against it.
    case .note(.empty): throw Failure(.data, "\(printable(path)): there is nothing in it: name a file with a signed head")
    case .note(.noSignatures): throw EvidenceFailure(.truncated("it ends before its signatures"), of: path)
    default: throw EvidenceFailure(.tampered(error.words), of: path)
    }
  }
}

/// A verdict that is not "valid", as one line and a status.
struct EvidenceFailure: Error {
  let verdict: EvidenceVerdict
  private let name: String

  init(_ verdict: EvidenceVerdict, of name: String) {
    self.verdict = verdict
    self.name = printable(name)
  }

  var sentence: String { "\(name): \(verdict.sentence)" }
}

extension EvidenceVerdict {
  var word: String {
    switch self {
    case .valid: "valid"
    case .tampered: "tampered"
    case .truncated: "truncated"
    case .forked: "forked"
    case .wrongKey: "wrong-key"
    case .unwitnessed: "unwitnessed"
    case .unsupported: "newer"
    case .nothing: "empty"
    }
  }

  var reason: String? {
    switch self {
    case .tampered(let why), .truncated(let why), .forked(let why), .unwitnessed(let why): why
    case .wrongKey: "the public key that was given did not sign it"
    case .unsupported: "a newer version made it: check it with that version"
    case .nothing: "there is nothing in it"
    case .valid: nil
    }
  }

  var sentence: String { reason.map { "\(word.uppercased()): \($0)" } ?? "VALID" }

  var exitCode: ExitCode {
    switch self {
    case .valid: .success
    case .tampered: ExitCode(ExitStatus.data.rawValue)
    case .truncated: ExitCode(4)
    case .forked: ExitCode(5)
    case .wrongKey: ExitCode(6)
    case .unwitnessed: ExitCode(8)
    case .unsupported: ExitCode(ExitStatus.configuration.rawValue)
    case .nothing: ExitCode(3)
    }
  }
}
