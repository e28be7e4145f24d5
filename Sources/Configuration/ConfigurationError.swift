package import ChatelaineAccessPolicy
package import ChatelaineTokens

/// Why a file of configuration is refused: which file, which line, what, and how to mend it.
package struct ConfigurationError: Error, Equatable, Sendable {
  /// As it was named by whoever asked.
  package let file: String
  /// Counted from 1; nil where it is about the whole file.
  package let line: Int?
  package let problem: Problem

  package enum Problem: Equatable, Sendable {
    case unreadable
    case notPermitted
    /// A fifo, a device, a directory.
    case notAFile
    /// Its group or others may write to it, or it is another user's.
    case notYours
    case tooLarge(limitBytes: Int)
    case notText
    case carriageReturn
    case byteOrderMark
    case controlCharacter(UInt32)
    case empty
    /// What the YAML parser says.
    case syntax(String)
    /// Something of YAML that is not used here: anchors, aliases, tags, directives, block texts.
    case special(Character)
    case quote
    case tooManyValues(limit: Int)

    case version(found: String)
    case unknownKey(String, nearest: String?, valid: [String])
    case duplicateKey(String, first: Int)
    case missingKey(String)
    case type(key: String, wanted: ValueType)
    case range(key: String, ClosedRange<UInt64>)
    case word(key: String, found: String, nearest: String?, valid: [String])
    case path(key: String)
    case mode(key: String)
    case logName
    case segmentBytes
    case anchorAlone
    case socketPath(key: String, byteCount: Int)
    case sameSocket(key: String, other: String)
    /// `owner` is the key that names the directory.
    case socketAmong(key: String, owner: String)
    case account(String)
    case address(key: String, String)
    case sameAddress(key: String, other: String)
    /// Nobody could be known there.
    case noTLS(key: String)

    case principal(String)
    case pattern(key: String, String)
    case tokenName(String)
    case noToken(String, nearest: String?)
    case outsideRole(Permission, Role)
    case tenant(String)
    case claim(String)
    case hash
    case time(String)
    case tokensTwice(String)
    case tooMany(key: String, limit: Int)
    case keySet(TokenKeySetFault)
    /// It holds a secret, and group or others may read it.
    case secretReadable
    case policy(PolicyError)
  }

  package enum ValueType: String, Sendable {
    case text = "a text"
    case number = "a whole number, without quotes"
    case flag = "true or false"
    case list = "a list"
    case mapping = "keys with values"
  }

  /// The longest path that fits into the kernel's address of a Unix socket.
  package static let socketPathBytesMax = 107

  /// One sentence; it carries what stands in the file, so escape it before it goes to a terminal.
  package var sentence: String {
    let place = line.map { "\(file):\($0)" } ?? file
    return "\(place): \(problem.sentence)"
  }
}

/// A problem before it is known whose file it is.
struct Fault: Error {
  let line: Int?
  let problem: ConfigurationError.Problem

  init(_ line: Int?, _ problem: ConfigurationError.Problem) {
    self.line = line
    self.problem = problem
  }

  func error(in file: String) -> ConfigurationError {
    ConfigurationError(file: file, line: line, problem: problem)
  }
}
