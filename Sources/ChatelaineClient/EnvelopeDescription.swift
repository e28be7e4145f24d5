internal import ChatelaineEnvelopes
internal import ChatelaineVocabulary

/// What an envelope says of itself: read without a key, without the service, and without allocation of its
/// ciphertext. For choosing what to rewrap, and for checks before a column is written.
///
/// Nothing here is authenticated: only a decryption proves an envelope.
public struct EnvelopeDescription: Equatable, Sendable {
  /// The cipher of an envelope. Open: later versions may add more.
  public struct Suite: Equatable, Sendable, CustomStringConvertible {
    /// The format's number.
    public let rawValue: UInt8
    public static let aes256GCM = Suite(rawValue: 1)
    public static let xchacha20Poly1305 = Suite(rawValue: 2)

    public var description: String {
      switch self {
      case .aes256GCM: "AES-256-GCM"
      case .xchacha20Poly1305: "XChaCha20-Poly1305"
      default: "suite \(rawValue)"
      }
    }
  }

  /// Why bytes are not an envelope. Open: compare codes, expect new ones.
  public struct Malformed: Error, Equatable, Sendable {
    /// A stable word, such as `magic` or `keyVersion`.
    public let code: String

    public init(code: String) { self.code = code }
  }

  public let suite: Suite
  /// 16 random bytes that name the key, as 32 hexadecimal digits.
  public let keyID: String
  /// 0 for an envelope that was sealed under a data key.
  public let keyVersion: UInt32
  public let plaintextByteCount: Int
  static let overheadByteCount = Envelope.overheadByteCount

  /// Reads a binary envelope.
  public init(_ bytes: [UInt8]) throws {
    do throws(Envelope.Malformed) {
      let selector = try Envelope.parseSelector(bytes.span)
      suite = Suite(rawValue: selector.suite.rawValue)
      keyID = selector.key.id.hex
      keyVersion = selector.key.version
      plaintextByteCount = bytes.count - Envelope.overheadByteCount
    } catch { throw Malformed(code: "\(error)") }
  }

  /// Reads the text form, `ch1.…`.
  public init(text: String) throws {
    let decoded: [UInt8]
    do throws(TextForm.Malformed) { decoded = try TextForm.decode(Array(text.utf8).span) } catch {
      throw Malformed(code: "text.\(error)")
    }
    try self.init(decoded)
  }
}

/// The text form of an envelope: `ch1.` and base64url without padding, for TEXT and JSON columns.
public enum EnvelopeText {
  public static func encode(_ envelope: [UInt8]) -> String {
    String(decoding: TextForm.encode(envelope.span), as: UTF8.self)
  }

  public static func decode(_ text: String) throws -> [UInt8] {
    do throws(TextForm.Malformed) { return try TextForm.decode(Array(text.utf8).span) } catch {
      throw EnvelopeDescription.Malformed(code: "text.\(error)")
    }
  }
}
