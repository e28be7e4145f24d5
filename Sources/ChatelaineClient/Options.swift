internal import ChatelaineVocabulary
internal import Glibc

/// Who must be serving the socket.
///
/// Asked of the kernel before a byte is sent: a program that put a socket of its own in the service's place gets
/// no plaintext.
public struct ServerIdentity: Hashable, Sendable {
  let uid: UInt32

  /// The user with this number: the one that runs the service.
  public static func uid(_ uid: UInt32) -> ServerIdentity { ServerIdentity(uid: uid) }

  /// The user that runs this program.
  public static var sameUserAsCaller: ServerIdentity { ServerIdentity(uid: geteuid()) }
}

/// Bounds of one connection.
public struct ConnectionOptions: Sendable {
  /// Calls that are with the service at one time, 1 to 1,024; more wait here for their turn.
  public var inFlightMax = 256
  /// How long a call may take where it says nothing else, its wait for a turn included; a day at most.
  public var timeout = Duration.seconds(10)
  /// Asked for a token before each call that brings none of its own; nil: calls go without. It is best to keep the token, and to
  /// fetch another before it ends: the service verifies one once. What it throws, the call fails with.
  public var token: (@Sendable () async throws(ClientError) -> AccessToken)?

  /// The defaults.
  public init() {}
}

/// A token that says for which tenants, and perhaps for whom, a call is made: a JWT, or a static token of the service. It is a
/// secret, never printed, and never in the service's log.
public struct AccessToken: Sendable, CustomStringConvertible, CustomReflectable {
  let bytes: [UInt8]

  /// A token's characters, without `Bearer`: 1 to 8,192 of printable ASCII, or nil.
  public init?(_ bytes: [UInt8]) {
    guard (1...Limits.tokenBytesMax).contains(bytes.count), bytes.allSatisfy({ (0x21...0x7e).contains($0) }) else { return nil }
    self.bytes = bytes
  }

  /// Nothing of the token.
  public var description: String { "AccessToken" }

  /// Nothing of the token.
  public var customMirror: Mirror { Mirror(self, children: []) }
}

/// What a call may say besides what is to be done. None of it is secret but the token: all else stands in the log.
public struct CallOptions: Sendable {
  /// Names the call, so that its entry is found by it; without one, the library draws one for each call. Every error
  /// of a call that was sent names it.
  public var requestID: RequestID?
  /// On whose behalf; at most 256 bytes of UTF-8.
  public var actor = ""
  /// Why; at most 256 bytes of UTF-8.
  public var purpose = ""
  /// How long the call may take; nil: as long as the connection's options say.
  public var timeout: Duration?
  /// For which tenants the call is made; nil: the connection's options say it.
  public var token: AccessToken?

  /// What a call says of itself.
  public init(
    requestID: RequestID? = nil, actor: String = "", purpose: String = "", timeout: Duration? = nil,
    token: AccessToken? = nil
  ) {
    self.requestID = requestID
    self.actor = actor
    self.purpose = purpose
    self.timeout = timeout
    self.token = token
  }

  /// With a request id: the caller's, or a fresh one.
  package var named: CallOptions {
    var options = self
    options.requestID = requestID ?? .random()
    return options
  }
}

/// 16 bytes that name one call.
public struct RequestID: Hashable, Sendable, CustomStringConvertible {
  let identifier: Identifier

  init(_ identifier: Identifier) { self.identifier = identifier }

  /// One that nobody has used.
  public static func random() -> RequestID {
    RequestID(Identifier(high: .random(in: 1 ... .max), low: .random(in: .min ... .max)))
  }

  /// Parses 32 hexadecimal digits, or nil. Sixteen zeros name nothing.
  public init?(_ text: String) {
    guard let identifier = Identifier(hex: text.lowercased()), identifier != .zero else { return nil }
    self.identifier = identifier
  }

  /// 32 hexadecimal digits.
  public var description: String { identifier.hex }

  /// As messages carry it.
  package var bytes: [UInt8] { identifier.bytes }
}
