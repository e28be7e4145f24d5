internal import ChatelaineCustody
internal import ChatelaineEnvelopes
internal import Glibc

/// Why there is no envelope to show.
enum InspectError: Error, Equatable {
  case missing(path: String)
  case unreadable(path: String, errno: Int32)
  case tooLarge(path: String)
  case text(TextForm.Malformed)
  case envelope(Envelope.Malformed)
  case wrappedKey(WrappedKey.Malformed)
  case local(LocalEnvelope.Malformed)

  var sentence: String {
    switch self {
    case .missing(let path):
      "\(printable(path)): there is no such file: name a file with an envelope, or - for standard input"
    case .unreadable(let path, let errno):
      "\(printable(path)): it cannot be read (\(systemText(errno))): mend that and try again"
    case .tooLarge(let path): "\(printable(path)): more than \(inputBytesMax) bytes: this is no envelope"
    case .text(let reason): "malformed: not the text form of an envelope (\(reason.words))"
    case .envelope(let reason): "malformed: not an envelope (\(reason.words))"
    case .wrappedKey(let reason): "malformed: not a wrapped key (\(reason.words))"
    case .local(let reason): "malformed: not a local envelope (\(reason.words))"
    }
  }
}

/// Far more than an envelope may hold.
let inputBytesMax = 32 << 20

/// All bytes of a file, or of standard input for `-`.
func readInput(_ path: String) throws(InspectError) -> [UInt8] {
  let descriptor = path == "-" ? 0 : unsafe open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else {
    throw errno == ENOENT ? .missing(path: path) : .unreadable(path: path, errno: errno)
  }
  defer { if descriptor != 0 { _ = close(descriptor) } }
  var bytes: [UInt8] = []
  var block = [UInt8](repeating: 0, count: 65_536)
  while true {
    let count = unsafe block.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
    if count < 0, errno == EINTR { continue }
    guard count >= 0 else { throw .unreadable(path: path, errno: errno) }
    if count == 0 { return bytes }
    bytes += block.prefix(count)
    guard bytes.count <= inputBytesMax else { throw .tooLarge(path: path) }
  }
}

// MARK: The words of docs/formats

extension TextForm.Malformed {
  fileprivate var words: String {
    switch self {
    case .prefix: "it does not begin with ch1."
    case .character: "a character is not of base64url"
    case .length: "no bytes have a text of that length"
    case .trailingBits: "the last character has bits that belong to no byte"
    }
  }
}

extension Envelope.Malformed {
  fileprivate var words: String {
    switch self {
    case .tooShort: "it is shorter than \(Envelope.overheadByteCount) bytes"
    case .magic: "it does not begin with \"CH\""
    case .version: "its format is of another version than 1"
    case .suite: "its suite is unknown"
    case .kind: "its kind is unknown"
    case .keyVersion: "its key version and its kind do not go together"
    }
  }
}

extension WrappedKey.Malformed {
  fileprivate var words: String {
    switch self {
    case .length: "it has not \(WrappedKey.byteCount) bytes"
    case .magic: "it does not begin with \"CW\""
    case .version: "its format is of another version than 1"
    case .kind: "its kind is unknown"
    case .keyVersion: "its key version and its kind do not go together"
    case .wrappingKeyVersion: "its wrapping key version is 0"
    }
  }
}

extension LocalEnvelope.Malformed {
  fileprivate var words: String {
    switch self {
    case .tooShort: "it is shorter than \(LocalEnvelope.overheadByteCount) bytes"
    case .wrappedKey(let reason): "its wrapped key: \(reason.words)"
    case .wrappedKeyIsNoDataKey: "its wrapped key is no data key"
    case .envelope(let reason): "its envelope: \(reason.words)"
    case .envelopeIsOfNoDataKey: "its envelope is sealed under no data key"
    case .keyIDsDiffer: "its envelope is sealed under another key"
    }
  }
}
