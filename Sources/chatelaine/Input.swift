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
    case .text(let reason): "malformed: not the text form of an envelope (\(reason))"
    case .envelope(let reason): "malformed: not an envelope (\(reason))"
    case .wrappedKey(let reason): "malformed: not a wrapped key (\(reason))"
    case .local(let reason): "malformed: not a local envelope (\(reason))"
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
