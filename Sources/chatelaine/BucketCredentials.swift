internal import ChatelaineCustody
internal import ChatelaineExits
internal import ChatelaineOutside
internal import ChatelainePrimitives
internal import ChatelaineSecretMemory
internal import ChatelaineVocabulary
internal import Glibc

/// An S3 server's credentials: of the environment, under AWS's names, or of a file in AWS's form. Never of the command
/// line, which every process can read.
///
/// The secret key goes from there into secret memory; the access key's name and a session's token are texts.
func readBucketCredentials(file: String?) throws -> AWSCredentials {
  guard let file else {
    guard let access = environmentValue("AWS_ACCESS_KEY_ID"), let secret = environmentSecret("AWS_SECRET_ACCESS_KEY") else {
      throw Failure(
        .usage, "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or give --credentials FILE")
    }
    return try credentials(access, secret, token: environmentValue("AWS_SESSION_TOKEN"))
  }
  let content = try SecretFile(file)
  return try content.bytes.withBytes { bytes in
    let lines = Span<UInt8>(_bytes: bytes).extracting(0..<content.count)
    guard let access = lines.text("aws_access_key_id"), let secret = lines.secret("aws_secret_access_key") else {
      throw Failure(.data, "\(printable(file)): the lines aws_access_key_id = … and aws_secret_access_key = … are missing")
    }
    return try credentials(access, secret, token: lines.text("aws_session_token"))
  }
}

private func credentials(
  _ access: String, _ secret: borrowing SecretBytes, token: String?
) throws(Failure) -> AWSCredentials {
  let texts = [Array(access.utf8), Array((token ?? "x").utf8)]
  let isPlain = secret.count <= 4096 && secret.withBytes { bytes in
    let bytes = Span<UInt8>(_bytes: bytes)
    return bytes.indices.allSatisfy { isVisible(bytes[$0]) }
  }
  guard isPlain, texts.allSatisfy({ (1...4096).contains($0.count) && $0.allSatisfy(isVisible) }) else {
    throw Failure(.data, "the credentials have blanks or other characters in them that no server gives out: copy them again")
  }
  return AWSCredentials(accessKey: access, secret: secret, token: token)
}

private func isVisible(_ byte: UInt8) -> Bool { (0x21...0x7e).contains(byte) }

/// A file of secrets in secret memory. One that others may read is none.
private struct SecretFile: ~Copyable {
  private static let byteCountMax = 16_384

  let bytes: SecretBytes
  let count: Int

  init(_ path: String) throws(Failure) {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard file >= 0 else {
      let status: ExitStatus = errno == EACCES ? .noPermission : .noInput
      throw Failure(status, "\(printable(path)): it cannot be opened (\(systemText(errno))): name a file that can be read")
    }
    defer { _ = close(file) }
    // why: of what was opened; whatever has the name by now is another matter.
    try Self.checkOwnersAlone(file, path)
    var bytes = SecretBytes.zeros(count: Self.byteCountMax + 1)
    var count = 0
    while true {
      let got = bytes.withMutableBytes { span in
        unsafe span.withUnsafeMutableBytes { unsafe read(file, $0.baseAddress! + count, $0.count - count) }
      }
      if got < 0, errno == EINTR { continue }
      guard got >= 0 else {
        throw Failure(.inputOutput, "\(printable(path)): it cannot be read (\(systemText(errno))): mend that and try again")
      }
      count += got
      if got == 0 || count > Self.byteCountMax { break }
    }
    guard count <= Self.byteCountMax else {
      throw Failure(.data, "\(printable(path)): more than \(Self.byteCountMax) bytes: these are no credentials")
    }
    self.bytes = bytes
    self.count = count
  }

  private static func checkOwnersAlone(_ file: Int32, _ path: String) throws(Failure) {
    var status = stat()
    guard unsafe fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw Failure(.data, "\(printable(path)): it is no regular file: name the file with the credentials")
    }
    guard status.st_mode & 0o077 == 0, status.st_uid == geteuid() || status.st_uid == 0 else {
      throw Failure(.noPermission, "\(printable(path)): others may read it, or it is another user's: chmod 0600, and chown it")
    }
  }
}

/// Lines `name = value`, of which the first of a name counts, whatever its case.
extension Span<UInt8> {
  fileprivate func text(_ name: String) -> String? { value(name).map { String(copying: extracting($0)) } }

  fileprivate func secret(_ name: String) -> SecretBytes? {
    guard let range = value(name), !range.isEmpty else { return nil }
    let value = extracting(range)
    return SecretBytes(count: range.count) { $0.append(contentsOf: value) }
  }

  private func value(_ name: String) -> Range<Int>? {
    var start = 0
    while start < count {
      var end = start
      while end < count, self[end] != UInt8(ascii: "\n") { end += 1 }
      if let value = value(name, in: start..<end) { return value }
      start = end + 1
    }
    return nil
  }

  private func value(_ name: String, in line: Range<Int>) -> Range<Int>? {
    guard let sign = line.first(where: { self[$0] == UInt8(ascii: "=") }) else { return nil }
    let found = trimmed(line.lowerBound..<sign)
    let wanted = Array(name.utf8)
    guard found.count == wanted.count,
      zip(found, wanted).allSatisfy({ self[$0] == $1 || self[$0] | 0x20 == $1 && $1 >= UInt8(ascii: "a") })
    else { return nil }
    return trimmed(sign + 1..<line.upperBound)
  }

  private func trimmed(_ range: Range<Int>) -> Range<Int> {
    var (start, end) = (range.lowerBound, range.upperBound)
    while start < end, isBlank(self[start]) { start += 1 }
    while end > start, isBlank(self[end - 1]) { end -= 1 }
    return start..<end
  }

  private func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0d }
}

func environmentValue(_ name: String) -> String? { unsafe getenv(name).map { unsafe String(cString: $0) } }

/// A copy in secret memory; the environment itself stays where it is as long as the process.
private func environmentSecret(_ name: String) -> SecretBytes? {
  guard let text = unsafe getenv(name) else { return nil }
  let count = unsafe strlen(text)
  guard count > 0 else { return nil }
  let bytes = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(text), byteCount: count)
  return SecretBytes(count: count) { $0.append(contentsOf: bytes) }
}
