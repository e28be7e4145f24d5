internal import ChatelainePrimitives
package import ChatelaineSecretMemory
internal import Glibc

/// A file of somebody else's format that holds a secret, such as a private key in PEM.
package enum SecretFile {
  package static let byteCountMax = 64 << 10

  /// Looks at the file, and only then reads it, into secret memory.
  package static func read(_ path: String) throws(SecretFileError) -> SecretBytes {
    func error(_ problem: SecretFileError.Problem) -> SecretFileError { SecretFileError(path: path, problem: problem) }
    let file = unsafe Descriptor(open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC))
    guard file.isOpen else {
      throw error(errno == ENOENT ? .missing : errno == ELOOP ? .symlink : .unreadable(errno: errno))
    }
    var status = stat()
    guard unsafe fstat(file.number, &status) == 0 else { throw error(.unreadable(errno: errno)) }
    guard status.st_mode & S_IFMT == S_IFREG else { throw error(.notARegularFile) }
    guard status.st_uid == geteuid() else { throw error(.owner(status.st_uid, ours: geteuid())) }
    let mode = status.st_mode & 0o7777
    guard mode == 0o400 || mode == 0o600 else { throw error(.mode(mode)) }
    guard (1...byteCountMax).contains(Int(status.st_size)) else { throw error(.size) }
    var bytes = SecretBytes.zeros(count: Int(status.st_size))
    var count = 0
    while count < bytes.count {
      let got = bytes.read(from: file.number, at: count)
      if got < 0, errno == EINTR { continue }
      guard got > 0 else { throw error(got == 0 ? .size : .unreadable(errno: errno)) }
      count += got
    }
    return bytes
  }
}

/// Why a file with a secret is refused.
package struct SecretFileError: Error, Equatable {
  package enum Problem: Equatable, Sendable {
    case missing
    case symlink
    case notARegularFile
    case owner(UInt32, ours: UInt32)
    case mode(UInt32)
    case size
    case unreadable(errno: Int32)
  }

  package let path: String
  package let problem: Problem

  /// What is wrong, where, and how to mend it, in one sentence.
  package var sentence: String { "\(printable(path)): \(problem.sentence)" }
}

extension SecretFileError.Problem {
  fileprivate var sentence: String {
    switch self {
    case .missing: "there is no such file: mend the path, or put the private key there"
    case .symlink: "the private key is a symbolic link: put the file itself here"
    case .notARegularFile: "the private key is not a regular file: put the file itself here"
    case .owner(let owner, let ours):
      "the file belongs to uid \(owner), and this process is uid \(ours): chown it, or run as its owner"
    case .mode(let mode):
      "the file has mode \(octal(mode)) and was not read: chmod 0400, and replace the key if others could read it"
    case .size: "the file is empty, or longer than \(SecretFile.byteCountMax) bytes: this is no private key"
    case .unreadable(let errno): "it cannot be read (\(systemText(errno))): mend that and try again"
    }
  }
}
