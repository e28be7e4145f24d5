internal import ChatelaineAuditTrail

/// The public key that heads of the key-access log are signed with: the line that `chatelaine signing-key show` prints.
///
/// Get it from whoever runs the service by a way of its own, and keep it with your configuration: whatever this library
/// says of the log, it says under this key. Its name has the log's id and epoch.
public struct LogKey: Equatable, Sendable, CustomStringConvertible {
  let key: NoteKey

  /// Parses `name+hash+base64`; spaces and line ends around it are left away.
  public init(_ text: String) throws(ClientError) {
    do throws(NoteKey.Malformed) { key = try NoteKey(parsing: text) } catch {
      throw ClientError(.invalidLogKey, "The log's key: \(error.sentence).")
    }
  }

  /// The line that it was made from.
  public var description: String { key.text }

  /// Whether a receipt is of this key's log and epoch.
  func isOf(_ receipt: Receipt) -> Bool {
    key.name.utf8.reversed().starts(with: "/\(receipt.logID)/\(receipt.epoch)".utf8.reversed())
  }
}
