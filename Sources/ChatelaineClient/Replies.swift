internal import ChatelaineVocabulary
internal import ChatelaineWire

/// A result and the receipt of its entry in the key-access log, which was on disk before the result was sent.
///
/// ```swift
/// let reply = try await connection.encrypt(card, tenant: "acme", key: "payments")
/// store(reply.value)
/// ```
///
/// A value may be plaintext. It is memory of yours: this library does not erase it.
public struct Reply<Value: Sendable>: Sendable {
  /// What was asked for.
  public let value: Value
  /// Where the log holds the call.
  public let receipt: Receipt
}

extension Reply: CustomStringConvertible {
  /// The receipt's text: never the value's.
  public var description: String { "Reply(\(receipt))" }
}

/// Where the key-access log holds a call.
public struct Receipt: Hashable, Sendable, CustomStringConvertible {
  /// Names the log: 32 hexadecimal digits.
  public let logID: String
  /// Which of the log's epochs.
  public let epoch: UInt32
  /// The entry's number.
  public let sequence: UInt64
  /// SHA-256 of the entry as a leaf of the log's tree (RFC 6962): 64 hexadecimal digits.
  public let leafHash: String

  /// Log, epoch and number.
  public var description: String { "\(logID)/\(epoch)/\(sequence)" }

  init(_ receipt: WireReceipt) {
    logID = receipt.logID.hex
    epoch = receipt.epoch
    sequence = receipt.sequence
    leafHash = receipt.leafHash.hex
  }
}

/// A fresh 256-bit key and the form of it to store beside what it encrypts. The service keeps neither.
public struct DataKey: Sendable, CustomStringConvertible {
  /// 148 bytes; not secret.
  public let wrapped: [UInt8]
  /// 32 bytes. Secret, and memory of yours: erase it when you are done.
  public let key: [UInt8]

  /// Says nothing of the key.
  public var description: String { "DataKey" }
}

/// One plaintext or envelope of a batch, with its context.
public struct BatchItem: Sendable {
  /// Plaintext to encrypt, or a binary envelope to decrypt.
  public var bytes: [UInt8]
  /// The encryption context of this item.
  public var context: [String: String]

  /// An item; without a context, the empty one.
  public init(_ bytes: [UInt8], context: [String: String] = [:]) {
    self.bytes = bytes
    self.context = context
  }
}
