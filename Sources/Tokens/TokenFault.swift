/// Why a token is none: for the log alone. A caller is never told which (RFC 8725 leaves nothing to be learned from it).
package enum TokenFault: String, Error, CaseIterable, Sendable {
  /// More than 8 KiB, or more members, tenants or characters than there may be.
  case tooLong = "too-long"
  /// No compact serialization of a JWS with a JSON object in it, and no static token's form; a name that stands twice.
  case malformed
  /// More than one token, or another scheme than `Bearer`.
  case scheme
  /// A header that nobody here understands or believes: `crit`, `b64`, `jku`, `jwk`, `x5u`, `x5c`, a foreign `typ`.
  case header
  /// `none`, or an algorithm that is not one of ours.
  case algorithm
  /// Nobody in the tokens' file issues for this `iss` and `aud`.
  case issuer
  /// No key of the issuer is meant, or more than one.
  case key
  case signature
  case expired
  case notYet = "not-yet"
  /// The tenant claim is missing, or names what cannot be a tenant.
  case tenant
  /// A static token that is not in the tokens' file.
  case unknown

  /// Whether time may mend it.
  package var passes: Bool { self == .notYet }
}
