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

  /// The defaults.
  public init() {}
}

/// What a call may say besides what is to be done. None of it is secret: all of it stands in the log.
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

  /// What a call says of itself.
  public init(requestID: RequestID? = nil, actor: String = "", purpose: String = "", timeout: Duration? = nil)
  {
    self.requestID = requestID
    self.actor = actor
    self.purpose = purpose
    self.timeout = timeout
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
